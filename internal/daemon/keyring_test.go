package daemon

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/keyring"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
)

// withPetra founds a safe of which petra becomes a keykeeper, who has passkeys
// and no SSH key.
func withPetra(t *testing.T) (*hall, accesstest.Somebody) {
	t.Helper()
	h := newFoundedHall(t, pair)
	petra := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper)
	enrolment := access.Enrolment{Version: 1, Store: h.safe.ID(), Time: h.now(), Person: petra.Person, Domain: accesstest.Domain}
	next, err := compose.Add(h.roster(), []access.Enrolment{enrolment}, h.keyring(), nil, h.now())
	h.must(err)
	h.changed(next, "ada", "bob")
	h.people["petra"] = petra
	return h, petra
}

// A passkey signs what an SSH key signs, and is suspended as one.
func TestPeopleWithPasskeys(t *testing.T) {
	h, petra := withPetra(t)
	next, err := compose.Renew(h.roster(), access.Keykeeper, h.now())
	h.must(err)
	h.changed(next, "petra", "bob")
	usable := func() []signature.Key {
		v, err := h.safe.Voice(t.Context(), "petra")
		h.must(err)
		return v.Usable
	}
	if got := usable(); !slices.Equal(got, petra.Keys()) {
		t.Errorf("petra can use %v", got)
	}
	release, signIn := signature.FromPasskey(petra.Release.Key(t)), signature.FromPasskey(petra.SignIn.Key(t))
	h.pass(time.Second)
	suspend := h.says("petra", access.Suspend{Person: "petra", Key: release, Reason: "phone lost"})
	h.must(h.safe.Suspend(t.Context(), from, suspend))
	if got := usable(); !slices.Equal(got, []signature.Key{signIn}) {
		t.Errorf("petra can use %v", got)
	}
	if got := last[ledger.PersonSuspended](h); string(got.Key) != release.Fingerprint() || got.Signed != suspend {
		t.Errorf("the ledger says %+v", got)
	}
	h.denied(h.suspend("petra", "bob"), "suspended people")
	h.strange = true // it is lost here
	was := h.lose()
	h.rebuild()
	if diff := was.diff(dumpOf(t, statePath(h.cfg))); diff != "" {
		t.Errorf("the states differ (-lost +rebuilt):\n%s", diff)
	}
	if got := usable(); !slices.Equal(got, []signature.Key{signIn}) {
		t.Errorf("petra can use %v", got)
	}
	h.sound()
}

// ring is a keyring under the passkey of petra.
func ring(h *hall, petra accesstest.Somebody, periods ...int) keyring.Keyring {
	file := []byte("age-encryption.org/v1\n-> age-encryption.org/fido2prf " + strings.Repeat("A", 22) + "\n" +
		strings.Repeat("B", 43) + "\n--- " + strings.Repeat("C", 43) + "\n")
	k := keyring.Keyring{Version: 1, Store: h.safe.ID(), Person: "petra", Passkey: petra.Release.Key(h.t).Credential(),
		Time: h.now().UTC().Truncate(time.Second), Personal: file, Periods: []keyring.Period{}}
	for _, n := range periods {
		k.Periods = append(k.Periods, keyring.Period{Number: n, Sealed: file})
	}
	return k
}

// What is suspended opens nothing, and nothing is proven with it: what is lost
// may have been found.
func TestSuspendedPasskeyProvesNothing(t *testing.T) {
	h, petra := withPetra(t)
	ctx, check := t.Context(), api.KeyCheck{Role: outerRole, Period: 1}
	h.must(h.safe.KeepKeyring(ctx, from, "petra", ring(h, petra, 1).Encode()))
	begun, err := h.safe.BeginKeyCheck(ctx, from, "petra", check)
	h.must(err)
	nonce, err := seal.AnswerOuterProof(h.outer[0], begun.Sealed)
	h.must(err)
	h.pass(time.Second)
	lost := access.Suspend{Person: "petra", Key: signature.FromPasskey(petra.Release.Key(t)), Reason: "phone lost"}
	h.must(h.safe.Suspend(ctx, from, h.says("bob", lost)))
	_, err = h.safe.BeginKeyCheck(ctx, from, "petra", check)
	h.denied(err, "suspended")
	h.denied(h.safe.AnswerKeyCheck(ctx, from, "petra", api.Answer{ID: begun.ID, Nonce: nonce}), "suspended")
	if got := all[ledger.KeyChecked](h); len(got) != 0 {
		t.Errorf("the ledger says that it was proven: %v", got)
	}
	if b, err := h.safe.Keyring(ctx, "petra"); b != nil || !errors.Is(err, access.ErrSuspended) {
		t.Errorf("the keyring is handed out: %v", err)
	}
}

