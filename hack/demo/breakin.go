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

// store is where the operator finds the store.
const store = "--store ../safe/store"

func (d *demo) alone() error {
	d.say("The operator tries without the keykeeper. Then with their own key in both places; as its first line says whose it is, that has to go.")
	if err := d.refused("operator", "strongroom restore erp "+store+" --to ../stolen --inner-key inner.key", 2); err != nil {
		return err
	}
	if err := d.refused("operator", "grep -v '^#' inner.key > other.key; strongroom restore erp "+store+" --to ../stolen --outer-key other.key --inner-key inner.key", 4); err != nil {
		return err
	}
	d.say("The keykeeper tries the same:")
	if err := d.refused("keykeeper", "grep -v '^#' outer.key > other.key; strongroom restore erp "+store+" --to ../stolen --outer-key outer.key --inner-key other.key", 4); err != nil {
		return err
	}
	d.say("Three refusals, and none of them wrote anything.")
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
func (d *demo) refused(folder, line string, status int) error {
	if _, err := d.shell(folder, line, status); err != nil {
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
	outer, inner := d.path("keykeeper/outer.key"), d.path("operator/inner.key")

	var keys []string // what age takes for an identity
	for _, key := range append(everything, inner, outer) {
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
	d.say("Now the seals themselves: stock age tries each of the safe's %s files as a key, and either person's. It finds %d keys (%s), and tries each on all %s sealed objects. No pack opens. The keykeeper's takes off outer seals, as it should; the inner seal beneath opens to the operator's, and to no other. %s attempts.",
		count(len(everything)), len(keys), strings.Join(names, ", "), count(len(objects)), count(t.attempts))
	return d.memory(t)
}

// innerSeals takes the outer seal off each envelope, as the keykeeper can, and
// tries all keys on the seal beneath. Only the operator's may open it, and has
// to: otherwise the attempts would prove nothing.
func (d *demo) innerSeals(t *thief, envelopes, keys []string, outer, inner string) error {
	sealed := d.path("keykeeper/inner-seal.age")
	for _, envelope := range envelopes {
		var opened bytes.Buffer
		if _, ok, err := t.try(outer, envelope, &opened); err != nil || !ok {
			return fmt.Errorf("the keykeeper's key does not open %s (%v)", envelope, err)
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
