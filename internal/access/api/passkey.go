package api

import (
	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// The routes of the safe's own pages. None is signed: a token, or a passkey,
// tells who calls. Who has signed in has a cookie, which is good in the place of
// a signature for what needs no other: see package web.
const (
	PasskeysBegin = "POST /v1/passkeys/begin" // Invited -> Ceremony
	SignInBegin   = "POST /v1/sign-in/begin"  // nothing -> SignInChallenge
	SignInFinish  = "POST /v1/sign-in"        // SignIn -> SignedIn, and a cookie
	WhoAmI        = "GET /v1/session"         // -> Session
	KeyringGet    = "GET /v1/keyring"         // -> Keyring: the caller's newest, empty if there is none
	KeyringKeep   = "POST /v1/keyring"        // Keyring -> nothing
)

// Invited is somebody whose page is about to make passkeys.
type Invited struct {
	Token access.Token `json:"token"` // which it does not use up
}

// Ceremony is what a page needs to have passkeys made.
type Ceremony struct {
	Challenge []byte `json:"challenge"` // for all passkeys of one enrolment
	Domain    string `json:"domain"`    // that they will be bound to: the RP ID
	Name      string `json:"name"`      // of the safe
	// Founding is there for a keykeeper of a safe that is not founded yet, who
	// brings the outer key.
	Founding *Founding `json:"founding,omitempty"`
}

// Founding is the outer key of a safe that is not founded yet.
type Founding struct {
	Outer  seal.OuterRecipient `json:"outer"`
	Period int                 `json:"period"` // from 1
}

// Registration is what navigator.credentials.create() gave for one passkey.
type Registration struct {
	Use               access.PasskeyUse `json:"use"`
	AttestationObject []byte            `json:"attestation_object"`
	ClientData        []byte            `json:"client_data"`
}

// SignInNamespace is the purpose for which a SignInMessage is signed.
const SignInNamespace = "strongroom/v1/sign-in"

// SignInMessage returns what somebody signs who signs in. It names the safe:
// another one, whose pages are at the same domain, can hand out a nonce that it
// got here, and what is signed for it is of no use to it.
func SignInMessage(store safe.StoreID, nonce opening.Nonce) []byte {
	return append([]byte(store.String()+"\n"), nonce[:]...)
}

// SignInChallenge is what somebody who comes to a page is to sign, with a
// passkey of that domain, and for which safe. A page on another host knows its
// safe by itself, and compares.
type SignInChallenge struct {
	Nonce  opening.Nonce `json:"nonce"` // good once, for five minutes
	Store  safe.StoreID  `json:"store"`
	Domain string        `json:"domain"`
}

// SignIn is the nonce, and the SignInMessage of it, signed.
type SignIn struct {
	Nonce     opening.Nonce     `json:"nonce"`
	Assertion passkey.Assertion `json:"assertion"`
}

// SignedIn tells a page who has signed in.
type SignedIn struct {
	Person  safe.PersonName `json:"person"`
	Pending bool            `json:"pending"` // enrolled, and not in the roster yet
	// Session is for a page on another host, which sends it along as a bearer
	// token; others have a cookie.
	Session string `json:"session,omitempty"`
}

// Session tells a page of which safe it is, and who has signed in.
type Session struct {
	Person safe.PersonName `json:"person"`
	Safe   string          `json:"safe"`
	Store  safe.StoreID    `json:"store"`
	Domain string          `json:"domain"` // of the roster's passkeys; "" if it has none
}

// Keyring is what a keykeeper's passkey has wrapped (package keyring).
type Keyring struct {
	Keyring []byte `json:"keyring,omitempty"` // exact bytes
}
