package sync

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestSummary(t *testing.T) {
	service, slice, endpoints := &corev1.Service{}, &discoveryv1.EndpointSlice{}, &corev1.Endpoints{}
	tests := []struct {
		name    string
		changes []Change
		want    string
	}{
		{"nothing", nil, ""},
		{"one change", []Change{{Update, endpoints}}, "update Endpoints"},
		{"changes of one sort are counted", []Change{{Create, slice}, {Create, slice}, {Create, slice}}, "create 3 EndpointSlices"},
		{
			"a birth", []Change{{Create, service}, {Create, slice}, {Create, slice}, {Create, endpoints}},
			"create Service, create 2 EndpointSlices, create Endpoints",
		},
		{
			"the order is that of the changes", []Change{{Create, slice}, {Update, slice}, {Delete, slice}, {Create, slice}},
			"create EndpointSlice, update EndpointSlice, delete EndpointSlice, create EndpointSlice",
		},
		{"a namespace", []Change{{Create, &corev1.Namespace{}}, {Create, service}}, "create Namespace, create Service"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Summary(test.changes); got != test.want {
				t.Errorf("summary = %q, want %q", got, test.want)
			}
		})
	}
}
