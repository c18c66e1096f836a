package sync

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVerdictIsLoggedOncePerChange(t *testing.T) {
	mirrored, withdrawn := Verdict{State: Mirrored}, Verdict{State: Withdrawn}
	conflict, missing := refused(Conflict, "a Service is there"), refused(NamespaceMissing, "no namespace")
	failed, failedElse := pending(WriteFailed, "quota"), pending(WriteFailed, "webhook")
	unproven := unproven(errors.New("no route to host"))
	tests := []struct {
		name     string
		verdicts []Verdict
		want     []string
	}{
		{"what goes well is not worth a line", []Verdict{mirrored, mirrored, withdrawn, mirrored}, nil},
		{"a refusal is told once", []Verdict{conflict, conflict, conflict}, []string{"warning " + conflict.String()}},
		{"another refusal is told too", []Verdict{conflict, missing}, []string{"warning " + conflict.String(), "warning " + missing.String()}},
		{"so is the end of one", []Verdict{conflict, mirrored, mirrored}, []string{"warning " + conflict.String(), "info " + mirrored.String()}},
		{"also where the source gave up", []Verdict{conflict, withdrawn}, []string{"warning " + conflict.String(), "info " + withdrawn.String()}},
		{"a failure is told once", []Verdict{failed, failed}, []string{"error " + failed.String()}},
		{"another cause of a failure is told too", []Verdict{failed, failedElse}, []string{"error " + failed.String(), "error " + failedElse.String()}},
		{"a failure that ends is told", []Verdict{failed, mirrored}, []string{"error " + failed.String(), "info " + mirrored.String()}},
		{"an unreachable source is told once by the cluster, not by each name", []Verdict{unproven, unproven}, []string{"debug " + unproven.String()}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			for _, verdict := range test.verdicts {
				b.mirror.record(web, verdict)
			}
			var got []string
			for _, entry := range b.log.AllEntries() {
				if entry.Data["service"] != web {
					t.Errorf("the line is about %v", entry.Data["service"])
				}
				got = append(got, entry.Level.String()+" "+entry.Message)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerdictsOfWithdrawnNamesAreForgotten(t *testing.T) {
	b := newBench(t)
	b.mirror.record(web, Verdict{State: Mirrored})
	b.mirror.record(Key{Namespace: "shop", Name: "gone"}, Verdict{State: Mirrored})
	b.mirror.record(Key{Namespace: "shop", Name: "gone"}, Verdict{State: Withdrawn})
	if diff := cmp.Diff(map[Key]Verdict{web: {State: Mirrored}}, b.mirror.Verdicts()); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestVerdictAsText(t *testing.T) {
	tests := []struct {
		name    string
		verdict Verdict
		want    string
	}{
		{"a state alone", Verdict{State: Mirrored}, "Mirrored"},
		{"a state with its reason", Verdict{State: Refused, Reason: Held}, "Refused Held"},
		{"all of it", refused(Conflict, "%d Services", 2), "Refused Conflict: 2 Services"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.verdict.String(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
