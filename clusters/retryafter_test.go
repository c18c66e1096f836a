package clusters

import (
	"net/http"
	"testing"
)

func TestRetryAfterIsBounded(t *testing.T) {
	tests := []struct{ name, asked, want string }{
		{"a day", "86400", "2"},
		{"two seconds", "2", "2"},
		{"one second", "1", "1"},
		{"a date", "Wed, 21 Oct 2026 07:28:00 GMT", "2"},
		{"none", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := roundTrip(func(*http.Request) (*http.Response, error) {
				response := &http.Response{Header: http.Header{}}
				if test.asked != "" {
					response.Header.Set("Retry-After", test.asked)
				}
				return response, nil
			})
			response, err := boundRetryAfter{answer}.RoundTrip(&http.Request{})
			if err != nil || response.Header.Get("Retry-After") != test.want {
				t.Errorf("Retry-After %q, %v; want %q", response.Header.Get("Retry-After"), err, test.want)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
