//go:build linux

package network

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// Answer is what a pod answers to everyone.
type Answer struct {
	// Cluster and Pod are who answers.
	Cluster, Pod string
	// Port is where it was asked.
	Port int32
	// Client is the address that it was asked from.
	Client netip.Addr
}

// server is something that serves until it is closed.
type server io.Closer

// serve starts the server of a container's port.
func (p *Pod) serve(port corev1.ContainerPort) (server, error) {
	if port.Protocol == corev1.ProtocolUDP {
		return p.servePackets(port.ContainerPort)
	}
	return p.serveHTTP(port.ContainerPort)
}

func (p *Pod) serveHTTP(port int32) (server, error) {
	var listener net.Listener
	err := p.network.do(func() (err error) {
		listener, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A client that has gone away is nothing to the server.
		_, _ = w.Write(p.answer(port, r.RemoteAddr))
	})}
	go server.Serve(listener) // until it is closed
	return server, nil
}

func (p *Pod) servePackets(port int32) (server, error) {
	var packets net.PacketConn
	err := p.network.do(func() (err error) {
		packets, err = net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		question := make([]byte, 1)
		for {
			_, client, err := packets.ReadFrom(question)
			if err != nil {
				return // it is closed
			}
			_, _ = packets.WriteTo(p.answer(port, client.String()), client)
		}
	}()
	return packets, nil
}

func (p *Pod) answer(port int32, client string) []byte {
	address := netip.MustParseAddrPort(client).Addr().Unmap().WithZone("")
	content, err := json.Marshal(Answer{Cluster: p.cluster.Name, Pod: p.Name, Port: port, Client: address})
	if err != nil {
		panic(err) // it has nothing that can't be written
	}
	return content
}
