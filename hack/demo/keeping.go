package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"strongroom/internal/source/sftp/sshdtest"
)

// leastFiles is how many make a demonstration that convinces.
const leastFiles = 10_000

func (d *demo) opens() error {
	trees, err := realFiles()
	if err != nil {
		return err
	}
	folder := d.path("production/srv/erp")
	if err := furnish(folder); err != nil {
		return fmt.Errorf("making files: %w", err)
	}
	wages := d.path("production/srv/payroll")
	if err := furnishPayroll(wages); err != nil {
		return fmt.Errorf("making files: %w", err)
	}
	keys := d.path("production/ssh")
	if err := os.Mkdir(keys, 0o700); err != nil {
		return err
	}
	server, err := sshdtest.Start(keys, sshdtest.Options{})
	if err != nil {
		return err
	}
	d.production = &production{server: server, folder: folder, sources: map[string][]string{erp: {folder}, files: trees, payroll: {wages}}}
	all, err := d.production.inventory()
	if err != nil {
		return err
	}
	ours, oursBytes := all[erp].totals()
	small, smallBytes := all[payroll].totals()
	real, realBytes := all[files].totals()
	if real < leastFiles {
		return fmt.Errorf("%s hold %d files; to convince anybody it takes %d", strings.Join(trees, ", "), real, leastFiles)
	}
	d.say("All of this happens in ./demo; a prompt names the machine, and so the folder of it, on which a command is typed.")
	d.say("An OpenSSH server on %s plays the production host. It lets one key in, to read over SFTP and for nothing else. Three sources are to be kept:", server.Addr)
	d.item("%-7s  %s files, %s, made up: production/srv/erp, where people work", erp, count(ours), size(oursBytes))
	d.item("%-7s  %s files, %s, made up: production/srv/payroll", payroll, count(small), size(smallBytes))
	d.item("%-7s  %s files, %s, real: %s", files, count(real), size(realBytes), strings.Join(trees, ", "))
	return nil
}

// A snapshot is what "snapshots --json" says about one.
type snapshot struct {
	Type        string    `json:"type"`
	Source      string    `json:"source"`
	Run         string    `json:"run"`
	Started     time.Time `json:"started"`
	Entries     int64     `json:"entries"`
	Bytes       int64     `json:"bytes"`
	NewBytes    int64     `json:"new_bytes"`
	StoredBytes int64     `json:"stored_bytes"`
	ParityBytes int64     `json:"parity_bytes"`
	Partial     bool      `json:"partial"`
	Proven      bool      `json:"proven"`
}

// collect is the nth night: it collects everything, and compares what the safe
// says about it with what is there.
func (d *demo) collect(n int) error {
	there, err := d.production.inventory()
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := d.shell("safe", "strongroom collect --all", 0); err != nil {
		if said := d.production.server.Log(); said != "" {
			err = fmt.Errorf("%w\nThe SSH server says: %s", err, said)
		}
		return err
	}
	night := night{files: there, kept: make(map[string]snapshot), seconds: time.Since(began).Seconds()}
	out, err := d.quietly("safe", "strongroom snapshots --json", 0)
	if err != nil {
		return err
	}
	found := 0
	for line := range strings.Lines(out) {
		var s snapshot
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			return fmt.Errorf("reading the list of snapshots: %w", err)
		}
		if s.Type == "snapshot" {
			found++
			night.kept[s.Source] = s // they are listed oldest first
		}
	}
	if want := (n + 1) * len(there); found != want {
		return fmt.Errorf("the safe has %d snapshots, where there should be %d", found, want)
	}
	for source, inv := range there {
		if err := complete(night.kept[source], inv, d.production.sources[source]); err != nil {
			return fmt.Errorf("the snapshot of %s: %w", source, err)
		}
	}
	d.nights[n] = night
	return nil
}

// complete finds what a snapshot lacks of an inventory of these folders.
func complete(s snapshot, inv inventory, folders []string) error {
	above := make(map[string]bool) // a snapshot has also the folders that lead to what was specified
	for _, folder := range folders {
		for at := filepath.Dir(folder); at != "/"; at = filepath.Dir(at) {
			above[at] = true
		}
	}
	_, bytes := inv.totals()
	switch want := int64(len(inv) + len(above)); {
	case s.Partial || !s.Proven:
		return errors.New("it is partial, or not in the ledger")
	case s.Entries != want:
		return fmt.Errorf("it has %d entries, and production %d", s.Entries, want)
	case s.Bytes != bytes:
		return fmt.Errorf("it has %d bytes, and production %d", s.Bytes, bytes)
	}
	return nil
}

func (d *demo) firstNight() error {
	d.say("The safe opens the connections and pulls. What it seals it cannot open again; act 6 will try.")
	before := d.arrived(auditor)
	if err := d.collect(0); err != nil {
		return err
	}
	var entries, bytes, stored, parity int64
	for _, s := range d.nights[0].kept {
		entries, bytes, stored, parity = entries+s.Entries, bytes+s.Bytes, stored+s.StoredBytes, parity+s.ParityBytes
	}
	d.say("%s entries with %s, over SSH in %.0f seconds; the demo has counted them itself, none is missing. They take %s in the store, and %s more to repair them with.",
		count(entries), size(bytes), d.nights[0].seconds, size(stored), size(parity))
	for source := range d.nights[0].kept {
		for _, to := range d.everybody() {
			l, err := d.await(to, source+" kept", 0)
			if err != nil {
				return err
			}
			if !strings.Contains(l.text, d.words) {
				return fmt.Errorf("%s does not show the roster's words: %s", l.file, d.words)
			}
		}
	}
	d.say("Kim, Otto and the auditor get mails. Each has the eight words, and a signed checkpoint of the ledger, which fixes all that was before. Who keeps it can prove later that nothing was rewritten. The auditor has kept all, and these came this night:")
	return d.subjects(auditor, before)
}

func (d *demo) secondNight() error {
	if err := work(d.production.folder); err != nil {
		return fmt.Errorf("working: %w", err)
	}
	d.say("In the ERP's folder a row of the orders is corrected and 200 are added, an agreement comes in, a contract is deleted, a scan is closed to others.")
	if err := d.collect(1); err != nil {
		return err
	}
	if _, err := d.shell("safe", "strongroom snapshots", 0); err != nil {
		return err
	}
	first, second := d.nights[0].kept, d.nights[1].kept
	if got := second[files].NewBytes; got != 0 {
		return fmt.Errorf("nothing changed in %s, and %d bytes of it are called new", files, got)
	}
	if fresh := second[erp].NewBytes; fresh == 0 || fresh > first[erp].NewBytes/2 {
		return fmt.Errorf("little changed in %s, and %d of %d bytes are called new", erp, fresh, second[erp].Bytes)
	}
	table := d.nights[1].files[erp][filepath.Join(d.production.folder, orders)].size
	d.say("All of it took %.1f seconds. Of the ERP's %s only %s were new, although its table of orders, %s, was changed in the middle: content is cut by what it contains, so a change stays where it is. Both nights can be restored.",
		d.nights[1].seconds, size(second[erp].Bytes), size(second[erp].NewBytes), size(table))
	return nil
}
