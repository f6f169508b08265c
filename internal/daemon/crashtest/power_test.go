package crashtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPowerCut(t *testing.T) {
	cutting(t, "ext4", 6)
}

func TestSoakPowerCut(t *testing.T) {
	soak(t)
	for _, kind := range sortedKeys(kinds) {
		t.Run(kind, func(t *testing.T) { cutting(t, kind, 40) })
	}
}

// A powerCut is a disk as a loss of power left it.
type powerCut struct {
	image    string
	reported map[string]print // what had been reported as kept before
}

// cutting collects onto a disk of its own and cuts its power once in each of so
// many collections, and looks at what each cut has left.
func cutting(t *testing.T, kind string, times int) {
	d := newDisk(t, kind, "3G")
	random := newRandom(t)
	tr := newTree(t, random)
	s := newSite(t, d.at, localSource("files", tr.root, ""))
	kept := map[string]print{s.collect("files"): tr.print()}
	moments := []step{"published snapshot", "committed", "result", "checkpoint", "published beginning", anyTime}
	var cuts []powerCut
	for i := range times {
		tr.change()
		if random.IntN(4) == 0 {
			tr.grow(3, 4<<20)
		}
		g := s.start("-v", "--json", "collect", "files")
		g.awaitMoment(aim(random, moments[i%len(moments)]))
		cuts = append(cuts, powerCut{d.cut(t), maps.Clone(kept)})
		r := g.wait()
		if r.code != 0 {
			t.Fatal(r)
		}
		kept[keptRun(t, r)] = tr.print()
	}
	d.close(t)
	unreported := 0
	for i, cut := range cuts {
		if !t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			unreported += afterCut(t, d, s, tr, cut, kept)
		}) {
			break
		}
	}
	t.Logf("%s: %d cuts, %d snapshots kept; after %d cuts one was there that had not been reported yet", kind, len(cuts), len(kept), unreported)
}

// afterCut starts the safe on what a loss of power has left. It returns how
// many snapshots were there that had not been reported as kept yet.
func afterCut(t *testing.T, d *disk, before *site, tr *tree, cut powerCut, kept map[string]print) (unreported int) {
	s := before.at(t, d.mount(t, cut.image).at)
	// The store alone must do, before the safe has a chance to mend anything.
	for run, listed := range s.sound(cut.reported) {
		// A description comes before the entry that proves it.
		if listed.proven {
			s.restores(run, kept[run])
			unreported++
		}
	}
	// The newest are at risk; scrub looks at the others.
	runs := sortedKeys(cut.reported)
	for _, run := range runs[max(0, len(runs)-4):] {
		s.verify(run)
	}
	s.references(runs...)

	run := s.collect("files")
	s.restores(run, tr.print())
	for run, listed := range s.sound(cut.reported) {
		if !listed.proven || listed.partial {
			t.Errorf("run %s is listed as %+v", run, listed)
		}
		s.verify(run)
	}
	s.must("scrub")
	return unreported
}

// TestPowerCutLosesWhatIsNotSynced is the control: objects that are made as
// the store makes them, but for the fsync before the link, do not survive what
// TestPowerCut plays. If they did, that test would prove nothing.
func TestPowerCutLosesWhatIsNotSynced(t *testing.T) {
	d := newDisk(t, "ext4", "1G")
	const objects = 100
	content := make([]byte, 10_000)
	for i := range content {
		content[i] = byte(i)
	}
	linkUnsynced(t, d.at, objects, content)
	image := d.cut(t)
	d.close(t)
	at := d.mount(t, image).at
	named, lost := 0, 0
	for i := range objects {
		b, err := os.ReadFile(filepath.Join(at, strconv.Itoa(i)))
		if err == nil {
			named++
			if string(b) != string(content) {
				lost++
			}
		}
	}
	if named < objects || lost == 0 {
		t.Errorf("of %d objects that were not synced %d have their names, and %d of those lost their bytes", objects, named, lost)
	}
}

// linkUnsynced makes files without a name, links them to names and makes only
// the names durable.
func linkUnsynced(t *testing.T, path string, files int, content []byte) {
	t.Helper()
	folder, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close() // nothing was written through it
	for i := range files {
		fd, err := unix.Openat(int(folder.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o400)
		if err != nil {
			t.Fatal(err)
		}
		_, err = unix.Write(fd, content)
		if err == nil {
			err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), int(folder.Fd()), strconv.Itoa(i), unix.AT_SYMLINK_FOLLOW)
		}
		unix.Close(fd) // the lack of any promise is the point
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := folder.Sync(); err != nil {
		t.Fatal(err)
	}
}
