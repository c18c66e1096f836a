package clusters

import (
	"fmt"
	"slices"
	"time"
)

// Level says how a check went.
type Level string

// The levels. Only a failure keeps xcc from working.
const (
	Passed  Level = "passed"
	Warning Level = "warning"
	Failure Level = "failure"
)

// Finding is the result of one check.
type Finding struct {
	Category string `json:"category"`
	Level    Level  `json:"level"`
	// Cluster is the one that it is about; empty where it is about both.
	Cluster string `json:"cluster,omitempty"`
	Text    string `json:"text"`
	// Hint is what to do about it.
	Hint string `json:"hint,omitempty"`
}

// Categories are those of the findings, in the order in which they are shown.
var Categories = []string{"identity", "versions", "permissions", "credentials", "clocks", "network", "services", "leftovers", "dial"}

// Judge makes findings of what was found out about both clusters. It decides without asking anybody.
func Judge(a, b Facts, now time.Time) []Finding {
	var all []Finding
	for _, side := range []Facts{a, b} {
		all = append(all, side.judge(now)...)
	}
	if a.Problem == nil && b.Problem == nil {
		all = append(all, judgePair(a, b)...)
	}
	slices.SortStableFunc(all, func(x, y Finding) int {
		return slices.Index(Categories, x.Category) - slices.Index(Categories, y.Category)
	})
	return all
}

// judge is what can be said about one cluster by itself.
func (f Facts) judge(now time.Time) []Finding {
	if f.Problem != nil {
		return []Finding{f.failed("identity", fmt.Sprintf("can't be asked: %v", f.Problem), "see that the server is up and reachable from here, and that the context's credentials are valid")}
	}
	all := []Finding{f.judgeIdentity()}
	all = append(all, f.judgeVersion()...)
	all = append(all, f.judgePermissions()...)
	all = append(all, f.judgeLogin(now), f.judgeClock())
	if f.Part.Source {
		all = append(all, f.judgeExports()...)
	}
	if f.Part.Target {
		all = append(all, f.judgeStrays()...)
	}
	if f.Dialed != nil {
		all = append(all, f.judgeDials()...)
	}
	return all
}

func (f Facts) judgeIdentity() Finding {
	if f.IdentityProblem != nil {
		return f.failed("identity", fmt.Sprintf("does not tell which cluster it is: %v", f.IdentityProblem), "let the token read Services, or run xcc link")
	}
	return f.passed("identity", fmt.Sprintf("is cluster %s", f.Identity.UID()))
}

func (f Facts) judgeVersion() []Finding {
	all := []Finding{f.passed("versions", "runs Kubernetes "+f.Version)}
	for _, kind := range f.Absent {
		switch {
		case kind == kindSlices && f.Part.Target:
			all = append(all, f.failed("versions", "does not serve "+kind, "update the cluster to Kubernetes 1.21 or newer"))
		case kind == kindSlices:
			all = append(all, f.warned("versions", "does not serve "+kind, "Endpoints are read instead, which hold at most 1,000 addresses of a Service"))
		case kind == kindCIDRs && f.Part.Target:
			all = append(all, f.warned("versions", "does not serve "+kind, "the range of its Service addresses is inferred; Kubernetes 1.33 and newer tell it"))
		case kind == kindPolicies && f.Part.Target:
			all = append(all, f.warned("versions", "does not serve "+kind, "nothing but RBAC bounds what xcc's token may write; Kubernetes 1.30 and newer have policies for it"))
		}
	}
	return all
}

func (f Facts) judgePermissions() []Finding {
	if f.PermissionProblem != nil {
		return []Finding{f.failed("permissions", fmt.Sprintf("can't be asked for permissions: %v", f.PermissionProblem), "see that the server answers")}
	}
	if len(f.Missing) == 0 {
		return []Finding{f.passed("permissions", fmt.Sprintf("gives all %d permissions", f.Asked))}
	}
	var all []Finding
	for _, p := range grouped(f.Missing) {
		finding := f.failed("permissions", "does not let the token "+p.String(), fmt.Sprintf("run xcc link, or apply manifests/%s", p.Manifest))
		if p.Without != "" {
			finding.Level, finding.Hint = Warning, finding.Hint+"; without it "+p.Without
		}
		all = append(all, finding)
	}
	return all
}

// loginWarning is how long before its end a credential is worth a word.
const loginWarning = 7 * 24 * time.Hour

func (f Facts) judgeLogin(now time.Time) Finding {
	left := f.Ends.Sub(now)
	switch {
	case f.Ends.IsZero():
		return f.passed("credentials", fmt.Sprintf("is logged in to by %s, without an end", f.Login))
	case left <= 0:
		return f.failed("credentials", fmt.Sprintf("is logged in to by a %s that ended at %s", f.Login, f.Ends.UTC().Format(time.RFC3339)), "renew it; xcc link writes a kubeconfig with tokens that do not end")
	case left < loginWarning:
		return f.warned("credentials", fmt.Sprintf("is logged in to by a %s that ends at %s", f.Login, f.Ends.UTC().Format(time.RFC3339)), "see that it is renewed by then; xcc link writes a kubeconfig with tokens that do not end")
	}
	return f.passed("credentials", fmt.Sprintf("is logged in to by a %s that ends at %s", f.Login, f.Ends.UTC().Format(time.RFC3339)))
}

