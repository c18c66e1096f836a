package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	restwatch "k8s.io/client-go/rest/watch"
)

// kinds are those whose lists can be emptied.
var kinds = map[string]schema.GroupVersionKind{
	"services":       {Version: "v1", Kind: "Service"},
	"endpoints":      {Version: "v1", Kind: "Endpoints"},
	"namespaces":     {Version: "v1", Kind: "Namespace"},
	"configmaps":     {Version: "v1", Kind: "ConfigMap"},
	"endpointslices": {Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
	"servicecidrs":   {Group: "networking.k8s.io", Version: "v1", Kind: "ServiceCIDR"},
}

// serveEmpty answers a list or a watch as if nothing was there.
func (p *Proxy) serveEmpty(w http.ResponseWriter, r *http.Request, call *Call) {
	kind, known := kinds[call.Resource]
	query := r.URL.Query()
	begins := query.Get("sendInitialEvents") == "true"
	if !known || call.Verb == "watch" && !begins {
		response := p.roundTrip(r, call)
		defer response.Body.Close()
		p.answer(w, r, response, nil)
		return
	}
	version, err := p.versionNow(r, call)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	info, err := negotiate(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotAcceptable)
		return
	}
	if call.Verb == "list" {
		list, err := scheme.Scheme.New(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err == nil {
			list.(metav1.ListInterface).SetResourceVersion(version)
			var body bytes.Buffer
			if err = encoder(info, kind).Encode(list, &body); err == nil {
				w.Header().Set("Content-Type", info.MediaType)
				_, _ = w.Write(body.Bytes()) // the client may be gone
				return
			}
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	first, err := endOfInitialEvents(info, kind, version)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	query.Del("sendInitialEvents")
	query.Del("resourceVersionMatch")
	query.Set("resourceVersion", version)
	r.URL.RawQuery = query.Encode()
	r.Header.Del("Accept-Encoding") // what stands first is not compressed
	response := p.roundTrip(r, call)
	defer response.Body.Close()
	p.answer(w, r, response, first)
}

// versionNow asks the API server how far it is.
func (p *Proxy) versionNow(r *http.Request, call *Call) (string, error) {
	ask := r.Clone(r.Context())
	ask.Header.Set("Accept", "application/json")
	ask.Header.Del("Accept-Encoding")
	ask.URL.RawQuery = "limit=1"
	response := p.roundTrip(ask, call)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal(content, &list); err != nil {
		return "", err
	}
	if list.ResourceVersion == "" {
		return "", fmt.Errorf("the API server gave no list but: %s", content)
	}
	return list.ResourceVersion, nil
}

// negotiate gives the first format that the client accepts.
func negotiate(r *http.Request) (runtime.SerializerInfo, error) {
	for _, accepted := range strings.Split(r.Header.Get("Accept"), ",") {
		mediaType, _, _ := strings.Cut(strings.TrimSpace(accepted), ";")
		if info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), mediaType); ok {
			return info, nil
		}
	}
	return runtime.SerializerInfo{}, fmt.Errorf("none of %q is known", r.Header.Get("Accept"))
}

func encoder(info runtime.SerializerInfo, kind schema.GroupVersionKind) runtime.Encoder {
	return scheme.Codecs.EncoderForVersion(info.Serializer, kind.GroupVersion())
}

// endOfInitialEvents is the event by which the API server says that a watch has told all that was there.
func endOfInitialEvents(info runtime.SerializerInfo, kind schema.GroupVersionKind, version string) ([]byte, error) {
	object, err := scheme.Scheme.New(kind)
	if err != nil {
		return nil, err
	}
	meta := object.(metav1.Object)
	meta.SetResourceVersion(version)
	meta.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	if info.StreamSerializer == nil {
		return nil, errors.New("no format for a stream")
	}
	var body bytes.Buffer
	frames := info.StreamSerializer.Framer.NewFrameWriter(&body)
	stream := streaming.NewEncoder(frames, scheme.Codecs.EncoderForVersion(info.StreamSerializer.Serializer, kind.GroupVersion()))
	if err := restwatch.NewEncoder(stream, encoder(info, kind)).Encode(&watch.Event{Type: watch.Bookmark, Object: object}); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

func statusBody(status int, reason, message string) string {
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(status), Reason: metav1.StatusReason(reason), Message: message,
	})
	if err != nil {
		return err.Error()
	}
	return string(body)
}
