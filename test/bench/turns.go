package main

// A virtual machine may not get the CPU time that it asks for, and then what is measured is its host.
const (
	// tolerated is the part of the CPU time asked for that may be missing in a turn.
	tolerated = 0.05
	// mostTurns bounds how many turns are made, as a multiple of those that are to count.
	mostTurns = 4
)

// part is what one contender does in a turn. It gives what notes down the result.
type part func() (note func(), err error)

// noting makes a part of a measurement whose results are a series.
func noting[Series ~[]Result, Result any](into *Series, measure func() (Result, error)) part {
	return func() (func(), error) {
		result, err := measure()
		return func() { *into = append(*into, result) }, err
	}
}

// turns makes so many turns, in which the parts change places, so that none is always the first. One in which too much CPU
// time was missing counts for none of them, and another one is made; after mostTurns, the machine is taken as it is.
func (l *lab) turns(count int, parts ...part) error {
	spare := (mostTurns - 1) * count
	for counted := 0; counted < count; {
		before := demandOfMachine()
		var notes []func()
		for i := range parts {
			note, err := parts[(counted+i)%len(parts)]()
			if err != nil {
				return err
			}
			notes = append(notes, note)
		}
		if missing := demandOfMachine().stolenSince(before); missing > tolerated && spare > 0 {
			l.say("%.0f%% of the CPU time asked for was not given: that turn does not count", 100*missing)
			spare--
			continue
		}
		for _, note := range notes {
			note()
		}
		counted++
	}
	return nil
}
