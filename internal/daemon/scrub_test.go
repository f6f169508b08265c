package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/daemon/child"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/parity"
	"strongroom/internal/store/scrub"
)

// playScrub is the scrub as it is, or one that was taken over. The race
// detector needs cgo, which rules Landlock out, so that only the part "probe"
// insists on it.
func playScrub(part string) error {
	if say, ok := scrubParts[part]; ok {
		return say(json.NewEncoder(os.Stdout))
	}
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var task child.ScrubTask
	if err := json.Unmarshal(line, &task); err != nil {
		return err
	}
	task.WithoutLandlock = part != "probe"
	var head bytes.Buffer
	if err := child.WriteTask(&head, task); err != nil {
		return err
	}
	if err := child.Scrub(io.MultiReader(&head, in), os.Stdout); err != nil || part != "probe" {
		return err
	}
	return probe(task.StorePath)
}

// probe tries what a scrub may not do.
func probe(store string) error {
	for what, try := range map[string]func() error{
		"make an object":           func() error { return os.WriteFile(filepath.Join(store, "made"), nil, 0o600) },
		"stage an object":          func() error { return os.WriteFile(filepath.Join(store, "stage", "made"), nil, 0o600) },
		"remove an object":         func() error { return os.Remove(filepath.Join(store, layout.FormatName)) },
		"rename an object":         func() error { return os.Rename(filepath.Join(store, "format"), filepath.Join(store, "other")) },
		"read what is not a store": func() error { _, err := os.ReadFile("/etc/passwd"); return err },
		"run a program":            func() error { _, err := os.StartProcess("/bin/true", nil, &os.ProcAttr{}); return err },
	} {
		if try() == nil {
			return fmt.Errorf("the scrub could %s", what)
		}
	}
	return nil
}

func TestScrubIsConfined(t *testing.T) {
	if _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0); errno == syscall.ENOTSUP {
		t.Skip("linked with cgo, where nothing can be confined: CGO_ENABLED=0 go test")
	}
	d := newDesk(t)
	d.safe.opts = d.options("probe")
	if _, err := d.safe.Scrub(t.Context(), ScrubOptions{}); err != nil {
		t.Error(err)
	}
}

var scrubParts = map[string]func(*json.Encoder) error{
	"liar": func(out *json.Encoder) error {
		for _, name := range []string{layout.Entry(0), layout.FormatName, "roster/7.json", "../../escape", "runs"} {
			f := scrub.Finding{Name: name, Problem: scrub.Missing, Why: "so it is said"}
			if err := out.Encode(child.ScrubAnswer{Finding: &f}); err != nil {
				return err
			}
		}
		return out.Encode(child.ScrubAnswer{Done: &scrub.Progress{Objects: 5}})
	},
	"silent scrub":  func(*json.Encoder) error { return nil },
	"failed scrub":  func(out *json.Encoder) error { return out.Encode(child.ScrubAnswer{Failed: "the disk is gone"}) },
	"crashed scrub": func(*json.Encoder) error { return errors.New("last words") },
	"endless scrub": func(*json.Encoder) error { return parts["endless"](child.CollectTask{}, nil) },
}

// pack stores a pack with its parity as a collector does, under a run that is
// about to have a snapshot.
func (d *desk) pack(run safe.RunID, content string) safe.Digest {
	d.t.Helper()
	b := []byte(content)
	digest := safe.DigestOf(b)
	var par bytes.Buffer
	if _, err := parity.Write(&par, bytes.NewReader(b), int64(len(b)), digest); err != nil {
		d.t.Fatal(err)
	}
	for name, b := range map[string][]byte{layout.Pack(run, digest): b, layout.Parity(run, digest): par.Bytes()} {
		if err := blob.PutOnce(d.t.Context(), d.safe.Store(), name, b); err != nil {
			d.t.Fatal(err)
		}
	}
	return digest
}

