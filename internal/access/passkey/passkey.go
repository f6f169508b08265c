// Package passkey checks what people sign with their passkeys: assertions of
// WebAuthn, which a browser hands out after its holder touched a sensor or gave
// a PIN.
//
// A passkey does not sign a message. It signs a hash of what the browser says
// about a challenge, and data of the authenticator. So the challenge is the
// hash of the message and of the purpose that it is signed for: the assertion
// is then a signature of the message, and whoever has both can check it years
// later, without the server and the page that asked for it. [Challenge] is all
// of it.
//
// Verify believes the browser that it was at the origin it names, and the
// authenticator that it knows its holder. What WebAuthn has besides is not
// asked: the counter, which synced passkeys keep at 0, and who made the
// authenticator. Whose key it is and whether it may sign is for a roster. Which
// origins below the domain are right is for who runs them: see
// [Assertion.Origin]. Nothing here remembers assertions: what must not be said
// twice needs something in the message that makes it unique.
package passkey

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// An Assertion is what navigator.credentials.get() gives for a challenge. Only
// Verify says what it is worth.
type Assertion struct {
	Credential        []byte // id of the passkey
	AuthenticatorData []byte // SHA-256 of the domain, flags, counter, extensions
	ClientData        []byte // JSON, as the browser wrote it
	Signature         []byte // of AuthenticatorData and the SHA-256 of ClientData
}

// Word begins the text of an assertion and of nothing else that stands for a
// signature.
const Word = "strongroom-passkey-v1"

// Bounds of the parts of an assertion: an ordinary one has 32, 37, 150 and 71
// bytes.
const (
	minAuthenticatorData = sha256.Size + 1 + 4
	maxAuthenticatorData = 1 << 10
	maxClientData        = 2 << 10
	maxSignature         = maxRSA
)

// MaxText bounds the characters of an assertion. An ordinary one has 410.
const MaxText = 6200

// Challenge is what a browser is told to have signed, so that message is signed
// for the purpose that the namespace names.
func Challenge(namespace string, message []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(namespace + "\n")) // a namespace is a constant of this program, without a line end
	h.Write(message)
	return [32]byte(h.Sum(nil))
}

// Verify checks that the passkey has signed the message for the purpose that
// the namespace names, on a page of the domain or of a name below it, and that
// its holder was there and was recognised: by a finger, a face or a PIN.
func (a Assertion) Verify(key Key, domain, namespace string, message []byte) error {
	return a.verify(key, domain, Challenge(namespace, message))
}

func (a Assertion) verify(key Key, domain string, challenge [32]byte) error {
	if err := a.check(); err != nil {
		return err
	}
	if key.IsZero() {
		return errors.New("it is signed with a passkey, and there is none to compare")
	}
	credential, cose := key.parts()
	if !bytes.Equal(a.Credential, credential) {
		return fmt.Errorf("it is signed with another passkey than %s", key.Fingerprint())
	}
	if err := a.checkClientData(domain, challenge); err != nil {
		return err
	}
	if err := a.checkAuthenticatorData(domain); err != nil {
		return err
	}
	hash := sha256.Sum256(a.ClientData)
	good, err := check(cose, append(bytes.Clone(a.AuthenticatorData), hash[:]...), a.Signature)
	if err != nil {
		return err
	}
	if !good {
		return fmt.Errorf("the signature with passkey %s is not one of this assertion", key.Fingerprint())
	}
	return nil
}

// check sees to the bounds, so that the text of what Verify takes can be read
// again.
func (a Assertion) check() error {
	for _, part := range []struct {
		name     string
		b        []byte
		min, max int
	}{
		{"id", a.Credential, 1, maxCredential},
		{"authenticator data", a.AuthenticatorData, minAuthenticatorData, maxAuthenticatorData},
		{"client data", a.ClientData, 1, maxClientData},
		{"signature", a.Signature, 1, maxSignature},
	} {
		if len(part.b) < part.min || len(part.b) > part.max {
			return fmt.Errorf("an assertion with %s of %d bytes, want %d to %d", part.name, len(part.b), part.min, part.max)
		}
	}
	return nil
}

// clientData is what a browser says of a signature. It may say more.
type clientData struct {
	Type        string
	Challenge   string
	Origin      string
	CrossOrigin bool
}

const typeGet = "webauthn.get"

