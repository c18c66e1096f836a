package clusters

import (
	"net/http"
	"strconv"
)

// longestRetryAfter is the longest pause, in seconds, that a server may ask for. client-go sleeps for as long as it is
// told, while the caller waits: a day is not out of the question for an overloaded proxy.
const longestRetryAfter = 2

// boundRetryAfter passes requests on and shortens the pause that an answer asks for.
type boundRetryAfter struct {
	next http.RoundTripper
}

func (b boundRetryAfter) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	if err != nil || response.Header.Get("Retry-After") == "" {
		return response, err
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err != nil || seconds > longestRetryAfter {
		response.Header.Set("Retry-After", strconv.Itoa(longestRetryAfter))
	}
	return response, nil
}
