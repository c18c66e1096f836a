package fault

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// measured waits until a metric of the direction from this side has a value that will do, and gives that.
func (s *side) measured(t *testing.T, address, metric string, will func(float64) bool) (value float64) {
	t.Helper()
	series := fmt.Sprintf("%s{source=%q,target=%q} ", metric, s.Name, s.other.Name)
	eventually(t, series+"is as it should be", func(ctx context.Context) error {
		text, err := scrape(ctx, address)
		if err != nil {
			return err
		}
		_, after, found := strings.Cut("\n"+text, "\n"+series)
		if !found {
			return fmt.Errorf("it is not in:\n%s", text)
		}
		text, _, _ = strings.Cut(after, "\n")
		if value, err = strconv.ParseFloat(text, 64); err == nil && !will(value) {
			err = fmt.Errorf("it is %v", value)
		}
		return err
	})
	return value
}

func scrape(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}
