package sync

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
)

func TestFirstAddressesAreThoseOfAllSorted(t *testing.T) {
	anyEndpoint := rapid.Custom(func(t *rapid.T) discoveryv1.Endpoint {
		var endpoint discoveryv1.Endpoint
		for range rapid.IntRange(1, 3).Draw(t, "addresses") {
			endpoint.Addresses = append(endpoint.Addresses, fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 20).Draw(t, "last byte")))
		}
		endpoint.Hostname = rapid.SampledFrom([]*string{nil, ptr.To("web-0"), ptr.To("web-1")}).Draw(t, "hostname")
		endpoint.Conditions.Ready = rapid.SampledFrom([]*bool{nil, ptr.To(false), ptr.To(true)}).Draw(t, "ready")
		return endpoint
	})
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.SliceOf(anyEndpoint)).Draw(t, "slices")
		ready, limit := rapid.Bool().Draw(t, "ready"), rapid.IntRange(1, 30).Draw(t, "limit")
		var want []corev1.EndpointAddress
		var runs [][]discoveryv1.Endpoint
		for _, endpoints := range all {
			for _, endpoint := range endpoints {
				for _, ip := range endpoint.Addresses {
					if isReady(endpoint) == ready {
						want = append(want, corev1.EndpointAddress{IP: ip, Hostname: ptr.Deref(endpoint.Hostname, "")})
					}
				}
			}
			slices.SortFunc(endpoints, compareEndpoints)
			runs = append(runs, asRun(endpoints))
		}
		slices.SortFunc(want, func(a, b corev1.EndpointAddress) int {
			return cmp.Or(strings.Compare(a.IP, b.IP), strings.Compare(a.Hostname, b.Hostname))
		})
		want = slices.Compact(want)
		want = want[:min(limit, len(want))]
		if diff := gocmp.Diff(want, firstAddresses(runs, ready, limit), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("addresses (-want +got):\n%s", diff)
		}
	})
}