// keep makes a run with one pack, and its snapshot.
func (d *desk) keep() (safe.Snapshot, safe.Digest) {
	d.t.Helper()
	now := d.safe.opts.Now()
	run := safe.NewRunID(now)
	envelope, root := []byte("envelope of "+run.String()), []byte("root of "+run.String())
	pack := d.pack(run, strings.Repeat("pack of "+run.String(), 100))
	s := safe.Snapshot{
		Version: 1, Store: d.safe.ID(), Run: run, Source: "erp", Kind: "local", Started: now, Finished: now, ParityBytes: 1,
		KeepUntil: now.AddDate(0, 0, 30), Tier: safe.Daily, Root: safe.DigestOf(root),
		Runs: map[safe.RunID]safe.RunPacks{run: {Envelope: safe.DigestOf(envelope), Packs: []safe.Digest{pack}}},
	}
	for name, b := range map[string][]byte{
		layout.Envelope(run): envelope, layout.EnvelopeCopy(run): envelope,
		layout.Root(run, s.Root): root, layout.Copy(layout.Root(run, s.Root)): root,
	} {
		if err := blob.PutOnce(d.t.Context(), d.safe.Store(), name, b); err != nil {
			d.t.Fatal(err)
		}
	}
	d.update(func(tx *state.Tx) error {
		begun := ledger.RunBegun{Run: run, Source: "erp", Envelope: safe.DigestOf(envelope), Roster: 1}
		return errors.Join(tx.BeginRun(now, begun, envelope), tx.KeepSnapshot(now, s, ""))
	})
	if err := d.safe.Publish(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	return s, pack
}

func (d *desk) update(change func(*state.Tx) error) {
	d.t.Helper()
	if err := d.safe.State().Update(d.t.Context(), change); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) file(name string) string { return filepath.Join(d.cfg.Store, filepath.FromSlash(name)) }

func (d *desk) read(name string) []byte {
	d.t.Helper()
	b, err := os.ReadFile(d.file(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

// write puts bytes at a name as no safe does.
func (d *desk) write(name string, b []byte) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(d.file(name)), 0o700); err != nil {
		d.t.Fatal(err)
	}
	os.Remove(d.file(name)) // it may not be there
	if err := os.WriteFile(d.file(name), b, 0o400); err != nil {
		d.t.Fatal(err)
	}
}

// harm flips a byte in the middle of each object, and returns what they were.
func (d *desk) harm(names ...string) map[string][]byte {
	d.t.Helper()
	was := make(map[string][]byte)
	for _, name := range names {
		b := d.read(name)
		was[name] = bytes.Clone(b)
		b[len(b)/2] ^= 1
		d.write(name, b)
	}
	return was
}

func (d *desk) scrub(opts ScrubOptions) ScrubReport {
	d.t.Helper()
	report, err := d.safe.Scrub(d.t.Context(), opts)
	if err != nil {
		d.t.Fatal(err)
	}
	return report
}

// clean fails the test unless a scrub finds nothing.
func (d *desk) clean() {
	d.t.Helper()
	if report := d.scrub(ScrubOptions{}); len(report.Findings) > 0 {
		d.t.Errorf("the store is not clean: %v", report.Findings)
	}
	d.check()
}

// recorded returns the events of one kind in the ledger.
func recorded[E ledger.Event](d *desk) []E {
	d.t.Helper()
	var all []E
	for b, err := range d.safe.State().Entries(d.t.Context(), 0) {
		if err != nil {
			d.t.Fatal(err)
		}
		e, err := ledger.ParseEntry(b)
		if err != nil {
			d.t.Fatal(err)
		}
		if what, ok := e.What.(E); ok {
			all = append(all, what)
		}
	}
	return all
}

func both(name string) []string { return []string{name, layout.Parse(name).Other()} }

func TestScrubRepairs(t *testing.T) {
	d := newDesk(t)
	s, pack := d.keep()
	if _, err := d.collect("honest", 0); err != nil { // a real run
		t.Fatal(err)
	}
	d.clean()
	objects := [][]string{
		{layout.Pack(s.Run, pack)}, {layout.Envelope(s.Run)}, {layout.Copy(layout.Root(s.Run, s.Root))},
		both(layout.Entry(0)), both(layout.Entry(2)), both(layout.Checkpoint(1)), both(s.Name()),
		both(layout.Roster(1)), both(layout.FormatName), {layout.Checkpoint(3)},
	}
	how := map[string]ledger.Repair{
		layout.Pack(s.Run, pack): ledger.FromParity, layout.Envelope(s.Run): ledger.FromCopy,
		layout.Copy(layout.Root(s.Run, s.Root)): ledger.FromCopy, layout.Checkpoint(3): ledger.FromCopy,
		layout.Entry(0): ledger.FromState, s.Name(): ledger.FromState,
	}
	var names []string
	for _, group := range objects {
		names = append(names, group...)
	}
	was := d.harm(names...)

	report := d.scrub(ScrubOptions{})
	if len(report.Findings) != len(names) || len(report.Left()) != len(names) {
		t.Errorf("findings %v, want %d", report.Findings, len(names))
	}
	if n := len(recorded[ledger.ObjectRepaired](d)); n != 0 {
		t.Errorf("%d repairs are recorded of a scrub that may not repair", n)
	}
	report = d.scrub(ScrubOptions{Repair: true})
	if left := report.Left(); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
	for name, b := range was {
		if !bytes.Equal(d.read(name), b) {
			t.Errorf("%s does not have its bytes again", name)
		}
	}
	got := make(map[string]ledger.Repair)
	for _, r := range recorded[ledger.ObjectRepaired](d) {
		got[r.Name] = r.How
	}
	if len(got) != len(names) {
		t.Errorf("%d repairs are recorded, want %d", len(got), len(names))
	}
	for name, want := range how {
		if got[name] != want {
			t.Errorf("%s was repaired from %q, want %q", name, got[name], want)
		}
	}
	done := recorded[ledger.ScrubDone](d)
	if last := done[len(done)-1]; last.Damaged != int64(len(names)) || last.Objects != report.Objects || last.Bytes != report.Bytes {
		t.Errorf("the ledger has %+v, want what was found: %d damaged of %d", last, len(names), report.Objects)
	}
	d.clean()
}

// A loss is told once, until the object is there again and lost again.
func TestLostIsRecordedOnce(t *testing.T) {
	d := newDesk(t)
	s, _ := d.keep()
	names := both(layout.Envelope(s.Run))
	was := d.harm(names...)
	for range 3 {
		report := d.scrub(ScrubOptions{Repair: true})
		if len(report.Left()) != 2 {
			t.Errorf("left over: %v, want the envelope and its copy", report.Left())
		}
	}
	want := []ledger.ObjectLost{ledger.LostOf(names[1], []safe.RunID{s.Run}), ledger.LostOf(names[0], []safe.RunID{s.Run})}
	if diff := cmp.Diff(want, recorded[ledger.ObjectLost](d)); diff != "" {
		t.Errorf("losses in the ledger differ (-want +got):\n%s", diff)
	}
	d.write(names[0], was[names[0]]) // somebody brings one back
	d.scrub(ScrubOptions{Repair: true})
	d.clean()
	d.harm(names...)
	d.scrub(ScrubOptions{Repair: true})
	// Of the one that was brought back by hand the ledger knows no repair.
	if n := len(recorded[ledger.ObjectLost](d)); n != 3 {
		t.Errorf("%d losses in the ledger, want 3", n)
	}
}

func TestStraysAreRaisedOnce(t *testing.T) {
	d := newDesk(t)
	stranger := layout.Snapshot(safe.NewRunID(d.now))
	d.write(stranger, []byte("{}\n"))
	d.write("notes", []byte("buy milk"))
	if err := os.Symlink("/etc/passwd", d.file("roster/2.json")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if report := d.scrub(ScrubOptions{Repair: true}); len(report.Findings) != 3 || len(report.Outcomes) != 0 {
			t.Errorf("findings %v, outcomes %v, want three and none", report.Findings, report.Outcomes)
		}
	}
	got := make(map[string]string)
	raised := recorded[ledger.FindingRaised](d)
	for _, f := range raised {
		got[string(f.Subject)] = f.Finding
	}
	want := map[string]string{stranger: "store.unproven", "notes": "store.unknown", "roster/2.json": "store.unproven"}
	if diff := cmp.Diff(want, got); diff != "" || len(raised) != len(want) {
		t.Errorf("findings in the ledger, %d, differ (-want +got):\n%s", len(raised), diff)
	}

	// What is not found any more is cleared; if it comes back, that is news.
	if err := os.Remove(d.file("notes")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d.scrub(ScrubOptions{})
		if cleared := recorded[ledger.FindingCleared](d); len(cleared) != 1 || cleared[0].Subject != "notes" || cleared[0].Finding != "store.unknown" {
			t.Errorf("cleared are %+v", cleared)
		}
	}
	d.write("notes", nil)
	d.scrub(ScrubOptions{})
	if n := len(recorded[ledger.FindingRaised](d)); n != len(want)+1 {
		t.Errorf("%d findings are in the ledger, want %d", n, len(want)+1)
	}
}

// What a description needs is known again after it was restored.
func TestScrubLooksAgainAfterRestoringADescription(t *testing.T) {
	d := newDesk(t)
	s, pack := d.keep()
	d.harm(both(s.Name())...)
	name := layout.Pack(s.Run, pack)
	for _, name := range []string{name, layout.Parity(s.Run, pack)} {
		if err := os.Remove(d.file(name)); err != nil {
			t.Fatal(err)
		}
	}
	report := d.scrub(ScrubOptions{Repair: true})
	want := []ledger.ObjectLost{
		ledger.LostOf(name, []safe.RunID{s.Run}),
		ledger.LostOf(layout.Parity(s.Run, pack), []safe.RunID{s.Run}),
	}
	if diff := cmp.Diff(want, recorded[ledger.ObjectLost](d)); diff != "" {
		t.Errorf("losses in the ledger differ (-want +got):\n%s", diff)
	}
	if len(report.Left()) != 2 {
		t.Errorf("left over: %v, want pack and parity", report.Left())
	}
}

// An object that waits to be published may have other bytes in its place.
func TestScrubBeforePublishing(t *testing.T) {
	d := newDesk(t)
	n, err := d.safe.State().Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.update(func(tx *state.Tx) error { return tx.Append(d.now, ledger.Safe, ledger.MemoryForgotten{Source: "erp"}) })
	d.write(layout.Entry(n), []byte("half of an ent"))
	var conflict *blob.ConflictError
	if err := d.safe.Publish(t.Context()); !errors.As(err, &conflict) {
		t.Fatalf("publishing over other bytes: %v", err)
	}
	report := d.scrub(ScrubOptions{Repair: true})
	if len(report.Findings) != 1 || len(report.Left()) != 0 {
		t.Errorf("findings %v, left over %v, want one and none", report.Findings, report.Left())
	}
	d.clean()
}

// The child that parses the store is believed no more than it must be.
func TestClaimsOfTheScrub(t *testing.T) {
	for part, want := range map[string]string{
		"liar": "", "silent scrub": "without a result", "failed scrub": "the disk is gone",
		"crashed scrub": "last words", "endless scrub": "a line of more than",
	} {
		t.Run(part, func(t *testing.T) {
			d := newDesk(t)
			d.safe.opts = d.options(part)
			report, err := d.safe.Scrub(t.Context(), ScrubOptions{Repair: true})
			if want == "" {
				for _, o := range report.Outcomes {
					if o.Result != scrub.Sound && o.Result != scrub.Failed {
						t.Errorf("%+v of what is sound or no object", o)
					}
				}
				if err != nil || len(report.Outcomes) != 5 {
					t.Errorf("got %v, and outcomes %v", err, report.Outcomes)
				}
			} else if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want one with %q", err, want)
			}
			if n := len(recorded[ledger.ScrubDone](d)); (n == 1) != (want == "") {
				t.Errorf("%d scrubs are recorded", n)
			}
			if n := len(recorded[ledger.ObjectLost](d)) + len(recorded[ledger.ObjectRepaired](d)); n != 0 {
				t.Errorf("%d losses and repairs are recorded", n)
			}
			d.safe.opts = d.options("honest")
			d.clean()
		})
	}
}

// A collection that goes on during a scrub gives no false alarm.
func TestScrubDuringACollection(t *testing.T) {
	d := newDesk(t)
	d.safe.opts = d.options("honest")
	s, pack := d.keep()
	stranger := safe.NewRunID(d.safe.opts.Now())
	size, err := d.safe.State().Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var findings []scrub.Finding
	for _, name := range []string{
		s.Name(), layout.Pack(s.Run, pack), layout.Entry(size - 1), layout.Checkpoint(size), layout.Envelope(s.Run),
		layout.Envelope(stranger), layout.Pack(stranger, pack), layout.Entry(size), "roster/9.json",
	} {
		findings = append(findings, scrub.Finding{Name: name, Problem: scrub.Unproven})
	}
	want := findings[5:]
	got, err := d.safe.withoutNews(t.Context(), append([]scrub.Finding(nil), findings...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
}

// What was found is bounded in the ledger, not in the report.
func TestManyStrays(t *testing.T) {
	d := newDesk(t)
	const many = mostRecorded + 20
	for i := range many {
		d.write(fmt.Sprintf("stray%d", i), nil)
	}
	if report := d.scrub(ScrubOptions{}); len(report.Findings) != many {
		t.Errorf("%d findings, want %d", len(report.Findings), many)
	}
	if n := len(recorded[ledger.FindingRaised](d)); n != mostRecorded {
		t.Errorf("%d findings are recorded at first, want %d", n, mostRecorded)
	}
	d.scrub(ScrubOptions{})
	if n := len(recorded[ledger.FindingRaised](d)); n != many {
		t.Errorf("%d findings are recorded in the end, want %d", n, many)
	}
}

func TestScrubStops(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.safe.Scrub(ctx, ScrubOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// What a scrub that was taken over tells is believed no more than a
// collector's claims: it cannot spoil the record of what was repaired.
func TestTalesOfTheScrub(t *testing.T) {
	for tale, want := range map[string]string{
		`{"finding":{"name":"x","problem":"boredom","why":""}}`: "which no scrub looks for",
		`{"done":{"objects":-1,"bytes":0}}`:                     "less than nothing",
		`{"done":{"objects":1,"bytes":-1}}`:                     "less than nothing",
		`{"unheard":1}`:                                         "cannot be read",
		``:                                                      "without a result",
	} {
		_, err := followScrub(bufio.NewReader(strings.NewReader(tale+"\n")), nil)
		if tale == "" {
			_, err = followScrub(bufio.NewReader(strings.NewReader("")), nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", tale, err, want)
		}
	}
}
