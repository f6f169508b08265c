package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/profile"
	"strongroom/internal/daemon/child"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/seal"
)

// playGate is the real gate, but for Landlock, which a test binary that may be
// linked with C cannot put on; or one that fails.
func playGate(part string) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	if part == "no gate" {
		return json.NewEncoder(os.Stdout).Encode(child.GateAnswer{Failed: "the port is taken"})
	}
	var task child.GateTask
	if err := json.Unmarshal(line, &task); err != nil {
		return err
	}
	task.WithoutLandlock = true
	if line, err = json.Marshal(task); err != nil {
		return err
	}
	return child.Gate(io.MultiReader(bytes.NewReader(append(line, '\n')), in), os.Stdout)
}

// A clock goes when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// A hall is a safe with its people.
type hall struct {
	*clock
	t      *testing.T
	cfg    *config.Config
	log    *slog.Logger
	safe   *Safe
	outer  []seal.OuterIdentity // of all periods, newest last
	inner  seal.InnerIdentity
	people map[safe.PersonName]accesstest.Somebody
	// strange says that the state is not, on purpose, what the ledger tells.
	strange bool
}

// atOnce is a second, with some patience for a machine that is busy or looks for
// races.
const atOnce = 5 * time.Second

// from is where everybody but operators calls from.
var from = netip.MustParseAddr("127.0.0.3")

// newHall makes a safe without people. Its clock begins with the real one,
// which gates go by.
func newHall(t *testing.T) *hall {
	t.Helper()
	return newHallIn(t, hallConfig(t, t.TempDir()), nil)
}

// hallConfig is the configuration of a hall in a folder.
func hallConfig(t *testing.T, folder string) *config.Config {
	t.Helper()
	text := fmt.Sprintf("safe: test\nstore: %[1]s/store\ndir: %[1]s/dir\nsources:\n  erp: { kind: local, include: [/etc] }\n  web: { kind: local, include: [/etc] }\n", folder)
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Serve = &config.Serve{Names: []string{"localhost"}, Gate: &config.Gate{Listen: netip.MustParseAddrPort("127.0.0.1:0")}}
	return cfg
}

func newHallIn(t *testing.T, cfg *config.Config, log *slog.Logger) *hall {
	t.Helper()
	h := &hall{clock: &clock{at: time.Now().UTC().Truncate(time.Second)}, t: t, cfg: cfg, log: log, people: make(map[safe.PersonName]accesstest.Somebody)}
	outer, err := seal.NewOuterIdentity()
	if err != nil {
		t.Fatal(err)
	}
	h.outer = []seal.OuterIdentity{outer}
	if h.inner, err = seal.NewInnerIdentity(); err != nil {
		t.Fatal(err)
	}
	if h.safe, err = Init(t.Context(), cfg, outer.Recipient(), h.inner.Recipient(), h.options("honest")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.safe.Close() })
	t.Cleanup(h.givesBack)
	return h
}

func (h *hall) options(part string) Options {
	return Options{Logger: h.log, Grace: time.Second, Now: h.now, Program: playing(part)}
}

func (h *hall) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// denied sees that something was denied, in these words, and that the ledger
// says so.
func (h *hall) denied(err error, words string) {
	h.t.Helper()
	d, ok := errors.AsType[*api.DeniedError](err)
	if !ok || !strings.Contains(d.Reason, words) {
		h.t.Fatalf("got %v, want that it is denied with %q", err, words)
	}
	refused := all[ledger.AccessRefused](h)
	if !slices.ContainsFunc(refused, func(e ledger.AccessRefused) bool {
		return string(e.What) == d.What && e.Reason == ledger.TextOf(d.Reason)
	}) {
		h.t.Errorf("the ledger does not say that it was denied: %v", d)
	}
}

