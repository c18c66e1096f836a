package proxy

import (
	"maps"
	"net/http"
)

// Action is what becomes of a request. The zero Action is [Pass].
type Action struct {
	kind   actionKind
	status int
	header http.Header
	body   string
	until  <-chan struct{}
}

type actionKind int

const (
	pass actionKind = iota
	refuse
	emptyList
	abort
	lose
	delay
)

// Rule decides on a request, before it goes on. [CallOf] tells what it is. The rule may do something else meanwhile, such
// as killing the client, and then [Abort] the request.
type Rule func(r *http.Request) Action

// Pass lets the request go on.
func Pass() Action { return Action{} }

// Refuse answers in the API server's place.
func Refuse(status int, header http.Header, body string) Action {
	return Action{kind: refuse, status: status, header: maps.Clone(header), body: body}
}

// RefuseHTML answers as a load balancer does that has no API server behind it.
func RefuseHTML(status int) Action {
	return Refuse(status, http.Header{"Content-Type": {"text/html"}},
		"<html><head><title>"+http.StatusText(status)+"</title></head><body><h1>"+http.StatusText(status)+"</h1></body></html>\n")
}

// RefuseStatus answers as the API server does that refuses, with a Status of that reason.
func RefuseStatus(status int, reason, message string) Action {
	return Refuse(status, http.Header{"Content-Type": {"application/json"}}, statusBody(status, reason, message))
}

// EmptyList answers a list, and a watch that begins with one, as if nothing was there: with the resourceVersion of now, a
// list that is valid in all else. A watch goes on with what really happens from then on. Other requests pass.
func EmptyList() Action { return Action{kind: emptyList} }

// Abort breaks the request off. The API server doesn't see it.
func Abort() Action { return Action{kind: abort} }

// Lose lets the request go on, and breaks it off when the API server has answered: what it asked for is done, and the
// client doesn't know.
func Lose() Action { return Action{kind: lose} }

// Delay lets the request go on when the channel is closed.
func Delay(until <-chan struct{}) Action { return Action{kind: delay, until: until} }

// Only applies a rule's action to the requests with one of those verbs ("" for any) and of that resource ("" for any).
func Only(resource string, action Action, verbs ...string) Rule {
	return func(r *http.Request) Action {
		if CallOf(r).Is(resource, verbs...) {
			return action
		}
		return Pass()
	}
}
