package state

import (
	"database/sql"
	"maps"
	"net/netip"
	"testing"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

func TestARecipientBeginsWhereTheLedgerEnds(t *testing.T) {
	d := newDesk(t)
	cursors := func(want map[string]MailCursor) {
		t.Helper()
		got, err := d.MailCursors(t.Context())
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("got cursors %v, %v, want %v", got, err, want)
		}
	}
	cursors(map[string]MailCursor{})
	if err := d.MeetRecipients(t.Context(), []string{"a@x", "b@x"}); err != nil {
		t.Fatal(err)
	}
	d.begin("erp", now)
	if err := d.SetMailCursor(t.Context(), "a@x", MailCursor{Next: 2, Mailed: 2, Refused: 1}); err != nil {
		t.Fatal(err)
	}
	if err := d.MeetRecipients(t.Context(), []string{"a@x", "b@x", "c@x"}); err != nil {
		t.Fatal(err)
	}
	cursors(map[string]MailCursor{"a@x": {Next: 2, Mailed: 2, Refused: 1}, "b@x": {Next: 1}, "c@x": {Next: 2}})
	d.update(func(tx *Tx) error { return tx.SetMailCursor("b@x", MailCursor{Next: 2, Mailed: 2}) })
	cursors(map[string]MailCursor{"a@x": {Next: 2, Mailed: 2, Refused: 1}, "b@x": {Next: 2, Mailed: 2}, "c@x": {Next: 2}})
}

// Who comes, or comes back, begins where they are told to. Somebody who comes
// back keeps the checkpoint that they were mailed last, so that the next mail
// proves that the ledger only grew.
func TestARecipientBeginsWithWhatBringsThem(t *testing.T) {
	d := newDesk(t)
	if err := d.MeetRecipients(t.Context(), []string{"back@x"}); err != nil {
		t.Fatal(err)
	}
	if err := d.SetMailCursor(t.Context(), "back@x", MailCursor{Next: 1, Mailed: 1, Refused: 2}); err != nil {
		t.Fatal(err)
	}
	d.update(func(tx *Tx) error {
		entry, err := tx.Record(now, ledger.Safe, ledger.MemoryForgotten{Source: "erp"})
		for _, recipient := range []string{"new@x", "back@x"} {
			if err == nil {
				err = tx.MeetRecipient(recipient, entry)
			}
		}
		return err
	})
	d.begin("erp", now) // more happens
	if err := d.MeetRecipients(t.Context(), []string{"new@x", "back@x"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]MailCursor{"new@x": {Next: 1}, "back@x": {Next: 1, Mailed: 1}}
	if got, err := d.MailCursors(t.Context()); err != nil || !maps.Equal(got, want) {
		t.Errorf("got cursors %v, %v, want %v", got, err, want)
	}
}

// A database of version 1 has no table of cursors, and keeps what it has.
func TestAnOlderSchemaIsMigrated(t *testing.T) {
	d := newDesk(t)
	before := d.verify()
	downgrade(t, d)
	for _, table := range []string{"mail_cursor", "roster", "proposal", "invitation", "enrolment", "suspension", "key_check", "opening", "act", "serving"} {
		if _, err := d.db.Exec("DROP TABLE " + table); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.db.Exec("DROP INDEX entry_kind; DROP INDEX entry_kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.db.Exec("PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	d.State.Close()
	d.State = d.open()
	if after := d.verify(); after != before {
		t.Errorf("the ledger went from %+v to %+v", before, after)
	}
	if err := d.MeetRecipients(t.Context(), []string{"a@x"}); err != nil {
		t.Error(err)
	}
	d.State.Close()
	d.State = d.open() // nothing is migrated twice
	if got, err := d.MailCursors(t.Context()); err != nil || got["a@x"].Next != 1 {
		t.Errorf("got cursors %v, %v", got, err)
	}
}

// What version 1 was made with must not change: databases that exist have it.
func TestTheFirstSchemaStandsByItself(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(schema); err != nil {
		t.Error(err)
	}
}

func TestSnapshotsToCompareWith(t *testing.T) {
	d := newDesk(t)
	keep := func(at time.Time, partial bool) safe.Snapshot {
		run := d.begin("erp", at)
		s := d.snapshot(run, "erp")
		if partial {
			s.Partial, s.Tier = true, safe.Broken
		}
		d.update(func(tx *Tx) error { return tx.KeepSnapshot(at, s, "") })
		return s
	}
	first := keep(now, false)
	partial := keep(now.Add(time.Hour), true)
	last := keep(now.Add(2*time.Hour), false)

	if got, ok, err := d.Snapshot(t.Context(), partial.Run); err != nil || !ok || got.Run != partial.Run {
		t.Errorf("got %v, %v, %v", got.Run, ok, err)
	}
	if got, ok, err := d.CompleteBefore(t.Context(), "erp", last.Run); err != nil || !ok || got.Run != first.Run {
		t.Errorf("before %s comes %s, %v, %v, want %s", last.Run, got.Run, ok, err, first.Run)
	}
	if _, ok, err := d.CompleteBefore(t.Context(), "erp", first.Run); err != nil || ok {
		t.Errorf("something is before the first: %v, %v", ok, err)
	}
	if _, ok, err := d.Snapshot(t.Context(), safe.NewRunID(now)); err != nil || ok {
		t.Errorf("an unknown run has a snapshot: %v, %v", ok, err)
	}
}

func TestOpeningRequestIsFound(t *testing.T) {
	d := newDesk(t)
	opening := safe.NewOpeningID(now)
	request := ledger.OpeningRequested{
		Opening: opening, Address: netip.MustParseAddr("10.0.0.7"), Hours: 4, Reason: "drill", Until: now,
		Snapshots: []ledger.SnapshotNamed{{Run: safe.NewRunID(now), Source: "erp"}}, Signed: ledger.Signed{Statement: "x", Signature: "eA=="},
	}
	d.update(func(tx *Tx) error { return tx.Append(now, "olga", request) })
	d.update(func(tx *Tx) error {
		return tx.Append(now, ledger.Safe, ledger.OpeningExpired{Opening: opening, Reason: `"kind":"opening.requested"`})
	})
	got, ok, err := d.OpeningRequest(t.Context(), opening, 3)
	if err != nil || !ok || got.Who != "olga" {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := d.OpeningRequest(t.Context(), safe.NewOpeningID(now), 3); err != nil || ok {
		t.Errorf("another opening has a request: %v, %v", ok, err)
	}
	if _, ok, err := d.OpeningRequest(t.Context(), opening, 1); err != nil || ok {
		t.Errorf("the request is before itself: %v, %v", ok, err)
	}
}

func TestRosterProposalIsFound(t *testing.T) {
	d := newDesk(t)
	digest, other := safe.DigestOf([]byte("roster")), safe.DigestOf([]byte("another"))
	propose := func(who ledger.Who, digest safe.Digest) {
		d.update(func(tx *Tx) error {
			return tx.Append(now, who, ledger.RosterProposed{Version: 2, Digest: digest, Previous: other, Changes: []ledger.Text{"adds kim"},
				Signed: ledger.Signed{Statement: "x", Signature: "eA=="}})
		})
	}
	propose("kim", digest)
	propose("otto", digest) // after it was dropped
	got, ok, err := d.RosterProposal(t.Context(), digest, 3)
	if err != nil || !ok || got.Who != "otto" {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := d.RosterProposal(t.Context(), other, 3); err != nil || ok {
		t.Errorf("a version that was not proposed has a proposal: %v, %v", ok, err)
	}
}
