package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/client-go/kubernetes"
)

// requests counts what an API server was asked for, by verb and resource: "PUT endpointslices". It comes from the API
// server's own metrics, which cost nothing while nobody reads them; an audit log slows each request down.
type requests map[string]int

// counted are the resources of pointers, and the verbs that change them.
var (
	countedResources = []string{"services", "endpointslices", "endpoints"}
	writingVerbs     = []string{"POST", "PUT", "PATCH", "DELETE"}
	requestLabel     = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

func requestsTo(ctx context.Context, client kubernetes.Interface) (requests, error) {
	text, err := client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	counts := requests{}
	for line := range strings.Lines(string(text)) {
		labels, isCount := strings.CutPrefix(line, "apiserver_request_total{")
		if !isCount {
			continue
		}
		values := map[string]string{}
		for _, match := range requestLabel.FindAllStringSubmatch(labels, -1) {
			values[match[1]] = match[2]
		}
		count, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, '}')+1:]), 64)
		if err != nil {
			return nil, fmt.Errorf("read the API server's metrics: %w", err)
		}
		counts[values["verb"]+" "+values["resource"]] += int(count)
	}
	return counts, nil
}

func requestsToEach(ctx context.Context, sites ...*site) ([]requests, error) {
	var all []requests
	for _, site := range sites {
		asked, err := requestsTo(ctx, site.client)
		if err != nil {
			return nil, err
		}
		all = append(all, asked)
	}
	return all, nil
}

// since gives what was asked for between two counts.
func (r requests) since(before requests) requests {
	difference := requests{}
	for request, count := range r {
		if count != before[request] {
			difference[request] = count - before[request]
		}
	}
	return difference
}

// writes counts those that change an object of a pointer.
func (r requests) writes() int {
	sum := 0
	for _, resource := range countedResources {
		for _, verb := range writingVerbs {
			sum += r[verb+" "+resource]
		}
	}
	return sum
}

// reads counts the gets of single objects of a pointer.
func (r requests) reads() int {
	sum := 0
	for _, resource := range countedResources {
		sum += r["GET "+resource]
	}
	return sum
}
