package restore

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/safe"
)

// A marker is a file in the target for as long as a restore is not finished:
//
//	strongroom-restore 1
//	store <store id>
//	run <run id>
//	boot <id of the host's start, may be missing>
//
// Its name ends in random digits, chosen when the restore begins. The names of
// temporary files begin with it. So neither can be the name of an entry: the
// manifest is older than the digits.
type marker struct {
	name string
	boot string // what bootID said when the restore began
}

const markerPrefix = ".strongroom-restore-"

var markerName = regexp.MustCompile(`^\.strongroom-restore-[0-9a-f]{16}$`)

// maxMarker bounds what is read of a marker.
const maxMarker = 512

func newMarker() marker {
	var digits [8]byte
	rand.Read(digits[:]) // never fails: crypto/rand aborts the program instead
	return marker{name: markerPrefix + hex.EncodeToString(digits[:]), boot: bootID()}
}

// temporary returns the name of the nth temporary file.
func (m marker) temporary(n int64) string { return m.name + "." + strconv.FormatInt(n, 10) }

func (m marker) isTemporary(name string) bool { return strings.HasPrefix(name, m.name+".") }

func markerText(d safe.Snapshot) string {
	return fmt.Sprintf("strongroom-restore 1\nstore %s\nrun %s\n", d.Store, d.Run)
}

// begin finds the marker of a restore that is to be continued, or puts a new
// one into an empty target.
func begin(target *os.Root, d safe.Snapshot) (m marker, resumed bool, err error) {
	names, err := namesIn(target)
	if err != nil {
		return marker{}, false, fmt.Errorf("listing the target: %w", err)
	}
	// The first thing in many a new filesystem:
	names = slices.DeleteFunc(names, func(name string) bool { return name == "lost+found" })
	if len(names) == 1 && isCutShort(target, names[0], d) {
		// The restore broke off while it wrote its marker, and before anything
		// else.
		if err := target.Remove(names[0]); err != nil {
			return marker{}, false, fmt.Errorf("removing a marker that was cut short: %w", err)
		}
		names = nil
	}
	empty, others, found := true, 0, []marker(nil)
	for _, name := range names {
		empty = false
		if !markerName.MatchString(name) {
			continue
		}
		if m, ok := readMarker(target, name, d); ok {
			found = append(found, m)
		} else {
			others++
		}
	}
	switch {
	case len(found) == 1:
		return found[0], true, nil
	case len(found) > 1:
		return marker{}, false, fmt.Errorf("%w: it holds %d markers of an unfinished restore of run %s, of which only one can be genuine", ErrNotEmpty, len(found), d.Run)
	case others > 0:
		return marker{}, false, fmt.Errorf("%w: it holds the marker of an unfinished restore, but not of run %s", ErrNotEmpty, d.Run)
	case !empty:
		return marker{}, false, ErrNotEmpty
	}
	m = newMarker()
	if err := writeMarker(target, m, d); err != nil {
		return marker{}, false, fmt.Errorf("writing the marker of the restore: %w", err)
	}
	return m, false, nil
}

// isCutShort tells whether the file of that name is the beginning of the marker
// of a restore of d.
func isCutShort(target *os.Root, name string, d safe.Snapshot) bool {
	text, ok := markerIn(target, name)
	whole := markerText(d)
	return ok && markerName.MatchString(name) && len(text) < len(whole) && strings.HasPrefix(whole, text)
}

// markerIn returns what the file of that name says, if it can be a marker.
func markerIn(target *os.Root, name string) (text string, ok bool) {
	info, err := target.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	f, err := target.Open(name)
	if err != nil {
		return "", false
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxMarker))
	return string(b), err == nil
}

// readMarker tells whether the file of that name marks a restore of d.
func readMarker(target *os.Root, name string, d safe.Snapshot) (marker, bool) {
	text, ok := markerIn(target, name)
	if !ok {
		return marker{}, false
	}
	rest, ok := strings.CutPrefix(text, markerText(d))
	if !ok {
		return marker{}, false
	}
	boot, _ := strings.CutPrefix(strings.TrimSuffix(rest, "\n"), "boot ")
	return marker{name: name, boot: boot}, true
}

// writeMarker is durable on return, so that what a restore leaves behind is
// always known as such.
func writeMarker(target *os.Root, m marker, d safe.Snapshot) error {
	text := markerText(d)
	if m.boot != "" {
		text += "boot " + m.boot + "\n"
	}
	f, err := target.OpenFile(m.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// namesIn lists a folder, in no order.
func namesIn(folder *os.Root) ([]string, error) {
	f, err := folder.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	return f.Readdirnames(-1)
}

// foldsCase tells whether the target takes names that differ in case for the
// same, by asking for the marker in capitals.
func foldsCase(target *os.Root, m marker) bool {
	_, err := target.Lstat(strings.ToUpper(m.name))
	return err == nil
}
