package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/vaulttest"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/storetest"
)

// atHome gives the test a machine of its own: a home without anything in it.
func atHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"XDG_STATE_HOME", "XDG_CONFIG_HOME", "STRONGROOM_PROFILE", "STRONGROOM_PASSPHRASE_FILE", "SSH_AUTH_SOCK"} {
		t.Setenv(name, "")
	}
	return home
}

// called is what came of a call of the program.
type called struct {
	t              *testing.T
	args           []string
	code           int
	stdout, stderr string
}

func call(t *testing.T, args ...string) called {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return called{t, args, code, stdout.String(), stderr.String()}
}

// want fails unless the exit status is that, and each of the parts was said.
func (c called) want(code int, parts ...string) called {
	c.t.Helper()
	if c.code != code {
		c.t.Errorf("%q: exit status %d, want %d\n%s%s", c.args, c.code, code, c.stdout, c.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(c.stdout+c.stderr, part) {
			c.t.Errorf("%q does not say %q:\n%s%s", c.args, part, c.stdout, c.stderr)
		}
	}
	return c
}

// has fails unless the file has that content.
func has(t *testing.T, file, content string) {
	t.Helper()
	if b, err := os.ReadFile(file); err != nil || string(b) != content {
		t.Errorf("%s: %q, error %v; want %q", file, b, err, content)
	}
}

// twoPeriods returns a vault with a snapshot from before and one from after
// the role keys were changed; the second needs the runs of both.
func twoPeriods(t *testing.T, people string) (v *vaulttest.Vault, first, second safe.Snapshot) {
	t.Helper()
	v = vaulttest.New(t, people)
	first = v.Keep(storetest.File("srv/old", "from before\n"), storetest.File("srv/changes", "one\n"))
	chunks := v.Chunks(first, "srv/old") // while its keys are those of the store
	v.NewPeriod()
	old := storetest.File("srv/old", "")
	old.Chunks = chunks
	second = v.Keep(old, storetest.File("srv/changes", "two!\n"), storetest.File("srv/new", "new\n"))
	return v, first, second
}

func TestTwoPersonalKeysOpenAStore(t *testing.T) {
	at := atHome(t)
	v, first, _ := twoPeriods(t, "ada:keykeeper bob:operator eve:keykeeper")
	v.Change(func(r *access.Roster) { // eve leaves
		r.People = slices.DeleteFunc(r.People, func(p access.Person) bool { return p.Name == "eve" })
		for i, p := range r.Periods {
			r.Periods[i].OuterCopies = slices.DeleteFunc(slices.Clone(p.OuterCopies), func(c access.Copy) bool { return c.Person == "eve" })
		}
	})
	folder := filepath.Join(at, "store")
	v.Write(folder)
	file := func(name safe.PersonName) string {
		return vaulttest.WriteKey(t, filepath.Join(at, string(name)), v.People[name].Identity)
	}
	ada, bob, eve := file("ada"), file("bob"), file("eve")
	outer, inner := vaulttest.WriteKey(t, filepath.Join(at, "outer"), v.Outer), vaulttest.WriteKey(t, filepath.Join(at, "inner"), v.Inner)
	stranger := vaulttest.WriteKey(t, filepath.Join(at, "stranger"), accesstest.NewPerson(t, "mallory", access.Keykeeper).Identity)
	typed := filepath.Join(at, "typed") // from paper
	if err := os.WriteFile(typed, []byte(v.People["bob"].Identity.PrivateLine()+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	with := func(command, outer, inner string, more ...string) called {
		t.Helper()
		return call(t, append([]string{command, "--store", folder, "--outer-key", outer, "--inner-key", inner}, more...)...)
	}

	to := filepath.Join(at, "restored")
	with("restore", ada, typed, "erp-files", "--to", to).want(0, "copies of the role key are those of ada in version 4 of the roster", "those of bob in version 4")
	has(t, filepath.Join(to, "srv/old"), "from before\n")
	has(t, filepath.Join(to, "srv/new"), "new\n")
	with("cat", ada, bob, first.Run.String(), "srv/old").want(0, "from before\n")
	// What eve could open once, she can open as long as somebody gives her a
	// copy of the store. Better to say so than to pretend.
	with("cat", eve, bob, "erp-files", "srv/old").want(0, "those of eve in version 3 of the roster")
	with("cat", ada, inner, "erp-files", "srv/new").want(0, "new\n")
	with("cat", outer, typed, "erp-files", "srv/new").want(0, "new\n")
	with("cat", ada, inner, first.Run.String(), "srv/old").want(4, "sealed to another key")

	with("ls", stranger, bob, "erp-files").want(4, "stands in no version of the roster")
	with("ls", bob, ada, "erp-files").want(2, "the keys are swapped", "--outer-key "+ada+" --inner-key "+bob)
	with("ls", typed, bob, "erp-files").want(2, "typed is the personal key of bob, who has no copy of the outer role key")
	with("ls", ada, ada, "erp-files").want(2, "ada, who has no copy of the inner role key")
}

// TestForgedRosterIsNotBelieved replaces the newest version of the roster in a
// store: the keys in it are then not those of people.
func TestForgedRosterIsNotBelieved(t *testing.T) {
	at := atHome(t)
	v, _, _ := twoPeriods(t, "ada:keykeeper bob:operator")
	mallory := accesstest.NewPerson(t, "mallory", access.Keykeeper)
	folder := filepath.Join(at, "store")
	v.Write(folder)
	forged := accesstest.Reread(t, v.Roster)
	forged.People[0].Name, forged.People[0].Key = "mallory", mallory.Key
	forged.People[0], forged.People[1] = forged.People[1], forged.People[0]
	for i := range forged.Periods {
		sealed, err := v.Outer.SealTo(mallory.Key, accesstest.Start)
		if err != nil {
			t.Fatal(err)
		}
		forged.Periods[i].OuterCopies = []access.Copy{{Person: "mallory", Sealed: sealed}}
	}
	name := filepath.Join(folder, layout.Roster(forged.Number))
	for _, name := range []string{name, layout.Copy(name)} {
		if err := os.WriteFile(name, accesstest.Reread(t, forged).Encode(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outer := vaulttest.WriteKey(t, filepath.Join(at, "mallory"), mallory.Identity)
	inner := vaulttest.WriteKey(t, filepath.Join(at, "bob"), v.People["bob"].Identity)
	call(t, "ls", "erp-files", "--store", folder, "--outer-key", outer, "--inner-key", inner).
		want(4, "stands in no version of the roster", "it is not the roster that the ledger recorded")
	// The version before it does for ada, as far as it goes.
	ada := vaulttest.WriteKey(t, filepath.Join(at, "ada"), v.People["ada"].Identity)
	call(t, "ls", "erp-files@2026-11-21", "--store", folder, "--outer-key", ada, "--inner-key", inner).want(0, "srv/old", "in version 2 of the roster")
}
