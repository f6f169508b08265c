package export_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/safe"
	"strongroom/internal/web/assets"
	"strongroom/internal/web/export"
)

// site is a page of a safe whose keykeeper kim has a passkey for releases.
func site(t *testing.T) export.Site {
	t.Helper()
	team := accesstest.NewTeam(t, "bob:operator ada:keykeeper")
	kim := accesstest.NewPasskeyPerson(t, "kim", access.Keykeeper)
	team.Join(t, kim)
	return export.Site{Safe: "acme", Origin: "https://safe." + team.Roster.Domain + ":8443", Roster: team.Roster, First: safe.Digest{1}, Version: "v1"}
}

func files(t *testing.T, s export.Site) []export.File {
	t.Helper()
	all, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFilesAreTheSameForEverybody(t *testing.T) {
	s := site(t)
	a, b := files(t, s), files(t, s)
	if !slices.EqualFunc(a, b, func(a, b export.File) bool { return a.Name == b.Name && bytes.Equal(a.Content, b.Content) }) {
		t.Error("the same page has other files the second time")
	}
	s.Roster.Number++
	if export.Digest(files(t, s)) == export.Digest(a) {
		t.Error("the page of another version of the roster is the same")
	}
}

func TestPagesThatCannotBe(t *testing.T) {
	good := site(t)
	for _, tt := range []struct {
		name   string
		change func(*export.Site)
		want   error
	}{
		{"no passkeys", func(s *export.Site) { s.Roster = accesstest.NewTeam(t, "bob:operator ada:keykeeper").Roster }, export.ErrNoPasskeys},
		{"an address", func(s *export.Site) { s.Origin = "https://192.0.2.1:8443" }, export.ErrOrigin},
		{"another domain", func(s *export.Site) { s.Origin = "https://safe.not" + s.Roster.Domain }, export.ErrOrigin},
		{"in the clear", func(s *export.Site) { s.Origin = strings.Replace(s.Origin, "https", "http", 1) }, export.ErrOrigin},
		{"a path", func(s *export.Site) { s.Origin += "/safe" }, export.ErrOrigin},
		{"a name and what would end the policy", func(s *export.Site) { s.Origin += "; script-src *" }, export.ErrOrigin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := good
			tt.change(&s)
			if _, err := s.Files(); !errors.Is(err, tt.want) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
		})
	}
}

// TestStockToolsCheckThePage does what people are told to do.
func TestStockToolsCheckThePage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "page")
	if err := export.Write(dir, files(t, site(t))); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c", `cd "$0" && sha256sum --strict -c SHA256SUMS && test "$(ls | wc -l)" = "$(($(wc -l < SHA256SUMS) + 1))"`, dir).CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	out, err := exec.Command("sh", "-c", `cd "$0" && LC_ALL=C && sha256sum *.js | sha256sum`, dir).Output()
	if want := assets.Digest().String(); err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("the digest of the scripts is %s, %v, and that of the mails %s", out, err, want)
	}
}

// TestHeadersInExamples: each example sends each header.
func TestHeadersInExamples(t *testing.T) {
	s := site(t)
	for _, f := range files(t, s) {
		if f.Name != "nginx.conf" && f.Name != "Caddyfile" && f.Name != "README" {
			continue
		}
		for _, h := range s.Headers() {
			if text := string(f.Content); !strings.Contains(text, h.Name) || !strings.Contains(text, h.Value) {
				t.Errorf("%s does not send %s: %s", f.Name, h.Name, h.Value)
			}
		}
		if strings.Contains(string(f.Content), "%!") {
			t.Errorf("%s is not filled in:\n%s", f.Name, f.Content)
		}
	}
}

func TestWrite(t *testing.T) {
	s := site(t)
	old := files(t, s)
	s.Roster.Number++
	fresh := files(t, s)
	for _, tt := range []struct {
		name    string
		foreign string // "" if it may be written
		before  func(dir string) error
	}{
		{"nothing there", "", func(string) error { return nil }},
		{"an empty folder", "", func(dir string) error { return os.Mkdir(dir, 0o700) }},
		{"an older page", "", func(dir string) error { return export.Write(dir, old) }},
		{"the same page", "", func(dir string) error { return export.Write(dir, fresh) }},
		{"something else", "notes.txt", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600))
		}},
		{"a page and something else", "notes.txt", func(dir string) error {
			return errors.Join(export.Write(dir, old), os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600))
		}},
		{"a page with a folder", "more", func(dir string) error {
			return errors.Join(export.Write(dir, old), os.Mkdir(filepath.Join(dir, "more"), 0o700))
		}},
		{"a page that somebody has changed", "nginx.conf", func(dir string) error {
			return errors.Join(export.Write(dir, old), os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte("mine"), 0o600))
		}},
		{"files with sums that are no page", "README", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "README"), []byte("mine"), 0o600),
				os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(safe.DigestOf([]byte("mine")).String()+"  README\n"), 0o600))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "page")
			if err := tt.before(dir); err != nil {
				t.Fatal(err)
			}
			before := content(t, dir)
			err := export.Write(dir, fresh)
			var foreign *export.ForeignError
			if (err != nil) != (tt.foreign != "") || errors.As(err, &foreign) != (err != nil) || foreign != nil && foreign.Name != tt.foreign {
				t.Fatalf("the error is %v", err)
			}
			want := before
			if tt.foreign == "" {
				want = make(map[string]string)
				for _, f := range fresh {
					want[f.Name] = string(f.Content)
				}
			}
			got := content(t, dir)
			for name := range want {
				if got[name] != want[name] {
					t.Errorf("%s is another", name)
				}
			}
			if len(got) != len(want) {
				t.Errorf("there are %d files, want %d", len(got), len(want))
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) > 1 {
				t.Errorf("beside it lies %v, %v", left, err)
			}
		})
	}
}

// TestWriteThroughALink: where a web server looks by a link, the link stays.
func TestWriteThroughALink(t *testing.T) {
	s := site(t)
	parent := t.TempDir()
	link := filepath.Join(parent, "current")
	if err := errors.Join(export.Write(filepath.Join(parent, "page"), files(t, s)), os.Symlink("page", link)); err != nil {
		t.Fatal(err)
	}
	s.Roster.Number++
	if err := export.Write(link, files(t, s)); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != "page" {
		t.Errorf("the link leads to %s, %v", to, err)
	}
	if got := content(t, link)["SHA256SUMS"]; safe.DigestOf([]byte(got)) != export.Digest(files(t, s)) {
		t.Error("behind the link is the older page")
	}
}

// content returns what is in a folder; folders have none.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil && !e.IsDir() {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}
