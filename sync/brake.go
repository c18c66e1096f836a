package sync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/retry"
)

const (
	// brakeFloor is how many pointers may be withdrawn in a window whatever the percentage says.
	brakeFloor = 10
	// brakeWindow is how long a withdrawal counts.
	brakeWindow = 10 * time.Minute
	// brakeParts is into how many reservations the allowance of a window is divided: that many writes of the ledger at
	// the most, and at the most that part of the allowance lost by a restart.
	brakeParts = 20
)

// Ledger keeps a few values in the target, where a restarted daemon and a second one find them again.
type Ledger interface {
	// Load gives the values and their version; none where nothing was stored yet.
	Load(ctx context.Context) (values map[string]string, version string, err error)
	// Store replaces the values if they still have the version, and gives the new one; it fails with a conflict if not.
	Store(ctx context.Context, values map[string]string, version string) (string, error)
}

// Brake bounds how many pointers one direction withdraws in a window. A source that loses its Services by mistake, or
// that was restored from an old backup, looks exactly like one whose Services were deleted; what tells them apart is how
// many went at once.
//
// Withdrawals are counted in a [Ledger], in reservations made before they are carried out, so that neither a restart nor
// a second daemon gets another allowance. Time is measured here and never read from the ledger: the clocks of two hosts
// may be a day apart. A window ends when the daemon has seen the ledger unchanged for its length.
//
// Once tripped, the brake stays so until no name is to be withdrawn any more, or until an operator lets them through. An
// operator begins a new count. Names that come back don't: to undo a part of the cause is no way to another allowance.
type Brake struct {
	// Percent of the pointers may be withdrawn in a window.
	Percent int
	// Open lets all withdrawals through, and resets the ledger: an operator has said so.
	Open bool
	// Scope names the namespaces that are looked at, in the same words whenever they are the same; empty for all. Where no
	// name is to be withdrawn in some namespaces, that says nothing of others: a brake is released within the scope in
	// which it has tripped, or in a run that looks at all.
	Scope  string
	Ledger Ledger
	Log    logrus.FieldLogger

	mu       sync.Mutex
	state    brakeState
	version  string            // of the ledger that state was read from
	since    time.Time         // when this version was first seen; monotonic
	reserved int               // withdrawals that the ledger counts and that were not made yet
	counted  map[Key]time.Time // names withdrawn in this window, and when last; monotonic
	held     sets.Set[Key]
	warned   bool
	known    bool // the ledger was read
}

// brakeState is what the ledger holds.
type brakeState struct {
	pointers  int // in the target when the window began
	withdrawn int // or reserved to be, since
	tripped   bool
	scope     string // of the daemon that has tripped it
}

func (s brakeState) values() map[string]string {
	values := map[string]string{
		"pointers": strconv.Itoa(s.pointers), "withdrawn": strconv.Itoa(s.withdrawn), "tripped": strconv.FormatBool(s.tripped),
	}
	if s.scope != "" {
		values["scope"] = s.scope
	}
	return values
}

func parseBrakeState(values map[string]string) (state brakeState, err error) {
	if len(values) == 0 {
		return state, nil
	}
	if state.pointers, err = strconv.Atoi(values["pointers"]); err != nil {
		return state, fmt.Errorf("brake ledger: pointers: %w", err)
	}
	if state.withdrawn, err = strconv.Atoi(values["withdrawn"]); err != nil {
		return state, fmt.Errorf("brake ledger: withdrawn: %w", err)
	}
	if state.tripped, err = strconv.ParseBool(values["tripped"]); err != nil {
		return state, fmt.Errorf("brake ledger: tripped: %w", err)
	}
	state.scope = values["scope"]
	return state, nil
}

// admit decides whether a pointer may be withdrawn; pointers counts those that there are. A name that was withdrawn in
// this window before, and came back, is not counted again.
func (b *Brake) admit(ctx context.Context, key Key, pointers func() int) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Open {
		return true, nil
	}
	if b.state.tripped {
		b.held = inserted(b.held, key)
		return false, nil
	}
	if b.isOver() {
		b.forget()
	}
	if _, isCounted := b.counted[key]; !isCounted {
		if b.reserved == 0 {
			if err := b.reserve(ctx, pointers()); err != nil {
				return false, err
			}
		}
		if b.state.tripped {
			b.held = inserted(b.held, key)
			return false, nil
		}
		b.reserved--
	}
	if b.counted == nil {
		b.counted = map[Key]time.Time{}
	}
	b.counted[key] = time.Now()
	return true, nil
}

// forget drops what belongs to a window that is over: what was reserved in it, and what went in it so long ago that it counts
// no more.
func (b *Brake) forget() {
	b.reserved = 0
	maps.DeleteFunc(b.counted, func(_ Key, at time.Time) bool { return time.Since(at) > brakeWindow })
}

// isOver reports whether the window has ended.
func (b *Brake) isOver() bool {
	return time.Since(b.since) > brakeWindow
}

