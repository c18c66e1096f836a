package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"xcc/clusters"
	"xcc/sync"
)

func unlinkFlags() []cli.Flag {
	return append(sideFlags(), leaseNamespaceFlag(),
		&cli.StringFlag{Name: "only", Usage: "take xcc out of this `SIDE` only, A or B; the other is not asked, and may be gone"},
		&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
	)
}

// unlinkClusters takes everything of xcc out of both clusters, or out of one.
func unlinkClusters(c *cli.Context, stderr io.Writer) error {
	if c.Args().Present() {
		return fmt.Errorf("unlink takes no argument, only flags: %q", c.Args().First())
	}
	if !c.Bool("yes") && !isTerminal(c.App.Reader) {
		return errors.New("--yes: missing; without a terminal to ask at, unlink does nothing unless it is given")
	}
	log := quiet(stderr)
	places, err := openPlaces(c, log)
	if err != nil {
		return err
	}
	var names []string
	var connected []*clusters.Cluster
	for _, place := range places {
		names, connected = append(names, place.admin.Name()), append(connected, place.cluster)
	}
	return serve(c.Context, true, func(ctx context.Context) error {
		for i, place := range places {
			if err := place.look(ctx, slices.Delete(slices.Clone(connected), i, i+1)); err != nil {
				return err
			}
		}
		if !c.Bool("yes") && !confirmed(c, fmt.Sprintf("Withdraw them, and xcc's identity from %s?", strings.Join(names, " and "))) {
			return errors.New("not confirmed; nothing was changed")
		}
		for _, place := range places {
			if err := place.admin.Disarm(ctx, place.tell); err != nil {
				return err
			}
		}
		for _, place := range places {
			if err := place.clear(ctx, c.String("lease-namespace"), progressOn(stderr), log); err != nil {
				return err
			}
		}
		return nil
	}, connected...)
}

// place is a cluster that xcc is taken out of.
type place struct {
	admin    *clusters.Admin
	cluster  *clusters.Cluster
	pointers *clusters.Target[*sync.Copy]
	tell     func(string)
	// other is the name of the other side, sources are the clusters whose pointers are its.
	other   string
	sources []types.UID
}

// openPlaces gives the sides that xcc is taken out of.
func openPlaces(c *cli.Context, log logrus.FieldLogger) ([]*place, error) {
	a, b, err := sides(c)
	if err != nil {
		return nil, err
	}
	nameA, nameB := cmp.Or(a.Name, a.Context), cmp.Or(b.Name, b.Context)
	if nameA == nameB {
		return nil, fmt.Errorf("--name-a and --name-b: both sides are called %s; give them two names", nameA)
	}
	only := strings.ToUpper(c.String("only"))
	if !slices.Contains([]string{"", "A", "B"}, only) {
		return nil, fmt.Errorf("--only: %q is neither A nor B", c.String("only"))
	}
	var places []*place
	if only != "B" {
		places, err = appendPlace(c, places, a, nameB, log)
	}
	if only != "A" && err == nil {
		places, err = appendPlace(c, places, b, nameA, log)
	}
	return places, err
}

func appendPlace(c *cli.Context, places []*place, options clusters.Options, other string, log logrus.FieldLogger) ([]*place, error) {
	admin, err := clusters.OpenAdmin(c.Context, options)
	if err != nil {
		return nil, err
	}
	cluster, err := clusters.Open(options, log)
	if err != nil {
		return nil, err
	}
	return append(places, &place{admin: admin, cluster: cluster, pointers: pointersOf(cluster), tell: teller(c, admin.Name()), other: other}), nil
}

// look finds the pointers of the other side, and tells of all. Where that side is not asked, they are those that carry its
// name.
func (p *place) look(ctx context.Context, others []*clusters.Cluster) error {
	if err := p.pointers.WaitSynced(ctx); err != nil {
		return err
	}
	origins, err := sync.OriginsOf(p.pointers)
	if err != nil {
		return err
	}
	for _, other := range others {
		p.sources = append(p.sources, other.UID())
	}
	for _, origin := range origins.Except(p.cluster.UID(), "") {
		if len(others) == 0 && origin.Name == p.other {
			p.sources = append(p.sources, origin.Cluster)
		}
	}
	p.tell(fmt.Sprintf("pointers of %s to withdraw: %d", p.other, p.left()))
	for _, origin := range origins.Except(p.sources...) {
		p.tell(fmt.Sprintf("pointers of %s (cluster %s) left alone: %d; is a daemon for that cluster using the identity here?", origin.Name, origin.Cluster, origin.Count))
	}
	return nil
}

// left counts the pointers of the other side.
func (p *place) left() int {
	origins, _ := sync.OriginsOf(p.pointers)
	count := 0
	for _, source := range p.sources {
		count += origins.Of(source)
	}
	return count
}

// clear withdraws the pointers of the other side, and what is left of xcc.
func (p *place) clear(ctx context.Context, leaseNamespace string, progress progress, log logrus.FieldLogger) error {
	withdrawn := 0
	done := progress.of(func() string {
		return fmt.Sprintf("%s: pointers of %s to withdraw: %d", p.admin.Name(), p.other, p.left())
	})
	var errs []error
	for _, source := range p.sources {
		count, err := sync.Order{Source: source, Target: p.pointers, Writer: p.pointers, Log: log}.Withdraw(ctx)
		withdrawn, errs = withdrawn+count, append(errs, err)
	}
	done()
	p.tell(fmt.Sprintf("pointers of %s withdrawn: %d", p.other, withdrawn))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cluster %s: %w", p.admin.Name(), err)
	}
	return p.admin.Revoke(ctx, p.sources, leaseNamespace, p.tell)
}

// pointersOf adds a view of a cluster's pointers.
func pointersOf(cluster *clusters.Cluster) *clusters.Target[*sync.Copy] {
	follower := labels.SelectorFromSet(labels.Set{sync.LabelExport: sync.Follower})
	return clusters.NewTarget(cluster, follower, sync.Rules{}.Observe, clusters.Unheard)
}

// confirmed asks on the terminal.
func confirmed(c *cli.Context, question string) bool {
	fmt.Fprintf(c.App.ErrWriter, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(c.App.Reader).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}
