package sync

import (
	"context"
	"fmt"
)

// Foresight is what the delete brake would make of the withdrawals that were found.
type Foresight struct {
	From, To string
	// Withdrawals are to be made, of so many Pointers. As far as the ledger tells, the brake would let go so many as are
	// Allowed.
	Withdrawals, Allowed, Pointers int
}

// Trips reports whether the brake would hold some.
func (f Foresight) Trips() bool {
	return f.Withdrawals > f.Allowed
}

func (f Foresight) String() string {
	return fmt.Sprintf("from %s to %s: the delete brake would trip: of %d pointers, %d are to be withdrawn, and no more than %d may be within %s",
		f.From, f.To, f.Pointers, f.Withdrawals, f.Allowed, brakeWindow)
}

// Foresee asks the delete brake about the withdrawals among looks at all names. Nothing is counted.
func (m *Mirror) Foresee(ctx context.Context, looks []Look) (Foresight, error) {
	foresight := Foresight{From: m.Rules.Name, To: m.To, Pointers: m.countPointers()}
	for _, look := range looks {
		if look.Plan.Withdraws {
			foresight.Withdrawals++
		}
	}
	var err error
	foresight.Allowed, err = m.Brake.foresee(ctx, foresight.Pointers)
	return foresight, err
}

// foresee gives how many of so many pointers may still be withdrawn. It knows nothing of when the window of another daemon
// began, so it takes that for still going on.
func (b *Brake) foresee(ctx context.Context, pointers int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Open {
		return pointers, nil
	}
	if err := b.read(ctx); err != nil || b.state.tripped {
		return 0, err
	}
	window := b.window(pointers)
	return max(0, b.allowance(window)-window.withdrawn), nil
}
