package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xcc/clusters"
	"xcc/sync"
)

func unlinkFlags() []cli.Flag {
	return append(sideFlags(), leaseNamespaceFlag(), &cli.BoolFlag{Name: "yes", Usage: "do not ask"})
}

// unlinkClusters takes everything of xcc out of both clusters.
func unlinkClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("unlink takes no argument, only flags: %q", c.Args().First())
	}
	if !c.Bool("yes") && !isTerminal(c.App.Reader) {
		return errors.New("--yes: missing; without a terminal to ask at, unlink does nothing unless it is given")
	}
	adminA, adminB, err := admins(c)
	if err != nil {
		return err
	}
	pair, err := openPair(c, quiet(stderr))
	if err != nil {
		return err
	}
	return pair.serve(c.Context, func(ctx context.Context) error {
		sides := []struct {
			admin *clusters.Admin
			order sync.Order
			other string
		}{
			{adminA, pair.order(pair.b, pair.intoA), adminB.Name()},
			{adminB, pair.order(pair.a, pair.intoB), adminA.Name()},
		}
		for _, side := range sides {
			origins, err := sync.OriginsOf(side.order.Target)
			if err != nil {
				return err
			}
			tell := teller(c, side.admin.Name())
			tell(fmt.Sprintf("pointers of %s to withdraw: %d", side.other, origins.Of(side.order.Source)))
			for _, origin := range origins.Except(side.order.Source) {
				tell(fmt.Sprintf("pointers of %s (cluster %s) left alone: %d; is a daemon for that cluster using the identity here?", origin.Name, origin.Cluster, origin.Count))
			}
		}
		if !c.Bool("yes") && !confirmed(c, fmt.Sprintf("Withdraw them, and xcc's identity from %s and %s?", adminA.Name(), adminB.Name())) {
			return errors.New("not confirmed; nothing was changed")
		}
		for _, side := range sides {
			if err := side.admin.Disarm(ctx, teller(c, side.admin.Name())); err != nil {
				return err
			}
		}
		for _, side := range sides {
			tell := teller(c, side.admin.Name())
			done := progressOn(stderr).of(func() string {
				origins, _ := sync.OriginsOf(side.order.Target)
				return fmt.Sprintf("%s: pointers of %s to withdraw: %d", side.admin.Name(), side.other, origins.Of(side.order.Source))
			})
			withdrawn, err := side.order.Withdraw(ctx)
			done()
			tell(fmt.Sprintf("pointers of %s withdrawn: %d", side.other, withdrawn))
			if err != nil {
				return fmt.Errorf("cluster %s: %w", side.admin.Name(), err)
			}
			if err := side.admin.Revoke(ctx, side.order.Source, c.String("lease-namespace"), tell); err != nil {
				return err
			}
		}
		return nil
	})
}

// confirmed asks on the terminal.
func confirmed(c *cli.Context, question string) bool {
	fmt.Fprintf(c.App.ErrWriter, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(c.App.Reader).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}
