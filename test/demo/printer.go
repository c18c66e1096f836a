package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// printer writes what the demo has to say: with some colour on a terminal, plain anywhere else.
type printer struct {
	io.Writer
	colour bool
}

func newPrinter(out io.Writer) printer {
	return printer{Writer: out, colour: isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// The escape sequences that are used.
const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	reset = "\x1b[0m"
)

func (p printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return colour + text + reset
}

func (p printer) line(format string, arguments ...any) {
	fmt.Fprintf(p, format+"\n", arguments...)
}

func (p printer) heading(text string) {
	p.line("\n%s", p.paint(bold, text))
}

func (p printer) failure(text string) {
	p.line("%s", p.paint(red, text))
}

// columns is the form of a step's line: where, what was done, and what the other cluster had then.
const columns = "  %-9s  %-42s  %-28s"

func (p printer) stepsHeading() {
	p.line("%s", p.paint(faint, fmt.Sprintf(columns+"  %8s  %9s", "in", "what was done", "the pointer then", "after", "of it xcc")))
}

func (p printer) step(where, what, pointer string, took times) {
	p.line(columns+"  %s  %9s", where, what, pointer,
		p.paint(green, fmt.Sprintf("%8s", milliseconds(took.pointer))), milliseconds(took.own()))
}

func (p printer) fact(what, found string) {
	p.line("  %-83s  %8s", what, found)
}

func milliseconds(duration time.Duration) string {
	return fmt.Sprintf("%d ms", duration.Round(time.Millisecond).Milliseconds())
}

func seconds(duration time.Duration) string {
	return fmt.Sprintf("%.1f s", duration.Seconds())
}
