package sync

import (
	"context"

	"k8s.io/apimachinery/pkg/util/sets"
)

// brake asks the delete brake about a plan that withdraws, and tells it of one that doesn't.
func (m *Mirror) brake(ctx context.Context, key Key, plan Plan) (held bool, err error) {
	switch {
	case !plan.Withdraws:
		m.Brake.release(key)
	case m.DryRun:
		held, err = m.Brake.holds(ctx, key)
	default:
		var admitted bool
		admitted, err = m.Brake.admit(ctx, key, m.countPointers)
		held = !admitted
	}
	if err != nil {
		return false, err
	}
	m.pass.saw(key)
	return held, nil
}

// heldVerdict says what the pointer would go for.
func heldVerdict(withdrawal Verdict) Verdict {
	cause := "its Service is exported no more"
	if withdrawal.State == Refused {
		cause = "it is refused with " + string(withdrawal.Reason)
	}
	text := cause + ", but too many others went with it, so its pointer is kept; see the log line of the delete brake"
	if withdrawal.Message != "" {
		text += ". Without the brake: " + withdrawal.Message
	}
	return refused(Held, "%s", text)
}

func (m *Mirror) countPointers() int {
	return m.scoped(sets.New(m.Target.Keys()...)).Len()
}

func (m *Mirror) tendBrake(ctx context.Context) error {
	if !m.DryRun && m.pass.isDone() && m.pass.sawAll() {
		if err := m.Brake.settle(ctx); err != nil {
			return err
		}
	}
	keys, err := m.Brake.freed(ctx)
	for _, key := range keys {
		m.queue.AddBacklog(key)
	}
	return err
}
