//go:build linux

package estatetest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/estate/estatetest"
)

// What runs on a host sees another, and can do nothing to this machine.
func TestHosts(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Run("while they run", func(t *testing.T) {
		n := estatetest.New(t, "10.77.0.1/24", "/usr/bin/nsenter", "/usr/sbin/ip", "/usr/sbin/pivot_root")
		files := t.TempDir()
		if err := os.MkdirAll(filepath.Join(files, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(files, "etc/motd"), []byte("welcome"), 0o644); err != nil {
			t.Fatal(err)
		}
		a, b := n.Host("a", "10.77.0.2/24", files), n.Host("b", "10.77.0.3/24", files)
		a.Write("/etc/issue", "this is a")
		if got := a.Run("sh", "-c", "cat /etc/motd /etc/issue /proc/sys/kernel/hostname; ls /etc"); got != "welcomethis is aa\nissue\nmotd\n" {
			t.Errorf("a has %q", got)
		}
		if out, err := a.Command("touch", "/usr/estate").CombinedOutput(); err == nil || !strings.Contains(string(out), "Read-only") {
			t.Errorf("a writes to /usr: %v: %s", err, out)
		}
		if out := a.Run("cut", "-d ", "-f5", "/proc/self/mountinfo"); strings.Contains(out, "/old") || strings.Contains(out, "/tmp/") {
			t.Errorf("a has mounts of this machine:\n%s", out)
		}
		if out := a.Run("sh", "-c", "echo /proc/[0-9]*"); strings.Count(out, "/proc/") > 5 {
			t.Errorf("a sees processes of this machine: %s", out)
		}
		b.Serve("/usr/bin/python3", "-m", "http.server", "--directory", "/etc", "80")
		a.Await("curl", "--silent", "http://10.77.0.3/motd")
		if out, err := n.Command("curl", "--silent", "http://10.77.0.3/motd").Output(); err != nil || string(out) != "welcome" {
			t.Errorf("the bridge gets %q, %v", out, err)
		}
		if out := a.Run("ip", "route"); strings.Contains(out, "default") {
			t.Errorf("a has a way out: %s", out)
		}
	})
	if out, err := exec.Command("ip", "-brief", "link").Output(); err != nil || strings.Contains(string(out), "to-a") {
		t.Errorf("the network is left: %v\n%s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(temporary, "estate-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
}
