package daemon

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
)

// A dump is what a state database holds: of each table the rows, as text.
type dump map[string][]string

func dumpOf(t *testing.T, file string) dump {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	texts := func(query string) (all []string) {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		return all
	}
	d := make(dump)
	for _, table := range texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		columns := texts("SELECT name FROM pragma_table_info('" + table + "')")
		first := columns[0]
		for i, c := range columns {
			// All blobs are text, but hashes.
			columns[i] = "'" + c + "=' || iif(typeof(" + c + ") = 'blob' AND length(" + c + ") = 32, hex(" + c + "), ifnull(" + c + ", 'NULL'))"
		}
		d[table] = texts("SELECT " + strings.Join(columns, " || ' ' || ") + " FROM " + table + " ORDER BY " + first)
	}
	return d
}

// expected is what a rebuild makes of a state: all but what waits for people,
// what sources tell again, how the map was before, and an opening that is open.
func (d dump) expected() dump {
	e := make(dump)
	for table, rows := range d {
		e[table] = slices.Clone(rows)
	}
	for _, table := range []string{"proposal", "invitation", "enrolment", "fact", "map", "standing", "mail_cursor", "outbox", "checkpoint", "sqlite_sequence"} {
		delete(e, table)
	}
	return e
}

// diff compares a rebuilt state with the one that was lost.
func (d dump) diff(rebuilt dump) string {
	want, got := d.expected(), rebuilt.expected()
	for _, table := range []string{"entry", "hash"} { // some are added
		got[table] = got[table][:min(len(got[table]), len(want[table]))]
	}
	// Statements are forgotten when they are old, which a rebuild leaves to the
	// next tick.
	got["act"] = slices.DeleteFunc(got["act"], func(row string) bool { return !slices.Contains(want["act"], row) })
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// lose takes the state away and returns what it held.
func (h *hall) lose() dump {
	h.t.Helper()
	h.must(h.safe.Publish(h.t.Context()))
	h.must(h.safe.Close())
	was := dumpOf(h.t, statePath(h.cfg))
	h.loseFiles()
	return was
}

func (h *hall) loseFiles() {
	h.t.Helper()
	h.must(os.Rename(statePath(h.cfg), filepath.Join(h.t.TempDir(), "lost.db")))
}

// rebuild makes the state anew and opens the safe.
func (h *hall) rebuild(kept ...ledger.Checkpoint) *Rebuilt {
	h.t.Helper()
	rebuilt, err := Rebuild(h.t.Context(), h.cfg, RebuildOptions{Kept: kept}, h.options("honest"))
	h.must(err)
	h.reopen()
	return rebuilt
}

func (h *hall) reopen() {
	h.t.Helper()
	var err error
	h.safe, err = Open(h.t.Context(), h.cfg, h.options("honest"))
	h.must(err)
	h.t.Cleanup(func() { h.safe.Close() })
}

// refuses sees that a rebuild is refused, in these words, and that nothing is
// there afterwards that was not before.
func (h *hall) refuses(words string, kept ...ledger.Checkpoint) error {
	h.t.Helper()
	before := h.files()
	_, err := Rebuild(h.t.Context(), h.cfg, RebuildOptions{Kept: kept}, h.options("honest"))
	if err == nil || !strings.Contains(err.Error(), words) {
		h.t.Fatalf("got %v, want %q", err, words)
	}
	if diff := cmp.Diff(before, h.files()); diff != "" {
		h.t.Errorf("a rebuild that was refused has changed something:\n%s", diff)
	}
	return err
}

// files are all of the safe's and its store's with their content, but locks.
func (h *hall) files() map[string]string {
	h.t.Helper()
	all := make(map[string]string)
	for _, root := range []string{h.cfg.Dir, h.cfg.Store} {
		h.must(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.Contains(path, "lock") {
				return err
			}
			b, err := os.ReadFile(path)
			all[path] = string(b)
			return err
		}))
	}
	return all
}

// checkpoint returns the newest of the state.
func (h *hall) checkpoint() ledger.Checkpoint {
	h.t.Helper()
	b, err := h.safe.state.Checkpoint(h.t.Context())
	h.must(err)
	c, err := ledger.ParseCheckpoint(b, h.safe.LedgerKeys()...)
	h.must(err)
	return c
}

