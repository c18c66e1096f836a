package main

import (
	"os"

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

// runCoreDNS runs CoreDNS with the plugins above, of those that a cluster's has, until it is told to end. It reads its flags
// from where a program's are.
func runCoreDNS(arguments []string) int {
	os.Args = append([]string{"coredns"}, arguments...)
	coremain.Run()
	return 0
}
