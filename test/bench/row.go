package main

import (
	"fmt"
	"math"
	"slices"
)

// row is one line of the table: the floor, xcc, and what xcc is to reach.
type row struct {
	Name string `json:"row"`
	Unit string `json:"unit"`
	// Floor and XCC have one value for each repetition. There may be no floor.
	Floor []float64 `json:"floor,omitempty"`
	XCC   []float64 `json:"xcc"`
	Goal  goal      `json:"goal"`
	// Note says what the numbers alone don't.
	Note string `json:"note,omitempty"`
}

// goal is what a row has to reach. The zero goal is none: the row is for information.
type goal struct {
	// Of is what is limited: ofValue, exactly, ofRatio (of xcc to the floor) or ofExcess (of xcc over the floor).
	Of    string  `json:"of,omitempty"`
	Limit float64 `json:"limit"`
}

const (
	ofValue  = "value"
	exactly  = "exactly"
	ofRatio  = "ratio"
	ofExcess = "excess"
)

// ratio is that of the medians; not a number where there is no floor.
func (r row) ratio() float64 {
	return median(r.XCC) / median(r.Floor)
}

// passes reports whether the row meets its goal, if it has one. What is not a number doesn't.
func (r row) passes() bool {
	switch r.Goal.Of {
	case ofValue:
		return median(r.XCC) <= r.Goal.Limit
	case exactly:
		return !slices.ContainsFunc(r.XCC, func(value float64) bool { return value != r.Goal.Limit })
	case ofRatio:
		return r.ratio() <= r.Goal.Limit
	case ofExcess:
		return median(r.XCC)-median(r.Floor) <= r.Goal.Limit
	}
	return true
}

// describe says in words what the goal is.
func (r row) describe() string {
	switch r.Goal.Of {
	case ofValue:
		return fmt.Sprintf("≤ %g %s", r.Goal.Limit, r.Unit)
	case exactly:
		return fmt.Sprintf("= %g", r.Goal.Limit)
	case ofRatio:
		return fmt.Sprintf("≤ %g × floor", r.Goal.Limit)
	case ofExcess:
		return fmt.Sprintf("≤ floor + %g %s", r.Goal.Limit, r.Unit)
	}
	return ""
}

// median gives the middle of the values; of an even number of them, the mean of the middle two; of none, not a number.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// quantile gives the smallest value that at least that part of the values does not exceed.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(part*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}