// givesBack sees that the store could give back the state as it is now,
// whatever a test has done. Every test of a hall ends with it.
func (h *hall) givesBack() {
	if h.t.Failed() || h.t.Skipped() || h.strange {
		return
	}
	ctx := context.WithoutCancel(h.t.Context())
	h.must(h.safe.Publish(ctx))
	s := &Safe{config: h.cfg, opts: h.safe.opts, log: h.safe.log, keys: h.safe.keys, store: h.safe.store, id: h.safe.id}
	folder := filepath.Join(h.t.TempDir(), "given-back")
	if _, err := s.rebuildIn(ctx, folder, RebuildOptions{}); err != nil {
		h.t.Errorf("the state could not be rebuilt: %v", err)
		return
	}
	pending, err := h.safe.state.View(ctx).Pending()
	h.must(err)
	if slices.ContainsFunc(pending, func(o state.Opening) bool { return o.State == opening.Open }) {
		return // which would be closed; see TestRebuildGivesAllBack
	}
	if diff := dumpOf(h.t, statePath(h.cfg)).diff(dumpOf(h.t, filepath.Join(folder, stateFile))); diff != "" {
		h.t.Errorf("a rebuilt state would be another one (-lost +rebuilt):\n%s", diff)
	}
}

// A house is a hall in which everything has happened that a state can know.
type house struct {
	*hall
	whole     safe.Snapshot
	over      map[safe.OpeningID]opening.State
	requested safe.OpeningID
	open      safe.OpeningID // when the state was lost
	used      ledger.Signed  // a suspension, just now
	release   released       // by which open was opened
	token     access.Token   // of an invitation that waits
	waiting   access.Roster  // proposed and objected to
	enacted   int            // version of the roster
}

func newHouse(t *testing.T) *house {
	h := &house{hall: newHall(t), over: make(map[safe.OpeningID]opening.State)}
	h.strange = true // it is lost, and not always made anew
	h.found("ada:keykeeper bob:operator eve:keykeeper carl:operator tim:auditor")
	h.collect(1)
	for _, part := range []string{"honest", "partial", "failed", "crashed"} {
		other, err := Open(t.Context(), h.cfg, h.options(part))
		h.must(err)
		h.pass(time.Second)
		if _, err := other.Collect(t.Context(), t.Context(), h.cfg.Sources[0], nil); (err == nil) != (part == "honest" || part == "partial") {
			t.Fatalf("a collection that is %s: %v", part, err)
		}
		h.must(other.Close())
	}
	h.rosters()
	h.whole = h.collect(0)
	h.checkKey()
	h.openings()
	h.lastMinutes()
	return h
}

// rosters brings versions into force, of which one was objected to, and one
// lost an agreement to a suspension that the next has lifted.
func (h *house) rosters() {
	h.t.Helper()
	next := h.added("mia")
	h.must(h.propose("ada", next))
	h.must(h.agree("bob", next, 0))
	h.must(h.safe.Object(h.t.Context(), from, h.says("carl", access.Object{Number: next.Number, Digest: next.Digest(), Reason: "who is mia?"})))
	e, err := h.safe.Everyone(h.t.Context(), 0)
	h.must(err)
	after := e.Proposals[0].After
	h.must(h.agree("eve", next, after))
	h.must(h.suspend("tim", "eve"))
	h.must(h.agree("ada", next, after))
	h.must(h.agree("bob", next, after))
	h.pass(access.Wait)
	h.tick()
	suspensions, err := h.safe.state.View(h.t.Context()).Suspensions()
	h.must(err)
	lifted, err := compose.Lift(h.roster(), suspensions[0].Entry)
	h.must(err)
	h.changed(lifted, "ada", "bob")
	h.enacted = h.roster().Number
	if h.enacted != 4 {
		h.t.Fatalf("version %d is in force", h.enacted)
	}
}

func (h *house) checkKey() {
	h.t.Helper()
	c, err := h.safe.BeginKeyCheck(h.t.Context(), from, "ada", api.KeyCheck{Role: outerRole, Period: 1, Paper: true})
	h.must(err)
	nonce, err := seal.AnswerOuterProof(h.outer[0], c.Sealed)
	h.must(err)
	h.must(h.safe.AnswerKeyCheck(h.t.Context(), from, "ada", api.Answer{ID: c.ID, Nonce: nonce}))
}

