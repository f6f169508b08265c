package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// TestDescribePeople: what people did is told in words, without the bytes that
// prove it.
func TestDescribePeople(t *testing.T) {
	zone := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
	at := time.Date(2026, 11, 21, 2, 37, 0, 0, time.UTC)
	id := safe.NewOpeningID(at)
	from := netip.MustParseAddr("10.0.9.7")
	proof := ledger.Signed{Statement: "STATEMENT", Signature: "SIGNATURE"}
	digest := safe.DigestOf([]byte("x"))
	for _, c := range []struct {
		what ledger.Event
		want string
	}{
		{ledger.SafeStarted{Program: digest}, "program " + digest.String()},
		{ledger.SafeStarted{Program: digest, Pages: digest}, "program " + digest.String() + ", scripts of the pages " + digest.String()},
		{ledger.SafeStarted{Program: digest, Unclean: true}, "was not stopped before; program " + digest.String()},
		{ledger.SafeStopped{}, ""},
		{ledger.RosterProposed{Version: 2, Digest: digest, Changes: []ledger.Text{"adds kim", "adds otto"}, Signed: proof}, "roster 2, " + digest.String() + ": adds kim; adds otto"},
		{ledger.RosterAgreed{Version: 2, Digest: digest, Signed: proof}, "roster 2, " + digest.String()},
		{ledger.RosterAgreed{Version: 2, Digest: digest, Signed: proof, Ready: at}, "roster 2, " + digest.String() + ", from 2026-11-21 02:37:00"},
		{ledger.RosterObjected{Version: 2, Digest: digest, Reason: "not my keys", Signed: proof}, "roster 2, " + digest.String() + ": not my keys"},
		{ledger.RosterDropped{Version: 2, Digest: digest, Reason: "another one"}, "roster 2, " + digest.String() + ": another one"},
		{ledger.PersonInvited{Person: "kim", Role: "keykeeper", Until: at}, "kim, keykeeper, until 2026-11-21 02:37:00"},
		{ledger.EnrolmentReceived{Person: "kim", Digest: digest, From: from}, "kim, from 10.0.9.7, " + digest.String()},
		{ledger.PersonSuspended{Person: "otto", Reason: "laptop lost", Signed: proof}, "otto: laptop lost"},
		{ledger.PersonSuspended{Person: "otto", Key: "SHA256:Yx5w", Reason: "key lost", Signed: proof}, "otto with the key SHA256:Yx5w: key lost"},
		{ledger.KeyChecked{Role: "outer", Period: 1}, "outer key of period 1"},
		{ledger.KeyChecked{Role: "inner", Period: 2, Paper: true}, "inner key of period 2, from paper"},
		{ledger.KeyringKept{Person: "kim", Digest: digest}, digest.String()},
		{ledger.OpeningRequested{Opening: id, Address: from, Snapshots: []ledger.SnapshotNamed{{Source: "erp"}, {Source: "db"}, {Source: "erp"}}, Hours: 4, Reason: "drill", Until: at, Signed: proof},
			"3 snapshots of db, erp, from 10.0.9.7 for 4 hours: drill; opening ID"},
		{ledger.OpeningReleased{Opening: id, Runs: 1, Release: digest, Until: at}, "1 collection until 2026-11-21 02:37:00; opening ID"},
		{ledger.OpeningOpened{Opening: id, Listen: netip.MustParseAddrPort("10.0.9.1:2222"), Until: at}, "gate at 10.0.9.1:2222 until 2026-11-21 02:37:00; opening ID"},
		{ledger.OpeningRefused{Opening: id, Reason: "wrong day", Signed: proof}, "wrong day; opening ID"},
		{ledger.OpeningWithdrawn{Opening: id, Signed: proof}, "opening ID"},
		{ledger.OpeningExpired{Opening: id, Reason: "nobody answered"}, "nobody answered; opening ID"},
		{ledger.OpeningClosed{Opening: id, Sessions: 2, Objects: 8, Bytes: 3_700_000, Signed: proof}, "read 3.7 MB of 8 objects in 2 sessions; opening ID"},
		{ledger.OpeningClosed{Opening: id, Cause: "the safe crashed", Unknown: true}, "the safe crashed; read at least 0 B of 0 objects in 0 sessions; opening ID"},
		{ledger.RecordReceived{Opening: id, Name: "drill.json", Digest: digest, Size: 900}, "drill.json, 900 B, " + digest.String() + "; opening ID"},
		{ledger.RecordAccepted{Opening: id, Application: "erp", Started: at, Ended: at.Add(2 * time.Hour), Signed: proof,
			Snapshots: []ledger.SnapshotRestored{{Source: "erp", Right: true}, {Source: "db"}}},
			"all of erp, erp/" + safe.RunID{}.String() + " right, db/" + safe.RunID{}.String() + " wrong, in 2 h; opening ID"},
		{ledger.RecordAccepted{Account: "ada", Started: at, Ended: at.Add(time.Minute), Signed: proof, Snapshots: []ledger.SnapshotRestored{{Source: "erp", Right: true}}},
			"erp/" + safe.RunID{}.String() + " right, in 60 s; the account ada"},
		{ledger.RecordRefused{Opening: id, Name: "drill.json", Digest: digest, Reason: "it is none"}, "drill.json, " + digest.String() + ": it is none; opening ID"},
		{ledger.AccessRefused{What: "gate", Reason: "another address", From: from, Count: 3}, "gate from 10.0.9.7, 3 times: another address"},
		{ledger.AccessRefused{What: "api", Reason: "nobody knows the key", Count: 1}, "api: nobody knows the key"},
	} {
		if got := strings.ReplaceAll(describe(c.what), id.String(), "ID"); got != c.want {
			t.Errorf("%s is described as\n%s\nwant\n%s", c.what.Kind(), got, c.want)
		}
	}
}
