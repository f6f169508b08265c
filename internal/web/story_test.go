package web_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/seal"
	"strongroom/internal/web"
	"strongroom/internal/web/certificate"
	"strongroom/internal/web/client"
)

// A house is a real safe with its people, who reach it over HTTPS only.
type house struct {
	t      *testing.T
	cfg    *config.Config
	safe   *daemon.Safe
	auto   *certificate.Auto
	url    string
	outer  seal.OuterIdentity
	inner  seal.InnerIdentity
	people map[safe.PersonName]accesstest.Somebody
}

var (
	home = netip.MustParseAddr("127.0.0.3") // of all but operators
	desk = netip.MustParseAddr("127.0.0.2") // of the operator
)

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, people: make(map[safe.PersonName]accesstest.Somebody)}
	program := filepath.Join(t.TempDir(), "strongroom")
	build := exec.Command("go", "build", "-o", program, "strongroom/cmd/strongroom")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // its children confine themselves
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	folder := t.TempDir()
	h.must(os.Mkdir(filepath.Join(folder, "data"), 0o700))
	h.must(os.WriteFile(filepath.Join(folder, "data", "one.txt"), []byte("one\n"), 0o600))
	var err error
	h.cfg, err = config.Parse("test.yaml", fmt.Appendf(nil, "safe: test\nstore: %[1]s/store\ndir: %[1]s/dir\nsources:\n  files: { kind: local, include: [%[1]s/data] }\n", folder))
	h.must(err)
	h.cfg.Serve = &config.Serve{Names: []string{"127.0.0.1", strings.TrimPrefix(accesstest.Origin, "https://")},
		Gate: &config.Gate{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Name: "127.0.0.1"}, Passkeys: config.Passkeys{Domain: accesstest.Domain}}
	h.outer, err = seal.NewOuterIdentity()
	h.must(err)
	h.inner, err = seal.NewInnerIdentity()
	h.must(err)
	h.safe, err = daemon.Init(t.Context(), h.cfg, h.outer.Recipient(), h.inner.Recipient(), daemon.Options{Program: []string{program, "child"}})
	h.must(err)
	t.Cleanup(func() { h.safe.Close() })
	h.auto, err = certificate.Open(filepath.Join(h.cfg.Dir, "tls"), h.cfg.Serve.Names, time.Now)
	h.must(err)
	h.serve()
	return h
}

// serve serves until the test ends.
func (h *house) serve() {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.url = "https://" + l.Addr().String()
	server := web.New(h.safe, web.Options{TLS: certificate.Server(h.auto.GetCertificate), Pages: web.Pages{Origins: []string{accesstest.Origin}, Safe: "test"}})
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.safe.Serve(ctx, func(ctx context.Context) error { return server.Serve(ctx, l) }) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("serving: %v", err)
		}
	})
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// refused sees that the safe said no, with that status and in these words.
func (h *house) refused(err error, status int, words string) {
	h.t.Helper()
	problem, ok := errors.AsType[*client.ProblemError](err)
	if !ok || problem.Status != status || !strings.Contains(problem.Text, words) {
		h.t.Errorf("got %v (%+v), want %d with %q", err, problem, status, words)
	}
}

// as returns the client of a person, who comes from an address.
func (h *house) as(name safe.PersonName, from netip.Addr) *client.Client {
	h.t.Helper()
	c, err := client.New(client.Options{URL: h.url, CA: h.auto.CA(), Store: h.safe.ID(), Person: name, Signer: h.people[name].Signer, From: from})
	h.must(err)
	h.t.Cleanup(c.Close)
	return c
}

func (h *house) says(name safe.PersonName, act access.Act) ledger.Signed {
	h.t.Helper()
	return h.people[name].States(h.t, h.safe.ID(), time.Now(), act)
}

// invite makes an invitation as it would be on a link.
func (h *house) invite(name safe.PersonName, role access.Role) access.Invitation {
	h.t.Helper()
	i, err := h.safe.Invite(h.t.Context(), name, []access.Role{role})
	h.must(err)
	i.URL, i.CA = h.url, h.auto.Fingerprint()
	again, err := access.ParseInvitation(i.String())
	h.must(err)
	return again
}

// enrol makes a person who enrols, with the role key of their role.
func (h *house) enrol(name safe.PersonName, role access.Role) access.Enrolment {
	h.t.Helper()
	s := accesstest.NewPerson(h.t, name, role)
	h.people[name] = s
	e := access.Enrolment{Version: 1, Store: h.safe.ID(), Time: time.Now().UTC().Truncate(time.Second), Person: s.Person}
	var err error
	switch role {
	case access.Keykeeper:
		e.OuterCopy, err = h.outer.SealTo(s.Key, e.Time)
	case access.Operator:
		e.InnerCopy, err = h.inner.SealTo(s.Key, e.Time)
	}
	h.must(err)
	ca, err := client.Enrol(h.t.Context(), h.invite(name, role), e.Encode(), home)
	h.must(err)
	if string(ca) != string(h.auto.CA()) {
		h.t.Errorf("%s trusts another authority than the safe's", name)
	}
	return e
}

