package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keys are both people's, at the operator's.
const keys = "--outer-key ../keykeeper/outer.key --inner-key inner.key"

// A comeback is one restore: of which night's source, to where.
type comeback struct {
	source string
	night  int
	folder string
}

var comebacks = []comeback{
	{files, 1, "restored/files"},
	{erp, 1, "restored/erp"},
	{erp, 0, "restored/erp-before"},
}

func (d *demo) together() error {
	if err := os.Mkdir(d.path("restored"), 0o755); err != nil {
		return err
	}
	d.say("With the keykeeper's key beside the operator's: both sources, and the ERP's once more as it was in the first night.")
	for _, c := range comebacks {
		name := c.source
		if c.night == 0 {
			name += "@" + d.nights[0].kept[c.source].Started.Local().Format("2006-01-02T15:04:05")
		}
		if _, err := d.shell("operator", "strongroom restore "+name+" "+store+" --to ../"+c.folder+" "+keys, 0); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) compare() error {
	looked := "type, content, size, permissions and time of change to the second, which is what SFTP tells"
	if os.Geteuid() == 0 {
		looked = "type, content, size, owner, permissions and time of change to the second, which is what SFTP tells"
	}
	d.say("The demo noted of every file of each night: %s. Now it looks at what came back.", looked)
	for _, c := range comebacks {
		want := d.nights[c.night].files[c.source]
		top := d.path(c.folder)
		folders := d.production.sources[c.source]
		got, err := take(top, folders)
		if err != nil {
			return err
		}
		if err := strangers(top, folders); err != nil {
			return err
		}
		if differ := got.differences(want); len(differ) > 0 {
			return fmt.Errorf("%s has differences:\n%s", c.folder, lines(differ))
		}
		n, bytes := got.totals()
		d.item("%-19s  %6s files with %7s, %5s others: no difference", c.folder, count(n), size(bytes), count(len(got)-n))
	}
	return d.day()
}

// day checks that the two nights, both as they came back, differ by the day's
// work alone.
func (d *demo) day() error {
	var want []string
	for _, name := range []string{"contracts", newFile, lostFile, orders, shutFile} {
		want = append(want, filepath.Join(d.production.folder, name))
	}
	slices.Sort(want)
	differ := d.nights[1].files[erp].differences(d.nights[0].files[erp])
	var paths []string
	for _, x := range differ {
		paths = append(paths, x.path)
	}
	if !slices.Equal(paths, want) {
		return fmt.Errorf("the two nights differ by more or less than the day's work:\n%s", lines(differ))
	}
	d.say("Between the two nights lies the day's work, and nothing else:")
	for _, x := range differ {
		d.item("%s", strings.TrimPrefix(x.String(), d.production.folder+"/"))
	}
	return nil
}

// lines writes one a line.
func lines(all []difference) string {
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "  %s\n", x)
	}
	return b.String()
}

// strangers finds what was restored and was never specified: only folders that
// lead to one of these may be there besides.
func strangers(top string, folders []string) error {
	return filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := path[len(top):]
		for _, folder := range folders {
			if at == folder {
				return fs.SkipDir
			}
			if e.IsDir() && strings.HasPrefix(folder, at+"/") {
				return nil
			}
		}
		return fmt.Errorf("%s was restored, and nobody asked for it", path)
	})
}

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
	d.say("Repaired from the parity stored with it. The demo hashed the pack itself: it is what its name says. Reading all of the snapshot shows the same:")
	_, err = d.shell("operator", "strongroom restore erp "+store+" --verify "+keys, 0)
	return err
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

func (d *demo) prove() error {
	d.say("The auditor takes the checkpoint of the first night, and asks whether the ledger still tells the same story:")
	verify := "strongroom ledger verify --checkpoint " + checkpoint
	if _, err := d.shell("auditor", verify+" "+store, 0); err != nil {
		return err
	}
	d.say("Now somebody copies the ledger and changes one digit of the first night's record, in both copies that the store has of it:")
	if err := d.forge("forged"); err != nil {
		return err
	}
	if _, err := d.shell("auditor", verify+" --store ../forged", 4); err != nil {
		return err
	}
	d.say("Found, and refused. This is what the genuine one tells:")
	story, err := d.shell("safe", "strongroom ledger show", 0)
	if err != nil {
		return err
	}
	if repair := filepath.Base(d.rotten) + ", from parity"; !strings.Contains(story, repair) {
		return fmt.Errorf("the ledger does not tell of a repair: %s", repair)
	}
	d.production.stop()
	return d.production.stopped()
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

// end says in plain words what happened.
func (d *demo) end(took time.Duration) error {
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
	d.say("%s files with %s were pulled from a production host, twice, and take %s in the store. With all of the safe and one person's key, none of them could be read. With two people's keys every one came back as it was, and the ERP's also as they were the night before. A rotten pack was found without a key, and repaired. A forged ledger was found by a checkpoint that was kept elsewhere.",
		count(amount), size(there), size(kept))
	d.say("It took %.0f seconds. Production's server is stopped. What was made is in ./demo; make clean removes it.", took.Seconds())
	return nil
}
