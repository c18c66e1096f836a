package sync

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestBrakeOutlivesARestartBeforeASourceThatIsCut: a start that could not look at its names knows nothing of what is to be
// held.
func TestBrakeOutlivesARestartBeforeASourceThatIsCut(t *testing.T) {
	for name, edit := range map[string]func(b *bench, err error){
		"the connection is not proven": func(b *bench, err error) { b.source.verifyErr = err },
		"the live reading fails":       func(b *bench, err error) { b.source.liveErr = err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, many(5)...)
				for key := range b.source.cached {
					b.settle(t, key)
				}
				b.source.set(func() { clear(b.source.cached); edit(b, errors.New("the source is away")) })
				b.ledger.values, b.ledger.version = brakeState{pointers: 30, withdrawn: 15, tripped: true}.values(), 1

				running(t, 1, b.mirror).EnqueueAll()
				time.Sleep(2 * brakeWindow)
				if !b.mirror.pass.isDone() || b.ledger.now()["tripped"] != "true" {
					t.Errorf("first pass done: %t; the ledger says %v", b.mirror.pass.isDone(), b.ledger.now())
				}
				b.source.set(func() { edit(b, nil) })
				time.Sleep(brakeWindow)
				if names := len(b.target.Keys()); names != 5 {
					t.Errorf("%d of 5 names are left when the source is back", names)
				}
				b.source.set(func() {
					for _, source := range many(5) {
						b.source.cached[Key{Namespace: source.Service.Namespace, Name: source.Service.Name}] = source
					}
				})
				b.mirror.enqueueAll()
				time.Sleep(time.Minute)
				if b.ledger.now()["tripped"] != "false" {
					t.Errorf("the Services are back; the ledger says %v", b.ledger.now())
				}
			})
		})
	}
}

// TestWriteThatFailsForGoodKeepsTheBrakeOnNoLonger: what is to be withdrawn is known before anything is written.
func TestWriteThatFailsForGoodKeepsTheBrakeOnNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, many(5)...)
		b.ledger.values, b.ledger.version = brakeState{pointers: 30, withdrawn: 15, tripped: true}.values(), 1
		b.target.refuse = func(call string) error {
			if call == "create Service shop/web-3" {
				return errors.New("quota")
			}
			return nil
		}
		running(t, 1, b.mirror).EnqueueAll()
		time.Sleep(time.Minute)
		if b.ledger.now()["tripped"] != "false" {
			t.Errorf("the ledger says %v", b.ledger.now())
		}
	})
}
