package report

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"xcc/sync"
)

// city is a pair of clusters with as many Services, of which some are refused.
func city(t testing.TB, services int) *Server {
	t.Helper()
	east, west := newFakeCluster("prod-east"), newFakeCluster("prod-west")
	names := []string{"cart", "checkout", "search", "ledger", "invoices", "sessions", "video"}
	for i := range services {
		from, namespace := east, "shop"
		if i%3 == 0 {
			from = west
		}
		if i%97 == 5 {
			namespace = "staging"
		}
		service := from.export(namespace, fmt.Sprintf("%s-%05d", names[i%len(names)], i), i%5+1)
		if i%151 == 7 {
			service.Spec.Type, service.Spec.ExternalName = corev1.ServiceTypeExternalName, "db.example.com"
		}
		if i%401 == 14 {
			from.slices[sync.Key{Namespace: namespace, Name: service.Name}] = nil
		}
	}
	hub := newHub(east, west)
	server := newServer(hub, east, west)
	server.StandBy(false)
	synced(t, hub)
	return server
}

func TestPage(t *testing.T) {
	server := city(t, 500)
	tests := []struct {
		name, query   string
		has, lacks    []string
		servicesShown int
	}{
		{"it shows the first Services and how many there are", "", []string{"500 of 500", "page 1 of 3", "next →", "answered 3s ago"}, []string{"previous"}, 200},
		{"another page shows others", "?page=3", []string{"page 3 of 3", "video-00496", "← previous"}, []string{"next →"}, 100},
		{"a page beyond the last is the last", "?page=99", []string{"page 3 of 3"}, nil, 100},
		{"a page that is no number is the first", "?page=x", []string{"page 1 of 3"}, nil, 200},
		{"a text chooses by name", "?q=cart-000", []string{"15 of 500", `value="cart-000"`}, []string{"next →"}, 15},
		{"a verdict chooses by reason", "?verdict=NamespaceMissing", []string{"NamespaceMissing", "the other cluster has no namespace staging"}, []string{"<b>ExternalName"}, 6},
		{"a direction chooses", "?from=prod-west&page=1", []string{"167 of 500"}, nil, 167},
		{"what matches nothing says so", "?q=nothing", []string{"Nothing matches."}, nil, 0},
		{"what was typed is only text", "?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", []string{"&lt;script&gt;"}, []string{"<script"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response, text := get(t, server.Handler(), "/"+test.query)
			if response.StatusCode != 200 {
				t.Fatal(response.StatusCode)
			}
			for _, part := range test.has {
				if !strings.Contains(text, part) {
					t.Errorf("no %q", part)
				}
			}
			for _, part := range test.lacks {
				if strings.Contains(text, part) {
					t.Errorf("there is %q", part)
				}
			}
			if count := strings.Count(text, `<td class="name">`); count != test.servicesShown {
				t.Errorf("%d Services, not %d", count, test.servicesShown)
			}
		})
	}
}

func TestPageHoldsNothingFromElsewhereAndRunsNothing(t *testing.T) {
	response, text := get(t, city(t, 3).Handler(), "/")
	if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "script") {
		t.Errorf("policy %q", policy)
	}
	for _, part := range []string{"<script", "http://", "https://", "src=", "@import", "url(", "onclick"} {
		if strings.Contains(text, part) {
			t.Errorf("there is %q", part)
		}
	}
}

func TestWhatAClusterSaysIsOnlyText(t *testing.T) {
	east, west := newFakeCluster("prod-east"), newFakeCluster("<b>west")
	east.problem = `<img src=x onerror="alert(1)">`
	service := east.export("shop", "alias", 1)
	service.Spec.Type, service.Spec.ExternalName = corev1.ServiceTypeExternalName, "<i>example.com"
	hub := newHub(east, west)
	server := newServer(hub, east, west)
	synced(t, hub)
	_, text := get(t, server.Handler(), "/")
	for _, part := range []string{"<img", "<i>", "<b>west"} {
		if strings.Contains(text, part) {
			t.Errorf("there is %q", part)
		}
	}
	if !strings.Contains(text, "unreachable") {
		t.Error("a cluster with a problem is not unreachable")
	}
}

// TestInABrowser looks at the page of 10,000 Services in Chromium. It leaves pictures in the directory $XCC_SCREENSHOTS.
func TestInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is missing: the status page is not tested in a browser (Debian: apt-get install chromium)")
	}
	server := city(t, 10_000)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		server.Serve(ctx, listener)
		close(ended)
	}()
	defer func() {
		stop()
		<-ended
	}()
	browse := func(t *testing.T, arguments ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, chromium, append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage",
			"--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
		}, arguments...)...)
		output, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(output)
	}
	address := "http://" + listener.Addr().String() + "/"

	t.Run("the browser has the table, and the style is applied", func(t *testing.T) {
		dom := browse(t, "--dump-dom", address)
		if count := strings.Count(dom, `<td class="name">`); count != pageRows {
			t.Errorf("%d Services in the browser, not %d", count, pageRows)
		}
		if !strings.Contains(dom, "10000 of 10000") {
			t.Error("the browser does not show how many there are")
		}
	})

	t.Run("the filter works by the address alone", func(t *testing.T) {
		dom := browse(t, "--dump-dom", address+"?verdict=ExternalName&from=prod-east")
		if strings.Contains(dom, "NamespaceMissing</b>") || !strings.Contains(dom, "<b>ExternalName</b>") {
			t.Error("the browser does not show the Services that were chosen, and only those")
		}
	})

	// A browser's window can't be as narrow as a phone, but a frame in it can.
	_, text := get(t, server.Handler(), "/")
	directory := t.TempDir()
	for file, content := range map[string]string{
		"page.html":  text,
		"phone.html": `<body style="margin:0"><iframe src="page.html" style="border:0;width:390px;height:1100px"></iframe>`,
	} {
		if err := os.WriteFile(filepath.Join(directory, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, arguments := range map[string][]string{
		"light": {"--window-size=1280,800", address},
		"dark":  {"--window-size=1280,800", "--blink-settings=preferredColorScheme=0", address},
		"phone": {"--window-size=500,1100", "file://" + filepath.Join(directory, "phone.html")},
	} {
		t.Run("a picture can be taken: "+name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), name+".png")
			if directory := os.Getenv("XCC_SCREENSHOTS"); directory != "" {
				file = filepath.Join(directory, name+".png")
			}
			browse(t, append([]string{"--screenshot=" + file}, arguments...)...)
			if info, err := os.Stat(file); err != nil || info.Size() < 10_000 {
				t.Error("no picture, or an empty one", err)
			}
		})
	}
}

func BenchmarkPage(b *testing.B) {
	server := city(b, 10_000)
	for b.Loop() {
		get(b, server.Handler(), "/")
	}
}
