package main

// A virtual machine may not get the CPU time that it asks for, and then what is measured is its host.
const (
	// tolerated is the part of the CPU time asked for that may be missing in a turn.
	tolerated = 0.05
	// mostTurns bounds how many turns are made, as a multiple of those that count.
	mostTurns = 4
)

// turns has the floor and xcc measured in turns, as often as the options say. A turn in which too much CPU time was missing
// counts for neither of them, and another one is made; after mostTurns, the machine is taken as it is. measure makes a turn,
// and gives what notes down its results.
func (l *lab) turns(measure func() (note func(), err error)) error {
	spare := (mostTurns - 1) * l.options.Repetitions
	for counted := 0; counted < l.options.Repetitions; {
		before := demandOfMachine()
		note, err := measure()
		if err != nil {
			return err
		}
		if missing := demandOfMachine().stolenSince(before); missing > tolerated && spare > 0 {
			l.say("%.0f%% of the CPU time asked for was not given: that turn does not count", 100*missing)
			spare--
			continue
		}
		note()
		counted++
	}
	return nil
}