// openings brings openings to each of their ends.
func (h *house) openings() {
	h.t.Helper()
	ctx := h.t.Context()
	closed := h.hall.open(h.whole)
	h.read(h.inside("bob", closed), "/README")
	h.pass(time.Second)
	h.must(h.safe.CloseOpening(ctx, from, h.says("bob", access.Close{Opening: closed, Reason: "done"})))
	refused, withdrawn, expired := h.request("bob", h.whole), h.request("bob", h.whole), h.request("bob", h.whole)
	h.must(h.safe.Refuse(ctx, from, h.says("ada", access.Refuse{Opening: refused, Reason: "no"})))
	h.must(h.safe.Withdraw(ctx, from, h.says("bob", access.Withdraw{Opening: withdrawn})))
	h.pass(25 * time.Hour)
	h.tick()
	h.over = map[safe.OpeningID]opening.State{
		closed: opening.Closed, refused: opening.Refused, withdrawn: opening.Withdrawn, expired: opening.Expired,
	}
}

// lastMinutes is what happens just before the state is lost.
func (h *house) lastMinutes() {
	h.t.Helper()
	ctx := h.t.Context()
	h.waiting = h.added("kim")
	h.must(h.propose("ada", h.waiting))
	h.must(h.agree("bob", h.waiting, 0))
	invited, err := h.safe.Invite(ctx, "otto", []access.Role{access.Operator})
	h.must(err)
	h.token = invited.Token
	h.requested = h.request("carl", h.whole)
	h.open = h.request("bob", h.whole)
	h.release = h.sign("ada", h.open)
	h.must(h.hall.release(h.release))
	h.pass(time.Second)
	key := h.people["mia"].Keys()[0]
	h.used = h.says("eve", access.Suspend{Person: "mia", Key: key, Reason: "a test"})
	h.must(h.safe.Suspend(ctx, from, h.used))
}

func TestRebuildGivesAllBack(t *testing.T) {
	h := newHouse(t)
	mia := h.people["mia"]
	h.must(h.safe.Assess(t.Context())) // as a rebuild does
	old := h.checkpoint()
	everyone, err := h.safe.Everyone(t.Context(), 0)
	h.must(err)
	was := h.lose()
	rebuilt := h.rebuild(old)
	is := dumpOf(t, statePath(h.cfg))

	// What was open is closed, and nobody knows what was read.
	for _, d := range []dump{was, is} {
		d["opening"] = slices.DeleteFunc(d["opening"], func(row string) bool { return strings.Contains(row, "id="+h.open.String()) })
	}
	if diff := was.diff(is); diff != "" {
		t.Errorf("the states differ (-lost +rebuilt):\n%s", diff)
	}
	for _, table := range []string{"proposal", "invitation", "enrolment", "outbox"} {
		if len(is[table]) > 0 {
			t.Errorf("%s has %q", table, is[table])
		}
	}
	want := Rebuilt{Store: h.safe.ID(), Ledger: old.Head, Compared: old.Size, Roster: h.enacted, Runs: 6, Snapshots: 4, Openings: 6,
		Again: []string{"the enrolment of kim, after another invitation", "the invitation of otto", "version 5 of the roster, which ada has proposed"}}
	if diff := cmp.Diff(want, *rebuilt); diff != "" {
		t.Errorf("what was rebuilt (-want +got):\n%s", diff)
	}
	if got := last[ledger.StateRebuilt](h.hall); got != (ledger.StateRebuilt{Entries: old.Size, Compared: old.Size}) {
		t.Errorf("the ledger says %+v", got)
	}
	if got := h.opening(h.open); got.State != opening.Closed || got.Gate.IsValid() {
		t.Errorf("what was open is %+v", got)
	}
	if got := last[ledger.OpeningClosed](h.hall); got.Opening != h.open || !got.Unknown {
		t.Errorf("the ledger says %+v", got)
	}
	for id, state := range h.over {
		if got := h.opening(id); got.State != state {
			t.Errorf("what was %s is %s", state, got.State)
		}
	}
	if got := last[ledger.RosterDropped](h.hall); got.Digest != h.waiting.Digest() {
		t.Errorf("the ledger says that was dropped: %+v", got)
	}
	h.noReplay(mia)
	h.goesOn(everyone, old)
}

