package monitoring

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// dashboard is as much of Grafana's format as has to be right.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		RefID      string
		Expr       string
		Datasource struct{ Type, UID string }
	}
}

// grafana replaces what Grafana replaces before it asks Prometheus.
var grafana = strings.NewReplacer("$__rate_interval", "1m", "$source", ".*", "$target", ".*")

func TestDashboard(t *testing.T) {
	content, err := os.ReadFile("../../manifests/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board dashboard
	if err := json.Unmarshal(content, &board); err != nil {
		t.Fatal(err)
	}
	if board.UID != "xcc" || board.Title == "" || board.SchemaVersion < 39 || len(board.Templating.List) != 3 {
		t.Errorf("not what Grafana imports as a dashboard: %+v", board)
	}
	ids, taken := map[int]string{}, map[[2]int]string{}
	for _, panel := range board.Panels {
		if other := ids[panel.ID]; panel.ID == 0 || other != "" {
			t.Errorf("panel %q has the number %d, as has %q", panel.Title, panel.ID, other)
		}
		ids[panel.ID] = panel.Title
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies over %q, or beyond the edge", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
		if panel.Type == "row" {
			continue
		}
		if panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %q has no title, no description or no query", panel.Title)
		}
		for _, target := range panel.Targets {
			checkQuery(t, grafana.Replace(target.Expr))
			if target.RefID == "" || target.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q: a query has no name, or another source of data than the one that is chosen", panel.Title)
			}
		}
	}
}
