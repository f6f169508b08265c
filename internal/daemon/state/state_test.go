package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

var now = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

type desk struct {
	t    *testing.T
	file string
	key  ledger.Key
	id   safe.StoreID
	*State
}

func newDesk(t *testing.T) *desk {
	id := safe.NewStoreID()
	key, _ := ledger.GenerateKey(id)
	d := &desk{t: t, file: filepath.Join(t.TempDir(), "a ?#%file.db"), key: key, id: id}
	d.State = d.open()
	d.update(func(tx *Tx) error {
		return tx.Append(now, ledger.Safe, ledger.SafeCreated{Name: "test", Store: id, Roster: safe.Digest{1}, Key: key.Public()})
	})
	return d
}

func (d *desk) open() *State {
	d.t.Helper()
	s, err := Open(d.t.Context(), d.file, d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { s.Close() })
	return s
}

func (d *desk) update(change func(*Tx) error) {
	d.t.Helper()
	if err := d.Update(d.t.Context(), change); err != nil {
		d.t.Fatal(err)
	}
}

// verify replays the ledger against its newest checkpoint.
func (d *desk) verify() ledger.Replay {
	d.t.Helper()
	b, err := d.Checkpoint(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	c, err := ledger.ParseCheckpoint(b, d.key.Public())
	if err != nil {
		d.t.Fatal(err)
	}
	replay, err := ledger.Verify(d.t.Context(), d.Entries(d.t.Context(), 0), []ledger.Checkpoint{c}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if replay.Proven != replay.Size {
		d.t.Errorf("the checkpoint covers %d of %d entries", replay.Proven, replay.Size)
	}
	return replay
}

func (d *desk) begin(source safe.SourceName, at time.Time) safe.RunID {
	d.t.Helper()
	run := safe.NewRunID(at)
	d.update(func(tx *Tx) error {
		return tx.BeginRun(at, ledger.RunBegun{Run: run, Source: source, Envelope: safe.Digest{9}, Roster: 1}, []byte("envelope"))
	})
	return run
}

func (d *desk) snapshot(run safe.RunID, source safe.SourceName) safe.Snapshot {
	return safe.Snapshot{Version: 1, Store: d.id, Run: run, Source: source, Kind: "local", Started: now, Finished: now,
		KeepUntil: now.AddDate(0, 1, 0), Tier: safe.Daily, Root: safe.Digest{7},
		Runs: map[safe.RunID]safe.RunPacks{run: {Envelope: safe.Digest{9}, Packs: []safe.Digest{}}}}
}

// A long ledger is read in batches, of which some end with it.
func TestEntriesOfALongLedger(t *testing.T) {
	d := newDesk(t)
	var want [][]byte
	for b, err := range d.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, bytes.Clone(b))
	}
	for len(want) < 2*entriesAtATime+1 {
		forgotten := ledger.MemoryForgotten{Source: "erp", Reason: ledger.TextOf(fmt.Sprint(len(want)))}
		b, err := ledger.Entry{Time: now, Who: ledger.Safe, What: forgotten}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, b)
	}
	d.update(func(tx *Tx) error {
		for n := 1; n < len(want); n++ {
			if err := tx.Append(now, ledger.Safe, ledger.MemoryForgotten{Source: "erp", Reason: ledger.TextOf(fmt.Sprint(n))}); err != nil {
				return err
			}
		}
		return nil
	})
	d.verify()
	for _, from := range []int{0, 1, entriesAtATime, entriesAtATime + 1, 2*entriesAtATime + 1, 2*entriesAtATime + 2} {
		n := from
		for b, err := range d.Entries(t.Context(), int64(from)) {
			if err != nil || n >= len(want) || !bytes.Equal(b, want[n]) {
				t.Fatalf("from %d: entry %d is %q, %v", from, n, b, err)
			}
			n++
		}
		if n != max(from, len(want)) {
			t.Errorf("from %d: the last entry is %d of %d", from, n-1, len(want))
		}
	}
}

