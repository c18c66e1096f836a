package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/snapshot"
	"go.uber.org/zap"
)

// Etcd is a cluster's only etcd member.
type Etcd struct {
	*Process
	// URL is where it serves its clients.
	URL string

	binary        string
	dataDirectory string
	member        []string // the flags that name the member; a restored one must be the same member
	tls           *tls.Config
}

// newEtcd describes the cluster's etcd. It never waits for the disk: what it holds need not survive the machine.
func (c *Cluster) newEtcd() (*Etcd, error) {
	clientPort, err := c.reservePort()
	if err != nil {
		return nil, err
	}
	peerPort, err := c.reservePort()
	if err != nil {
		return nil, err
	}
	clientTLS, err := c.credentials.etcdAuthority.clientTLS(c.credentials.etcdClient)
	if err != nil {
		return nil, err
	}
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	etcd := &Etcd{
		URL:           fmt.Sprintf("https://127.0.0.1:%d", clientPort),
		binary:        c.options.Binary,
		dataDirectory: filepath.Join(c.directory, "etcd"),
		member:        []string{"--name=etcd", "--initial-advertise-peer-urls=" + peerURL, "--initial-cluster=etcd=" + peerURL},
		tls:           clientTLS,
	}
	flags := append([]string{
		"--data-dir=" + etcd.dataDirectory,
		"--listen-client-urls=" + etcd.URL,
		"--advertise-client-urls=" + etcd.URL,
		"--listen-peer-urls=" + peerURL,
		"--client-cert-auth",
		c.credentials.flag("trusted-ca-file", "etcd-ca.crt"),
		c.credentials.flag("cert-file", "etcd-server.crt"),
		c.credentials.flag("key-file", "etcd-server.key"),
		"--unsafe-no-fsync",
		"--heartbeat-interval=20", // milliseconds: the only member need not wait a second for the others' votes
		"--election-timeout=100",
		"--quota-backend-bytes=8589934592",
		"--log-level=warn",
	}, etcd.member...)
	etcd.Process = c.newProcess("etcd", "etcd", flags)
	etcd.ready = healthy(clientTLS, etcd.URL+"/readyz")
	return etcd, nil
}

// Client is a client with all rights. Close it after use.
func (e *Etcd) Client() (*clientv3.Client, error) {
	client, err := clientv3.New(e.clientConfig())
	if err != nil {
		return nil, fmt.Errorf("etcd client: %w", err)
	}
	return client, nil
}

func (e *Etcd) clientConfig() clientv3.Config {
	return clientv3.Config{Endpoints: []string{e.URL}, TLS: e.tls.Clone(), Logger: zap.NewNop()}
}

// Compact drops the history before the latest revision, and returns that revision.
func (e *Etcd) Compact(ctx context.Context) (revision int64, err error) {
	client, err := e.Client()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	latest, err := client.Get(ctx, "/")
	if err != nil {
		return 0, fmt.Errorf("compact etcd: %w", err)
	}
	revision = latest.Header.Revision
	if _, err := client.Compact(ctx, revision, clientv3.WithCompactPhysical()); err != nil {
		return 0, fmt.Errorf("compact etcd: %w", err)
	}
	return revision, nil
}

// Snapshot saves all of etcd's data to a file.
func (e *Etcd) Snapshot(ctx context.Context, file string) error {
	if _, err := snapshot.SaveWithVersion(ctx, zap.NewNop(), e.clientConfig(), file); err != nil {
		return fmt.Errorf("save etcd to %s: %w", file, err)
	}
	return nil
}

// restore replaces the data of an etcd that is down.
func (e *Etcd) restore(ctx context.Context, file string, bumpRevision uint64) error {
	if err := os.RemoveAll(e.dataDirectory); err != nil {
		return err
	}
	arguments := append([]string{"etcdutl", "restore", file, "--data-dir=" + e.dataDirectory}, e.member...)
	if bumpRevision > 0 {
		arguments = append(arguments, fmt.Sprintf("--bump-revision=%d", bumpRevision), "--mark-compacted")
	}
	if output, err := exec.CommandContext(ctx, e.binary, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(string(output), 20))
	}
	return nil
}

// Restore brings the cluster back to a snapshot, as an operator does after a disaster: everything is down, etcd gets the
// snapshot's data, and what ran before starts again, without the flags that a Start gave it for one life.
//
// Revisions, which clients see as resource versions, go on from the snapshot's, and so go backwards; with bumpRevision
// they go on from the snapshot's plus that number.
func (c *Cluster) Restore(ctx context.Context, file string, bumpRevision uint64) error {
	var ran []*Process
	for _, process := range c.processes() {
		err := process.Kill()
		if errors.Is(err, ErrNotRunning) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cluster %s: restore %s: %w", c.Name, file, err)
		}
		ran = append(ran, process)
	}
	if err := c.Etcd.restore(ctx, file, bumpRevision); err != nil {
		return fmt.Errorf("cluster %s: restore %s: %w", c.Name, file, err)
	}
	for i := len(ran) - 1; i >= 0; i-- {
		if err := ran[i].Start(ctx); err != nil {
			return fmt.Errorf("cluster %s: restore %s: %w", c.Name, file, err)
		}
	}
	return nil
}

// healthy is the condition that a health endpoint answers 200 OK.
func healthy(config *tls.Config, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		// A connection per request: the server may be another process than a moment ago.
		client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
