package proxy

import (
	"context"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Call is one request that a client made.
type Call struct {
	// Number counts the proxy's calls from 1 on, in the order in which they came.
	Number int
	// WriteNumber counts the writes among them in the same way; 0 for a call that is none.
	WriteNumber int
	// Method and Path are those of the request, the path without its query.
	Method, Path string
	// Verb is get, list, watch, create, update, patch, delete or deletecollection.
	Verb                                          string
	Group, Resource, Subresource, Namespace, Name string
	// Status is the API server's answer; 0 as long as there is none, and where the request was not passed on.
	Status int
	// Lost: the API server has answered, and the client was not told.
	Lost bool
}

// Write tells whether the call asks for a change of something that is kept. A question about one's rights is a create, too.
func (c Call) Write() bool {
	switch c.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return c.Group != "authorization.k8s.io" && c.Group != "authentication.k8s.io"
	}
	return false
}

// Landed tells whether the call has changed something.
func (c Call) Landed() bool {
	return c.Write() && c.Status >= 200 && c.Status < 300
}

// Is tells whether the call is about a resource ("" for any) and has one of the verbs (none for any).
func (c Call) Is(resource string, verbs ...string) bool {
	return (resource == "" || c.Resource == resource) && (len(verbs) == 0 || slices.Contains(verbs, c.Verb))
}

type callKey struct{}

// CallOf is the call that a request within a [Rule] belongs to.
func CallOf(r *http.Request) Call {
	call, _ := r.Context().Value(callKey{}).(*Call)
	if call == nil {
		return describe(r)
	}
	return *call
}

func withCall(r *http.Request, call *Call) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callKey{}, call))
}

var requestInfo = request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// describe reads a request as the API server does. What that can't read has no verb.
func describe(r *http.Request) Call {
	call := Call{Method: r.Method, Path: r.URL.Path}
	info, err := requestInfo.NewRequestInfo(r)
	if err != nil {
		return call
	}
	call.Verb, call.Group, call.Resource, call.Subresource = info.Verb, info.APIGroup, info.Resource, info.Subresource
	call.Namespace, call.Name = info.Namespace, info.Name
	return call
}