func TestWhatACommitLeaves(t *testing.T) {
	d := newDesk(t)
	run := d.begin("erp", now)
	want := d.snapshot(run, "erp")
	d.update(func(tx *Tx) error { return tx.KeepSnapshot(now, want, "") })
	d.State.Close()
	d.State = d.open() // all of it is in the file

	if replay := d.verify(); replay.Size != 3 {
		t.Errorf("the ledger has %d entries, want 3", replay.Size)
	}
	got, err := d.Snapshots(t.Context(), "erp")
	if err != nil || len(got) != 1 || !bytes.Equal(got[0].Encode(), want.Encode()) {
		t.Errorf("got snapshots %+v, %v", got, err)
	}
	runs, err := d.Runs(t.Context(), "erp")
	if err != nil || runs[run].Outcome != Complete || runs[run].Envelope != (safe.Digest{9}) {
		t.Errorf("got runs %+v, %v", runs, err)
	}
	if runs, err := d.Runs(t.Context(), "other"); err != nil || len(runs) != 0 {
		t.Errorf("another source has runs %+v, %v", runs, err)
	}
	var names []string
	parcels, err := d.Outbox(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parcels {
		names = append(names, p.Name)
	}
	// Envelopes and descriptions come before the entry that vouches for them,
	// entries before the checkpoint that covers them.
	wantNames := []string{"ledger/entries/0", "ledger/checkpoints/1", layout.Envelope(run), "ledger/entries/1", "ledger/checkpoints/2",
		layout.Snapshot(run), "ledger/entries/2", "ledger/checkpoints/3"}
	var wantAll []string
	for _, n := range wantNames {
		wantAll = append(wantAll, n, layout.Parse(n).Other())
	}
	if g, w := strings.Join(names, "\n"), strings.Join(wantAll, "\n"); g != w {
		t.Errorf("got outbox\n%s\nwant\n%s", g, w)
	}
	if err := d.Sent(t.Context(), parcels[:3]); err != nil {
		t.Fatal(err)
	}
	if rest, err := d.Outbox(t.Context(), 100); err != nil || len(rest) != len(parcels)-3 || rest[0].Name != parcels[3].Name {
		t.Errorf("after 3 were sent, %d remain (%v)", len(rest), err)
	}
}

func TestNothingOfAFailedUpdateStays(t *testing.T) {
	d := newDesk(t)
	before := d.verify()
	boom := errors.New("boom")
	err := d.Update(t.Context(), func(tx *Tx) error {
		if err := tx.BeginRun(now, ledger.RunBegun{Run: safe.NewRunID(now), Source: "erp", Envelope: safe.Digest{9}, Roster: 1}, []byte("envelope")); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if after := d.verify(); after != before {
		t.Errorf("the ledger went from %+v to %+v", before, after)
	}
	if runs, err := d.Runs(t.Context(), "erp"); err != nil || len(runs) != 0 {
		t.Errorf("runs %+v, %v remain", runs, err)
	}
}

func TestARunEndsOnce(t *testing.T) {
	d := newDesk(t)
	run := d.begin("erp", now)
	fail := func(tx *Tx) error { return tx.FailRun(now, ledger.RunFailed{Run: run, Source: "erp", Reason: "x"}) }
	d.update(fail)
	if err := d.Update(t.Context(), fail); err == nil {
		t.Error("a run failed twice")
	}
	if err := d.Update(t.Context(), func(tx *Tx) error { return tx.KeepSnapshot(now, d.snapshot(run, "erp"), "") }); err == nil {
		t.Error("a failed run got a snapshot")
	}
	if err := d.Update(t.Context(), func(tx *Tx) error { return tx.KeepSnapshot(now, d.snapshot(safe.NewRunID(now), "erp"), "") }); err == nil {
		t.Error("a run that never began got a snapshot")
	}
	d.verify()
}

// A description that nobody could read again would keep all others from being
// listed.
func TestADescriptionThatIsTooLongIsRefused(t *testing.T) {
	d := newDesk(t)
	run := d.begin("erp", now)
	s := d.snapshot(run, "erp")
	packs := make([]safe.Digest, 600_000)
	for i := range packs {
		binary.BigEndian.PutUint32(packs[i][:], uint32(i))
	}
	s.Runs[run] = safe.RunPacks{Envelope: safe.Digest{9}, Packs: packs}
	if err := d.Update(t.Context(), func(tx *Tx) error { return tx.KeepSnapshot(now, s, "") }); err == nil {
		t.Error("it was kept")
	}
	if got, err := d.Snapshots(t.Context(), ""); len(got) > 0 || err != nil {
		t.Errorf("got %d snapshots, %v", len(got), err)
	}
	d.verify()
}

// Several processes write at once: every entry gets its number, none is lost.
func TestWritersTakeTurns(t *testing.T) {
	d := newDesk(t)
	const writers, each = 4, 20
	var wait sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		other := d.open()
		wait.Go(func() {
			for i := range each {
				err := other.Update(context.Background(), func(tx *Tx) error {
					return tx.Append(now, ledger.Safe, ledger.MemoryForgotten{Source: "erp", Reason: ledger.TextOf(fmt.Sprint(w, i))})
				})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if replay := d.verify(); replay.Size != 1+writers*each {
		t.Errorf("%d entries, want %d", replay.Size, 1+writers*each)
	}
}

func TestHeadOfAShorterAndALongerLedger(t *testing.T) {
	d := newDesk(t)
	first, err := d.HeadOf(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	d.begin("erp", now)
	if again, err := d.HeadOf(t.Context(), 1); err != nil || again != first {
		t.Errorf("the head of one entry became %+v, %v", again, err)
	}
	var short *ShortError
	if _, err := d.HeadOf(t.Context(), 3); !errors.As(err, &short) || short.Size != 2 {
		t.Errorf("got %v, want a ShortError of 2", err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	d := newDesk(t)
	if _, err := d.db.Exec("PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), d.file, d.key); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("got %v", err)
	}
}

// Who asks for an opening of hundreds of snapshots does not have the whole
// ledger read for each.
func TestEntriesAreFoundByAnIndex(t *testing.T) {
	d := newDesk(t)
	for query, want := range map[string]string{
		keptQuery: "USING INDEX entry_kept",
		"SELECT n, bytes FROM entry WHERE " + ofKind:    "USING INDEX entry_kind",
		"SELECT n, bytes FROM entry WHERE " + ofOpening: "USING INDEX entry_kind",
	} {
		var plan string
		var unused int
		if err := d.db.QueryRow("EXPLAIN QUERY PLAN "+strings.ReplaceAll(query, "?", "1")).Scan(&unused, &unused, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, want) {
			t.Errorf("%s\nis answered by %q, want %s", query, plan, want)
		}
	}
	runs := []safe.RunID{d.begin("erp", now), d.begin("erp", now.Add(time.Second)), d.begin("erp", now.Add(2*time.Second))}
	for _, run := range runs[:2] {
		d.update(func(tx *Tx) error { return tx.KeepSnapshot(now, d.snapshot(run, "erp"), "") })
	}
	for i, run := range runs {
		n, b, err := d.View(t.Context()).Kept(run)
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			if b != nil {
				t.Errorf("a run without a snapshot was kept with entry %d", n)
			}
			continue
		}
		e, err := ledger.ParseEntry(b)
		if kept, ok := e.What.(ledger.SnapshotKept); err != nil || !ok || kept.Run != run || n != int64(i+4) {
			t.Errorf("run %d was kept with entry %d: %+v, %v", i, n, e, err)
		}
	}
}