// readClientData reads JSON by the exact names of its members, each at most
// once: package json would take "Origin" for "origin", and the last of two.
func readClientData(b []byte) (clientData, error) {
	var c clientData
	fields := map[string]any{"type": &c.Type, "challenge": &c.Challenge, "origin": &c.Origin, "crossOrigin": &c.CrossOrigin}
	required := []string{"type", "challenge", "origin"}

	dec := json.NewDecoder(bytes.NewReader(b))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return clientData{}, errors.New("what the browser says is no JSON object")
	}
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok || seen[name] {
			return clientData{}, errors.New("what the browser says is damaged, or says something twice")
		}
		seen[name] = true
		into := fields[name]
		if into == nil {
			into = new(json.RawMessage) // browsers add what is new, and some what is not, to accustom their readers
		}
		if err := dec.Decode(into); err != nil {
			return clientData{}, fmt.Errorf("what the browser says has a %.40q that cannot be read", name)
		}
	}
	if _, err := dec.Token(); err != nil || dec.InputOffset() != int64(len(b)) {
		return clientData{}, errors.New("what the browser says is cut short, or followed by something else")
	}
	for _, name := range required {
		if !seen[name] {
			return clientData{}, fmt.Errorf("what the browser says has no %q", name)
		}
	}
	return c, nil
}

// domainForm is that of names in lower case. What is below a domain is asked by
// comparing ends, so it has no dot at its own.
var domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// CheckDomain reports why passkeys cannot be bound to domain: browsers take
// names, and no addresses.
func CheckDomain(domain string) error {
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	if len(domain) > 253 || !domainForm.MatchString(domain) || strings.Trim(last, "0123456789") == "" {
		return fmt.Errorf("%.260q is no domain of passkeys: want a name in lower case such as safe.acme.example", domain)
	}
	return nil
}

func (a Assertion) checkClientData(domain string, challenge [32]byte) error {
	c, err := readClientData(a.ClientData)
	switch {
	case err != nil:
		return err
	case c.Type != typeGet:
		return fmt.Errorf("the browser made it for %.40q, want %q", c.Type, typeGet)
	case c.Challenge != encode(challenge[:]):
		return errors.New("the passkey has signed something else")
	case c.CrossOrigin:
		return errors.New("the passkey was asked for by a page inside another one")
	}
	return checkOrigin(c.Origin, domain)
}

// checkOrigin sees whether a page is one of the domain.
func checkOrigin(origin, domain string) error {
	if err := CheckDomain(domain); err != nil {
		return err
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("the passkey was asked for by %.100q, which is no origin", origin)
	}
	host := u.Hostname()
	switch {
	case u.Scheme == "https" && (host == domain || strings.HasSuffix(host, "."+domain)):
		return nil
	case u.Scheme == "http" && domain == "localhost" && host == domain:
		return nil // browsers take it for as good as https, and nothing of it leaves the machine
	}
	return fmt.Errorf("the passkey was asked for by %.100q, want https and %s or a name below it", origin, domain)
}

// Flags of the authenticator data.
const (
	userPresent    = 0x01
	userVerified   = 0x04
	backupEligible = 0x08
)

func (a Assertion) flags() byte { return a.AuthenticatorData[sha256.Size] }

func (a Assertion) checkAuthenticatorData(domain string) error {
	hash := sha256.Sum256([]byte(domain))
	switch {
	case !bytes.HasPrefix(a.AuthenticatorData, hash[:]):
		return fmt.Errorf("the passkey is one for another domain than %s", domain)
	case a.flags()&userPresent == 0:
		return errors.New("nobody touched the authenticator when it signed")
	case a.flags()&userVerified == 0:
		return errors.New("the authenticator did not ask who touched it: a finger, a face or a PIN is needed")
	}
	return nil
}

// Origin returns the page, as the browser names it, on which the passkey was
// used. Before Verify it is a claim of whoever sent it.
func (a Assertion) Origin() (string, error) {
	c, err := readClientData(a.ClientData)
	return c.Origin, err
}

// Synced reports whether the passkey is of a kind that its provider copies to
// other devices, by which it is as safe as an account there.
func (a Assertion) Synced() bool {
	return len(a.AuthenticatorData) >= minAuthenticatorData && a.flags()&backupEligible != 0
}

// String returns the assertion on one line: Word and the four parts in
// base64url. That is also its text in JSON.
func (a Assertion) String() string {
	return strings.Join([]string{Word, encode(a.Credential), encode(a.AuthenticatorData), encode(a.ClientData), encode(a.Signature)}, " ")
}

// ParseAssertion reads the form that String writes, and no other.
func ParseAssertion(s string) (Assertion, error) {
	if len(s) > MaxText {
		return Assertion{}, fmt.Errorf("an assertion of %d characters, at most %d are possible", len(s), MaxText)
	}
	parts, err := decodeLine(s, Word, 4)
	if err != nil {
		return Assertion{}, fmt.Errorf("an assertion: %w", err)
	}
	a := Assertion{Credential: parts[0], AuthenticatorData: parts[1], ClientData: parts[2], Signature: parts[3]}
	return a, a.check()
}

// MarshalText writes what String returns.
func (a Assertion) MarshalText() ([]byte, error) { return []byte(a.String()), a.check() }

func (a *Assertion) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAssertion(string(b))
	return err
}
