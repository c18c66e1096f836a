package model

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"syscall"

	"xcc/test/proxy"
)

// faults draws what happens to xcc and to the clusters. A fault that lasts is ended by a later action.
type faults struct {
	random *rand.Rand
	pair   *Pair
	xcc    *xcc
	second *xcc // a second daemon, down unless a fault starts it
	// ending are the ends of faults that last, by the number of steps that they still do.
	ending map[int][]action
}

// next draws a fault, and says for how many steps it lasts; 0 for one that is over at once.
func (f *faults) next() action {
	side := f.pair.sides()[f.random.IntN(2)]
	lasts := 1 + f.random.IntN(4)
	way := f.xcc.way(side)
	at := func(kind, detail string, do func(context.Context) error) action {
		return action{kind: kind, text: fmt.Sprintf("%s at %s%s", kind, side.Name, detail), do: do}
	}
	lasting := func(kind string, begin, end func()) action {
		f.ending[lasts] = append(f.ending[lasts], at("end of "+kind, "", func(context.Context) error { end(); return nil }))
		return at(kind, fmt.Sprintf(" for %d steps", lasts), func(context.Context) error { begin(); return nil })
	}
	all := []func() action{
		func() action { return f.killAtCall(side) }, func() action { return f.killAtCall(side) }, func() action { return f.killAtCall(side) },
		func() action {
			return action{kind: "kill", text: "kill -9", do: func(context.Context) error { f.xcc.kill(false); return nil }}
		},
		func() action { return lasting("cut", way.Cut, way.Mend) },
		func() action { return lasting("half-open", way.Freeze, way.Thaw) },
		func() action { return lasting("stalled answers", way.Stall, way.Unstall) },
		func() action { return f.lasting(lasting, "429 with a day to wait", way, f.refused()) },
		func() action { return f.lasting(lasting, "lost responses", way, f.lost()) },
		func() action { return f.lasting(lasting, "404 of a load balancer", way, notFoundPage) },
		func() action { return f.emptyLists(lasting, way) },
		func() action {
			return lasting("pause (SIGSTOP)", func() { _ = f.xcc.signal(syscall.SIGSTOP) }, func() { _ = f.xcc.signal(syscall.SIGCONT) })
		},
		func() action {
			return lasting("second daemon", func() { _ = f.second.start() }, func() { f.second.kill(true) })
		},
		func() action {
			return at("compaction", "", func(ctx context.Context) error { _, err := side.Etcd.Compact(ctx); return err })
		},
		func() action {
			return at("API server killed and started", "", func(ctx context.Context) error {
				if err := side.APIServer.Kill(); err != nil {
					return err
				}
				return side.APIServer.Start(ctx)
			})
		},
	}
	return all[f.random.IntN(len(all))]()
}

// step ends the faults that are over.
func (f *faults) step() []action {
	over := f.ending[0]
	rest := map[int][]action{}
	for steps, actions := range f.ending {
		if steps > 0 {
			rest[steps-1] = append(rest[steps-1], actions...)
		}
	}
	f.ending = rest
	return over
}

// killAtCall kills xcc just before or just after one of its next writes.
func (f *faults) killAtCall(side *Side) action {
	nth, after := 1+f.random.IntN(6), f.random.IntN(2) == 0
	when := map[bool]string{false: "before", true: "after"}[after]
	return action{kind: "kill at a call", text: fmt.Sprintf("kill -9 just %s write %d from now in %s", when, nth, side.Name), do: func(context.Context) error {
		writes := newSequence(nth)
		killAtCall(f.xcc, side, killing{after: after, chosen: writes.isDue})
		return nil
	}}
}

// sequence counts down to one write.
type sequence struct{ left atomic.Int64 }

func newSequence(nth int) *sequence {
	s := &sequence{}
	s.left.Store(int64(nth))
	return s
}

func (s *sequence) isDue(call proxy.Call) bool { return call.Write() && s.left.Add(-1) == 0 }

// killing says at which call to kill xcc.
type killing struct {
	// chosen is asked about each call once.
	chosen func(proxy.Call) bool
	// after the call was answered, or before it is made: then it never reaches the API server.
	after    bool
	stayDown bool
	// killed is called when xcc is gone; nil for nobody.
	killed func()
}

// killAtCall kills xcc before or after the first call that is chosen.
func killAtCall(x *xcc, side *Side, k killing) {
	way := x.way(side)
	isChosen := func(call proxy.Call) bool {
		if !k.chosen(call) {
			return false
		}
		x.kill(k.stayDown)
		if k.killed != nil {
			k.killed()
		}
		return true
	}
	if k.after {
		x.later(way.Observe(nil, func(call proxy.Call) { isChosen(call) }))
		return
	}
	x.later(way.Intercept(func(r *http.Request) proxy.Action {
		if isChosen(proxy.CallOf(r)) {
			return proxy.Abort()
		}
		return proxy.Pass()
	}))
}

// lasting puts a rule in the way for as long as a fault lasts.
func (f *faults) lasting(lasting func(kind string, begin, end func()) action, kind string, way *proxy.Proxy, rule proxy.Rule) action {
	var remove func()
	return lasting(kind, func() { remove = way.Intercept(rule) }, func() { remove() })
}

// sometimes applies an action to a part of the requests, by their numbers: the same for the same sequence of calls.
func (f *faults) sometimes(applies func(proxy.Call) bool, action proxy.Action) proxy.Rule {
	period := 2 + f.random.IntN(3)
	return func(r *http.Request) proxy.Action {
		if call := proxy.CallOf(r); applies(call) && call.Number%period == 0 {
			return action
		}
		return proxy.Pass()
	}
}

func (f *faults) refused() proxy.Rule {
	return f.sometimes(func(proxy.Call) bool { return true },
		proxy.Refuse(http.StatusTooManyRequests, http.Header{"Retry-After": {"86400"}, "Content-Type": {"text/plain"}}, "too many requests"))
}

func (f *faults) lost() proxy.Rule {
	return f.sometimes(proxy.Call.Write, proxy.Lose())
}

// notFoundPage answers what asks for one object.
func notFoundPage(r *http.Request) proxy.Action {
	if call := proxy.CallOf(r); call.Is("", "get", "list") {
		return proxy.RefuseHTML(http.StatusNotFound)
	}
	return proxy.Pass()
}

// emptyLists makes a restarted xcc read that there is nothing. The lists of one namespace tell the truth: those are the
// proofs, and there is nothing behind them that could tell a lie from it.
func (f *faults) emptyLists(lasting func(kind string, begin, end func()) action, way *proxy.Proxy) action {
	rule := func(r *http.Request) proxy.Action {
		if call := proxy.CallOf(r); call.Namespace == "" && (call.Is("services", "list", "watch") || call.Is("endpointslices", "list", "watch") || call.Is("endpoints", "list", "watch")) {
			return proxy.EmptyList()
		}
		return proxy.Pass()
	}
	var remove func()
	return lasting("empty lists", func() {
		remove = way.Intercept(rule)
		f.xcc.kill(false)
	}, func() {
		remove()
		f.xcc.kill(false)
	})
}