// noReplay sees that nothing that was used is good once more.
func (h *house) noReplay(mia accesstest.Somebody) {
	h.t.Helper()
	ctx := h.t.Context()
	h.denied(h.hall.release(h.release), "nonce is none")
	h.denied(h.safe.Enrol(ctx, from, "", api.Enrolling{Token: h.token, Enrolment: h.enrolment(accesstest.NewPerson(h.t, "otto", access.Operator)).Encode()}), "this invitation is not good")
	for b, err := range h.safe.State().Entries(ctx, 0) {
		h.must(err)
		e, err := ledger.ParseEntry(b)
		h.must(err)
		if what, ok := e.What.(ledger.OpeningRequested); ok {
			if err := h.safe.Request(ctx, what.Address, what.Signed); err == nil {
				h.t.Errorf("opening %s was asked for once more", what.Opening)
			}
		}
		// Nobody proposes it anew by what they have signed before.
		if what, ok := e.What.(ledger.RosterProposed); ok && what.Digest == h.waiting.Digest() {
			h.denied(h.safe.Propose(ctx, from, h.waiting.Encode(), what.Signed), "used already")
		}
	}
	signed := h.says("mia", access.Suspend{Person: "ada", Reason: "a test"})
	h.denied(h.safe.Suspend(ctx, from, signed), access.ErrSuspended.Error())
	if v, err := h.safe.Voice(ctx, "mia"); err != nil || len(v.Usable) != 0 || mia.SSH[0] != v.Person.SSH[0] {
		h.t.Errorf("got voice %+v, %v", v, err)
	}
}

// goesOn sees that everybody goes on where they were.
func (h *house) goesOn(before api.Everyone, old ledger.Checkpoint) {
	h.t.Helper()
	ctx := h.t.Context()
	if _, err := h.safe.Head(ctx, old.Size); err != nil {
		h.t.Errorf("the ledger does not go on from what people know: %v", err)
	}
	after, err := h.safe.Everyone(ctx, 0)
	h.must(err)
	if diff := cmp.Diff(before.Links, after.Links); diff != "" || !bytes.Equal(before.Current, after.Current) {
		h.t.Errorf("the roster is another one:\n%s", diff)
	}
	pinned, err := access.ParseRoster(after.Links[0].Roster)
	h.must(err)
	if r, err := pinned.Follow(after.Links[1:]); err != nil || r.Number != h.enacted {
		h.t.Errorf("people's machines follow to version %d: %v", r.Number, err)
	}
	h.serve()
	if got := last[ledger.SafeStarted](h.hall); got.Unclean {
		h.t.Error("the safe says that it crashed")
	}
	h.must(h.hall.release(h.sign("ada", h.requested)))
	h.read(h.inside("carl", h.requested), "/README")
	h.must(h.propose("ada", h.waiting))
	h.must(h.agree("bob", h.waiting, 0))
	h.collect(0)
	h.sound()
}

// A state that was lost twice is made from what the first rebuild has added.
func TestRebuildOnceMore(t *testing.T) {
	h := newHouse(t)
	h.lose()
	h.rebuild()
	was := h.lose()
	if rebuilt := h.rebuild(); len(rebuilt.Again) > 0 || len(rebuilt.Lost) > 0 {
		t.Errorf("got %+v", rebuilt)
	}
	if diff := was.diff(dumpOf(t, statePath(h.cfg))); diff != "" {
		t.Errorf("the states differ (-lost +rebuilt):\n%s", diff)
	}
	if got := len(all[ledger.StateRebuilt](h.hall)); got != 2 {
		t.Errorf("the ledger tells of %d", got)
	}
}

