package cluster

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// AuditLevel is how much of each request the audit log holds.
type AuditLevel string

const (
	// AuditOff keeps no audit log.
	AuditOff AuditLevel = ""
	// AuditMetadata records who did what to which object.
	AuditMetadata AuditLevel = "Metadata"
	// AuditRequestResponse records the objects that were written as well, without their managed fields.
	AuditRequestResponse AuditLevel = "RequestResponse"
)

// auditPolicy leaves out what the tests do not count: Events, Leases, the API server's requests to itself, and everything
// that is not about an object. Reads are recorded without what they returned. The level goes in at the end.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  nonResourceURLs: ["*"]
- level: None
  users: ["system:apiserver"]
- level: None
  resources:
  - {group: "", resources: [events]}
  - {group: events.k8s.io, resources: [events]}
  - {group: coordination.k8s.io, resources: [leases]}
- level: Metadata
  verbs: [get, list, watch]
- level: `

// AuditEvent is one request to the cluster's API servers. A watch has two: when it began (ResponseStarted) and when it
// ended (ResponseComplete).
type AuditEvent struct {
	Stage     string // ResponseComplete, ResponseStarted or Panic
	Received  time.Time
	Completed time.Time // when it had come to the stage
	User      string
	UserAgent string
	// Verb is get, list, watch, create, update, patch, delete or deletecollection.
	Verb                                   string
	Group, Resource, Subresource           string
	Namespace, Name                        string
	RequestURI                             string
	Code                                   int32           // the HTTP status
	RequestObject, ResponseObject          json.RawMessage // nil where the level leaves them out
	AuthorizationDecision, AuthorizationBy string          // allow or forbid, and the RBAC binding that says so
}

// Write tells whether the request asked for a change, successful or not.
func (e AuditEvent) Write() bool {
	switch e.Verb {
	case "get", "list", "watch":
		return false
	}
	return true
}

// AuditMark is a place in the audit log.
type AuditMark int64

// AuditMark is the present end of the audit log.
func (c *Cluster) AuditMark() (AuditMark, error) {
	info, err := os.Stat(c.auditLog())
	if err != nil {
		return 0, fmt.Errorf("cluster %s: audit log: %w", c.Name, err)
	}
	return AuditMark(info.Size()), nil
}

// Audit is what was recorded since a mark; since 0 it is everything.
//
// The API server records a request when it has carried it out, so a change can be seen a moment before it is recorded:
// look for what should be there with Eventually.
func (c *Cluster) Audit(since AuditMark) ([]AuditEvent, error) {
	file, err := os.Open(c.auditLog())
	if err != nil {
		return nil, fmt.Errorf("cluster %s: audit log: %w", c.Name, err)
	}
	defer file.Close()
	if _, err := file.Seek(int64(since), io.SeekStart); err != nil {
		return nil, fmt.Errorf("cluster %s: audit log: %w", c.Name, err)
	}
	var events []AuditEvent
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return events, nil // what follows the last line's end is still being written
		}
		if err != nil {
			return nil, fmt.Errorf("cluster %s: audit log: %w", c.Name, err)
		}
		event, err := parseAuditEvent(line)
		if err != nil {
			return nil, fmt.Errorf("cluster %s: audit log: %w", c.Name, err)
		}
		events = append(events, event)
	}
}

func parseAuditEvent(line []byte) (AuditEvent, error) {
	var recorded auditv1.Event
	if err := json.Unmarshal(line, &recorded); err != nil {
		return AuditEvent{}, fmt.Errorf("%w in %q", err, line)
	}
	event := AuditEvent{
		Stage:                 string(recorded.Stage),
		Received:              recorded.RequestReceivedTimestamp.Time,
		Completed:             recorded.StageTimestamp.Time,
		User:                  recorded.User.Username,
		UserAgent:             recorded.UserAgent,
		Verb:                  recorded.Verb,
		RequestURI:            recorded.RequestURI,
		AuthorizationDecision: recorded.Annotations["authorization.k8s.io/decision"],
		AuthorizationBy:       recorded.Annotations["authorization.k8s.io/reason"],
	}
	if object := recorded.ObjectRef; object != nil {
		event.Group, event.Resource, event.Subresource = object.APIGroup, object.Resource, object.Subresource
		event.Namespace, event.Name = object.Namespace, object.Name
	}
	if recorded.ResponseStatus != nil {
		event.Code = recorded.ResponseStatus.Code
	}
	if recorded.RequestObject != nil {
		event.RequestObject = recorded.RequestObject.Raw
	}
	if recorded.ResponseObject != nil {
		event.ResponseObject = recorded.ResponseObject.Raw
	}
	return event, nil
}

func (c *Cluster) auditLog() string        { return filepath.Join(c.directory, "audit.log") }
func (c *Cluster) auditPolicyFile() string { return filepath.Join(c.directory, "audit-policy.yaml") }

// writeAuditPolicy also makes the log: API servers append to a log that exists and would each truncate one that does not.
func (c *Cluster) writeAuditPolicy() error {
	if c.options.Audit == AuditOff {
		return nil
	}
	policy := auditPolicy + string(c.options.Audit) + "\n"
	return errors.Join(
		os.WriteFile(c.auditPolicyFile(), []byte(policy), 0o600),
		os.WriteFile(c.auditLog(), nil, 0o600),
	)
}

// auditFlags make the API server write each event before it goes on, and never begin a second file.
func (c *Cluster) auditFlags() []string {
	if c.options.Audit == AuditOff {
		return nil
	}
	const megabytes = 1 << 20
	return []string{
		"--audit-policy-file=" + c.auditPolicyFile(),
		"--audit-log-path=" + c.auditLog(),
		"--audit-log-mode=blocking-strict",
		fmt.Sprintf("--audit-log-maxsize=%d", megabytes),
	}
}

// prepareAuditLog cuts off a line that a killed API server did not finish, unless another one is still writing.
func (c *Cluster) prepareAuditLog() error {
	if c.options.Audit == AuditOff {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, server := range c.apiServers {
		if server.Running() {
			return nil
		}
	}
	content, err := os.ReadFile(c.auditLog())
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	if whole == len(content) {
		return nil
	}
	return os.Truncate(c.auditLog(), int64(whole))
}
