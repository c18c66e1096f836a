package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unit is the file in this folder.
const unit = "xcc@.service"

// TestUnit: systemd itself says whether it understands every line, and how little a service in it may do.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is missing; Debian's package systemd has it")
	}
	t.Run("systemd understands every line", func(t *testing.T) {
		if output := analyze(t, "verify", "--man=no", installed(t)); output != "" {
			t.Errorf("systemd-analyze verify has something to say:\n%s", output)
		}
	})
	t.Run("its exposure is at most 1.5 of 10", func(t *testing.T) {
		analyze(t, "security", "--offline=true", "--threshold=15", installed(t))
	})
}

// installed is a copy of the unit on a host where its program is installed.
func installed(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(content), "=/usr/bin/xcc ") != 1 {
		t.Fatalf("%s does not run /usr/bin/xcc", unit)
	}
	path := filepath.Join(t.TempDir(), "xcc@prod.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(content), "/usr/bin/xcc", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func analyze(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "systemd-analyze", arguments...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return string(output)
}
