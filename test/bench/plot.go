package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// plot draws what a table can't show: how latencies are spread, and how memory grows.
func (r *report) plot(directory string) error {
	if len(r.latencies) > 0 {
		if err := r.drawLatencies(filepath.Join(directory, "propagation")); err != nil {
			return err
		}
	}
	if len(r.memory) > 1 {
		return r.drawMemory(filepath.Join(directory, "memory"))
	}
	return nil
}

// drawLatencies shows, for each latency, the part of the changes that took no longer.
func (r *report) drawLatencies(file string) error {
	p := plot.New()
	p.Title.Text = "From a pod's change in the source to the target's EndpointSlice"
	p.X.Label.Text = "milliseconds"
	p.Y.Label.Text = "percent of the changes, at most so late"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{}
	p.X.Min, p.X.Max = 1, 1
	p.Legend.Left, p.Legend.Top = true, true
	p.Add(plotter.NewGrid())
	for i, curve := range r.latencies {
		for dashed, series := range [][]float64{curve.xcc, curve.floor} {
			line, err := plotter.NewLine(distribution(series))
			if err != nil {
				return err
			}
			line.Color, line.Width = plotutil.Color(i), vg.Points(1.5)
			line.Dashes = plotutil.Dashes(dashed)
			p.Add(line)
			p.Legend.Add(fmt.Sprintf("%s, %d/s", []string{"xcc", "floor"}[dashed], curve.rate), line)
		}
	}
	return save(p, file)
}

// distribution has a point for each value: the value, and the percentage of values that are no larger.
func distribution(values []float64) plotter.XYs {
	sorted := slices.Sorted(slices.Values(values))
	points := make(plotter.XYs, len(sorted))
	for i, value := range sorted {
		// The scale is logarithmic, and a watch may tell of a change before the answer to its write has come.
		points[i] = plotter.XY{X: max(value, 0.1), Y: 100 * float64(i+1) / float64(len(sorted))}
	}
	return points
}

func (r *report) drawMemory(file string) error {
	p := plot.New()
	p.Title.Text = "Peak resident memory of xcc, started with all in sync"
	p.X.Label.Text = "endpoints"
	p.Y.Label.Text = "MiB"
	p.X.Min, p.Y.Min = 0, 0
	p.Add(plotter.NewGrid())
	var points plotter.XYs
	for _, point := range r.memory {
		points = append(points, plotter.XY{X: float64(point.endpoints), Y: point.bytes / mebibyte})
	}
	line, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width, marks.Color = plotutil.Color(0), vg.Points(1.5), plotutil.Color(0)
	p.Add(line, marks)
	return save(p, file)
}

// save writes a plot for browsers, and for those who can't show that.
func save(p *plot.Plot, file string) error {
	for _, extension := range []string{".svg", ".png"} {
		if err := p.Save(18*vg.Centimeter, 11*vg.Centimeter, file+extension); err != nil {
			return fmt.Errorf("draw %s: %w", file+extension, err)
		}
	}
	return nil
}