// events returns how many entries of a kind the ledger has, by what they say.
func events[E ledger.Event](h *house) (all []E) {
	h.t.Helper()
	for b, err := range h.safe.State().Entries(h.t.Context(), 0) {
		h.must(err)
		e, err := ledger.ParseEntry(b)
		h.must(err)
		if what, ok := e.What.(E); ok {
			all = append(all, what)
		}
	}
	return all
}

// TestTwoPeopleOpenTheSafe has everything that people do with a safe go over
// the wire, from the invitations on: what they may, and what they may not.
func TestTwoPeopleOpenTheSafe(t *testing.T) {
	h, ctx := newHouse(t), t.Context()

	// Somebody who was invited enrols, once.
	founders := []access.Enrolment{h.enrol("ada", access.Keykeeper), h.enrol("bob", access.Operator)}
	cyd := accesstest.NewPerson(t, "cyd", access.Officer)
	wrong := h.invite("cyd", access.Officer)
	e := access.Enrolment{Version: 1, Store: h.safe.ID(), Time: accesstest.Start, Person: cyd.Person}.Encode()
	right := wrong
	wrong.Token = access.NewToken()
	_, err := client.Enrol(ctx, wrong, e, home)
	h.refused(err, 403, "this invitation is not good")
	_, err = client.Enrol(ctx, right, e, home)
	h.must(err)
	_, used := client.Enrol(ctx, right, e, home)
	h.refused(used, 403, "this invitation is not good")

	// They see each other, and nothing else, until they have founded the safe.
	ada, bob := h.as("ada", home), h.as("bob", desk)
	everyone, err := ada.People(ctx, 0)
	h.must(err)
	if len(everyone.Enrolments) != 3 || len(everyone.Links) != 1 {
		t.Errorf("there are %d enrolments and %d versions of the roster", len(everyone.Enrolments), len(everyone.Links))
	}
	_, err = bob.Snapshots(ctx)
	h.refused(err, 403, "not in the roster yet")
	current, err := access.ParseRoster(everyone.Current)
	h.must(err)
	next, err := compose.Found(current, founders, compose.Keyring{}, time.Now())
	h.must(err)
	agree := access.Agree{Number: next.Number, Digest: next.Digest()}
	h.must(ada.Propose(ctx, next.Encode(), h.says("ada", agree)))
	h.must(bob.Agree(ctx, h.says("bob", agree)))
	for start := time.Now(); h.safe.Roster().Digest() != next.Digest(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatal("the safe is not founded")
		}
	}
	everyone, err = bob.People(ctx, next.Number)
	h.must(err)
	if len(everyone.Links) != 0 || string(everyone.Current) != string(next.Encode()) {
		t.Errorf("the roster in force is %s", everyone.Current)
	}

	// A keykeeper does not sit at the operator's desk.
	_, err = h.as("ada", desk).People(ctx, 0)
	h.refused(err, 403, "calls from an address of the operator bob")

	// What was collected can be asked for, by the operator from where they are.
	outcome, err := h.safe.Collect(ctx, ctx, h.cfg.Sources[0], nil)
	h.must(err)
	snapshots, err := bob.Snapshots(ctx)
	h.must(err)
	if len(snapshots) != 1 || snapshots[0].Run != outcome.Snapshot.Run {
		t.Fatalf("there are the snapshots %v", snapshots)
	}
	head, err := bob.Head(ctx, 1)
	h.must(err)
	checkpoint, err := ledger.ParseCheckpoint(head.Checkpoint, h.safe.LedgerKeys()...)
	h.must(err)
	ask := func() access.Request {
		return access.Request{Opening: safe.NewOpeningID(time.Now()), NotAfter: time.Now().Add(time.Hour).UTC(), Hours: 1,
			Snapshots: []safe.RunID{snapshots[0].Run}, Reason: "a drill", Address: desk, Known: checkpoint.Size}
	}
	q := ask()
	h.refused(ada.Request(ctx, h.says("ada", q)), 403, "that is for operators")
	h.refused(h.as("bob", home).Request(ctx, h.says("bob", q)), 403, "comes from 127.0.0.3")
	signed := h.says("bob", q)
	h.must(bob.Request(ctx, signed))
	h.refused(bob.Request(ctx, signed), 403, "")

	// The keykeeper opens the outer seals and signs.
	granted, err := ada.Grant(ctx, q.Opening, checkpoint.Size)
	h.must(err)
	var inner []api.Inner
	for e, err := range ada.Envelopes(ctx, q.Opening) {
		h.must(err)
		file, err := seal.OpenOuter(h.outer, e.Envelope, seal.Want{Store: h.safe.ID(), Run: e.Run, Source: "files"})
		h.must(err)
		inner = append(inner, api.Inner{Run: e.Run, File: file})
	}
	release, err := opening.Sign("ada", granted.Nonce, granted.Grant, granted.Request, h.people["ada"].Signer)
	h.must(err)
	large := []api.Inner{{Run: inner[0].Run, File: make([]byte, 4<<20)}}
	h.refused(bob.Release(ctx, q.Opening, release, large), 403, "that is for keykeepers")
	h.must(ada.Release(ctx, q.Opening, release, inner))
	h.refused(ada.Release(ctx, q.Opening, release, inner), 403, "nonce")
	o, err := bob.Opening(ctx, q.Opening)
	h.must(err)
	if o.State != opening.Open || !o.Gate.IsValid() || o.Release == nil {
		t.Fatalf("the opening is %+v", o)
	}
	through, err := (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(desk, 0))}).Dial("tcp", o.Gate.String())
	h.must(err)
	through.Close()

	// One is open at a time.
	second := ask()
	h.must(bob.Request(ctx, h.says("bob", second)))
	_, err = ada.Grant(ctx, second.Opening, checkpoint.Size)
	h.refused(err, 409, "another opening is open")
	_, err = ada.Opening(ctx, safe.NewOpeningID(time.Now()))
	h.refused(err, 404, "there is no such thing")

	// Each ends as somebody says.
	h.must(ada.Refuse(ctx, second.Opening, h.says("ada", access.Refuse{Opening: second.Opening, Reason: "one is enough"})))
	h.refused(bob.Withdraw(ctx, second.Opening, h.says("bob", access.Withdraw{Opening: second.Opening, Reason: "too late"})), 409, "not in the state")
	h.must(bob.CloseOpening(ctx, q.Opening, h.says("bob", access.Close{Opening: q.Opening, Reason: "done"})))
	all, err := ada.Openings(ctx)
	h.must(err)
	if len(all) != 2 || all[0].State != opening.Refused || all[1].State != opening.Closed || all[1].Release != nil {
		t.Errorf("the openings are %+v", all)
	}

	// Role keys are proven, by one person and, when all is lost, by both papers.
	challenge, err := ada.BeginKeyCheck(ctx, api.KeyCheck{Role: "outer", Period: 1})
	h.must(err)
	nonce, err := seal.AnswerOuterProof(h.outer, challenge.Sealed)
	h.must(err)
	h.must(ada.AnswerKeyCheck(ctx, api.Answer{ID: challenge.ID, Nonce: opening.Nonce(nonce)}))
	h.refused(ada.AnswerKeyCheck(ctx, api.Answer{ID: challenge.ID, Nonce: opening.Nonce(nonce)}), 403, "")
	stranger := h.as("", home)
	challenge, err = stranger.BeginRecovery(ctx)
	h.must(err)
	nonce, err = seal.AnswerProof(h.outer, h.inner, challenge.Sealed)
	h.must(err)
	recovery, err := stranger.AnswerRecovery(ctx, api.Answer{ID: challenge.ID, Nonce: opening.Nonce(nonce)})
	h.must(err)
	if string(recovery.Everyone.Current) != string(next.Encode()) {
		t.Error("a recovery begins with another roster than that in force")
	}
	if err := stranger.Recover(ctx, recovery.Ticket, []byte("{}")); err == nil {
		t.Error("a roster that is none is proposed")
	}
	h.must(stranger.Recover(ctx, recovery.Ticket, next.Next().Encode()))

	// Anybody can stop anybody, at once.
	h.must(ada.Suspend(ctx, h.says("ada", access.Suspend{Person: "bob", Reason: "laptop stolen"})))
	_, err = bob.People(ctx, 0)
	h.refused(err, 403, "suspended")

	// Tokens cannot be guessed one after the other.
	guesses := 0
	for ; guesses < 100; guesses++ {
		wrong.Token = access.NewToken()
		_, err := client.Enrol(ctx, wrong, e, home)
		if problem, ok := errors.AsType[*client.ProblemError](err); !ok || problem.Status != 403 || !strings.Contains(problem.Text, "is not good") {
			break
		}
	}
	if guesses > 10 {
		t.Errorf("%d tokens could be tried at once", guesses)
	}

	var refusals []string
	for _, e := range events[ledger.AccessRefused](h) {
		refusals = append(refusals, string(e.What))
	}
	for _, want := range []string{"enrol", "snapshots.read", "call", "opening.request", "opening.release", "people.read"} {
		if !strings.Contains(strings.Join(refusals, " "), want) {
			t.Errorf("the ledger does not tell that %s was refused: %q", want, refusals)
		}
	}
	report, err := h.safe.Scrub(ctx, daemon.ScrubOptions{})
	h.must(err)
	for _, f := range report.Findings {
		t.Errorf("%s: %s: %s", f.Name, f.Problem, f.Why)
	}
}
