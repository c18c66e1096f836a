package command

import (
	"fmt"
	"io"
	stdsync "sync"
	"time"

	"github.com/sirupsen/logrus"
)

// progress tells how far long work is.
type progress struct {
	// first is how long the work may take without a word, interval the time between two.
	first, interval time.Duration
	tell            func(text string)
	// end takes away what was told last.
	end func()
}

// plainInterval is the time between two lines for those who read them later.
const plainInterval = 10 * time.Second

// progressOn tells on a terminal in one line, which is replaced and goes in the end; elsewhere in a line now and then.
func progressOn(stderr io.Writer) progress {
	if !isTerminal(stderr) {
		return progress{plainInterval, plainInterval, func(text string) { fmt.Fprintln(stderr, text) }, func() {}}
	}
	const start = "\r\x1b[K"
	return progress{time.Second, time.Second / 2, func(text string) { fmt.Fprint(stderr, start+text) }, func() { fmt.Fprint(stderr, start) }}
}

// progressIn tells in a log, which is what its readers look at, also on a terminal.
func progressIn(log logrus.FieldLogger) progress {
	return progress{plainInterval, plainInterval, func(text string) { log.Info(text) }, func() {}}
}

// of tells what says gives, until done is called.
func (p progress) of(says func() string) (done func()) {
	ended := make(chan struct{})
	var group stdsync.WaitGroup
	group.Go(func() {
		timer := time.NewTimer(p.first)
		defer timer.Stop()
		for told := false; ; told = true {
			select {
			case <-ended:
				if told {
					p.end()
				}
				return
			case <-timer.C:
				p.tell(says())
				timer.Reset(p.interval)
			}
		}
	})
	return func() {
		close(ended)
		group.Wait()
	}
}
