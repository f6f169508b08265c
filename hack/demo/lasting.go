package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func (d *demo) rot() error {
	pack, err := largest(d.path("safe/store/runs", d.nights[0].kept[erp].Run, "packs"))
	if err != nil {
		return err
	}
	d.rotten = pack
	if err := damage(pack, 5000); err != nil {
		return fmt.Errorf("damaging %s: %w", pack, err)
	}
	d.say("5,000 bytes in the middle of a pack of the ERP's files are overwritten, below the safe's feet (%s...). A pack is named by the SHA-256 of its bytes, so no key is needed to see it.", filepath.Base(pack)[:8])
	if _, err := d.shell("safe", "strongroom scrub", 3); err != nil {
		return err
	}
	if _, err := d.shell("safe", "strongroom scrub --repair", 0); err != nil {
		return err
	}
	switch sum, err := digest(pack); {
	case err != nil:
		return err
	case hex.EncodeToString(sum[:]) != filepath.Base(pack):
		return fmt.Errorf("%s was called repaired, and does not have the bytes that its name promises", pack)
	}
	if _, err := d.shell("safe", "strongroom scrub", 0); err != nil {
		return err
	}
	var l letter
	for _, to := range d.everybody() {
		if l, err = d.await(to, "repaired", 0); err != nil {
			return err
		}
	}
	d.say("Repaired from the parity stored with it. The demo hashed the pack itself: it is what its name says. People were told: “%s”.", l.subject)
	d.say("The store was read, and Otto has brought back what is in it. So the safe calls the ERP's files held, and the rest what it is:")
	return d.shows("strongroom coverage erp", 3, "1 of ", "held", "missing")
}

// largest returns the path of the largest file in a folder.
func largest(folder string) (path string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	size := int64(-1)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return "", err
		}
		if info.Size() > size {
			path, size = filepath.Join(folder, e.Name()), info.Size()
		}
	}
	if path == "" {
		return "", fmt.Errorf("%s is empty", folder)
	}
	return path, nil
}