func TestKeyring(t *testing.T) {
	h, petra := withPetra(t)
	ctx := t.Context()
	if _, err := h.safe.Keyring(ctx, "petra"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("who has none gets %v", err)
	}
	first := ring(h, petra).Encode()
	h.must(h.safe.KeepKeyring(ctx, from, "petra", first))
	h.pass(time.Minute)
	second := ring(h, petra, 1).Encode()
	h.must(h.safe.KeepKeyring(ctx, from, "petra", second))
	h.must(h.safe.KeepKeyring(ctx, from, "petra", second)) // the answer was not heard
	if got := all[ledger.KeyringKept](h); len(got) != 2 || got[1] != (ledger.KeyringKept{Person: "petra", Digest: safe.DigestOf(second)}) {
		t.Errorf("the ledger says %+v", got)
	}
	has := func(name safe.PersonName, want []byte) {
		t.Helper()
		if got, err := h.safe.Keyring(ctx, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %s, %v, want %s", name, got, err, want)
		}
	}
	has("petra", second)
	for _, name := range []safe.PersonName{"ada", "bob", "nobody"} {
		if _, err := h.safe.Keyring(ctx, name); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("%s gets %v", name, err)
		}
	}

	for name, b := range map[string][]byte{
		"no keyring":              []byte("{}"),
		"a period that is not":    ring(h, petra, 2).Encode(),
		"a passkey of nobody":     ring(h, accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper), 1).Encode(),
		"the passkey for sign-in": ring(h, accesstest.Somebody{Release: petra.SignIn}).Encode(),
	} {
		err := h.safe.KeepKeyring(ctx, from, "petra", b)
		if _, ok := errors.AsType[*api.InvalidError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := errors.AsType[*api.InvalidError](h.safe.KeepKeyring(ctx, from, "ada", second)); !ok {
		t.Error("ada keeps the keyring of petra")
	}
	h.denied(h.safe.KeepKeyring(ctx, from, "bob", second), "no keykeeper")
	// Nothing can be taken out of it or exchanged: that would take a touch.
	other := ring(h, petra, 1)
	other.Personal = append(slices.Clone(other.Personal), 'x')
	for _, b := range [][]byte{ring(h, petra).Encode(), other.Encode()} {
		h.pass(time.Second)
		h.denied(h.safe.KeepKeyring(ctx, from, "petra", b), "can only be added to")
	}
	has("petra", second)

	// It comes back with the store; and one that is lost there is told of.
	h.strange = true
	was := h.lose()
	h.rebuild()
	if diff := was.diff(dumpOf(t, statePath(h.cfg))); diff != "" {
		t.Errorf("the states differ (-lost +rebuilt):\n%s", diff)
	}
	has("petra", second)
	h.sound()
	h.lose()
	name := layout.Keyring("petra", safe.DigestOf(second))
	for _, name := range []string{name, layout.Copy(name)} {
		h.must(os.Remove(filepath.Join(h.cfg.Store, name)))
	}
	if got := h.rebuild(); len(got.Lost) != 1 || got.Lost[0].Name != name {
		t.Errorf("the rebuild lost %+v", got.Lost)
	}
	has("petra", first)
}

// A keyring of a passkey that its person has no more opens nothing.
func TestKeyringOfAnOldPasskey(t *testing.T) {
	h, petra := withPetra(t)
	ctx := t.Context()
	h.must(h.safe.KeepKeyring(ctx, from, "petra", ring(h, petra, 1).Encode()))
	anew := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper)
	enrolment := access.Enrolment{Version: 1, Store: h.safe.ID(), Time: h.now(), Person: anew.Person, Domain: accesstest.Domain}
	next, err := compose.Add(h.roster(), []access.Enrolment{enrolment}, h.keyring(), nil, h.now())
	h.must(err)
	h.changed(next, "ada", "bob")
	if _, err := h.safe.Keyring(ctx, "petra"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("she gets the keyring of her old passkey, %v", err)
	}
}