func TestRebuildRefuses(t *testing.T) {
	h := newFoundedHall(t, pair)
	h.strange = true
	h.collect(0)
	old := filepath.Join(t.TempDir(), "old")
	h.must(exec.Command("cp", "-a", h.cfg.Store, old).Run())
	h.collect(0)

	if err := h.refuses("none is ever written over"); !errors.Is(err, ErrStateExists) {
		t.Errorf("got %v", err)
	}
	unlock, err := h.safe.lockSource("erp")
	h.must(err)
	if err := h.refuses("another process works"); !errors.Is(err, ErrAtWork) {
		t.Errorf("got %v", err)
	}
	unlock()
	stop := h.serve()
	h.refuses("another process works")
	stop()
	newest := h.checkpoint()
	wal := statePath(h.cfg) + "-wal"
	h.loseFiles()
	for _, path := range []string{wal, statePath(h.cfg) + "-shm"} {
		h.must(os.Rename(path, filepath.Join(t.TempDir(), "lost")))
	}
	// Such as a scrub, which would sign another entry of the same number.
	if err := h.refuses("state.lock"); !errors.Is(err, ErrAtWork) {
		t.Errorf("while somebody still has the lost state open: %v", err)
	}
	h.must(h.safe.Close())
	write := func(path string) {
		t.Helper()
		h.must(os.WriteFile(path, []byte("x"), 0o600))
	}
	write(wal)
	if err := h.refuses(wal); !errors.Is(err, ErrStateExists) {
		t.Errorf("got %v", err)
	}
	h.must(os.Remove(wal))

	// Without a state nobody else works, or begins anew.
	var lost *StateLostError
	if _, err := Open(t.Context(), h.cfg, h.options("honest")); !errors.As(err, &lost) {
		t.Errorf("Open: %v", err)
	}
	if _, err := Init(t.Context(), h.cfg, h.outer[0].Recipient(), h.inner.Recipient(), h.options("honest")); !errors.As(err, &lost) {
		t.Errorf("Init: %v", err)
	}

	moved := func(from, to string) (back func()) {
		t.Helper()
		h.must(os.Rename(from, to))
		return func() { h.must(os.Rename(to, from)) }
	}
	back := moved(keysPath(h.cfg), keysPath(h.cfg)+".away")
	if err := h.refuses("the safe's own keys"); !errors.Is(err, ErrNoKeys) {
		t.Errorf("got %v", err)
	}
	back()
	other := newHall(t)
	good := h.cfg.Store
	h.cfg.Store = other.cfg.Store
	h.refuses("check `store` in the configuration")
	h.cfg.Store = old
	var short *ledger.ShortError
	if err := h.refuses("an old copy of the ledger", newest); !errors.As(err, &short) {
		t.Errorf("got %v", err)
	}
	h.cfg.Store = good
	forged := newest
	forged.Root[0]++
	h.refuses("contradict", forged)
	h.rebuild(newest)
	h.sound()
}

// Everything that a store lost, or has in a damaged form, is in its other copy,
// or makes a rebuild refuse, or is told; what is not needed is named by a scrub.
func TestRebuildFromAStoreWithDamage(t *testing.T) {
	h := newFoundedHall(t, pair)
	h.strange = true
	id := h.open(h.collect(0))
	h.pass(time.Second)
	h.must(h.safe.CloseOpening(t.Context(), from, h.says("bob", access.Close{Opening: id, Reason: "done"})))
	size, err := h.safe.state.Size(t.Context())
	h.must(err)
	h.must(h.safe.Close())
	try := func() (*Rebuilt, error) {
		return Rebuild(t.Context(), h.cfg, RebuildOptions{DryRun: true}, h.options("honest"))
	}
	whole, err := try()
	h.must(err)
	var names []layout.Name
	h.must(filepath.WalkDir(h.cfg.Store, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(h.cfg.Store, path)
		if n := layout.Parse(name); n.Kind != layout.Unknown && !n.Copied && n.Other() != "" {
			names = append(names, n)
		}
		return err
	}))
	harms := map[string]func(path string, b []byte){
		"is missing": func(path string, b []byte) { h.must(os.Remove(path)) },
		"is damaged": func(path string, b []byte) {
			harmed := bytes.Clone(b)
			harmed[len(b)/2] ^= 1
			h.must(os.Chmod(path, 0o600))
			h.must(os.WriteFile(path, harmed, 0o600))
		},
		"is cut": func(path string, b []byte) {
			h.must(os.Chmod(path, 0o600))
			h.must(os.Truncate(path, int64(len(b)/2)))
		},
	}
	harm := func(how string, names ...string) (mend func()) {
		var mends []func()
		for _, name := range names {
			path := filepath.Join(h.cfg.Store, name)
			b, err := os.ReadFile(path)
			h.must(err)
			harms[how](path, b)
			mends = append(mends, func() {
				h.must(errors.Join(os.RemoveAll(path), os.WriteFile(path, b, 0o400)))
			})
		}
		return func() {
			for _, mend := range mends {
				mend()
			}
		}
	}
	for _, n := range names {
		// Maps come in any order, so in time every harm comes to every object.
		both := []string{n.String(), n.Other()}
		for how := range harms {
			mend := harm(how, both[rand.IntN(2)])
			got, err := try()
			mend()
			// A mark with one other bit is that of another store.
			if n.Kind != layout.FormatObject && err != nil || err == nil && !cmp.Equal(got, whole) {
				t.Errorf("one copy of %s %s: got %+v, %v", n, how, got, err)
			}
			break
		}
		for how := range harms {
			mend := harm(how, both...)
			got, err := try()
			mend()
			switch n.Kind {
			case layout.EnvelopeObject, layout.RootObject: // a state has nothing of them
				if err != nil || !cmp.Equal(got, whole) {
					t.Errorf("%s %s: got %+v, %v", n, how, got, err)
				}
			case layout.SnapshotObject, layout.ReleaseObject:
				if err != nil || len(got.Lost) != 1 || got.Lost[0].Name != n.String() {
					t.Errorf("%s %s: got %+v, %v", n, how, got, err)
				}
			case layout.CheckpointObject:
				if n.Number < size {
					if err != nil || !cmp.Equal(got, whole) {
						t.Errorf("%s %s: got %+v, %v", n, how, got, err)
					}
					break
				}
				// The entries that it covers have come into the store before it.
				fallthrough
			default:
				if err == nil {
					t.Errorf("%s %s: it is not refused: %+v", n, how, got)
				}
			}
			break
		}
	}
}

