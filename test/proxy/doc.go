// Package proxy breaks the way between a client and an API server.
//
// A [Proxy] ends the client's TLS connection with the API server's own certificate and passes its requests on, HTTP/2 on
// both sides, watches as they come:
//
//	client ── wire ── rules ── observers ── the API server
//	           │        └ refuse, empty list, abort, delay, lose the answer
//	           └ cut, freeze (half-open)
//
// To the client it is like a load balancer of the fourth layer: when the API server ends a connection, or dies, the
// clients' connections end as well, and a client that comes back opens a new one.
//
// A [Tunnel] is the same without requests, for what is not HTTPS to an API server: the way from an API server to etcd.
package proxy