// reserve takes a part of the window's allowance, or trips the brake where nothing is left of it.
func (b *Brake) reserve(ctx context.Context, pointers int) error {
	if err := b.read(ctx); err != nil || b.state.tripped {
		return err
	}
	next := b.window(pointers)
	allowance := b.allowance(next)
	part := min(allowance-next.withdrawn, max(1, allowance/brakeParts))
	if part > 0 {
		next.withdrawn += part
	} else {
		next.tripped, next.scope = true, b.Scope
	}
	if err := b.write(ctx, next); err != nil {
		return err
	}
	if next.tripped {
		b.Log.Errorf("the delete brake holds: %d of %d pointers were withdrawn within %s, and more are to go; find out why, "+
			"then let them go with `xcc sync --once --allow-mass-delete`", next.withdrawn, next.pointers, brakeWindow)
		return nil
	}
	b.reserved = part
	return nil
}

// window is the one that goes on, or another where that is over. What went late in that counts in both.
func (b *Brake) window(pointers int) brakeState {
	window := b.state
	if window.withdrawn == 0 || b.isOver() {
		window = brakeState{withdrawn: len(b.counted)}
	}
	window.pointers = max(window.pointers, pointers)
	return window
}

// allowance is how many pointers may be withdrawn in a window.
func (b *Brake) allowance(window brakeState) int {
	return max(brakeFloor, window.pointers*b.Percent/100)
}

// read takes what the ledger holds. What somebody else wrote since begins a new wait for the window's end.
func (b *Brake) read(ctx context.Context) error {
	values, version, err := b.Ledger.Load(ctx)
	if b.isUnusable(err) || err == nil && version == b.version {
		b.known = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete brake: %w", err)
	}
	state, err := parseBrakeState(values)
	if err != nil {
		return err
	}
	if b.state.tripped && !state.tripped {
		b.Log.Info("the delete brake is released")
	}
	b.state, b.known = state, true
	if state.withdrawn == 0 {
		b.counted = nil
	}
	b.version, b.since, b.reserved = version, time.Now(), 0
	return nil
}

func (b *Brake) write(ctx context.Context, next brakeState) error {
	version, err := b.Ledger.Store(ctx, next.values(), b.version)
	if err != nil && !b.isUnusable(err) {
		return fmt.Errorf("delete brake: %w", err)
	}
	b.state, b.version, b.since = next, version, time.Now()
	return nil
}

// isUnusable reports whether there is no place for the ledger, or the token may not use it. The count is then kept here.
func (b *Brake) isUnusable(err error) bool {
	if !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
		return false
	}
	if !b.warned {
		b.warned = true
		b.Log.WithError(err).Warn("the delete brake has no place in the target to keep its count; a restart begins a new one")
	}
	return true
}

// release forgets a name that is not to be withdrawn any more.
func (b *Brake) release(key Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held.Delete(key)
}

// settle releases a brake that is tripped and holds nothing: its cause is undone. It may be called only when all names in
// scope have been looked at since the start; what has yet to be looked at may be to be held.
func (b *Brake) settle(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known && b.isSettled() {
		return nil
	}
	// Another daemon may come to the same at the same time.
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { return b.settleOnce(ctx) })
}

func (b *Brake) settleOnce(ctx context.Context) error {
	if err := b.read(ctx); err != nil || b.isSettled() {
		return err
	}
	if b.Scope != "" && b.Scope != b.state.scope {
		return b.notReleased()
	}
	if err := b.write(ctx, b.released()); err != nil {
		return err
	}
	b.Log.Info("the delete brake is released")
	return nil
}

func (b *Brake) isSettled() bool {
	return b.held.Len() > 0 || b.state == b.released()
}

// released is what the ledger is to say when the brake is released.
func (b *Brake) released() brakeState {
	if b.Open {
		return brakeState{}
	}
	next := b.state
	next.tripped = false
	return next
}

// notReleased is an error only for an operator, who waits for it.
func (b *Brake) notReleased() error {
	if !b.Open || !b.state.tripped {
		return nil
	}
	return fmt.Errorf("the delete brake stays on: it was tripped by a daemon that looks at %s, and is released by a run that does", cmp.Or(b.state.scope, "all namespaces"))
}

// freed gives the held names if the brake is released, as a rule by an operator or another daemon.
func (b *Brake) freed(ctx context.Context) ([]Key, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.state.tripped && b.held.Len() == 0 {
		return nil, nil
	}
	if err := b.read(ctx); err != nil || b.state.tripped {
		return nil, err
	}
	keys := b.held.UnsortedList()
	b.held = nil
	return keys, nil
}

// holds reports whether a name is held by the brake as the ledger tells of it. Nothing is counted: it is asked about a
// withdrawal that is not to be made.
func (b *Brake) holds(ctx context.Context, key Key) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Open {
		return false, nil
	}
	if err := b.read(ctx); err != nil || !b.state.tripped {
		return false, err
	}
	b.held = inserted(b.held, key)
	return true, nil
}

// Standing reads the ledger, and reports whether the brake holds.
func (b *Brake) Standing(ctx context.Context) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.read(ctx)
	return b.state.tripped, err
}

// Tripped reports whether the brake holds, and how many names.
func (b *Brake) Tripped() (bool, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.tripped, b.held.Len()
}

func inserted(keys sets.Set[Key], key Key) sets.Set[Key] {
	if keys == nil {
		return sets.New(key)
	}
	return keys.Insert(key)
}
