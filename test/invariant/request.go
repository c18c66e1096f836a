package invariant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"xcc/test/cluster"
)

// Request is one request that an API server has carried out.
type Request struct {
	Received, Completed time.Time
	User                string
	// Verb is get, list, create, update, patch, delete or deletecollection.
	Verb                  string
	Resource, Subresource string
	Namespace, Name       string
	URI                   string
	Code                  int32
	// Body and Answer are what was sent and answered, for writes only.
	Body, Answer json.RawMessage
}

// ReadAudit gives the requests that a cluster has logged since a mark, in the order in which they were done. Watches are
// left out: they are reads that no decision may rest on.
func ReadAudit(c *cluster.Cluster, since cluster.AuditMark) ([]Request, error) {
	events, err := c.Audit(since)
	if err != nil {
		return nil, err
	}
	var requests []Request
	for _, event := range events {
		if event.Stage == string(auditv1.StageResponseComplete) && event.Verb != "watch" {
			requests = append(requests, Request{
				Received: event.Received, Completed: event.Completed, User: event.User, Verb: event.Verb, URI: event.RequestURI,
				Resource: event.Resource, Subresource: event.Subresource, Namespace: event.Namespace, Name: event.Name,
				Code: event.Code, Body: event.RequestObject, Answer: event.ResponseObject,
			})
		}
	}
	return requests, nil
}

// String is the request as evidence.
func (r Request) String() string {
	const clock = "15:04:05.000000"
	text := fmt.Sprintf("%s–%s %s %s", r.Received.Format(clock), r.Completed.Format(clock), r.Verb, r.Resource)
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	text += fmt.Sprintf(" %s/%s → %d", r.Namespace, r.Name, r.Code)
	if body := strings.TrimSpace(string(r.Body)); body != "" {
		text += " " + body[:min(len(body), 600)]
	}
	return text
}

func (r Request) isWrite() bool {
	switch r.Verb {
	case "get", "list", "watch":
		return false
	}
	return true
}

func (r Request) landed() bool {
	return r.isWrite() && r.Code >= 200 && r.Code < 300
}

// isCutOff reports whether the writer broke the request off before the API server had read it: nothing came of it, and what
// it was to be is not known. A kill does that. A delete without a body may be a whole one, so the server has to have failed.
func (r Request) isCutOff() bool {
	if r.landed() || len(bytes.TrimSpace(r.Body)) > 0 {
		return false
	}
	return r.Verb == "create" || r.Verb == "update" || r.Verb == "delete" && r.Code >= 500
}

// kind is that of the objects that pointers are made of; empty for any other.
func (r Request) kind() string {
	switch r.Resource {
	case "services":
		return KindService
	case "endpointslices":
		return KindEndpointSlice
	case "endpoints":
		return KindEndpoints
	case "namespaces":
		return KindNamespace
	}
	return ""
}

// conditions are what a write holds the API server to. An update has them in the object's metadata, a delete in its options.
func (r Request) conditions() (uid types.UID, version string) {
	var body struct {
		Metadata      metav1.ObjectMeta     `json:"metadata"`
		Preconditions *metav1.Preconditions `json:"preconditions"`
	}
	if json.Unmarshal(r.Body, &body) != nil {
		return "", ""
	}
	if r.Verb != "delete" {
		return body.Metadata.UID, body.Metadata.ResourceVersion
	}
	if body.Preconditions != nil && body.Preconditions.UID != nil {
		uid = *body.Preconditions.UID
	}
	if body.Preconditions != nil && body.Preconditions.ResourceVersion != nil {
		version = *body.Preconditions.ResourceVersion
	}
	return uid, version
}

// written is the metadata of the object that was sent.
func (r Request) written() metav1.ObjectMeta {
	return metaOf(r.Body)
}

// answered is the metadata of the object that was answered; empty where that was a Status.
func (r Request) answered() metav1.ObjectMeta {
	return metaOf(r.Answer)
}

func metaOf(data json.RawMessage) metav1.ObjectMeta {
	var object metav1.PartialObjectMetadata
	if json.Unmarshal(data, &object) != nil || object.Kind == "Status" {
		return metav1.ObjectMeta{}
	}
	return object.ObjectMeta
}
