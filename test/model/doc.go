// Package model drives xcc between two real clusters with what can happen to it, and lets the invariant checker judge.
//
// There are two searches. The random one makes of a seed a sequence of operations and faults ([Run]); the enumerated one
// makes of one scenario as many plans as xcc makes calls in it ([Enumerate]), after the three patterns of Sieve (OSDI '22).
//
//	pair.go        the clusters, what they are watched by, and the verdict over a run
//	xcc.go         one xcc behind proxies of its own, which starts again when it was killed
//	shapes.go      the kinds of Service
//	operations.go  what users do, tampering.go what they should not do
//	faults.go      what happens to xcc and to the clusters
//	run.go         one seed
//	restore.go     seeds with a restore from a snapshot, brake.go seeds with a mass deletion
//	scenario.go    the reference scenario, plan.go its plans, enumerate.go all of them, lag.go those with a lagging API server
//
// The same seed gives the same operations and faults, in the same order. It can't give the same timing: a replay may take
// several tries to meet the same race.
package model