// The description of a snapshot is lost: the safe goes on without it, and says
// so for ever.
func TestRebuildWithoutADescription(t *testing.T) {
	h := newFoundedHall(t, pair)
	h.strange = true
	server := mailTo(t, h.cfg, nil, "olga@acme.example")
	first, second := h.collect(0), h.collect(0)
	id := h.request("bob", second)
	h.lose()
	for _, name := range []string{second.Name(), layout.Copy(second.Name())} {
		h.must(os.Remove(filepath.Join(h.cfg.Store, name)))
	}
	if rebuilt := h.rebuild(); len(rebuilt.Lost) != 1 || rebuilt.Lost[0].Name != second.Name() {
		t.Errorf("got %+v", rebuilt)
	}
	if got := last[ledger.ObjectLost](h); got.Name != second.Name() || !slices.Equal(got.Snapshots, []safe.RunID{second.Run}) {
		t.Errorf("the ledger says %+v", got)
	}
	snapshots, err := h.safe.state.Snapshots(t.Context(), "erp")
	h.must(err)
	if len(snapshots) != 1 || snapshots[0].Run != first.Run {
		t.Errorf("the snapshots are %+v", snapshots)
	}
	h.tick()
	if got := h.opening(id); got.State != opening.Expired {
		t.Errorf("what was asked for is %s", got.State)
	}
	if third := h.collect(0); third.Run.Compare(second.Run) <= 0 {
		t.Error("a run is older than one before it")
	}
	if _, _, err := h.safe.DeliverMails(t.Context()); err != nil {
		t.Error(err)
	}
	told := ""
	for _, m := range server.Mails() {
		told += string(m.Bytes)
	}
	for _, want := range []string{"the safe's state was lost, and made anew", "object of the store is lost"} {
		if !strings.Contains(told, want) {
			t.Errorf("nobody is told of %q", want)
		}
	}
}