// all returns the events of one kind that the ledger has, oldest first.
func all[E ledger.Event](h *hall) (events []E) {
	h.t.Helper()
	for b, err := range h.safe.State().Entries(h.t.Context(), 0) {
		h.must(err)
		e, err := ledger.ParseEntry(b)
		h.must(err)
		if what, ok := e.What.(E); ok {
			events = append(events, what)
		}
	}
	return events
}

// last returns the newest event of a kind.
func last[E ledger.Event](h *hall) E {
	h.t.Helper()
	events := all[E](h)
	if len(events) == 0 {
		var none E
		h.t.Fatalf("the ledger has no %s", none.Kind())
	}
	return events[len(events)-1]
}

// enrol invites somebody, who enrols.
func (h *hall) enrol(s accesstest.Somebody) access.Enrolment {
	h.t.Helper()
	i, err := h.safe.Invite(h.t.Context(), s.Name, s.Roles)
	h.must(err)
	e := h.enrolment(s)
	h.must(h.safe.Enrol(h.t.Context(), from, "", api.Enrolling{Token: i.Token, Enrolment: e.Encode()}))
	h.people[s.Name] = s
	return e
}

// enrolment is what somebody sends; who comes first brings the role keys.
func (h *hall) enrolment(s accesstest.Somebody) access.Enrolment {
	e := access.Enrolment{Version: 1, Store: h.safe.ID(), Time: h.now(), Person: s.Person}
	var err error
	switch {
	case s.Has(access.Keykeeper):
		e.OuterCopy, err = h.outer[len(h.outer)-1].SealTo(s.Key, h.now())
	case s.Has(access.Operator):
		e.InnerCopy, err = h.inner.SealTo(s.Key, h.now())
	}
	h.must(err)
	return e
}

// newFoundedHall makes a safe of people given as "ada:keykeeper bob:operator".
func newFoundedHall(t *testing.T, people string) *hall {
	t.Helper()
	h := newHall(t)
	h.found(people)
	return h
}

// found brings people into the roster.
func (h *hall) found(people string) {
	h.t.Helper()
	var founders []access.Enrolment
	for word := range strings.FieldsSeq(people) {
		name, role, _ := strings.Cut(word, ":")
		founders = append(founders, h.enrol(accesstest.NewPerson(h.t, safe.PersonName(name), access.Role(role))))
	}
	next, err := compose.Found(h.roster(), founders, compose.Keyring{}, h.now())
	h.must(err)
	var k, o safe.PersonName
	for _, p := range next.People {
		switch {
		case p.Has(access.Keykeeper) && k == "":
			k = p.Name
		case p.Has(access.Operator) && o == "":
			o = p.Name
		}
	}
	h.must(h.propose(k, next))
	h.must(h.agree(o, next, 0))
	if got := h.safe.Roster(); got.Digest() != next.Digest() {
		h.t.Fatalf("whoever calls next is judged by version %d of the roster", got.Number)
	}
	if got := h.roster(); got.Digest() != next.Digest() {
		h.t.Fatalf("version %d of the roster is in force, want the one that was agreed on", got.Number)
	}
}

// roster returns the one in force.
func (h *hall) roster() access.Roster {
	h.t.Helper()
	r, err := h.safe.inForce(h.t.Context())
	h.must(err)
	return r
}

// says signs an act now.
func (h *hall) says(name safe.PersonName, act access.Act) ledger.Signed {
	h.t.Helper()
	s, ok := h.people[name]
	if !ok {
		h.t.Fatalf("there is no %s", name)
	}
	return s.States(h.t, h.safe.ID(), h.now(), act)
}

func (h *hall) propose(name safe.PersonName, next access.Roster) error {
	h.pass(time.Second) // a statement is good once
	return h.safe.Propose(h.t.Context(), from, next.Encode(), h.says(name, access.Agree{Number: next.Number, Digest: next.Digest()}))
}

func (h *hall) agree(name safe.PersonName, next access.Roster, after int64) error {
	h.pass(time.Second)
	return h.safe.Agree(h.t.Context(), from, h.says(name, access.Agree{Number: next.Number, Digest: next.Digest(), After: after}))
}

