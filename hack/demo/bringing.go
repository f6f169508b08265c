package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

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

// named returns a snapshot's short name, which is longer for the first night.
func (d *demo) named(source string, night int) string {
	if night == 1 {
		return source
	}
	return source + "@" + d.nights[night].kept[source].Started.Local().Format("2006-01-02T15:04:05")
}

func (d *demo) restore() error {
	if err := os.Mkdir(d.path("restored"), 0o755); err != nil {
		return err
	}
	d.restoring = time.Now()
	d.say("The real thing. What comes through the gate is still sealed to the operators; it is opened on Otto's machine, and nowhere else.")
	for _, c := range comebacks {
		if _, err := d.shell(d.otto.machine, "strongroom restore "+d.named(c.source, c.night)+" --from opening --to ../"+c.folder+unlock, 0); err != nil {
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
		if err := d.same(c); err != nil {
			return err
		}
	}
	if err := d.day(); err != nil {
		return err
	}
	return d.record()
}

// record has Otto say, signed, that what came back was right.
func (d *demo) record() error {
	d.say("The safe cannot know that. Otto tells it, signed, and leaves the record at the gate: the one thing that may be written there.")
	line := fmt.Sprintf(`strongroom record write --snapshot %s --snapshot %s --started %s --checked "each file is as production had it"`, d.named(erp, 1), d.named(files, 1), d.restoring.UTC().Format(time.RFC3339))
	if _, err := d.shell(d.otto.machine, line, 0); err != nil {
		return err
	}
	_, err := d.shell(d.otto.machine, `echo put record.json inbox/ | sftp -q -F ssh_config -b - gate`, 0)
	return err
}

// same compares what came back with what production had that night.
func (d *demo) same(c comeback) error {
	top, folders := d.path(c.folder), d.production.sources[c.source]
	got, err := take(top, folders)
	if err != nil {
		return err
	}
	if err := strangers(top, folders); err != nil {
		return err
	}
	if differ := got.differences(d.nights[c.night].files[c.source]); len(differ) > 0 {
		return fmt.Errorf("%s has differences:\n%s", c.folder, lines(differ))
	}
	n, bytes := got.totals()
	d.item("%-19s  %6s files with %7s, %5s others: no difference", c.folder, count(n), size(bytes), count(len(got)-n))
	return nil
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
