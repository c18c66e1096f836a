package clusters

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// claims are what a token says of itself, believed by nobody: they serve to tell people when it ends.
type claims struct {
	Subject string `json:"sub"`
	Expires int64  `json:"exp"`
}

// claimsOf reads a bearer token; none where it is no JWT.
func claimsOf(token string) (read claims) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return read
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &read) != nil {
		return claims{}
	}
	return read
}

// expiry is when the token ends; zero where it doesn't say.
func (c claims) expiry() time.Time {
	if c.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(c.Expires, 0)
}