// A crash comes while something is published, and takes the state with it. What
// is in the store and not signed may be anything: it is refused, until a
// checkpoint covers it or somebody takes it out.
func TestRebuildAfterACrashOfPublishing(t *testing.T) {
	h := newFoundedHall(t, pair)
	h.strange = true
	h.collect(0)
	start := filepath.Join(t.TempDir(), "start")
	h.must(exec.Command("cp", "-a", h.cfg.Store, start).Run())
	published := h.checkpoint()
	_, err := h.safe.makeRun(t, "web")
	h.must(err)
	parcels, err := h.safe.state.Outbox(t.Context(), 100)
	h.must(err)
	newest := h.checkpoint()
	h.must(h.safe.Close())
	h.loseFiles()
	for n := range len(parcels) + 1 {
		folder := t.TempDir()
		h.must(exec.Command("cp", "-a", start, folder+"/store").Run())
		h.cfg.Store = folder + "/store"
		for _, p := range parcels[:n] {
			path := filepath.Join(h.cfg.Store, p.Name)
			h.must(errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, p.Bytes, 0o400)))
		}
		try := func(kept ...ledger.Checkpoint) (*Rebuilt, error) {
			return Rebuild(t.Context(), h.cfg, RebuildOptions{Kept: kept, DryRun: true}, h.options("honest"))
		}
		signed := slices.ContainsFunc(parcels[:n], func(p state.Parcel) bool { return layout.Parse(p.Name).Kind == layout.CheckpointObject })
		entries := slices.ContainsFunc(parcels[:n], func(p state.Parcel) bool { return layout.Parse(p.Name).Kind == layout.EntryObject })
		got, err := try()
		var beyond *BeyondError
		switch {
		case n == 0:
			if err != nil || got.Ledger != published.Head {
				t.Errorf("nothing was published: %+v, %v", got, err)
			}
		case signed:
			if err != nil || got.Ledger != newest.Head {
				t.Errorf("all but copies was published: %+v, %v", got, err)
			}
		case !errors.As(err, &beyond) || beyond.Size != published.Size || len(beyond.Names) != n || beyond.Names[0] != parcels[0].Name && n == 1:
			t.Errorf("%d objects were published: %v", n, err)
		}
		got, err = try(newest)
		var short *ledger.ShortError
		switch {
		case entries && (err != nil || got.Ledger != newest.Head):
			t.Errorf("%d objects were published and are covered: %+v, %v", n, got, err)
		case !entries && !errors.As(err, &short):
			t.Errorf("less was published than is known: %v", err)
		}
	}
}

// makeRun commits that a run has begun, and publishes nothing.
func (s *Safe) makeRun(t *testing.T, source safe.SourceName) (safe.RunID, error) {
	id := safe.NewRunID(s.opts.Now())
	envelope := []byte("the envelope of " + id.String())
	begun := ledger.RunBegun{Run: id, Source: source, Envelope: safe.DigestOf(envelope), Roster: int64(s.Roster().Number)}
	return id, s.state.Update(t.Context(), func(tx *state.Tx) error { return tx.BeginRun(s.opts.Now(), begun, envelope) })
}

// TestRebuildVictim is a rebuild that is killed on its way.
func TestRebuildVictim(t *testing.T) {
	folder := os.Getenv(victimFolder)
	if folder == "" {
		t.Skip("runs for TestRebuildIsKilled only")
	}
	opts := Options{Logger: slog.New(suicide{os.Getenv(victimStep)}), Program: playing("honest")}
	if _, err := Rebuild(t.Context(), hallConfig(t, folder), RebuildOptions{}, opts); err != nil {
		t.Fatal(err)
	}
}

// A rebuild can be killed at any moment: then there is a whole state, or none,
// and another rebuild makes it.
func TestRebuildIsKilled(t *testing.T) {
	folder := t.TempDir()
	h := newHallIn(t, hallConfig(t, folder), nil)
	h.strange = true
	h.found(pair)
	h.collect(0)
	moments := []string{"rebuilt", "placed", "published", "", "", "", ""}
	for _, step := range moments {
		was := h.lose()
		victim := exec.Command(os.Args[0], "-test.run=^TestRebuildVictim$")
		victim.Env = append(os.Environ(), victimFolder+"="+folder, victimStep+"="+step)
		h.must(victim.Start())
		if step == "" {
			time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
			victim.Process.Kill()
		}
		victim.Wait() // as is looked at below
		if status, ok := victim.ProcessState.Sys().(syscall.WaitStatus); step != "" && (!ok || !status.Signaled()) {
			t.Fatalf("the victim was not killed at %s: %v", step, victim.ProcessState)
		}
		_, err := os.Stat(statePath(h.cfg))
		there := err == nil
		if step == "rebuilt" && there || (step == "placed" || step == "published") && !there {
			t.Errorf("killed at %s: the state is there: %v", step, there)
		}
		if there {
			h.reopen()
			h.must(h.safe.Publish(t.Context()))
		} else {
			h.rebuild()
		}
		if diff := was.diff(dumpOf(t, statePath(h.cfg))); diff != "" {
			t.Errorf("killed at %q: the states differ (-lost +rebuilt):\n%s", step, diff)
		}
		h.sound()
	}
	h.lose()
	if rebuilt := h.rebuild(); len(rebuilt.Lost) > 0 {
		t.Errorf("got %+v", rebuilt)
	}
	if _, err := os.Stat(filepath.Join(h.cfg.Dir, ".rebuild")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left over: %v", err)
	}
}
