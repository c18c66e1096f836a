// Package systemd holds the unit that runs xcc as a service, and the other half of it: what Type=notify and WatchdogSec=
// there ask a process to tell.
package systemd

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
)

// Condition is how the service is.
type Condition struct {
	// Ready: it does what it was started for. It stays ready when this later turns false.
	Ready bool
	// Status is one line for `systemctl status`.
	Status string
	// Stuck is why it can't go on, and has to be started anew.
	Stuck error
}

// interval is how often the condition is asked for.
const interval = time.Second

// Tell tells systemd of the service's condition until ctx ends, and then that the service is stopping. The watchdog hears
// of it only as long as the condition is given, and is not stuck. Where no systemd asks for it, Tell returns at once.
func Tell(ctx context.Context, condition func() Condition, log logrus.FieldLogger) {
	if asked, err := daemon.SdNotify(false, "STATUS=starting"); !asked {
		if err != nil {
			log.WithError(err).Warn("can't tell systemd of the service's condition")
		}
		return
	}
	// A watchdog that is not asked for has the interval zero.
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.WithError(err).Warn("can't make out systemd's watchdog")
	}
	teller := teller{log: log, watchdog: watchdog > 0}
	ticker := time.NewTicker(pace(watchdog))
	defer ticker.Stop()
	for {
		teller.tell(condition())
		select {
		case <-ctx.Done():
			teller.send(daemon.SdNotifyStopping + "\nSTATUS=stopping")
			return
		case <-ticker.C:
		}
	}
}

// pace leaves a watchdog two ticks that may come too late.
func pace(watchdog time.Duration) time.Duration {
	if watchdog > 0 {
		return min(interval, watchdog/3)
	}
	return interval
}

// teller knows what was told already.
type teller struct {
	log      logrus.FieldLogger
	watchdog bool
	last     Condition
}

func (t *teller) tell(now Condition) {
	if now.Ready && !t.last.Ready {
		t.send(daemon.SdNotifyReady)
	}
	if now.Status != t.last.Status {
		t.send("STATUS=" + now.Status)
	}
	if now.Stuck != nil && t.last.Stuck == nil {
		t.log.WithError(now.Stuck).Error("stuck: leaving systemd's watchdog unanswered")
	}
	if now.Stuck == nil && t.watchdog {
		t.send(daemon.SdNotifyWatchdog)
	}
	now.Ready = now.Ready || t.last.Ready
	t.last = now
}

func (t *teller) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		t.log.WithError(err).Debug("can't tell systemd of the service's condition")
	}
}
