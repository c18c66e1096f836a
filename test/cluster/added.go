package cluster

import (
	"context"
	"fmt"
)

// ProcessOptions describe a process beside the control plane's own, such as a Node's kube-proxy.
type ProcessOptions struct {
	// Component is that of the control plane's binary, and the name of the process.
	Component string
	Flags     []string
	// Ready returns nil when the process does its work.
	Ready func(ctx context.Context) error
	// Within calls start from where the process is to be, such as another network namespace. Nil is here.
	Within func(start func() error) error
}

// AddProcess starts one more process, which ends with the cluster.
func (c *Cluster) AddProcess(ctx context.Context, options ProcessOptions) (*Process, error) {
	process := c.newProcess(options.Component, options.Component, options.Flags)
	process.ready, process.within = options.Ready, options.Within
	c.mu.Lock()
	c.added = append(c.added, process)
	c.mu.Unlock()
	if err := process.Start(ctx); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	return process, nil
}
