//go:build linux

package main

import (
	"testing"
	"time"
)

// short is the size of a scenario in these tests; see long.
var short = size{
	rounds: 1, perSecond: 20, pods: 2, every: time.Second, preStop: preStop, away: time.Second, others: 40,
}

func TestNothingIsLost(t *testing.T) {
	needNetwork(t)
	play := func(t *testing.T, scenario scenario) {
		result, err := shared.run(t.Context(), scenario, short)
		mustBe(t, err)
		t.Logf("through xcc: %s; a local Service: %s; %d pods replaced", result.through, result.local, result.replaced)
	}
	t.Run("no more than a local Service loses when", func(t *testing.T) {
		for _, scenario := range scenarios {
			if !scenario.alone {
				t.Run(scenario.name, func(t *testing.T) {
					t.Parallel()
					play(t, scenario)
				})
			}
		}
	})
	for _, scenario := range scenarios {
		if scenario.alone {
			t.Run("no more than a local Service loses when/"+scenario.name, func(t *testing.T) { play(t, scenario) })
		}
	}
}
