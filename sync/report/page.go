package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"xcc/sync"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"lower": strings.ToLower}).Parse(pageText))

// pageRows is how many Services a page shows. The filter finds the others.
const pageRows = 200

// refreshEvery is how often a browser loads the page again. It leaves time to type into the filter.
const refreshEvery = 15 * time.Second

// page is all that the status page shows.
type page struct {
	Version  string
	Refresh  int
	Now      string
	State    string // ready, standby, or starting
	Missing  []string
	Clusters []clusterView
	Flows    []flowView
	Filter   filter
	Chosen   int
	Total    int
	Rows     []rowView
	Pages    pages
}

type clusterView struct {
	Name, UID, State, Heard, Problem string
}

type flowView struct {
	From, To                             string
	Pointers, Mirrored, Pending, Refused int
	Waiting                              int
	Brake                                string
	Reasons                              []count
}

type count struct {
	Name  string
	Count int
	Query template.URL
}

type rowView struct {
	Key                sync.Key
	From, To           string
	Verdict            sync.Verdict
	Addresses, Created string
}

// filter is what the page was asked for.
type filter struct {
	Text    string
	Verdict string
	From    string
	Page    int
}

type pages struct {
	Number, Count  int
	Previous, Next template.URL
}

// contentSecurityPolicy lets the page hold its own style and nothing else: no script, no picture, no frame, no other place.
const contentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (s *Server) page(w http.ResponseWriter, request *http.Request) {
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, s.view(request.URL.Query(), time.Now())); err != nil {
		s.Log.WithError(err).Error("the status page")
		http.Error(w, "the page could not be made; see the log", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", contentSecurityPolicy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cache-Control", "no-store")
	// Who has gone away needs no answer.
	_, _ = w.Write(text.Bytes())
}

func (s *Server) view(query url.Values, now time.Time) page {
	view := page{
		Version: s.Version, Refresh: int(refreshEvery.Seconds()), Now: now.UTC().Format("2006-01-02 15:04:05 UTC"), Filter: filterOf(query),
	}
	view.Missing = append(s.unhealthy(), s.unready()...)
	switch {
	case s.standby.Load():
		view.State, view.Missing = "standby", nil
	case len(view.Missing) > 0:
		view.State = "starting"
	default:
		view.State = "ready"
	}
	for _, cluster := range s.Clusters {
		view.Clusters = append(view.Clusters, clusterOf(cluster))
	}
	var rows []rowView
	for _, mirror := range s.Hub.Mirrors {
		all := mirror.Verdicts()
		view.Flows = append(view.Flows, flowOf(mirror, all))
		view.Total += len(all)
		rows = append(rows, view.Filter.choose(mirror, all)...)
	}
	slices.SortFunc(rows, func(a, b rowView) int {
		if order := strings.Compare(a.Key.String(), b.Key.String()); order != 0 {
			return order
		}
		return strings.Compare(a.From, b.From)
	})
	view.Chosen = len(rows)
	view.Rows, view.Pages = view.Filter.cut(rows)
	s.complete(view.Rows, now)
	return view
}

func clusterOf(cluster Cluster) clusterView {
	view := clusterView{Name: cluster.Name(), UID: string(cluster.UID()), Problem: cluster.Problem(), State: "reachable"}
	switch {
	case view.UID == "":
		view.State, view.Heard = "unknown", "has not answered yet"
	default:
		view.Heard = "answered " + age(cluster.Silence()) + " ago"
		if view.Problem != "" {
			view.State = "unreachable"
		}
	}
	return view
}

func flowOf(mirror *sync.Mirror, verdicts map[sync.Key]sync.Verdict) flowView {
	view := flowView{From: mirror.Rules.Name, To: mirror.To, Pointers: mirror.Pointers(),
		Waiting: mirror.Depth(sync.LaneLive) + mirror.Depth(sync.LaneBacklog)}
	for _, verdict := range verdicts {
		switch verdict.State {
		case sync.Mirrored:
			view.Mirrored++
		case sync.Pending:
			view.Pending++
		case sync.Refused:
			view.Refused++
		}
	}
	if tripped, held := mirror.Brake.Tripped(); tripped {
		view.Brake = fmt.Sprintf("the delete brake holds %s", plural(held, "withdrawal"))
	}
	reasons := countVerdicts(verdicts)
	delete(reasons, string(sync.Mirrored))
	for reason, number := range reasons {
		view.Reasons = append(view.Reasons, count{reason, number, filter{Verdict: reason, From: view.From}.query(1)})
	}
	slices.SortFunc(view.Reasons, func(a, b count) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Name, b.Name)
	})
	return view
}

func filterOf(query url.Values) filter {
	f := filter{Text: strings.TrimSpace(query.Get("q")), Verdict: query.Get("verdict"), From: query.Get("from")}
	f.Page, _ = strconv.Atoi(query.Get("page"))
	f.Page = max(1, f.Page)
	return f
}

// Verdicts are those that can be chosen: a state, or a reason.
func (f filter) Verdicts() []string {
	return slices.Concat([]string{string(sync.Mirrored), string(sync.Pending), string(sync.Refused)}, verdicts[1:])
}

func (f filter) choose(mirror *sync.Mirror, all map[sync.Key]sync.Verdict) []rowView {
	if f.From != "" && f.From != mirror.Rules.Name {
		return nil
	}
	var rows []rowView
	for key, verdict := range all {
		if f.Verdict != "" && f.Verdict != string(verdict.State) && f.Verdict != string(verdict.Reason) {
			continue
		}
		if f.Text != "" && !strings.Contains(key.String(), f.Text) && !strings.Contains(verdict.Message, f.Text) {
			continue
		}
		rows = append(rows, rowView{Key: key, From: mirror.Rules.Name, To: mirror.To, Verdict: verdict})
	}
	return rows
}

// cut gives the rows of the page that was asked for, or of the last one there is.
func (f filter) cut(rows []rowView) ([]rowView, pages) {
	all := max(1, (len(rows)+pageRows-1)/pageRows)
	number := min(f.Page, all)
	cut := pages{Number: number, Count: all}
	if number > 1 {
		cut.Previous = f.query(number - 1)
	}
	if number < all {
		cut.Next = f.query(number + 1)
	}
	return rows[min(len(rows), (number-1)*pageRows):min(len(rows), number*pageRows)], cut
}

func (f filter) query(page int) template.URL {
	values := url.Values{}
	for key, value := range map[string]string{"q": f.Text, "verdict": f.Verdict, "from": f.From} {
		if value != "" {
			values.Set(key, value)
		}
	}
	if page > 1 {
		values.Set("page", strconv.Itoa(page))
	}
	// Encode leaves nothing in it that could end the address.
	return template.URL("?" + values.Encode())
}

// complete adds to rows what their pointers have.
func (s *Server) complete(rows []rowView, now time.Time) {
	mirrors := map[string]*sync.Mirror{}
	for _, mirror := range s.Hub.Mirrors {
		mirrors[mirror.Rules.Name] = mirror
	}
	for i := range rows {
		mirror := mirrors[rows[i].From]
		rows[i].Addresses, rows[i].Created = "–", "–"
		copies, err := mirror.Target.Copies(rows[i].Key)
		if err != nil {
			continue
		}
		service, ready, total := mirror.Pointer(sync.Target{Copies: copies})
		if service != nil || total > 0 {
			rows[i].Addresses = fmt.Sprintf("%d/%d", ready, total)
		}
		if service != nil {
			rows[i].Created = age(now.Sub(time.Unix(service.Created, 0)))
		}
	}
}