// damage inverts n bytes in the middle of a file, as a disk might: permissions
// and times stay.
func damage(path string, n int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() // an error of writing is seen at once, or by the scrub
	b := make([]byte, n)
	at := (info.Size() - int64(n)) / 2
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	for i := range b {
		b[i] = ^b[i]
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return errors.Join(os.Chtimes(path, time.Time{}, info.ModTime()), os.Chmod(path, info.Mode().Perm()))
}

// elsewhere is another place, to which the store was copied.
const elsewhere = "elsewhere"

func (d *demo) paper() error {
	d.say("The safe ends, and nothing of it shall be used again: no machine, no passphrase. There is a copy of the store's folder elsewhere, and two pages of paper, whose keys are typed in. With stock age, zstd and jq, and a script that one can read, they restore the payroll, which nobody has read so far:")
	d.serving.stop()
	if d.serving.err != nil {
		return fmt.Errorf("strongroom serve did not end as it should: %w", d.serving.err)
	}
	if err := os.Mkdir(d.path(elsewhere), 0o700); err != nil {
		return err
	}
	if _, err := d.quietly(elsewhere, "cp -pr ../safe/store . && cp ../../docs/restore-by-hand.sh .", 0); err != nil {
		return err
	}
	for _, p := range []*person{d.kim, d.otto} {
		if err := d.typeIn(p, filepath.Join(elsewhere, p.name+".key")); err != nil {
			return err
		}
	}
	if _, err := d.shell(elsewhere, "bash restore-by-hand.sh store "+d.nights[1].kept[payroll].Run+" kim.key otto.key payroll", 0); err != nil {
		return err
	}
	if err := d.same(comeback{payroll, 1, elsewhere + "/payroll"}); err != nil {
		return err
	}
	d.say("The program does it faster, and goes by the key of the ledger. With the same two keys it restores the ERP, whose pack had rotted:")
	if _, err := d.shell(elsewhere, "strongroom restore erp --store store --ledger-key \"$(cat ../auditor/ledger-key)\" --outer-key kim.key --inner-key otto.key --to erp", 0); err != nil {
		return err
	}
	return d.same(comeback{erp, 1, elsewhere + "/erp"})
}

func (d *demo) prove() error {
	all, err := d.letters(auditor)
	if err != nil {
		return err
	}
	first := all[0].file
	night, err := d.await(auditor, erp+" kept", 0)
	if err != nil {
		return err
	}
	d.say("The auditor has the ledger key, and mails: here the first of all, and that of the second night. Does the copy elsewhere still tell the same story?")
	verify := fmt.Sprintf("strongroom ledger verify --ledger-key \"$(cat ledger-key)\" --checkpoint ../mails/%s --checkpoint ../mails/%s", filepath.Base(first), filepath.Base(night.file))
	if err := d.says("auditor", verify+" --store ../elsewhere/store", 0, "is sound", "that was given"); err != nil {
		return err
	}
	d.say("Now somebody copies the ledger and changes one digit of the first night's record, in both copies that the store has of it:")
	if err := d.forge("forged"); err != nil {
		return err
	}
	if err := d.says("auditor", verify+" --store ../forged", 4, "not the one that was signed"); err != nil {
		return err
	}
	d.say("Found, and refused. This is what the genuine one tells, as wide as fits here:")
	story, err := d.quietly("safe", "strongroom ledger show", 0)
	if err != nil {
		return err
	}
	d.command("safe", "strongroom ledger show | cut -c 1-76")
	for line := range strings.Lines(story) {
		line = strings.TrimSuffix(line, "\n")
		d.item("%s", line[:min(len(line), 76)])
	}
	if repair := filepath.Base(d.rotten) + ", from parity"; !strings.Contains(story, repair) {
		return fmt.Errorf("the ledger does not tell of a repair: %s", repair)
	}
	return nil
}

// forge makes a copy of the store's ledger in which the amount of the first
// snapshot is another.
func (d *demo) forge(folder string) error {
	if _, err := d.quietly(".", "mkdir "+folder+" && cd safe/store && cp -pr format* ledger roster snapshots ../../"+folder, 0); err != nil {
		return err
	}
	was := fmt.Sprintf(`"bytes":%d,`, d.nights[0].kept[erp].Bytes)
	forged := 0
	entries, err := filesBelow(d.path(folder, "ledger/entries"))
	if err != nil {
		return err
	}
	for _, path := range entries {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(b, []byte(was))
		if at < 0 || forged == 2 {
			continue
		}
		digit := &b[at+len(was)-2]
		*digit = '0' + (*digit-'0'+1)%10
		if err := errors.Join(os.Remove(path), os.WriteFile(path, b, 0o444)); err != nil {
			return err
		}
		forged++
	}
	if forged != 2 {
		return fmt.Errorf("the record of the first night is there %d times, not twice", forged)
	}
	return nil
}

// end stops everything and says in plain words what happened.
func (d *demo) end(took time.Duration) error {
	d.stop()
	if err := shut(d.safe.api, d.safe.gate, d.post.Addr, d.production.server.Addr); err != nil {
		return err
	}
	var amount int
	var there, kept int64
	for _, inv := range d.nights[1].files {
		n, b := inv.totals()
		amount, there = amount+n, there+b
	}
	objects, err := filesBelow(d.path("safe/store"))
	if err != nil {
		return err
	}
	for _, path := range objects {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		kept += info.Size()
	}
	d.heading("In plain words")
	d.say("%s files with %s were pulled from a production host, twice, and take %s in the store. With all of the safe and one person's keys, none of them could be read. When both people wanted it, one operator, at one address, could read what a keykeeper had released, as long as it was open, and everything came back as it was, the ERP's also as it was the night before. A stolen laptop was cut off at once. A rotten pack was found without a key, and repaired. Two pages of paper and a copy of the store were enough without us. And whoever kept a mail can prove that nothing of this was rewritten.",
		count(amount), size(there), size(kept))
	d.say("It took %.0f seconds, and nothing is left running. To look at, in ./demo:", took.Seconds())
	d.item("mails/                 what people got; %s", filepath.Base(d.page))
	d.item("paper/                 their pages; kim.html as it is printed")
	d.item("keykeeper/, operator/  their machines; profiles in config/strongroom/acme")
	d.item("safe/                  configuration, store, state, serve.log")
	d.item("elsewhere/, restored/  what came back")
	d.say("make clean removes it.")
	return nil
}
