package main

import (
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/ui"
)

// A lost phone is two passkeys, which are suspended at once; what could be meant
// is named.
func TestSuspensionsOfKeys(t *testing.T) {
	ada := accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper)
	r := access.Roster{People: []access.Person{ada.Person}}
	keys := ada.Keys()
	acts, err := suspensions(r, "ada", []string{keys[0].Fingerprint(), keys[1].Fingerprint(), keys[0].Fingerprint()}, "phone lost")
	if err != nil || len(acts) != 2 || acts[0].Key != keys[0] || acts[1].Key != keys[1] {
		t.Errorf("got %v, %v", acts, err)
	}
	_, err = suspensions(r, "ada", []string{"SHA256:"}, "phone lost")
	if err == nil {
		t.Fatal("SHA256: is one of several keys")
	}
	if said := err.Error() + ui.Remedy(err); !strings.Contains(said, keys[0].Fingerprint()) || !strings.Contains(said, keys[1].Fingerprint()) {
		t.Errorf("it does not name them: %s", said)
	}
}
