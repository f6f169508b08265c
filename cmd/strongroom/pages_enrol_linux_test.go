package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
)

// enrolInBrowser does what the safe's page does for a keykeeper who has got a
// link, with an authenticator that needs no finger. The words are found as those
// of that person.
func (w *world) enrolInBrowser(t *testing.T, name, link string) {
	t.Helper()
	i, err := access.ParseInvitation(link)
	if err != nil {
		t.Fatal(err)
	}
	// It is the invitation's own authority that a person's browser is told to trust.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	ask := func(route string, message, answer any) {
		method, path, _ := strings.Cut(route, " ")
		body, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(method, i.URL+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", i.URL)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() // all was read
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode/100 != 2 {
			t.Fatalf("%s: %s %s, %v", route, res.Status, text, err)
		}
		if len(text) > 0 && answer != nil {
			if err := json.Unmarshal(text, answer); err != nil {
				t.Fatal(err)
			}
		}
	}
	var ceremony api.Ceremony
	ask(api.PasskeysBegin, api.Invited{Token: i.Token}, &ceremony)
	personal, err := seal.NewPersonalIdentity()
	if err != nil {
		t.Fatal(err)
	}
	p := access.Person{Name: i.Person, Roles: i.Roles, Mail: name + "@acme.example", Key: personal.Recipient()}
	m := api.Enrolling{Token: i.Token}
	for _, use := range []access.PasskeyUse{access.SignIn, access.Release} {
		a := passkeytest.New(t, ceremony.Domain, i.URL)
		made := a.Register(ceremony.Challenge)
		p.Passkeys = append(p.Passkeys, access.Passkey{Key: a.Key(t), Use: use})
		m.Passkeys = append(m.Passkeys, api.Registration{Use: use, AttestationObject: made.AttestationObject, ClientData: made.ClientData})
	}
	e := access.Enrolment{Version: 1, Store: i.Store, Time: time.Now().Add(w.later).UTC().Truncate(time.Second), Person: p, Domain: ceremony.Domain}
	m.Enrolment = e.Encode()
	ask(api.Enrol, m, nil)
	w.found["<words of "+name+">"] = words.Of(e.Digest())
}
