package clusters

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// encoded gives an object as an API server sends it.
func encoded(t testing.TB, mediaType string, object runtime.Object) []byte {
	t.Helper()
	info, found := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), mediaType)
	if !found {
		t.Fatalf("no %s", mediaType)
	}
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		t.Fatal(err)
	}
	body, err := runtime.Encode(scheme.Codecs.EncoderForVersion(info.Serializer, kinds[0].GroupVersion()), object)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// named keeps no more of an object than its name and how many annotations' bytes it has.
func named(object any) listed {
	meta := object.(metav1.Object)
	return listed{fmt.Sprintf("%s/%s %d", meta.GetNamespace(), meta.GetName(), len(meta.GetAnnotations()["text"]))}
}

func serviceList(version string, annotations ...int) *corev1.ServiceList {
	list := &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: version}}
	for i, length := range annotations {
		list.Items = append(list.Items, corev1.Service{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("web-%d", i), Annotations: map[string]string{"text": strings.Repeat("x", length)},
		}})
	}
	return list
}

func TestDecodeList(t *testing.T) {
	const bufferSize = 1 << 16
	tests := []struct {
		name string
		list *corev1.ServiceList
		want []string
	}{
		{"nothing", serviceList("7"), nil},
		{"some objects", serviceList("7", 0, 3), []string{"shop/web-0 0", "shop/web-1 3"}},
		{"objects larger than the buffer", serviceList("7", 3*bufferSize, 0, bufferSize), []string{"shop/web-0 196608", "shop/web-1 0", "shop/web-2 65536"}},
	}
	for _, test := range tests {
		for _, mediaType := range []string{runtime.ContentTypeProtobuf, runtime.ContentTypeJSON} {
			t.Run(test.name+" as "+mediaType, func(t *testing.T) {
				list, err := decodeList(bytes.NewReader(encoded(t, mediaType, test.list)), &corev1.Service{}, bookkeeping, named)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, item := range list.Items {
					got = append(got, item.kept.(string))
				}
				if diff := cmp.Diff(test.want, got); diff != "" || list.ResourceVersion != "7" {
					t.Errorf("version %q, objects (-want +got):\n%s", list.ResourceVersion, diff)
				}
			})
		}
	}
}

// TestDecodeListTellsObjectsApart checks that no object has anything of the one before, into which it is decoded.
func TestDecodeListTellsObjectsApart(t *testing.T) {
	bare := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}
	items := []discoveryv1.EndpointSlice{bare, *sliceOfPods(1, 3), bare, *sliceOfPods(2, 100), *sliceOfPods(3, 1), bare}
	body := encoded(t, runtime.ContentTypeProtobuf, &discoveryv1.EndpointSliceList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: items})
	copied := func(object any) listed { return listed{object.(*discoveryv1.EndpointSlice).DeepCopy()} }
	list, err := decodeList(bytes.NewReader(body), &discoveryv1.EndpointSlice{}, nil, copied)
	if err != nil {
		t.Fatal(err)
	}
	var got []discoveryv1.EndpointSlice
	for _, item := range list.Items {
		got = append(got, *item.kept.(*discoveryv1.EndpointSlice))
	}
	if diff := cmp.Diff(items, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestDecodeListRefusesWhatIsCutOff(t *testing.T) {
	for _, mediaType := range []string{runtime.ContentTypeProtobuf, runtime.ContentTypeJSON} {
		body := encoded(t, mediaType, serviceList("7", 0, 3))
		for length := range len(bytes.TrimSpace(body)) {
			// What stands last in protobuf is empty, and says nothing of the list.
			list, err := decodeList(bytes.NewReader(body[:length]), &corev1.Service{}, bookkeeping, named)
			if err == nil && len(list.Items) < 2 {
				t.Errorf("%s: the first %d of %d bytes are taken for a list of %d", mediaType, length, len(body), len(list.Items))
			}
		}
	}
}

func TestDecodeListRefusesWhatIsNoList(t *testing.T) {
	tests := map[string][]byte{
		"a list without resourceVersion": encoded(t, runtime.ContentTypeProtobuf, serviceList("", 1)),
		"a Status":                       encoded(t, runtime.ContentTypeProtobuf, &metav1.Status{Status: metav1.StatusSuccess}),
		"an object":                      encoded(t, runtime.ContentTypeJSON, &corev1.Service{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7"}}),
		"a page of HTML":                 []byte("<html><body>Please log in</body></html>"),
		"an object of a terabyte":        []byte(protobufPrefix + "\x12\xff\xff\xff\xff\xff\x1f"),
		"a field without a length":       []byte(protobufPrefix + "\x08\x01"),
	}
	for name, body := range tests {
		if list, err := decodeList(bytes.NewReader(body), &corev1.Service{}, bookkeeping, named); err == nil {
			t.Errorf("%s is taken for a list of %d", name, len(list.Items))
		}
	}
}

// TestPackedSliceFromAList checks that a slice comes out of a list as it would come out of a watch.
func TestPackedSliceFromAList(t *testing.T) {
	want := slice("web", "u1", "5")
	want.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1", "10.0.0.2"}}, {Addresses: []string{"10.0.0.3"}}}
	body := encoded(t, runtime.ContentTypeProtobuf, &discoveryv1.EndpointSliceList{
		ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []discoveryv1.EndpointSlice{*want, *slice("web", "u2", "6")},
	})
	list, err := decodeList(bytes.NewReader(body), &discoveryv1.EndpointSlice{}, bookkeeping, newTold().item)
	if err != nil {
		t.Fatal(err)
	}
	packed := list.Items[0].kept.(*packedSlice)
	if diff := cmp.Diff(Metadata{}.packSlice(want).unpack(), packed.unpack()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, packed.addresses()); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}
