package clusters

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Facts are what a check found out about one cluster. What could not be found out has its error.
type Facts struct {
	Name string
	Part Part
	// Problem says why nothing else is known.
	Problem error
	// Identity tells it from others; IdentityProblem is why it can't be told.
	Identity        Identity
	IdentityProblem error
	Version         string
	// Absent are the kinds that the API server does not serve, of those that matter.
	Absent []string
	// Asked is how many permissions were asked for, Missing those that the token doesn't have.
	Asked             int
	Missing           []Permission
	PermissionProblem error
	// Skew is how far the API server's clock is ahead of this host's.
	Skew time.Duration
	// Login is how the context logs in, Ends when that ends; zero for never, or nobody knows.
	Login string
	Ends  time.Time
	// Ranges are the addresses of the cluster.
	Ranges []Range
	// NodesHidden: the token may not list Nodes. ServicesInferred: the range of Service addresses is a guess.
	NodesHidden, ServicesInferred bool
	NetworkProblem                error
	// Exports is what the cluster exports.
	Exports Exports
	// Strays counts pointers in it by where they come from, where that is neither side.
	Strays      []Stray
	StraysKnown bool
	// Dialed are the endpoints of the cluster that were dialed from here.
	Dialed []Dialed
}

// AddExported adds the addresses of exported endpoints.
func (f *Facts) AddExported(addresses []netip.Addr) {
	for _, address := range addresses {
		f.Ranges = append(f.Ranges, single(address, ExportedAddress))
	}
}

// Usable reports whether xcc can work with the cluster at all, so that planning for it makes sense.
func (f Facts) Usable() bool {
	return f.Problem == nil && f.IdentityProblem == nil && f.PermissionProblem == nil &&
		!slices.ContainsFunc(f.Missing, func(p Permission) bool { return p.Without == "" })
}

// Exports is what a cluster exports, and what hinders it.
type Exports struct {
	// Known: it was looked at. Else Problem may say why not.
	Known   bool
	Problem error
	Count   int
	// Hindered are the Services that have no pointer in the other cluster, or not a whole one.
	Hindered []Hindered
}

// Hindered is an exported Service that is not mirrored.
type Hindered struct {
	Service, Reason, Message string
}

// Stray is a cluster that is neither side, and how many pointers come from it.
type Stray struct {
	Cluster, Name string
	Count         int
}

// Dialed is an endpoint that was dialed.
type Dialed struct {
	Address string
	Problem error
}

// The kinds that matter.
const (
	kindSlices   = "endpointslices.discovery.k8s.io/v1"
	kindCIDRs    = "servicecidrs.networking.k8s.io/v1"
	kindPolicies = "validatingadmissionpolicies.admissionregistration.k8s.io/v1"
)

// Examine finds out about a cluster what one token may find out. It only reads.
func Examine(ctx context.Context, options Options, part Part) Facts {
	facts := Facts{Name: options.Name, Part: part}
	if facts.Name == "" {
		facts.Name = options.Context
	}
	config, _, err := options.load()
	if err != nil {
		facts.Problem = err
		return facts
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		facts.Problem = err
		return facts
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	facts.Login, facts.Ends = login(config)
	if facts.Version, facts.Skew, facts.Problem = greet(ctx, config); facts.Problem != nil {
		return facts
	}
	facts.Identity, _, facts.IdentityProblem = identify(ctx, client)
	if facts.Absent, facts.Problem = absent(client); facts.Problem != nil {
		return facts
	}
	permissions, err := part.Permissions()
	if err == nil {
		facts.Missing, err = ask(ctx, client, permissions)
	}
	facts.Asked, facts.PermissionProblem = len(permissions), err
	facts.NetworkProblem = facts.readRanges(ctx, client)
	return facts
}

// greet asks for the version, and takes the time from the answer. The Date header has whole seconds: what is less than
// one, and the time that the answer took, is no skew.
func greet(ctx context.Context, config *rest.Config) (string, time.Duration, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return "", 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address(config), "/")+"/version", nil)
	if err != nil {
		return "", 0, err
	}
	asked := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return "", 0, err
	}
	defer response.Body.Close()
	took := time.Since(asked)
	if response.StatusCode != http.StatusOK {
		return "", 0, fmt.Errorf("%s: the server answers %s", request.URL, response.Status)
	}
	var info version.Info
	if err := json.NewDecoder(response.Body).Decode(&info); err != nil {
		return "", 0, fmt.Errorf("%s: %w", request.URL, err)
	}
	var skew time.Duration
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		skew = date.Sub(asked.Add(took / 2))
		if skew.Abs() <= time.Second+took {
			skew = 0
		}
	}
	return info.GitVersion, skew, nil
}

func address(config *rest.Config) string {
	if strings.Contains(config.Host, "://") {
		return config.Host
	}
	return "https://" + config.Host
}

// absent gives those of the kinds that matter that the API server does not serve.
func absent(client kubernetes.Interface) ([]string, error) {
	var absent []string
	for _, kind := range []string{kindSlices, kindCIDRs, kindPolicies} {
		resource, groupVersion, _ := strings.Cut(kind, ".")
		list, err := client.Discovery().ServerResourcesForGroupVersion(groupVersion)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("ask for %s: %w", groupVersion, err)
		}
		found := false
		if err == nil {
			for _, served := range list.APIResources {
				found = found || served.Name == resource
			}
		}
		if !found {
			absent = append(absent, kind)
		}
	}
	return absent, nil
}

// login says how a context logs in, and when that ends. The token itself is looked at and not kept.
func login(config *rest.Config) (string, time.Time) {
	token := config.BearerToken
	if content, err := os.ReadFile(config.BearerTokenFile); config.BearerTokenFile != "" && err == nil {
		token = strings.TrimSpace(string(content))
	}
	switch {
	case config.ExecProvider != nil:
		return "plugin " + config.ExecProvider.Command, time.Time{}
	case token != "":
		return "token", claimsOf(token).expiry()
	}
	certificate := config.CertData
	if content, err := os.ReadFile(config.CertFile); config.CertFile != "" && err == nil {
		certificate = content
	}
	if block, _ := pem.Decode(certificate); block != nil {
		if parsed, err := x509.ParseCertificate(block.Bytes); err == nil {
			return "client certificate", parsed.NotAfter
		}
	}
	return "something that doesn't say when it ends", time.Time{}
}

// readRanges reads where the cluster's Services, nodes and pods are, as far as the token may.
func (f *Facts) readRanges(ctx context.Context, client kubernetes.Interface) error {
	network, err := readNetwork(ctx, client)
	if err != nil {
		return err
	}
	f.ServicesInferred = network.inferred
	for _, prefix := range network.cidrs {
		f.Ranges = append(f.Ranges, Range{prefix, ServiceRange})
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if apierrors.IsForbidden(err) {
		f.NodesHidden = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the Nodes: %w", err)
	}
	for _, node := range nodes.Items {
		for _, text := range node.Spec.PodCIDRs {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				f.Ranges = append(f.Ranges, Range{prefix.Masked(), PodRange})
			}
		}
		for _, given := range node.Status.Addresses {
			if ip, err := netip.ParseAddr(given.Address); err == nil && given.Type == corev1.NodeInternalIP {
				f.Ranges = append(f.Ranges, single(ip, NodeAddress))
			}
		}
	}
	return nil
}
