// Package invariant judges, from outside and without a line of xcc's code, whether xcc has kept what it promises.
//
// Its witnesses are two: the audit logs, which say what xcc asked for and when; and etcd, whose watch gives every version
// that every object ever had, in the order in which they were. A [Recorder] keeps the second. Neither can be fooled by a
// proxy, and the second has no gap where an API server was killed between a write and its line in the log.
//
//	request.go   what the audit logs say
//	recorder.go  every version of every object, from etcd
//	history.go   what stood under a name, at a revision or during a read
//	world.go     the two sides, and the report
//	writes.go    I1, I2, I3, I9: each write by itself
//	proof.go     I4, and with it I5: what justified a delete or an emptying
//	brake.go     I6: how many went
//	pointer.go   what a pointer is, said a second time
//	join.go      what is added to a Service that both clusters export, and what justifies its loss
//	rest.go      I7, I8, I10, I11: what stands when all is quiet; I12: that all is quiet
//
// A drain and unlink take addresses and pointers away on an operator's word, without a proof of the source: they are no
// breach of I4 and I6. No run that is judged here has one.
//
// I13 is that the others hold in a run with kills and with two daemons. I14 shows in a run that ends: whatever fails for
// good under one name, the others arrive.
package invariant
