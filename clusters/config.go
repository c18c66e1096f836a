package clusters

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/connrotation"
)

// Options name one cluster.
type Options struct {
	// Kubeconfig is the file to read; empty for the standard loading rules (KUBECONFIG, then ~/.kube/config).
	Kubeconfig string
	// Context is the context of that file.
	Context string
	// Name is the display name; empty for the context's.
	Name string
	// KubeconfigFlag and Flag are the flags that Kubeconfig and Context came from. Errors name them.
	KubeconfigFlag, Flag string
	// UserAgent is sent with each request.
	UserAgent string
	// Observe is told of each request; nil for nobody.
	Observe RequestObserver
}

func (o Options) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if o.Kubeconfig != "" {
		rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: o.Kubeconfig}
	}
	// A warning about a file that is not there would be a second line beside the error.
	rules.WarnIfAllMissing = false
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
}

// Contexts gives the names of all contexts that a kubeconfig holds, sorted. The path may be empty for the standard
// loading rules.
func Contexts(kubeconfig string) ([]string, error) {
	config, err := Options{Kubeconfig: kubeconfig}.loader().RawConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return slices.Sorted(maps.Keys(config.Contexts)), nil
}

// load reads the kubeconfig anew. It gives the part of it that concerns the context, too, to find out later whether that
// has changed.
func (o Options) load() (*rest.Config, clientcmdapi.Config, error) {
	loader := o.loader()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, raw, fmt.Errorf("%s: read the kubeconfig: %w", o.KubeconfigFlag, err)
	}
	if len(raw.Contexts) == 0 {
		return nil, raw, fmt.Errorf("%s: there is no kubeconfig, or it has no context; name one with the flag, or with KUBECONFIG", o.KubeconfigFlag)
	}
	if _, found := raw.Contexts[o.Context]; !found {
		return nil, raw, fmt.Errorf("%s: the kubeconfig has no context %q; it has %s", o.Flag, o.Context,
			strings.Join(slices.Sorted(maps.Keys(raw.Contexts)), ", "))
	}
	raw.CurrentContext = o.Context
	if err := clientcmdapi.MinifyConfig(&raw); err != nil {
		return nil, raw, fmt.Errorf("%s: context %q: %w", o.Flag, o.Context, err)
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, raw, fmt.Errorf("%s: context %q: %w", o.Flag, o.Context, err)
	}
	config.UserAgent = o.UserAgent
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	// The API server's priority and fairness decides how much is too much; a limit here would only add to it.
	config.QPS = -1
	// Watches are not compressed anyhow, and what it would save of a list costs the API server more time than sending it.
	config.DisableCompression = true
	// Writing Endpoints earns a deprecation warning each time.
	config.WarningHandler = rest.NoWarnings{}
	return config, raw, nil
}

// connections opens and counts a session's connections. The count tells whether an answer came over a connection whose
// other end was proven to be the right cluster.
type connections struct {
	*connrotation.ConnectionTracker
	opened atomic.Int64
}

func newConnections() *connections {
	return &connections{ConnectionTracker: connrotation.NewConnectionTracker()}
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	connection, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.opened.Add(1)
	return c.Track(connection), nil
}
