package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	stdsync "sync"
	"time"

	"github.com/urfave/cli/v2"

	"xcc/clusters"
	"xcc/sync"
)

func checkFlags() []cli.Flag {
	return append(syncFlags(),
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "`FORMAT` of the result: table, json or yaml"},
		&cli.BoolFlag{Name: "dial", Usage: "open TCP connections from here to some of the exported endpoints"},
		&cli.DurationFlag{Name: "wait", Usage: "check again until nothing fails, for this `DURATION` at the most"},
	)
}

// checkInterval is the pause before a check is made again.
const checkInterval = 2 * time.Second

// checkClusters says whether xcc can work. It fails where something keeps it from that.
func checkClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("check takes no argument, only flags: %q", c.Args().First())
	}
	if !slices.Contains(clusters.Formats, c.String("output")) {
		return fmt.Errorf("--output: %q is none of table, json and yaml", c.String("output"))
	}
	if _, _, err := sides(c); err != nil {
		return err
	}
	deadline := time.Now().Add(c.Duration("wait"))
	failures := 0
	for {
		report, err := check(c, progressOn(stderr))
		if err != nil {
			return err
		}
		if report.Failures == 0 || time.Now().After(deadline) || c.Context.Err() != nil {
			if err := report.Write(c.App.Writer, c.String("output")); err != nil {
				return err
			}
			if report.Failures > 0 {
				return fmt.Errorf("%d checks failed", report.Failures)
			}
			return nil
		}
		if report.Failures != failures {
			failures = report.Failures
			fmt.Fprintf(stderr, "%d checks failed; checking again until %s\n", failures, deadline.Format(time.TimeOnly))
		}
		select {
		case <-c.Context.Done():
		case <-time.After(checkInterval):
		}
	}
}

// check asks both clusters, and plans all of their Services as the daemon would, once.
func check(c *cli.Context, progress progress) (clusters.CheckReport, error) {
	partA, partB, err := parts(c)
	if err != nil {
		return clusters.CheckReport{}, err
	}
	sideA, sideB, err := sides(c)
	if err != nil {
		return clusters.CheckReport{}, err
	}
	var a, b clusters.Facts
	var group stdsync.WaitGroup
	group.Go(func() { a = clusters.Examine(c.Context, sideA, partA) })
	group.Go(func() { b = clusters.Examine(c.Context, sideB, partB) })
	done := progress.of(func() string { return "asking both clusters" })
	group.Wait()
	done()
	if a.Usable() && b.Usable() && !a.Identity.Same(b.Identity) {
		if err := plan(c, progress, &a, &b); err != nil {
			return clusters.CheckReport{}, err
		}
	}
	return clusters.Report(clusters.Judge(a, b, time.Now())), nil
}

// planTime bounds the pass of a check over all Services.
const planTime = time.Minute

// plan makes a pass over all Services without writing, and adds what it found to the facts.
func plan(c *cli.Context, progress progress, factsA, factsB *clusters.Facts) error {
	for _, flag := range []string{"once", "dry-run"} {
		if err := c.Set(flag, "true"); err != nil {
			return err
		}
	}
	log := quiet(io.Discard)
	sideA, sideB, err := sides(c)
	if err != nil {
		return err
	}
	a, err := clusters.Open(sideA, log)
	if err != nil {
		return err
	}
	b, err := clusters.Open(sideB, log)
	if err != nil {
		return err
	}
	hub, err := wire(c, a, b, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(c.Context, planTime, fmt.Errorf("not done within %s", planTime))
	defer cancel()
	err = serve(ctx, true, func(ctx context.Context) error {
		done := progress.of(hub.Summary)
		err := hub.Run(ctx)
		done()
		if err != nil {
			return err
		}
		for i, mirror := range hub.Mirrors {
			from, into := factsA, factsB
			if i == 1 || c.String("direction") == "b-to-a" {
				from, into = factsB, factsA
			}
			if err := survey(c, progress, mirror, from, into); err != nil {
				return err
			}
			if len(hub.Mirrors) == 1 {
				// What the other side exports goes nowhere, and is still where its pods are.
				exports, err := sync.SurveyOf(mirror.Exports)
				if err != nil {
					return err
				}
				into.AddExported(exports.Addresses)
			}
		}
		return nil
	}, a, b)
	if err != nil {
		factsA.Exports.Problem, factsB.Exports.Problem = err, err
	}
	return nil
}

// survey adds what one direction found out about both of its sides.
func survey(c *cli.Context, progress progress, mirror *sync.Mirror, from, into *clusters.Facts) error {
	exports, err := sync.SurveyOf(mirror.Source)
	if err != nil {
		return err
	}
	from.Exports.Known = true
	from.AddExported(exports.Addresses)
	verdicts := mirror.Verdicts()
	for _, key := range exports.Services {
		if !mirror.InScope(key.Namespace) {
			continue
		}
		from.Exports.Count++
		if verdict := verdicts[key]; verdict.State == sync.Refused || verdict.State == sync.Pending {
			from.Exports.Hindered = append(from.Exports.Hindered, clusters.Hindered{Service: key.String(), Reason: string(verdict.Reason), Message: verdict.Message})
		}
	}
	if c.Bool("dial") {
		done := progress.of(func() string { return "opening connections to endpoints of " + from.Name })
		from.Dialed = clusters.Dial(c.Context, exports.Ready)
		done()
	}
	origins, err := sync.OriginsOf(mirror.Target)
	if err != nil {
		return err
	}
	for _, origin := range origins.Except(from.Identity.UID()) {
		into.Strays = append(into.Strays, clusters.Stray{Cluster: string(origin.Cluster), Name: origin.Name, Count: origin.Count})
	}
	into.StraysKnown = true
	return nil
}
