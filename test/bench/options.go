package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the sizes of a run.
type options struct {
	Services    int           `json:"services"`
	Endpoints   int           `json:"endpointsPerService"`
	Large       int           `json:"endpointsOfTheLargeService"`
	Rates       []int         `json:"changesPerSecond"`
	Duration    time.Duration `json:"duration"`
	Repetitions int           `json:"repetitions"`
	Cycles      int           `json:"cycles"`
	// Policies has the admission policies of the manifests in force. They cost each write of a pointer, the floor's as xcc's.
	Policies    bool     `json:"admissionPolicies"`
	Rows        []string `json:"rows,omitempty"`
	Flags       []string `json:"xccFlags,omitempty"`
	Environment []string `json:"xccEnvironment,omitempty"`
	// XCC is the binary to measure; empty for one that is built from this repository.
	XCC string `json:"xccBinary,omitempty"`
	out string
}

// quick are the values of -quick: a run of a minute or so, to see that all of it works. Its ratios mean little.
func quick() map[string]string {
	return map[string]string{"services": "200", "large": "1000", "duration": "4s", "repetitions": "1", "cycles": "1"}
}

func parseOptions(arguments []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.Services, "services", 10000, "how many Services are exported")
	flags.IntVar(&o.Endpoints, "endpoints", 10, "endpoints of each of them")
	flags.IntVar(&o.Large, "large", 5000, "endpoints of the large Service; a multiple of 100")
	rates := flags.String("rates", "20,100", "changes of a pod per second")
	flags.DurationVar(&o.Duration, "duration", 20*time.Second, "how long changes are made, or nothing is done, at a time: several of the API servers' garbage collections should fall into it, which make the slowest changes")
	flags.IntVar(&o.Repetitions, "repetitions", 5, "how often floor and xcc take turns; the medians are compared")
	flags.IntVar(&o.Cycles, "cycles", 2, "the same for the initial sync and the withdrawal, which take minutes")
	flags.BoolVar(&o.Policies, "policies", false, "with the admission policies in force, for the floor as for xcc")
	rows := flags.String("rows", "", "measure only these, of "+strings.Join(rowNames(), ","))
	xccFlags := flags.String("xcc-flags", "", "more flags for xcc, separated by spaces: for experiments")
	environment := flags.String("xcc-env", "", "environment of xcc, separated by spaces: for experiments")
	flags.StringVar(&o.XCC, "xcc", "", "measure this `binary` instead of one built from this repository: for experiments")
	flags.StringVar(&o.out, "out", "bin/bench", "`directory` for results.json and the plots")
	isQuick := flags.Bool("quick", false, "small sizes, unless they are given: a run of about a minute")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("no argument is expected, only flags: %q", flags.Arg(0))
	}
	if *isQuick {
		if err := setUnlessGiven(flags, quick()); err != nil {
			return o, err
		}
	}
	for _, text := range strings.Split(*rates, ",") {
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 {
			return o, fmt.Errorf("-rates: %q is no number of changes per second", text)
		}
		o.Rates = append(o.Rates, rate)
	}
	o.Rows = strings.FieldsFunc(*rows, func(r rune) bool { return r == ',' })
	for _, row := range o.Rows {
		if !slices.Contains(rowNames(), row) {
			return o, fmt.Errorf("-rows: no row %q; there are %s", row, strings.Join(rowNames(), ", "))
		}
	}
	o.Flags, o.Environment = strings.Fields(*xccFlags), strings.Fields(*environment)
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.Services < 10 || o.Services > 50000:
		return errors.New("-services: give 10 to 50000, which is what a cluster's range of Service addresses holds")
	case o.Endpoints < 1 || o.Endpoints > sliceSize:
		return fmt.Errorf("-endpoints: give 1 to %d, which fit into one slice", sliceSize)
	case o.Large < 2*sliceSize || o.Large%sliceSize != 0:
		return fmt.Errorf("-large: give a multiple of %d, at least %d", sliceSize, 2*sliceSize)
	case o.Repetitions < 1 || o.Cycles < 1:
		return errors.New("-repetitions, -cycles: give at least 1")
	case o.Duration < time.Second:
		return errors.New("-duration: give at least 1s")
	}
	return nil
}

func setUnlessGiven(flags *flag.FlagSet, values map[string]string) error {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range values {
		if given[name] {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func rowNames() []string {
	var names []string
	for _, e := range experiments() {
		for _, name := range e.names {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// selects reports whether one of the rows is to be measured.
func (o options) selects(rows ...string) bool {
	return len(o.Rows) == 0 || slices.ContainsFunc(rows, func(row string) bool { return slices.Contains(o.Rows, row) })
}
