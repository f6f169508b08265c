package layout

import (
	"testing"
	"time"

	"strongroom/internal/safe"
)

func TestNamesComeApart(t *testing.T) {
	run := safe.NewRunID(time.Now())
	digest := safe.DigestOf([]byte("x"))
	for _, name := range []string{
		FormatName, Copy(FormatName), Envelope(run), EnvelopeCopy(run), Pack(run, digest), Parity(run, digest),
		Root(run, digest), Copy(Root(run, digest)), Run(run) + "/sketch/" + digest.String(),
		Snapshot(run), Copy(Snapshot(run)), Entry(0), Copy(Entry(12)), Checkpoint(13), Copy(Checkpoint(13)), Roster(1), Copy(Roster(2)),
		Keyring("ada", digest), Copy(Keyring("ada", digest)),
		Release(safe.OpeningID(run), digest), Copy(Release(safe.OpeningID(run), digest)),
	} {
		n := Parse(name)
		if n.Kind == Unknown || n.String() != name {
			t.Errorf("Parse(%q) = %+v, which is %q", name, n, n.String())
		}
		if other := n.Other(); other != "" && (Parse(other).Other() != name || Parse(other).Copied == n.Copied) {
			t.Errorf("the other copy of %q is %q, whose other is %q", name, other, Parse(other).Other())
		}
	}
}

func TestNamesThatNothingWrites(t *testing.T) {
	run := safe.NewRunID(time.Now()).String()
	for _, name := range []string{
		"", "x", "runs", "runs/" + run, "runs/x/envelope.age", "runs/" + run + "/envelope", "runs/" + run + "/packs/00",
		"runs/" + run + "/doors/" + safe.Digest{}.String(), "runs/" + run + "/packs/" + safe.Digest{}.String() + ".2",
		"ledger/entries/01", "ledger/entries/-1", "ledger/entries/+1", "ledger/entries/", "ledger/x/1", "roster/1", "roster/01.json",
		"snapshots/" + run, "snapshots/" + run + ".json.2.2", "format.2.2", "snapshots/../" + run + ".json",
		"keyrings/ada", "keyrings/ada/00.json", "keyrings/Ada/" + safe.Digest{}.String() + ".json", "keyrings/ada/" + safe.Digest{}.String(),
		"openings/" + run, "openings/" + run + "/" + safe.Digest{}.String(), "openings/x/" + safe.Digest{}.String() + ".json", "openings/" + run + "/00.json",
	} {
		if n := Parse(name); n.Kind != Unknown {
			t.Errorf("Parse(%q) = %+v, want an unknown name", name, n)
		}
	}
}

func TestFormat(t *testing.T) {
	id := safe.NewStoreID()
	if got, err := ParseFormat(Format(id)); err != nil || got != id {
		t.Errorf("got %v, %v", got, err)
	}
	for _, b := range []string{"", "strongroom-store 2 " + id.String() + "\n", "strongroom-store 1 00\n", "strongroom-store 1 " + id.String(), "x\n"} {
		if _, err := ParseFormat([]byte(b)); err == nil {
			t.Errorf("%q was accepted", b)
		}
	}
}
