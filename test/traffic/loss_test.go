//go:build linux

package main

import (
	"testing"
	"time"
)

// short is the size of a scenario in these tests; see long.
var short = size{
	rounds: 1, perSecond: 10, pods: 2, every: time.Second, preStop: 7 * time.Second, away: time.Second, others: 40,
}

func TestNothingIsLost(t *testing.T) {
	needNetwork(t)
	play := func(t *testing.T, scenario scenario) {
		result, err := shared.run(t.Context(), scenario, short)
		t.Logf("%s; %d pods replaced", result, result.replaced)
		mustBe(t, err)
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
