package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// store is where the store is, as seen from another machine.
const store = "--store ../safe/store"

func (d *demo) alone() error {
	d.say("Otto tries without Kim. The gate at which operators read is not there, and he cannot release to himself:")
	if err := shut(d.safe.gate); err != nil {
		return err
	}
	if err := d.refused(d.otto.machine, "strongroom restore erp --from opening --to ../stolen"+unlock, 1, "no opening of yours is open"); err != nil {
		return err
	}
	if err := d.refused(d.otto.machine, "sftp -P "+port(d.safe.gate)+" otto@"+addressOfSafe, 255, "Connection refused"); err != nil {
		return err
	}
	if err := d.refused(d.otto.machine, "strongroom opening release --yes", 4, "only keykeepers release"); err != nil {
		return err
	}
	d.say("Suppose that he gets hold of the store, all of it. He types in the key from his paper page, and tries it in both places:")
	for _, p := range []*person{d.otto, d.kim} {
		if err := d.typeIn(p, filepath.Join(p.machine, "typed.key")); err != nil {
			return err
		}
	}
	const both = "strongroom restore erp " + store + " --to ../stolen --outer-key typed.key --inner-key typed.key"
	if err := d.refused(d.otto.machine, both, 2, "no copy of the outer role key"); err != nil {
		return err
	}
	d.say("Kim tries the same, and to ask for an opening herself:")
	if err := d.refused(d.kim.machine, both, 2, "no copy of the inner role key"); err != nil {
		return err
	}
	if err := d.refused(d.kim.machine, "strongroom opening request --snapshot erp --hours 1 --reason curiosity", 4, "only operators ask"); err != nil {
		return err
	}
	d.say("Six refusals, and none of them wrote anything.")
	if err := d.burgle(); err != nil {
		return err
	}
	d.say("Whoever has all of the safe may look for the name of a file that is in it, and for a word of its text. In production they are found at once; in the safe, nowhere:")
	if _, err := d.shell("production", "grep -rl -e "+secretName+" -e "+secretWord+" srv", 0); err != nil {
		return err
	}
	_, err := d.shell("safe", "grep -rla -e "+secretName+" -e "+secretWord+" .", 1)
	return err
}

// refused runs what must be refused with that exit status, and must not write.
func (d *demo) refused(machine, line string, status int, because string) error {
	if err := d.says(machine, line, status, because); err != nil {
		return err
	}
	if _, err := os.Lstat(d.path("stolen")); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("$ %s\nwas refused, and wrote to demo/stolen all the same", line)
	}
	return nil
}

// A thief tries keys on sealed files, with stock age.
type thief struct {
	age      string
	attempts int
}

// try says whether age takes key for an identity, and whether that opens the
// sealed file. What it opens is written to out.
func (t *thief) try(key, sealed string, out io.Writer) (identity, opened bool, err error) {
	t.attempts++
	var said strings.Builder
	cmd := exec.Command(t.age, "--decrypt", "--identity", key, sealed)
	cmd.Stdout, cmd.Stderr = out, &said
	// Without a terminal, age cannot ask for passphrases.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return false, false, err
	}
	return err == nil || strings.Contains(said.String(), "no identity matched"), err == nil, nil
}