// maxSkew is what clocks may be apart before people should look. xcc itself never compares clocks; certificates and
// tokens do.
const maxSkew = 30 * time.Second

func (f Facts) judgeClock() Finding {
	if f.Skew.Abs() <= maxSkew {
		return f.passed("clocks", "agrees with this host about the time")
	}
	direction := "ahead of"
	if f.Skew < 0 {
		direction = "behind"
	}
	return f.warned("clocks", fmt.Sprintf("has a clock %s %s this host's", f.Skew.Abs().Round(time.Second), direction), "see that both follow a time server: tokens and certificates count by the clock")
}

func (f Facts) judgeExports() []Finding {
	switch {
	case f.Exports.Problem != nil:
		return []Finding{f.failed("services", fmt.Sprintf("can't be looked at: %v", f.Exports.Problem), "see the other findings")}
	case !f.Exports.Known:
		return []Finding{f.warned("services", "was not looked at", "clear the failures above first")}
	}
	all := []Finding{f.passed("services", fmt.Sprintf("exports %d Services, of which %d can be mirrored whole", f.Exports.Count, f.Exports.Count-len(f.Exports.Hindered)))}
	for _, h := range f.Exports.Hindered {
		all = append(all, f.warned("services", fmt.Sprintf("%s: %s", h.Service, h.Reason), h.Message))
	}
	return all
}

func (f Facts) judgeStrays() []Finding {
	if !f.StraysKnown {
		return nil
	}
	var all []Finding
	for _, s := range f.Strays {
		text := fmt.Sprintf("has %d pointers from cluster %s (%s), which is neither side", s.Count, s.Cluster, s.Name)
		if s.Cluster == "" {
			text = fmt.Sprintf("has %d objects that carry xcc's label and no origin", s.Count)
		}
		all = append(all, f.warned("leftovers", text, "is another xcc mirroring from there? If not, delete them: they carry the label fair.com/cross-cluster=follower"))
	}
	if len(all) == 0 {
		return []Finding{f.passed("leftovers", "has no pointers from elsewhere")}
	}
	return all
}

func (f Facts) judgeDials() []Finding {
	if len(f.Dialed) == 0 {
		return []Finding{f.passed("dial", "exports no ready TCP endpoint to dial")}
	}
	var all []Finding
	failed := 0
	for _, d := range f.Dialed {
		if d.Problem != nil {
			failed++
			all = append(all, f.warned("dial", fmt.Sprintf("%s does not answer: %v", d.Address, d.Problem), "see routes, security groups and network policies between here and there"))
		}
	}
	if failed == len(f.Dialed) {
		all[0].Level = Failure
	}
	if failed < len(f.Dialed) {
		all = slices.Insert(all, 0, f.passed("dial", fmt.Sprintf("answers at %d of %d endpoints dialed from here", len(f.Dialed)-failed, len(f.Dialed))))
	}
	return all
}

// judgePair is what can be said about both clusters only.
func judgePair(a, b Facts) []Finding {
	if a.Identity.Same(b.Identity) {
		return []Finding{{Category: "identity", Level: Failure, Text: fmt.Sprintf("%s and %s are one cluster", a.Name, b.Name), Hint: "name two clusters with --context-a and --context-b"}}
	}
	var all []Finding
	for _, f := range []Facts{a, b} {
		switch {
		case f.NetworkProblem != nil:
			all = append(all, f.failed("network", fmt.Sprintf("can't be asked for its addresses: %v", f.NetworkProblem), "see that the server answers"))
		case f.NodesHidden:
			all = append(all, f.warned("network", "does not let the token list Nodes, so of its addresses only those of Services and exported endpoints are compared", "run the check with an administrator's contexts as well"))
		}
	}
	found := clashes(a.Ranges, b.Ranges)
	for _, c := range found {
		text := fmt.Sprintf("%s of %s overlaps %s of %s", c.a, a.Name, c.b, b.Name)
		if c.count > 1 {
			text += fmt.Sprintf(", and so do %d more", c.count-1)
		}
		all = append(all, Finding{Category: "network", Level: Failure, Text: text,
			Hint: "traffic for such an address ends at the wrong one; give one of the clusters other ranges"})
	}
	if len(found) == 0 {
		all = append(all, Finding{Category: "network", Level: Passed, Text: fmt.Sprintf("no address of %s is known to be one of %s", a.Name, b.Name)})
	}
	return all
}

func (f Facts) passed(category, text string) Finding {
	return Finding{Category: category, Level: Passed, Cluster: f.Name, Text: text}
}

func (f Facts) warned(category, text, hint string) Finding {
	return Finding{Category: category, Level: Warning, Cluster: f.Name, Text: text, Hint: hint}
}

func (f Facts) failed(category, text, hint string) Finding {
	return Finding{Category: category, Level: Failure, Cluster: f.Name, Text: text, Hint: hint}
}
