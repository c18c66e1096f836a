package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"xcc/test/cluster"
)

// report collects what was measured.
type report struct {
	began     time.Time
	demand    cpuDemand // when it began
	rows      []row
	latencies []latencyCurve
	memory    []memoryPoint
}

// latencyCurve is how long changes took at one rate, in milliseconds.
type latencyCurve struct {
	rate       int
	floor, xcc []float64
}

func newReport() report {
	return report{began: time.Now(), demand: demandOfMachine()}
}

func (r *report) add(rows ...row) {
	r.rows = append(r.rows, rows...)
}

func (r *report) plotLatencies(rate int, floor, xcc []float64) {
	r.latencies = append(r.latencies, latencyCurve{rate, floor, xcc})
}

func (r *report) plotMemory(points []memoryPoint) {
	r.memory = points
}

// missed counts the rows that don't meet their goal.
func (r *report) missed() int {
	count := 0
	for _, row := range r.rows {
		if !row.passes() {
			count++
		}
	}
	return count
}

// write prints the table, and writes it and the plots to the directory of the options.
func (r *report) write(options options, out io.Writer) error {
	if len(r.rows) == 0 {
		return nil
	}
	if err := r.print(out); err != nil {
		return err
	}
	if err := os.MkdirAll(options.out, 0o755); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	if err := r.writeJSON(options); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	if err := r.plot(options.out); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	_, err := fmt.Fprintf(out, "\n%s; results and plots are in %s\n", r.machine(), options.out)
	return err
}

// print writes the table in Markdown, aligned for the terminal.
func (r *report) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "| what\t| floor\t| xcc\t| ratio\t| target\t| pass\t|")
	fmt.Fprintln(table, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	var notes []string
	for _, row := range r.rows {
		name := row.Name
		if row.Note != "" {
			if !slices.Contains(notes, row.Note) {
				notes = append(notes, row.Note)
			}
			name += fmt.Sprintf(" (%d)", slices.Index(notes, row.Note)+1)
		}
		ratio, pass := "", ""
		if len(row.Floor) > 0 {
			ratio = number(row.ratio())
		}
		if row.Goal.Of != "" {
			pass = map[bool]string{true: "yes", false: "NO"}[row.passes()]
		}
		fmt.Fprintf(table, "| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t|\n",
			name, quantity(row.Floor, row.Unit), quantity(row.XCC, row.Unit), ratio, row.describe(), pass)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i, note := range notes {
		if _, err := fmt.Fprintf(out, "\n(%d) %s", i+1, note); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

func quantity(samples []float64, unit string) string {
	if len(samples) == 0 {
		return ""
	}
	return strings.TrimSpace(number(median(samples)) + " " + unit)
}

// number has three digits that count.
func number(value float64) string {
	switch size := math.Abs(value); {
	case size != 0 && size < 10:
		return fmt.Sprintf("%.2f", value)
	case size != 0 && size < 100:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.0f", value)
}

// results are the report as JSON.
type results struct {
	Began      time.Time   `json:"began"`
	Took       string      `json:"took"`
	Machine    string      `json:"machine"`
	Kubernetes string      `json:"kubernetes"`
	Options    options     `json:"options"`
	Rows       []resultRow `json:"rows"`
}

type resultRow struct {
	row
	FloorMedian *float64 `json:"floorMedian,omitempty"`
	XCCMedian   float64  `json:"xccMedian"`
	Ratio       *float64 `json:"ratio,omitempty"`
	Pass        bool     `json:"pass"`
}

func (r *report) writeJSON(options options) error {
	all := results{
		Began: r.began, Took: time.Since(r.began).Round(time.Second).String(),
		Machine: r.machine(), Kubernetes: cluster.KubernetesVersion, Options: options,
	}
	for _, row := range r.rows {
		result := resultRow{row: row, XCCMedian: median(row.XCC), Pass: row.passes()}
		if len(row.Floor) > 0 {
			result.FloorMedian, result.Ratio = new(median(row.Floor)), finite(row.ratio())
		}
		all.Rows = append(all.Rows, result)
	}
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(options.out, "results.json"), append(content, '\n'), 0o644)
}

// finite leaves out what JSON can't say.
func finite(value float64) *float64 {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &value
}

// machine says what the numbers were measured on. A virtual machine may not get the CPU time that it asks for; the more
// of it that is, the less the numbers mean.
func (r *report) machine() string {
	text := fmt.Sprintf("%d CPUs", runtime.NumCPU())
	if model, err := cpuModel(); err == nil {
		text += " (" + model + ")"
	}
	stolen := demandOfMachine().stolenSince(r.demand)
	return fmt.Sprintf("%s, %s/%s, %s, %.0f%% of the CPU time asked for was not given", text, runtime.GOOS, runtime.GOARCH, runtime.Version(), 100*stolen)
}

func cpuModel() (string, error) {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value), nil
		}
	}
	return "", errors.Join(errors.New("no model name in /proc/cpuinfo"), lines.Err())
}
