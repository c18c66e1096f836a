package clusters

import (
	"context"
	"net"
	"time"

	"k8s.io/client-go/util/workqueue"
)

const (
	// dialSample is how many endpoints of a cluster are dialed.
	dialSample  = 5
	dialTimeout = 3 * time.Second
)

// Dial opens, and closes, a TCP connection from here to some of the addresses, spread over all of them.
func Dial(ctx context.Context, addresses []string) []Dialed {
	sample := []Dialed{}
	for i := range min(dialSample, len(addresses)) {
		sample = append(sample, Dialed{Address: addresses[i*len(addresses)/min(dialSample, len(addresses))]})
	}
	workqueue.ParallelizeUntil(ctx, dialSample, len(sample), func(i int) {
		dialer := net.Dialer{Timeout: dialTimeout}
		connection, err := dialer.DialContext(ctx, "tcp", sample[i].Address)
		if err == nil {
			err = connection.Close()
		}
		sample[i].Problem = err
	})
	return sample
}