// burgle tries everything in the safe, and one person's key, as keys to
// everything that is sealed.
func (d *demo) burgle() error {
	t := &thief{age: filepath.Join(filepath.Dir(d.home), "bin/age")}
	everything, err := filesBelow(d.path("safe"))
	if err != nil {
		return err
	}
	objects, err := filesBelow(d.path("safe/store/runs"))
	if err != nil {
		return err
	}
	envelopes := slices.DeleteFunc(slices.Clone(objects), func(path string) bool { return filepath.Ext(path) != ".age" })
	if err := d.unseal(d.kim, "keykeeper/typed.key", "thief/outer.key"); err != nil {
		return err
	}
	if err := d.unseal(d.otto, "operator/typed.key", "thief/inner.key"); err != nil {
		return err
	}
	outer, inner := d.path("thief/outer.key"), d.path("thief/inner.key")
	peoples := []string{d.path("keykeeper/typed.key"), outer, d.path("operator/typed.key"), inner}

	var keys []string // what age takes for an identity
	for _, key := range append(everything, peoples...) {
		identity, _, err := t.try(key, envelopes[0], io.Discard)
		if err != nil {
			return err
		}
		if identity {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		for _, sealed := range objects {
			if d.ctx.Err() != nil {
				return d.ctx.Err()
			}
			_, opened, err := t.try(key, sealed, io.Discard)
			if err != nil {
				return err
			}
			if expected := key == outer && slices.Contains(envelopes, sealed); opened != expected {
				return fmt.Errorf("%s as a key to %s: opened is %v, and should be %v", key, sealed, opened, expected)
			}
		}
	}
	if err := d.innerSeals(t, envelopes, keys, outer, inner); err != nil {
		return err
	}
	names := []string{}
	for _, key := range keys {
		name, err := filepath.Rel(d.home, key)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	d.say("Now the seals themselves. A thief has all of the safe, and either person's own key and role key. Stock age tries these and each of the safe's %s files as a key. It finds %d keys (%s), and tries each on all %s sealed objects. No pack opens. The outer key takes off outer seals, as it should; the inner seal beneath opens to the inner key, and to no other. %s attempts.",
		count(len(everything)), len(keys), strings.Join(names, ", "), count(len(objects)), count(t.attempts))
	return d.memory(t)
}

// unseal opens a person's copy of their role key, which is in the roster, with
// the person's key and stock tools.
func (d *demo) unseal(p *person, key, to string) error {
	if err := os.MkdirAll(filepath.Dir(d.path(to)), 0o700); err != nil {
		return err
	}
	_, err := d.quietly(".", fmt.Sprintf(`jq -r '.periods[-1].%s_copies[] | select(.person == "%s").sealed' safe/store/roster/2.json | base64 -d | age -d -i %s > %s`, p.roleKey, p.name, key, to), 0)
	return err
}

// innerSeals takes the outer seal off each envelope, as Kim can, and tries all
// keys on the seal beneath. Only the inner key may open it, and has to:
// otherwise the attempts would prove nothing.
func (d *demo) innerSeals(t *thief, envelopes, keys []string, outer, inner string) error {
	sealed := d.path("thief/inner-seal.age")
	for _, envelope := range envelopes {
		var opened bytes.Buffer
		if _, ok, err := t.try(outer, envelope, &opened); err != nil || !ok {
			return fmt.Errorf("the outer key does not open %s (%v)", envelope, err)
		}
		var layer struct {
			Inner []byte `json:"inner"`
		}
		if err := json.Unmarshal(opened.Bytes(), &layer); err != nil {
			return fmt.Errorf("reading what is beneath the outer seal of %s: %w", envelope, err)
		}
		if err := os.WriteFile(sealed, layer.Inner, 0o600); err != nil {
			return err
		}
		for _, key := range keys {
			if _, ok, err := t.try(key, sealed, io.Discard); err != nil || ok != (key == inner) {
				return fmt.Errorf("%s as a key to the inner seal of %s: opened is %v (%v)", key, envelope, ok, err)
			}
		}
	}
	return os.Remove(sealed)
}

// memory shows what the safe can read, so that nobody believes that it were
// nothing.
func (d *demo) memory(t *thief) error {
	memories, err := filesBelow(d.path("safe/state/memory"))
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for _, m := range memories {
		if _, ok, err := t.try(d.path("safe/state/keys/memory.key"), m, &all); err != nil || !ok {
			return fmt.Errorf("the safe's memory %s does not open with its own key (%v)", m, err)
		}
	}
	knows := func(s string) bool { return bytes.Contains(all.Bytes(), []byte(s)) }
	if !knows(filepath.Base(newFile)) || !knows(secretName) || knows(filepath.Base(lostFile)) || knows(secretWord) {
		return errors.New("the safe's memory is not what it is said to be: the names of the newest snapshot, nothing older, and no content")
	}
	d.say("One thing the safe can read, and has to: memory.key opens its memory of each source's newest snapshot, by which it knows what is new. That has names, sizes, times and keyed digests, nothing older, and no content: the name of the contract that was deleted is gone from it.")
	return nil
}

// filesBelow lists the regular files below a folder.
func filesBelow(folder string) (files []string, err error) {
	err = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}
