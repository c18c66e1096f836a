package model

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"xcc/test/invariant"
)

// RunRestore carries out one seed of a third kind: a cluster is restored from a backup, and has lost Services that were
// mirrored since. As long as its resourceVersions are behind those that xcc has seen, nothing is taken away; when they
// have caught up, all becomes as it should be.
func (p *Pair) RunRestore(ctx context.Context, seed uint64) (Statistics, error) {
	r := p.newRun(seed)
	err := r.restore(ctx)
	if err != nil {
		r.statistics.Violations++
		err = r.explain("TestRestoreSeeds", err)
	}
	return r.statistics, err
}

func (r *run) restore(ctx context.Context) (err error) {
	if err := r.begin(ctx, "--max-delete-percent=100"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.end(ctx)) }()
	side := r.sides()[r.random.IntN(2)]
	for range 10 {
		r.operate(ctx)
	}
	if err := r.settled(ctx); err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "xcc-model-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	backup := filepath.Join(directory, "etcd.db")
	if err := side.Etcd.Snapshot(ctx, backup); err != nil {
		return err
	}
	r.note("backup of " + side.Name)
	// What comes now is so much newer that the restored store stays behind it for as long as it is looked at.
	revision, err := side.revision(ctx)
	if err != nil {
		return err
	}
	if err := side.catchUp(ctx, revision+2000); err != nil {
		return err
	}
	lost := []string{"lost-1", "lost-2", "lost-3"}
	for _, name := range lost {
		if err := side.create(ctx, clusterIP, r.fenceNamespace(), name, true); err != nil {
			return err
		}
	}
	for range 10 {
		r.operate(ctx)
	}
	if err := r.releasedAndAtRest(ctx, append(r.namespaces, r.fenceNamespace())...); err != nil {
		return err
	}
	if err := r.judge(ctx, 100); err != nil {
		return err
	}
	return r.goBack(ctx, side, backup, lost)
}

// goBack restores a cluster, and judges what xcc makes of it. The clusters' history begins anew with it.
func (r *run) goBack(ctx context.Context, side *Side, backup string, lost []string) (err error) {
	newest, err := side.revision(ctx)
	if err != nil {
		return err
	}
	if r.began, err = r.mark(); err != nil {
		return err
	}
	r.note("restore of " + side.Name)
	r.statistics.Faults["restore from a snapshot"]++
	// No write may come before the new recorder: what it was made over would be unknown.
	way := r.xcc.way(side)
	way.Cut()
	if err := errors.Join(side.recorder.Stop(), side.Restore(ctx, backup, 0)); err != nil {
		return err
	}
	if side.recorder, err = invariant.Record(ctx, side.Cluster); err != nil {
		return err
	}
	way.Mend()
	for _, from := range r.sides() {
		if err := r.fence(ctx, from, "fence-after-the-restore-of-"+from.Name); err != nil {
			return err
		}
	}
	now, err := side.revision(ctx)
	if err != nil {
		return err
	}
	if now >= newest {
		return fmt.Errorf("the store of %s is at revision %d, and was at %d before: this is no test", side.Name, now, newest)
	}
	for _, name := range lost {
		if _, err := r.other(side).Clientset().CoreV1().Services(r.fenceNamespace()).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return fmt.Errorf("I5: %s is at revision %d, and was at %d before its restore, and xcc has taken the pointer %s away: %w", side.Name, now, newest, name, err)
		}
	}
	if err := side.catchUp(ctx, newest); err != nil {
		return err
	}
	r.note(side.Name + " has caught up")
	if err := r.releasedAndAtRest(ctx, append(r.namespaces, r.fenceNamespace())...); err != nil {
		return err
	}
	return r.judge(ctx, 100)
}

// revision is how far the store of a cluster is.
func (s *Side) revision(ctx context.Context) (revision int64, err error) {
	client, err := s.Etcd.Client()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	answer, err := client.Get(ctx, "/registry/xcc-test/", clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return answer.Header.Revision, nil
}

// catchUp makes the store of a cluster go on until it is past a revision.
func (s *Side) catchUp(ctx context.Context, newest int64) (err error) {
	client, err := s.Etcd.Client()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	for {
		answer, err := client.Put(ctx, "/registry/xcc-test/time", "")
		if err != nil || answer.Header.Revision > newest {
			return err
		}
	}
}