func (h *hall) suspend(name, whom safe.PersonName) error {
	h.pass(time.Second)
	return h.safe.Suspend(h.t.Context(), from, h.says(name, access.Suspend{Person: whom, Reason: "a test"}))
}

// keyring returns what a keykeeper or an operator can open.
func (h *hall) keyring() compose.Keyring {
	var ring compose.Keyring
	r := h.roster()
	for i := range r.Periods {
		if i < len(h.outer) {
			ring.Outer = append(ring.Outer, profile.OuterKey{Period: i + 1, Key: h.outer[i]})
		}
		ring.Inner = append(ring.Inner, profile.InnerKey{Period: i + 1, Key: h.inner})
	}
	slices.Reverse(ring.Outer)
	slices.Reverse(ring.Inner)
	return ring
}

// tick does what is due.
func (h *hall) tick() {
	h.t.Helper()
	h.must(h.safe.Tick(h.t.Context()))
}

// changed brings a version into force, as it takes when there are snapshots.
func (h *hall) changed(next access.Roster, k, o safe.PersonName) {
	h.t.Helper()
	h.must(h.propose(k, next))
	h.must(h.agree(o, next, 0))
	h.pass(access.Wait)
	h.tick()
	if got := h.roster(); got.Digest() != next.Digest() {
		h.t.Fatalf("version %d of the roster is in force, want %d", got.Number, next.Number)
	}
}

// collect makes a snapshot of a source.
func (h *hall) collect(source int) safe.Snapshot {
	h.t.Helper()
	h.pass(time.Second)
	outcome, err := h.safe.Collect(h.t.Context(), h.t.Context(), h.cfg.Sources[source], nil)
	h.must(err)
	return *outcome.Snapshot
}

// request asks for an opening, from the operator's own address.
func (h *hall) request(name safe.PersonName, snapshots ...safe.Snapshot) safe.OpeningID {
	h.t.Helper()
	q := h.asks(name, snapshots...)
	h.must(h.safe.Request(h.t.Context(), q.Address, h.says(name, q)))
	return q.Opening
}

func (h *hall) asks(name safe.PersonName, snapshots ...safe.Snapshot) access.Request {
	h.pass(time.Second)
	q := access.Request{Opening: safe.NewOpeningID(h.now()), NotAfter: h.now().Add(24 * time.Hour), Hours: 4, Reason: "a test", Known: 1}
	if p := h.people[name]; len(p.Addresses) > 0 {
		q.Address = p.Addresses[0]
	}
	for _, d := range snapshots {
		q.Snapshots = append(q.Snapshots, d.Run)
	}
	return q
}

// A signed release with what goes with it.
type released struct {
	release opening.Release
	inner   []api.Inner
}

// sign does what a keykeeper's machine does: it takes a grant, opens the outer
// seals and signs.
func (h *hall) sign(name safe.PersonName, id safe.OpeningID) released {
	h.t.Helper()
	granted, err := h.safe.Grant(h.t.Context(), from, name, id, 1)
	h.must(err)
	r, err := opening.Sign(name, granted.Nonce, granted.Grant, granted.Request, h.people[name].Signer)
	h.must(err)
	return released{r, h.openSeals(name, id)}
}

func (h *hall) openSeals(name safe.PersonName, id safe.OpeningID) (inner []api.Inner) {
	h.t.Helper()
	var after safe.RunID
	for {
		envelopes, err := h.safe.Envelopes(h.t.Context(), from, name, id, after)
		h.must(err)
		if len(envelopes) == 0 {
			return inner
		}
		for _, e := range envelopes {
			after = e.Run
			inner = append(inner, api.Inner{Run: e.Run, File: h.openSeal(name, e)})
		}
	}
}

