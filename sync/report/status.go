package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"xcc/sync"
)

// Status is a row for each exported Service and direction, and what they add up to.
type Status struct {
	Services []Row   `json:"services"`
	Summary  Summary `json:"summary"`
	// Remarks say what there is to say of all of them.
	Remarks []string `json:"remarks,omitempty"`
}

// Summary counts rows.
type Summary struct {
	Services int `json:"services"`
	// Verdicts counts them by verdict, Reasons those that have a reason by that.
	Verdicts map[sync.State]int  `json:"verdicts"`
	Reasons  map[sync.Reason]int `json:"reasons,omitempty"`
}

// Inspect looks at all names of both directions, and writes nothing.
func Inspect(ctx context.Context, hub *sync.Hub) (Status, error) {
	if err := hub.WaitSynced(ctx); err != nil {
		return Status{}, err
	}
	var rows []Row
	var remarks []string
	for _, mirror := range hub.Mirrors {
		// A name that can't be looked at has a row that says so.
		looks, _ := mirror.Inspect(ctx, mirror.Names(), hub.Workers)
		for _, look := range looks {
			if row, any := rowOf(mirror, look, time.Now()); any {
				rows = append(rows, row)
			}
		}
		remarks = append(remarks, foresee(ctx, mirror, looks)...)
	}
	status := statusOf(rows)
	status.Remarks = remarks
	return status, ctx.Err()
}

// foresee says that the delete brake would trip; nothing where it would not, or can't be asked.
func foresee(ctx context.Context, mirror *sync.Mirror, looks []sync.Look) []string {
	foresight, err := mirror.Foresee(ctx, looks)
	if err != nil {
		mirror.Log.WithError(err).Debug("can't ask the delete brake")
	}
	if err != nil || !foresight.Trips() {
		return nil
	}
	return []string{foresight.String()}
}

func statusOf(rows []Row) Status {
	sortRows(rows)
	status := Status{Services: slices.Concat([]Row{}, rows), Summary: Summary{
		Services: len(rows), Verdicts: map[sync.State]int{}, Reasons: map[sync.Reason]int{},
	}}
	for _, row := range rows {
		status.Summary.Verdicts[row.Verdict]++
		if row.Reason != "" {
			status.Summary.Reasons[row.Reason]++
		}
	}
	return status
}

// Write writes the status as it is at that time.
func (s Status) Write(out io.Writer, format Format, now time.Time) error {
	if format != Table {
		return encode(s, format, out)
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	if len(s.Services) > 0 {
		fmt.Fprintln(table, "NAMESPACE\tNAME\tFROM\tTO\tVERDICT\tREADY\tLAG\tAGE\tREASON")
	}
	for _, row := range s.Services {
		line := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", row.Namespace, row.Name, row.From, row.To,
			row.Verdict, row.addresses(), row.lag(), row.age(now), row.why())
		fmt.Fprintln(table, line)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, strings.Join(append([]string{s.Summary.String()}, s.Remarks...), "\n"))
	return err
}

func (s Summary) String() string {
	if s.Services == 0 {
		return "No Service is exported by either cluster."
	}
	parts := []string{}
	for _, state := range []sync.State{sync.Mirrored, sync.Pending, sync.Refused, sync.Withdrawn} {
		if count := s.Verdicts[state]; count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, strings.ToLower(string(state))))
		}
	}
	text := fmt.Sprintf("%s: %s", plural(s.Services, "Service"), strings.Join(parts, ", "))
	var reasons []string
	for _, reason := range slices.SortedFunc(maps.Keys(s.Reasons), func(a, b sync.Reason) int {
		return cmp.Or(cmp.Compare(s.Reasons[b], s.Reasons[a]), cmp.Compare(a, b))
	}) {
		reasons = append(reasons, fmt.Sprintf("%d %s", s.Reasons[reason], reason))
	}
	if len(reasons) > 0 {
		text += " (" + strings.Join(reasons, ", ") + ")"
	}
	return text
}

func plural(count int, noun string) string {
	switch {
	case count == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", count, noun)
}

// ErrFailOn says that some Service has a verdict that the caller asked to fail on.
var ErrFailOn = errors.New("--fail-on")

// FailOn fails if any row has one of the verdicts, which are named in any case.
func (s Status) FailOn(verdicts []string) error {
	for _, verdict := range verdicts {
		for state, count := range s.Summary.Verdicts {
			if count > 0 && strings.EqualFold(string(state), verdict) {
				return fmt.Errorf("%w: %s %s", ErrFailOn, plural(count, "Service"), strings.ToLower(verdict))
			}
		}
	}
	return nil
}

// watchInterval is how often a status is taken that is watched.
const watchInterval = 2 * time.Second

// Watch writes the status whenever it has changed, until ctx ends. On a terminal each one replaces the one before, and is
// written anew to keep its ages right.
func Watch(ctx context.Context, hub *sync.Hub, out io.Writer, format Format, terminal bool) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	var before string
	for {
		status, err := Inspect(ctx, hub)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if terminal {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		if timeless := status.timeless(); terminal || timeless != before {
			before = timeless
			if err := status.Write(out, format, time.Now()); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// timeless is the status without what changes by itself.
func (s Status) timeless() string {
	var lines []string
	for _, row := range s.Services {
		row.LagSeconds, row.Created = nil, nil
		lines = append(lines, fmt.Sprint(row))
	}
	return strings.Join(append(lines, s.Remarks...), "\n")
}
