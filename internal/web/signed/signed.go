// Package signed carries people's requests to the safe: HTTP requests that are
// signed with the person's SSH key, each for itself. There are no sessions,
// cookies or tokens, so nothing can be stolen that is good for a second request.
//
// A signature binds the store, the person, the method, the path with its query,
// the body, the time and a nonce. It does not bind other headers, on which a
// handler must therefore decide nothing, and it hides nothing: that is for TLS.
// A Verifier tells who signed a request, not what that person may do.
//
// A request is good once and for Window before and after its time. What was
// seen is kept in memory only, so a Verifier also refuses what was signed
// before it was made. Whoever captures a request of somebody whose clock is
// ahead can repeat it if the safe is started anew within that time: what must
// not happen twice has to be good once by itself, too.
package signed

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/sshsig"
	"strongroom/internal/safe"
)

const (
	// Header is the header that carries a signature:
	//
	//	Strongroom-Signature: person=ana, time=2026-11-21T02:00:00Z,
	//	    nonce=<32 hex digits>, body=<SHA-256 in hex>, sig=<SSHSIG in base64>
	//
	// on one line, with its parts in this order.
	Header = "Strongroom-Signature"

	// Namespace is the purpose for which requests are signed.
	Namespace = "strongroom/v1/api"

	// Window is how far the clocks of a person's machine and of the safe may
	// be apart.
	Window = 5 * time.Minute
)

// maxHeader bounds the header: its longest signature and 300 characters.
const maxHeader = sshsig.MaxText + 300

// maxTarget bounds a request's path and query.
const maxTarget = 2048

// A nonce makes a request unlike every other.
type nonce [16]byte

// A claim is what the header says.
type claim struct {
	person    safe.PersonName
	time      time.Time // in UTC, in whole seconds
	nonce     nonce
	body      safe.Digest
	signature sshsig.Signature
}

// timeForm is RFC 3339 in UTC and seconds.
const timeForm = "2006-01-02T15:04:05Z"

func (c claim) String() string {
	return fmt.Sprintf("person=%s, time=%s, nonce=%x, body=%s, sig=%s", c.person, c.time.Format(timeForm), c.nonce, c.body, c.signature)
}

var claimForm = regexp.MustCompile(`^person=([a-z0-9-]+), time=([0-9TZ:-]{20}), nonce=([0-9a-f]{32}), body=([0-9a-f]{64}), sig=([A-Za-z0-9+/=]+)$`)

// parseClaim reads what String writes, and nothing else.
func parseClaim(s string) (c claim, err error) {
	if len(s) > maxHeader {
		return claim{}, fmt.Errorf("its header has %d characters, at most %d are possible", len(s), maxHeader)
	}
	m := claimForm.FindStringSubmatch(s)
	if m == nil {
		return claim{}, errors.New("its header is not of the form person=, time=, nonce=, body=, sig=")
	}
	if c.person, err = safe.ParsePersonName(m[1]); err != nil {
		return claim{}, err
	}
	if c.time, err = time.Parse(timeForm, m[2]); err != nil {
		return claim{}, fmt.Errorf("its time %q is not like %s", m[2], timeForm)
	}
	if _, err = hex.Decode(c.nonce[:], []byte(m[3])); err != nil {
		return claim{}, fmt.Errorf("its nonce: %w", err)
	}
	if c.body, err = safe.ParseDigest(m[4]); err != nil {
		return claim{}, err
	}
	if c.signature, err = sshsig.ParseSignature(m[5]); err != nil {
		return claim{}, err
	}
	return c, nil
}

// message returns the bytes that are signed, of which anybody can make the
// same with a text editor. No field can hold a line break.
func (c claim) message(store safe.StoreID, method, target string) ([]byte, error) {
	if method == "" || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return nil, fmt.Errorf("the method %.20q of the request is not one in capitals", method)
	}
	if !strings.HasPrefix(target, "/") || len(target) > maxTarget || strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, fmt.Errorf("the path %.80q of the request is not one that begins with / and has at most %d plain characters", target, maxTarget)
	}
	return fmt.Appendf(nil, "store %s\nperson %s\nrequest %s %s\nbody %s\ntime %s\nnonce %x\n",
		store, c.person, method, target, c.body, c.time.Format(timeForm), c.nonce), nil
}

// Sign signs a request, whose body must be the one given, for the safe of the
// store. A request that was signed is good for one attempt: to send it again,
// sign it again.
func Sign(req *http.Request, body []byte, store safe.StoreID, person safe.PersonName, signer ssh.Signer, now time.Time) error {
	c := claim{person: person, time: now.UTC().Truncate(time.Second), body: safe.DigestOf(body)}
	rand.Read(c.nonce[:]) // never fails: crypto/rand aborts the program instead
	method := req.Method
	if method == "" {
		method = http.MethodGet // as package http reads it
	}
	message, err := c.message(store, method, req.URL.RequestURI())
	if err != nil {
		return fmt.Errorf("signing a request: %w", err)
	}
	if c.signature, err = sshsig.Sign(signer, Namespace, message); err != nil {
		return fmt.Errorf("signing a request: %w", err)
	}
	req.Header.Set(Header, c.String())
	return nil
}
