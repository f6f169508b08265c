package promise

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/store/layout"
)

// A thing is what a file is restored with.
type thing struct {
	Mode     fs.FileMode
	UID, GID uint32
	MTime    time.Time
	Content  string // or the target of a link
}

// things returns what is beneath a folder.
func things(t *testing.T, folder string) map[string]thing {
	t.Helper()
	all := map[string]thing{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		th := thing{Mode: info.Mode(), UID: st.Uid, GID: st.Gid, MTime: info.ModTime()}
		switch {
		case info.Mode().IsRegular():
			th.Content = string(mustRead(t, path))
		case info.Mode()&fs.ModeSymlink != 0:
			if th.Content, err = os.Readlink(path); err != nil {
				return err
			}
		}
		rel, _ := filepath.Rel(folder, path)
		all[rel] = th
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// malice returns files that do something where they are run, unpacked, or put
// into a command line. What they do can be seen by a file called done.
func malice(t *testing.T, done string) map[string]string {
	t.Helper()
	var tarball, bomb bytes.Buffer
	tw := tar.NewWriter(&tarball)
	err := tw.WriteHeader(&tar.Header{Name: "../../../../../../" + done, Size: 4, Mode: 0o644})
	if err == nil {
		_, err = tw.Write([]byte("done"))
	}
	if err == nil {
		err = tw.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	zw := zip.NewWriter(&bomb)
	w, err := zw.Create("../../../../../../" + done)
	if err == nil {
		_, err = w.Write(make([]byte, 16<<20))
	}
	if err == nil {
		err = zw.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ntouch " + done + "\n"
	return map[string]string{
		"evil.tar": tarball.String(), "bomb.zip": bomb.String(), "script": script, ".profile": script, "cron.d/job": "* * * * * root " + script,
		";touch " + strings.ReplaceAll(done, "/", "\\057") + ";": script,
		"$(touch done)": script, "`touch done`": script, "|touch done": script, "-rf": script, "--help": "", "*": "", "...": "",
		"a b\tc": "", "two\nlines": "", "\x1b[31mred": "", "%s%n": "", "not\xffutf8": "", "'\"\\": "",
	}
}

var executed = regexp.MustCompile(`execve(?:at)?\("([^"]*)", \[(.*?)\]`)

// traced runs a command and returns the command lines of all programs that
// were started, its own first, or nil if there is no strace on this machine.
func (s *site) traced(args ...string) (result, []string) {
	s.t.Helper()
	cmd := s.command(args...)
	strace, err := exec.LookPath("strace")
	if err != nil {
		return s.finish(cmd), nil
	}
	log := filepath.Join(s.t.TempDir(), "log")
	cmd.Path, cmd.Args = strace, append([]string{"strace", "-f", "-qq", "-s", "200", "-e", "trace=execve,execveat", "-o", log}, cmd.Args...)
	r := s.finish(cmd)
	var started []string
	for _, m := range executed.FindAllStringSubmatch(string(mustRead(s.t, log)), -1) {
		var words []string
		for word := range strings.SplitSeq(m[2], ", ") {
			words = append(words, strings.Trim(word, `"`))
		}
		started = append(started, strings.Join(words[1:], " "))
	}
	return r, started
}

// TestWhatIsCollectedIsInert collects what is made to do harm, and looks for
// the harm.
func TestWhatIsCollectedIsInert(t *testing.T) {
	needRoot(t) // or set-user-ID bits and owners cannot be restored
	server := sshdtest.ForTest(t, sshdtest.Options{})
	folder := t.TempDir()
	done := filepath.Join(t.TempDir(), "done")
	write(t, folder, malice(t, done))
	arm(t, folder)
	s := newSite(t, sftpSource("evil", server, folder, ""))

	r, started := s.traced("collect", "evil")
	if r.code != 0 {
		t.Fatal(r)
	}
	config := s.path("host/strongroom.yaml")
	if diff := cmp.Diff([]string{"-c " + config + " collect evil", "child runkey", "child collect"}, started); started != nil && diff != "" {
		t.Errorf("programs started by a collection (-want +got):\n%s", diff)
	}
	s.holdsOnlyItsOwn("evil")
	if _, err := os.Lstat(done); err == nil {
		t.Error("what was collected has done something")
	}

	out := t.TempDir()
	r, started = s.traced("restore", "evil", "--to", out, "--outer-key", s.path("keys/outer"), "--inner-key", s.path("keys/inner"))
	if r.code != 0 {
		t.Fatal(r)
	}
	if len(started) > 1 {
		t.Errorf("programs started by a restore: %q", started)
	}
	want, got := things(t, folder), things(t, filepath.Join(out, folder))
	for name, th := range want {
		// This is all that SFTP tells of a time.
		th.MTime = th.MTime.Truncate(time.Second)
		want[name] = th
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
	if _, err := os.Lstat(done); err == nil {
		t.Error("what was restored has done something")
	}
}

// arm adds what a map of contents cannot say.
func arm(t *testing.T, folder string) {
	t.Helper()
	program := mustRead(t, "/bin/true")
	for name, mode := range map[string]fs.FileMode{"setuid": fs.ModeSetuid | 0o755, "setgid": fs.ModeSetgid | 0o755, "script": 0o755, "sticky": fs.ModeSticky | 0o644} {
		path := filepath.Join(folder, name)
		if name != "script" {
			if err := os.WriteFile(path, program, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link-up": "../../../../etc/passwd", "link-abs": "/etc/cron.d", "link-self": "link-self"} {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// holdsOnlyItsOwn fails if there is a file on the safe that is none of those
// that a safe has.
func (s *site) holdsOnlyItsOwn(source string) {
	s.t.Helper()
	known := regexp.MustCompile(`^(strongroom\.yaml|dir/(state\.db(-wal|-shm)?|state\.lock|keys/(ledger\.key|memory\.key|gate\.key|secret)|locks/` + source +
		`|memory/` + source + `/[0-9a-f-]{36}/(lines-\d+|tags|index|checkpoint-\d+|chunks-\d+)\.age))$`)
	everyFile(s.t, s.path("host"), func(path string) {
		rel, _ := filepath.Rel(s.path("host"), path)
		if object, ok := strings.CutPrefix(rel, "store/"); ok && layout.Parse(object).Kind != layout.Unknown || known.MatchString(rel) {
			return
		}
		s.t.Errorf("there is a file %s on the safe", rel)
	})
}
