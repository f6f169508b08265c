package gate

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"strongroom/internal/safe"
)

// An Event is something that happened at the gate. Exactly one of the pointers
// is set. Texts and paths may hold what a client sent, cut to maxText bytes of
// valid UTF-8.
type Event struct {
	Time         time.Time     `json:"time"` // UTC
	Listening    *Listening    `json:"listening,omitempty"`
	Refused      *Refused      `json:"refused,omitempty"`
	Connected    *Connected    `json:"connected,omitempty"`
	Read         *Read         `json:"read,omitempty"`
	Denied       *Denied       `json:"denied,omitempty"`
	Received     *Received     `json:"received,omitempty"`
	Failed       *Failed       `json:"failed,omitempty"`
	Disconnected *Disconnected `json:"disconnected,omitempty"`
}

// Listening says that the gate can be reached from now on.
type Listening struct {
	Addr netip.AddrPort `json:"addr"`
}

// Refused is somebody who did not get in.
type Refused struct {
	From netip.AddrPort `json:"from"`
	Why  string         `json:"why"`
}

// Connected begins a session of the operator.
type Connected struct {
	Session int            `json:"session"` // counted from 1
	From    netip.AddrPort `json:"from"`
}

// Read is a file that was read and closed, at least in part.
type Read struct {
	Session int    `json:"session"`
	Name    string `json:"name"`  // as in a store
	Bytes   int64  `json:"bytes"` // more than its size if parts were read twice
}

// Denied is an attempt to do what the gate does not do.
type Denied struct {
	Session int    `json:"session"`
	Method  string `json:"method"` // of SFTP or SSH
	Path    string `json:"path,omitempty"`
}

// Received is a file that was put into the inbox and is durable there.
type Received struct {
	Session int         `json:"session"`
	Name    string      `json:"name"`
	Digest  safe.Digest `json:"digest"`
	Size    int64       `json:"size"`
}

// Failed is what should have gone well: an object that cannot be read, a file
// that cannot be kept.
type Failed struct {
	Session int    `json:"session,omitempty"` // 0 for what concerns none
	Name    string `json:"name,omitempty"`
	Why     string `json:"why"`
}

// Disconnected ends a session.
type Disconnected struct {
	Session int   `json:"session"`
	Bytes   int64 `json:"bytes"` // that were read in it
}

// Totals are what an opening came to.
type Totals struct {
	Sessions int64 `json:"sessions"`
	Objects  int64 `json:"objects"` // different files that were read
	Bytes    int64 `json:"bytes"`
	Received int64 `json:"received"`
	Refused  int64 `json:"refused"`
	Denied   int64 `json:"denied"`
	Failed   int64 `json:"failed"`
	Untold   int64 `json:"untold"` // events beyond what is told of a kind
	End      End   `json:"end"`
}

// An End is why a gate has ended.
type End string

const (
	Deadline End = "deadline" // its time was over
	Stopped  End = "stopped"  // it was told to end
)

// How many events are told of a kind; further ones are only counted. An
// opening that reads a hundred thousand objects has ten terabytes behind it.
const (
	MaxReads  = 100_000
	maxOthers = 1_000
)

const maxText = 200

// A reporter tells events, one at a time, and adds them up.
type reporter struct {
	tell func(Event)
	now  func() time.Time

	mu     sync.Mutex // held while telling, which keeps events in order
	told   map[string]int
	totals Totals
	read   map[string]bool // names of what was read
}

func newReporter(tell func(Event), now func() time.Time) *reporter {
	return &reporter{tell: tell, now: now, told: map[string]int{}, read: map[string]bool{}}
}

func (r *reporter) listening(addr netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sendLocked("listening", Event{Listening: &Listening{addr}})
}

func (r *reporter) refused(from netip.AddrPort, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Refused++
	r.sendLocked("refused", Event{Refused: &Refused{from, clip(why)}})
}

// connected returns the number of the session.
func (r *reporter) connected(from netip.AddrPort) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Sessions++
	session := int(r.totals.Sessions)
	r.sendLocked("connected", Event{Connected: &Connected{session, from}})
	return session
}

func (r *reporter) readDone(session int, name string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Bytes += bytes
	if !r.read[name] {
		r.read[name] = true
		r.totals.Objects++
	}
	r.sendLocked("read", Event{Read: &Read{session, name, bytes}})
}

func (r *reporter) denied(session int, method, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Denied++
	r.sendLocked("denied", Event{Denied: &Denied{session, clip(method), clip(path)}})
}

func (r *reporter) received(session int, name string, content []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Received++
	r.sendLocked("received", Event{Received: &Received{session, name, safe.DigestOf(content), int64(len(content))}})
}

func (r *reporter) failed(session int, name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Failed++
	r.sendLocked("failed", Event{Failed: &Failed{session, name, clip(err.Error())}})
}

func (r *reporter) disconnected(session int, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sendLocked("disconnected", Event{Disconnected: &Disconnected{session, bytes}})
}

// sendLocked tells an event unless enough of its kind were told. r.mu must be
// held.
func (r *reporter) sendLocked(kind string, e Event) {
	limit := maxOthers
	if kind == "read" {
		limit = MaxReads
	}
	if r.told[kind] == limit {
		r.totals.Untold++
		return
	}
	r.told[kind]++
	e.Time = r.now().UTC()
	r.tell(e)
}

// sum returns the totals. Nothing may be told afterwards.
func (r *reporter) sum(end End) Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.End = end
	return r.totals
}

// clip makes a text of a client's fit for an event.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "?")
}
