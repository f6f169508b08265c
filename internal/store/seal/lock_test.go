package seal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const passphrase = "otter lantern quiet harvest"

// quickWork makes the tests quick; TestLocked alone works as much as people do.
const quickWork = 4

func locked(t testing.TB, i PersonalIdentity, work int) string {
	t.Helper()
	return keyFile(t, func(w io.Writer) error { return i.writeLocked(w, passphrase, made, work) })
}

// TestLocked looks at how much work it is to try a passphrase.
func TestLocked(t *testing.T) {
	t.Parallel()
	key := must(NewPersonalIdentity())(t)
	file := keyFile(t, func(w io.Writer) error { return key.WriteLocked(w, passphrase, made) })
	header := string(must(io.ReadAll(armor.NewReader(strings.NewReader(file))))(t))
	stanza := strings.Fields(strings.Split(header, "\n")[1]) // -> scrypt SALT WORK
	if len(stanza) != 4 || stanza[1] != "scrypt" || stanza[3] != "18" {
		t.Errorf("the file is locked by %q, want scrypt with a work factor of 18", stanza)
	}
}

// TestLockedForm reads the file as a program does that knows only age.
func TestLockedForm(t *testing.T) {
	key := must(NewPersonalIdentity())(t)
	file := locked(t, key, quickWork)
	again, err := OpenLocked(strings.NewReader(file), passphrase)
	if err != nil || again.Recipient() != key.Recipient() {
		t.Errorf("another key was opened than was locked, error %v", err)
	}
	if !strings.HasPrefix(file, armor.Header+"\n") || !strings.HasSuffix(file, armor.Footer+"\n") {
		t.Errorf("not armored:\n%s", file)
	}
	lock := must(age.NewScryptIdentity(passphrase))(t)
	plain := must(age.Decrypt(armor.NewReader(strings.NewReader(file)), lock))(t)
	want := keyFile(t, func(w io.Writer) error { return key.Write(w, made) })
	if got := must(io.ReadAll(plain))(t); string(got) != want {
		t.Errorf("within is\n%s\nwant\n%s", got, want)
	}
}

func TestCheckPassphrase(t *testing.T) {
	for _, tt := range []struct{ name, s, want string }{
		{"words", passphrase, ""},
		{"as short as may be", "twelve chars", ""},
		{"letters of two bytes", "äöüßäöüßäöüß", ""},
		{"none", "", "there is no passphrase"},
		{"blanks", strings.Repeat(" ", 20), "there is no passphrase"},
		{"one too few", "eleven char", "has 11 characters and needs 12"},
		{"bytes are not characters", "äöüßäö", "has 6 characters"},
		{"blanks at the ends", "  secret      ", "has 6 characters"},
		{"a line break", "otter lantern\nquiet", "cannot be typed"},
		{"not text", "otter lantern \xff\xfe", "cannot be typed"},
	} {
		checkParse(t, tt.name, tt.want, func() error { return CheckPassphrase(tt.s) })
		checkParse(t, tt.name+", locking", tt.want, func() error {
			return must(NewPersonalIdentity())(t).writeLocked(io.Discard, tt.s, made, quickWork)
		})
	}
}

func TestOpenLockedRefuses(t *testing.T) {
	key := must(NewPersonalIdentity())(t)
	good := locked(t, key, quickWork)
	armored := func(content string, to age.Recipient) string {
		var file bytes.Buffer
		a := armor.NewWriter(&file)
		w := must(age.Encrypt(a, to))(t)
		io.WriteString(w, content)
		w.Close()
		a.Close()
		return file.String()
	}
	quick := must(age.NewScryptRecipient(passphrase))(t)
	quick.SetWorkFactor(quickWork)
	line := key.PrivateLine()
	outer := must(NewOuterIdentity())(t)

	for _, tt := range []struct{ name, file, want string }{
		{"nothing", "", "not a key file that was locked"},
		{"a key that was never locked", line, "not a key file that was locked"},
		{"a key within armor", armor.Header + "\n" + line + "\n" + armor.Footer, "not a key file that was locked"},
		{"sealed to a key", armored(line, key.key.Recipient()), "not a key file that was locked"},
		{"cut", good[:len(good)/2], "not a key file that was locked"},
		{"something after it", good + line, "not a key file that was locked"},
		{"too large", good + strings.Repeat("\n", maxLocked), "are not a locked key file"},
		{"a role key", armored(keyFile(t, func(w io.Writer) error { return outer.Write(w, made) }), quick), "says that it is another key"},
		{"no key", armored("", quick), "there is no key"},
		{"more work than is done", locked(t, key, quickWork+1), "work factor too large"},
	} {
		_, err := parseLocked([]byte(tt.file), passphrase, quickWork)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), line[20:40]) {
			t.Errorf("%s: the error repeats a part of the key: %v", tt.name, err)
		}
	}
	for _, wrong := range []string{"", passphrase + " ", strings.ToUpper(passphrase)} {
		if _, err := OpenLocked(strings.NewReader(good), wrong); !errors.Is(err, ErrPassphrase) {
			t.Errorf("passphrase %q: got %v, want ErrPassphrase", wrong, err)
		}
	}
}

// TestStockAgeOpensLocked lets the program age ask for the passphrase at a
// terminal, which script(1) plays.
func TestStockAgeOpensLocked(t *testing.T) {
	program := stockAge(t)
	script, err := exec.LookPath("script")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no script(1) to play a terminal: %v", err)
		}
		t.Skipf("no script(1) to play a terminal: %v", err)
	}
	key := must(NewPersonalIdentity())(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key.locked"), []byte(locked(t, key, quickWork)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script, "-qec", program+" -d -o key key.locked", os.DevNull)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(passphrase + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("age -d: %v\n%s", err, out)
	}
	file := must(os.ReadFile(filepath.Join(dir, "key")))(t)
	again := must(ReadPersonalIdentity(bytes.NewReader(file)))(t)
	if again.Recipient() != key.Recipient() {
		t.Error("age opened another key")
	}
}

func FuzzLocked(f *testing.F) {
	key := must(NewPersonalIdentity())(f)
	f.Add([]byte(locked(f, key, quickWork)))
	f.Add([]byte(armor.Header + "\nAAAA\n" + armor.Footer + "\n"))
	f.Add([]byte(key.PrivateLine()))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := parseLocked(b, passphrase, quickWork)
		if err != nil {
			return
		}
		again := locked(t, PersonalIdentity{i}, quickWork)
		if j, err := parseLocked([]byte(again), passphrase, quickWork); err != nil || j.public() != i.public() {
			t.Errorf("a key that was opened from %q cannot be locked and opened again: %v", b, err)
		}
	})
}
