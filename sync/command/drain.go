package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/types"

	"xcc/clusters"
	"xcc/sync"
)

// drainSide notes an operator's order about one side in the other, and sees that it is obeyed. The side itself need not
// answer.
func drainSide(c *cli.Context, stderr io.Writer, drained bool) error {
	from, into, err := sides(c)
	if err != nil {
		return err
	}
	side := strings.ToUpper(c.Args().First())
	switch {
	case c.Args().Len() != 1 || side != "A" && side != "B":
		return fmt.Errorf("%s takes one argument: A or B, the side whose addresses it is about", c.Command.Name)
	case side == "B":
		from, into = into, from
	}
	log := quiet(stderr)
	target, err := clusters.Open(into, log)
	if err != nil {
		return err
	}
	pointers := pointersOf(target)
	return serve(c.Context, true, func(ctx context.Context) error {
		if err := pointers.WaitSynced(ctx); err != nil {
			return err
		}
		source, name, err := sourceOf(ctx, from, target, pointers)
		if err != nil {
			return err
		}
		changed, err := target.SetDrained(ctx, c.String("lease-namespace"), source, name, drained)
		if err != nil {
			return err
		}
		tell := teller(c, target.Name())
		if !drained {
			was := "is drained no more"
			if !changed {
				was = "was not drained"
			}
			tell(fmt.Sprintf("%s %s; a running daemon puts its addresses back within seconds, and xcc sync --once does it without one", name, was))
			return nil
		}
		order := sync.Order{Source: source, Target: pointers, Writer: pointers, Log: log}
		done := progressOn(stderr).of(func() string {
			left, _ := order.Left()
			return fmt.Sprintf("Services that still have addresses: %d", left)
		})
		err = obeyed(ctx, order)
		done()
		if err != nil {
			return err
		}
		tell(fmt.Sprintf("%s is drained: its Services stay, and none of its addresses is left; undo it with xcc undrain %s", name, side))
		return nil
	}, target)
}

// obeyTime is how long a running daemon may take to notice a drain.
const obeyTime = 12 * time.Second

// obeyed waits until a daemon has taken the addresses away. Where none does, it takes them itself: had it begun at once, a
// daemon that doesn't know of the drain yet would have put them back.
func obeyed(ctx context.Context, order sync.Order) error {
	deadline := time.Now().Add(obeyTime)
	for time.Now().Before(deadline) {
		left, err := order.Left()
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	_, err := order.Evacuate(ctx)
	return err
}

// sourceOf gives the UID and name of a cluster: by its own word, or, where it doesn't answer, by that of its pointers.
func sourceOf(ctx context.Context, from clusters.Options, target *clusters.Cluster, pointers *clusters.Target[*sync.Copy]) (types.UID, string, error) {
	source, err := clusters.OpenAdmin(ctx, from)
	if err == nil {
		return source.Identity().UID(), source.Name(), differ(source, target)
	}
	name := cmp.Or(from.Name, from.Context)
	origins, originsErr := sync.OriginsOf(pointers)
	if originsErr != nil {
		return "", "", originsErr
	}
	// A cluster of another name may be a third one, whose pointers are none of ours.
	origins = slices.DeleteFunc(origins.Except(target.UID(), ""), func(origin sync.OriginCount) bool { return origin.Name != name })
	if len(origins) != 1 {
		return "", "", fmt.Errorf("%s does not answer, and of the pointers in %s not one cluster's say that they come from %s (see --name-a and --name-b): %w",
			name, target.Name(), name, err)
	}
	return origins[0].Cluster, name, nil
}
