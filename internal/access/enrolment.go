package access

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"strongroom/internal/access/passkey"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
)

// An Enrolment is what somebody who was invited sends from their own machine:
// how they will stand in the roster. Both sides compare its digest in words,
// since the safe's host could have put other keys in.
type Enrolment struct {
	Version int          `json:"v"`
	Store   safe.StoreID `json:"store"`
	Time    time.Time    `json:"time"`
	Person  Person       `json:"person"`
	// Domain is what the person's passkeys were made for; it is there if they
	// have any. As the words are compared, the safe's host cannot have named
	// another one.
	Domain string `json:"domain,omitempty"`
	// Outer is the public half of a new outer key, which a keykeeper has made to
	// found the safe with: a period begins with it, and OuterCopy is of it.
	Outer seal.OuterRecipient `json:"outer,omitzero"`
	// OuterCopy or InnerCopy is the role key of the newest period, sealed to
	// the person's own key, from a founder who has it.
	OuterCopy []byte `json:"outer_copy,omitempty"`
	InnerCopy []byte `json:"inner_copy,omitempty"`
}

// MaxEnrolment bounds the bytes of an enrolment.
const MaxEnrolment = 128 << 10

// Encode returns the one spelling of e.
func (e Enrolment) Encode() []byte {
	b, err := spelling.Of(e)
	if err != nil {
		panic(fmt.Sprintf("an enrolment cannot be encoded: %v", err)) // of people that Check accepts, none fails
	}
	return b
}

// Digest is what both sides compare in words.
func (e Enrolment) Digest() safe.Digest { return safe.DigestOf(e.Encode()) }

// ParseEnrolment reads what Encode writes, and checks the person.
func ParseEnrolment(b []byte) (Enrolment, error) {
	var e Enrolment
	if err := spelling.Parse(b, MaxEnrolment, "an enrolment", &e); err != nil {
		return Enrolment{}, err
	}
	switch {
	case e.Version != 1:
		return Enrolment{}, fmt.Errorf("an enrolment of version %d, this program knows version 1", e.Version)
	case e.OuterCopy != nil && !e.Person.Has(Keykeeper), e.InnerCopy != nil && !e.Person.Has(Operator):
		return Enrolment{}, errors.New("an enrolment brings a role key of another role")
	case !e.Outer.IsZero() && e.OuterCopy == nil:
		return Enrolment{}, errors.New("an enrolment names a new outer key and does not bring it")
	case (e.Domain == "") != (len(e.Person.Passkeys) == 0):
		return Enrolment{}, errors.New("an enrolment has passkeys without their domain, or a domain without passkeys")
	case !spelling.Is(b, e):
		return Enrolment{}, errors.New("an enrolment is not in its canonical spelling")
	}
	if e.Domain != "" {
		if err := passkey.CheckDomain(e.Domain); err != nil {
			return Enrolment{}, err
		}
	}
	return e, e.Person.Check()
}

// A Token is the secret of an invitation: 16 random bytes.
type Token [16]byte

// NewToken returns a random Token.
func NewToken() (t Token) {
	rand.Read(t[:]) // never fails: crypto/rand aborts the program instead
	return t
}

func (t Token) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(t[:])), nil
}

func (t *Token) UnmarshalText(b []byte) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != len(t) {
		return errors.New("a token that is none")
	}
	copy(t[:], raw)
	return nil
}

// An Invitation is what the safe's host gives to somebody, once, for half an
// hour. It is passed on as a link, whose last part no server ever sees.
type Invitation struct {
	URL    string          `json:"-"` // of the safe: https://safe.example.com:8443
	Safe   string          `json:"safe"`
	Store  safe.StoreID    `json:"store"`
	Person safe.PersonName `json:"person"`
	Roles  []Role          `json:"roles"`
	Token  Token           `json:"token"`
	CA     safe.Digest     `json:"ca,omitzero"` // of the safe's own CA; zero if it has a public certificate
}

// InvitationLife is how long an invitation is good.
const InvitationLife = 30 * time.Minute

const invitationPath = "/enrol"

// String returns the link.
func (i Invitation) String() string {
	b, err := json.Marshal(i)
	if err != nil {
		panic(fmt.Sprintf("an invitation cannot be encoded: %v", err)) // no field can fail
	}
	return i.URL + invitationPath + "#" + base64.RawURLEncoding.EncodeToString(b)
}

// safeNameForm is that of configurations. The name comes out of a link and
// becomes that of a folder.
var safeNameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ParseInvitation reads the link.
func ParseInvitation(link string) (Invitation, error) {
	front, secret, ok := strings.Cut(strings.TrimSpace(link), "#")
	base, isPath := strings.CutSuffix(front, invitationPath)
	u, err := url.Parse(base)
	if !ok || !isPath || err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery {
		return Invitation{}, errors.New("this is not the link of an invitation: it begins with https:// and has /enrol#")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil {
		return Invitation{}, errors.New("the link of the invitation is not whole: copy all of it")
	}
	var i Invitation
	if err := spelling.Parse(raw, 4<<10, "the link of an invitation", &i); err != nil {
		return Invitation{}, err
	}
	if i.Person == "" || len(i.Roles) == 0 || i.Store.IsZero() || i.Token == (Token{}) {
		return Invitation{}, errors.New("the link of the invitation is not whole: copy all of it")
	}
	if !safeNameForm.MatchString(i.Safe) {
		return Invitation{}, fmt.Errorf("the safe of the invitation calls itself %.80q, which is no name of a safe", i.Safe)
	}
	i.URL = base
	return i, nil
}