// openSeal opens an outer seal with whatever copy the person has of a key.
func (h *hall) openSeal(name safe.PersonName, e api.Envelope) []byte {
	h.t.Helper()
	begun := all[ledger.RunBegun](h)
	i := slices.IndexFunc(begun, func(b ledger.RunBegun) bool { return b.Run == e.Run })
	want := seal.Want{Store: h.safe.ID(), Run: e.Run, Source: begun[i].Source}
	var errs []error
	for _, sealed := range h.roster().OuterFor(name) {
		key, err := seal.OpenOuterCopy(h.people[name].Identity, sealed.Copy, sealed.Recipient)
		h.must(err)
		file, err := seal.OpenOuter(key, e.Envelope, want)
		if err == nil {
			return file
		}
		errs = append(errs, err)
	}
	h.t.Fatalf("%s cannot open the envelope of run %s: %v", name, e.Run, errors.Join(errs...))
	return nil
}

func (h *hall) release(r released) error {
	h.t.Helper()
	return h.safe.Release(h.t.Context(), from, r.release, r.inner)
}

// open asks for snapshots as bob and releases them as ada.
func (h *hall) open(snapshots ...safe.Snapshot) safe.OpeningID {
	h.t.Helper()
	id := h.request("bob", snapshots...)
	h.must(h.release(h.sign("ada", id)))
	if got := h.opening(id); got.State != opening.Open || !got.Gate.IsValid() {
		h.t.Fatalf("the opening is %+v, want it open", got)
	}
	return id
}

func (h *hall) opening(id safe.OpeningID) api.Opening {
	h.t.Helper()
	o, err := h.safe.Opening(h.t.Context(), id)
	h.must(err)
	return o
}

// enter goes through the gate of an opening.
func (h *hall) enter(name safe.PersonName, id safe.OpeningID) (*sftp.Client, error) {
	h.t.Helper()
	gate := h.opening(id).Gate
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IP(h.people[name].Addresses[0].AsSlice())}, Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(h.t.Context(), "tcp", gate.String())
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c, channels, requests, err := ssh.NewClientConn(conn, gate.String(), &ssh.ClientConfig{
		User: string(name), Auth: []ssh.AuthMethod{ssh.PublicKeys(h.people[name].Signer)}, HostKeyCallback: ssh.FixedHostKey(h.roster().Gate.SSH()),
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	client := ssh.NewClient(c, channels, requests)
	h.t.Cleanup(func() { client.Close() })
	return sftp.NewClient(client)
}

// inside is enter for an opening that is open.
func (h *hall) inside(name safe.PersonName, id safe.OpeningID) *sftp.Client {
	h.t.Helper()
	c, err := h.enter(name, id)
	h.must(err)
	return c
}

func (h *hall) read(c *sftp.Client, name string) []byte {
	h.t.Helper()
	f, err := c.Open(name)
	h.must(err)
	defer f.Close()
	b, err := io.ReadAll(f)
	h.must(err)
	return b
}

// closed waits until an opening is.
func (h *hall) closed(id safe.OpeningID) ledger.OpeningClosed {
	h.t.Helper()
	for range 500 {
		if h.opening(id).State == opening.Closed {
			return last[ledger.OpeningClosed](h)
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatalf("the opening is %s, want it closed", h.opening(id).State)
	return ledger.OpeningClosed{}
}

// sound verifies store and ledger, as a scrub does.
func (h *hall) sound() {
	h.t.Helper()
	report, err := h.safe.Scrub(h.t.Context(), ScrubOptions{})
	h.must(err)
	for _, f := range report.Findings {
		h.t.Errorf("%s: %s: %s", f.Name, f.Problem, f.Why)
	}
}

// serve serves people until the test or the returned function ends it.
func (h *hall) serve() (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() {
		done <- h.safe.Serve(ctx, func(ctx context.Context) error {
			close(ready)
			<-ctx.Done()
			return nil
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		h.t.Fatalf("it does not serve: %v", err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

func (h *hall) recordsOf(id safe.OpeningID) (names []string) {
	entries, err := os.ReadDir(filepath.Join(h.cfg.Dir, "records", id.String()))
	h.must(err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
