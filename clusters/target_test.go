package clusters

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// TestNetwork: where the ranges of Services are not told, they are inferred from the API server's own Service.
func TestNetwork(t *testing.T) {
	const cidrs = "/apis/networking.k8s.io/v1/servicecidrs"
	told := &networkingv1.ServiceCIDRList{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "ServiceCIDRList"},
		Items:    []networkingv1.ServiceCIDR{{Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/20", "fd00:96::/112"}}}},
	}
	inferred := []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}
	ipv4 := []corev1.IPFamily{corev1.IPv4Protocol}
	tests := []struct {
		name     string
		edit     func(f *fakeAPI, list http.HandlerFunc)
		families []corev1.IPFamily
		cidrs    []netip.Prefix
		fails    bool
	}{
		{
			"told", func(*fakeAPI, http.HandlerFunc) {}, []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol},
			[]netip.Prefix{netip.MustParsePrefix("10.96.0.0/20"), netip.MustParsePrefix("fd00:96::/112")}, false,
		},
		{"inferred by a token that may not read them", func(f *fakeAPI, _ http.HandlerFunc) { f.forbidden = []string{cidrs} }, ipv4, inferred, false},
		{"inferred for an old API server", func(f *fakeAPI, list http.HandlerFunc) {
			f.handle = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == cidrs {
					answerStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound)
					return
				}
				list(w, r)
			}
		}, ipv4, inferred, false},
		{"not known after an error", func(f *fakeAPI, list http.HandlerFunc) {
			f.handle = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == cidrs {
					page(http.StatusInternalServerError, "text/plain", "etcd has no leader")(w, r)
					return
				}
				list(w, r)
			}
		}, nil, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAPI(t, "blue")
			c, s := f.connected(t)
			answers := func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == cidrs {
					answer(w, told)
					return
				}
				answer(w, &corev1.Service{
					TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
					Spec:     corev1.ServiceSpec{IPFamilies: ipv4, ClusterIPs: []string{"10.96.0.1"}},
				})
			}
			f.set(func() {
				f.handle = answers
				test.edit(f, answers)
			})
			target := newTestTarget(c)
			if err := target.refresh(t.Context(), s); (err != nil) != test.fails {
				t.Fatal(err)
			}
			families, prefixes := target.Network()
			if diff := cmp.Diff(test.families, families); diff != "" {
				t.Errorf("families (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.cidrs, prefixes, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}

// TestServiceNetworkThatChanges: no watch tells of it, and addresses and families that were refused may be right now.
func TestServiceNetworkThatChanges(t *testing.T) {
	f := newFakeAPI(t, "blue")
	var cidrs []string
	f.handle = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/namespaces/default/services/kubernetes" {
			answer(w, &corev1.Service{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
				Spec:     corev1.ServiceSpec{IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, ClusterIPs: []string{"10.96.0.1"}},
			})
			return
		}
		list := &networkingv1.ServiceCIDRList{TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "ServiceCIDRList"}}
		for _, cidr := range cidrs {
			list.Items = append(list.Items, networkingv1.ServiceCIDR{Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{cidr}}})
		}
		answer(w, list)
	}
	c, s := f.connected(t)
	looks := 0
	target := NewTarget(c, labels.Everything(), func(object Object) *kept { return &kept{} }, Notify{
		Service: func(types.NamespacedName) {}, Namespace: func(string) {}, Synced: func() { looks++ },
	})
	refresh := func(want int, why string, ranges ...string) {
		t.Helper()
		f.set(func() { cidrs = ranges })
		if err := target.refresh(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if looks != want {
			t.Errorf("%s: all was looked at %d times, not %d", why, looks, want)
		}
	}
	if err := target.prepare(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	refresh(0, "nothing is read yet", "10.96.0.0/16")
	for _, store := range []interface{ Replace([]any, string) error }{target.services, target.slices, target.endpoints, target.namespaces} {
		if err := store.Replace(nil, "1"); err != nil {
			t.Fatal(err)
		}
	}
	refresh(1, "it is as it was", "10.96.0.0/16")
	refresh(2, "it has one more range", "10.96.0.0/16", "10.97.0.0/16")
	refresh(3, "it has one more family", "10.96.0.0/16", "10.97.0.0/16", "fd00:96::/108")
	refresh(4, "it has them no more", "10.96.0.0/16")
	refresh(4, "it is as it was", "10.96.0.0/16")
}
