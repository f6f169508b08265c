package signed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"strongroom/internal/access/sshsig"
	"strongroom/internal/safe"
)

// maxNonces bounds how many requests with one key are remembered, and so how
// many can be made within twice Window. An opening of thousands of runs is
// released in one request.
const maxNonces = 4096

// A Claim tells who signed a request.
type Claim struct {
	Person safe.PersonName
	Key    sshsig.PublicKey // with which of the person's keys
	Body   safe.Digest      // what the body must be
	Time   time.Time        // when, by the clock of the person's machine
}

var (
	// ErrReplayed means that a request was seen before, or may have been.
	ErrReplayed = errors.New("the request was sent before, or signed before the safe was started: sign it anew")
	// ErrTooMany means that more requests were made with a key than are
	// remembered.
	ErrTooMany = fmt.Errorf("more than %d requests with one SSH key in %d minutes", maxNonces, int(2*Window/time.Minute))
	// ErrBody means that a body is not the one that was signed.
	ErrBody = errors.New("the body of the request is not the one that was signed")
)

// A RefusedError means that a request is not signed by a person of the safe.
// Its text is the same whatever the reason, so that a stranger learns nothing
// of who is a person.
type RefusedError struct {
	Cause error // for the safe's log, not for who sent the request
}

func (*RefusedError) Error() string {
	return "the request is not signed by a person whom this safe knows, with a key that is theirs"
}

// A ClockError means that the request of a person is too old, or not yet good.
// Only who signs with a key that the safe knows is told so.
type ClockError struct {
	Safe time.Time // what the safe's clock says
	Sent time.Time // what the person's machine said
}

func (e *ClockError) Error() string {
	off, which := e.Safe.Sub(e.Sent), "behind"
	if off < 0 {
		off, which = -off, "ahead of"
	}
	return fmt.Sprintf("the clock of the machine that signed is %s %s the safe's, which says %s", off.Round(time.Second), which, e.Safe.UTC().Format(timeForm))
}

// Lookup returns the SSH keys with which a person may sign now, none if there
// is no such person. An error means that it could not be found out.
type Lookup func(ctx context.Context, person safe.PersonName) ([]sshsig.PublicKey, error)

// A Verifier checks the requests to one safe. Its methods may be called
// concurrently.
type Verifier struct {
	store  safe.StoreID
	now    func() time.Time
	lookup Lookup

	mu sync.Mutex // guards the fields below
	// seen is by key, not by person: a key that was stolen must not use up what
	// its owner may do with another one, such as to suspend it.
	seen map[sshsig.PublicKey]map[nonce]time.Time
	// from is the oldest time of a request that is taken. It never moves back,
	// even if the clock does, so that what was forgotten is not taken again.
	from time.Time
}

// NewVerifier returns a Verifier of requests that are signed from now on.
func NewVerifier(store safe.StoreID, now func() time.Time, lookup Lookup) *Verifier {
	return &Verifier{
		store: store, now: now, lookup: lookup,
		seen: make(map[sshsig.PublicKey]map[nonce]time.Time),
		from: now().Truncate(time.Second), // as requests are timed
	}
}

// Check tells who signed a request, before a byte of its body is read. It
// returns a *RefusedError, a *ClockError, ErrReplayed, ErrTooMany, or the error
// of the Lookup.
//
// The order matters: everything is checked against the key that the signature
// names before anybody is looked up, so a stranger's request takes the same
// steps whether or not it names a person. Clock and nonce come last, as only
// persons may be told of the one, and be remembered for the other.
func (v *Verifier) Check(req *http.Request) (Claim, error) {
	header := req.Header.Values(Header)
	if len(header) != 1 {
		return Claim{}, &RefusedError{fmt.Errorf("it has %d headers %s, want one", len(header), Header)}
	}
	c, err := parseClaim(header[0])
	if err != nil {
		return Claim{}, &RefusedError{err}
	}
	message, err := c.message(v.store, req.Method, req.RequestURI)
	if err != nil {
		return Claim{}, &RefusedError{err}
	}
	key := c.signature.Key()
	if err := c.signature.Verify(key, Namespace, message); err != nil {
		return Claim{}, &RefusedError{err}
	}
	keys, err := v.lookup(req.Context(), c.person)
	if err != nil {
		return Claim{}, fmt.Errorf("looking up the keys of %s: %w", c.person, err)
	}
	if !slices.Contains(keys, key) {
		return Claim{}, &RefusedError{fmt.Errorf("%s has no SSH key %s", c.person, key.Fingerprint())}
	}
	if err := v.once(c, key); err != nil {
		return Claim{}, err
	}
	return Claim{Person: c.person, Key: key, Body: c.body, Time: c.time}, nil
}

// once takes each request with a key once, within the window.
func (v *Verifier) once(c claim, key sshsig.PublicKey) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if off := now.Sub(c.time); off > Window || off < -Window {
		return &ClockError{Safe: now, Sent: c.time}
	}
	if oldest := now.Add(-Window); oldest.After(v.from) {
		v.from = oldest
	}
	if c.time.Before(v.from) {
		return ErrReplayed
	}
	seen := v.seen[key]
	if seen == nil {
		seen = make(map[nonce]time.Time)
		v.seen[key] = seen
	}
	maps.DeleteFunc(seen, func(_ nonce, t time.Time) bool { return t.Before(v.from) })
	if _, ok := seen[c.nonce]; ok {
		return ErrReplayed
	}
	if len(seen) >= maxNonces {
		return ErrTooMany
	}
	seen[c.nonce] = c.time
	return nil
}

// ReadBody reads the body of the request whose Claim it is, as the function
// ReadBody does. It returns ErrBody if the body is not what was signed.
func (c Claim) ReadBody(w http.ResponseWriter, req *http.Request, limit int64, within time.Duration) ([]byte, error) {
	b, err := ReadBody(w, req, limit, within)
	if err == nil && safe.DigestOf(b) != c.Body {
		return nil, ErrBody
	}
	return b, err
}

// ReadBody reads the body of a request: at most limit bytes, in that time. It
// returns an error that holds an *http.MaxBytesError if the body is larger. w
// must be the server's own, or unwrap to it, as the deadline is set there.
func ReadBody(w http.ResponseWriter, req *http.Request, limit int64, within time.Duration) ([]byte, error) {
	if req.ContentLength > limit {
		return nil, fmt.Errorf("the body of the request has %d bytes: %w", req.ContentLength, &http.MaxBytesError{Limit: limit})
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, fmt.Errorf("setting a deadline for the body of a request: %w", err)
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, limit))
	if err != nil {
		return nil, fmt.Errorf("reading the body of a request: %w", err)
	}
	// The deadline would end what the handler does next.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("lifting the deadline of a request: %w", err)
	}
	return b, nil
}
