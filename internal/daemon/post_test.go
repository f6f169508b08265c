package daemon

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/compose"
	"strongroom/internal/daemon/mail"
	"strongroom/internal/daemon/mail/smtptest"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/safe/words"
)

// mailTo gives the configuration a section mail with a server in this process.
func mailTo(t *testing.T, cfg *config.Config, judge func(smtptest.Stage, string, string) error, to ...string) *smtptest.Server {
	t.Helper()
	s, err := smtptest.Start(smtptest.Options{Judge: judge})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Mail = &config.Mail{Server: config.Server{Name: host, Port: n}, From: "safe@acme.example", TLS: config.NoTLS, To: to, SubjectPrefix: "[test]"}
	return s
}

// The first night with mail is told of, too: a collection meets the recipients
// before anything happens.
func TestTheFirstCollectionIsTold(t *testing.T) {
	d := newDesk(t)
	server := mailTo(t, d.cfg, nil, "olga@acme.example", "olga@acme.example", "karl@acme.example")
	if _, err := d.collect("honest", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.collect("nothing to keep", 1); err == nil {
		t.Fatal("something was kept")
	}
	if sent, next, err := d.safe.DeliverMails(t.Context()); sent != 4 || !next.IsZero() || err != nil {
		t.Fatalf("%d mails were sent, next at %s, %v", sent, next, err)
	}
	var to []string
	for _, m := range server.Mails() {
		to = append(to, m.To)
		b, err := mail.Checkpoint(m.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.ParseCheckpoint(b, d.safe.LedgerKeys()...); err != nil {
			t.Error(err)
		}
		program, err := ownDigest()
		if err != nil || !bytes.Contains(m.Bytes, []byte(program.String())) {
			t.Errorf("the mail does not have the program's digest %s, %v", program, err)
		}
	}
	if want := []string{"olga@acme.example", "olga@acme.example", "karl@acme.example", "karl@acme.example"}; !slices.Equal(to, want) {
		t.Errorf("mails went to %v, want %v", to, want)
	}
	if sent, _, err := d.safe.DeliverMails(t.Context()); sent != 0 || err != nil {
		t.Errorf("%d mails were sent again, %v", sent, err)
	}
	d.check()
}

func TestWithoutMailNothingIsSent(t *testing.T) {
	d := newDesk(t)
	if sent, next, err := d.safe.DeliverMails(t.Context()); sent != 0 || !next.IsZero() || err != nil {
		t.Errorf("got %d, %s, %v", sent, next, err)
	}
	if err := d.safe.SendTestMail(t.Context(), "olga@acme.example"); !errors.Is(err, ErrNoMail) {
		t.Errorf("got %v", err)
	}
	if err := ProbeMail(t.Context(), d.cfg); !errors.Is(err, ErrNoMail) {
		t.Errorf("got %v", err)
	}
}

// A test mail leaves everybody where they were.
func TestATestMailMovesNoCursor(t *testing.T) {
	d := newDesk(t)
	server := mailTo(t, d.cfg, nil, "olga@acme.example")
	for range 2 {
		if _, err := d.collect("honest", 0); err != nil {
			t.Fatal(err)
		}
		before, err := d.safe.state.MailCursors(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"olga@acme.example", "else@acme.example"} {
			if err := d.safe.SendTestMail(t.Context(), to); err != nil {
				t.Fatal(err)
			}
		}
		if after, err := d.safe.state.MailCursors(t.Context()); err != nil || len(after) != 1 || after["olga@acme.example"] != before["olga@acme.example"] {
			t.Errorf("cursors went from %v to %v, %v", before, after, err)
		}
		if sent, _, err := d.safe.DeliverMails(t.Context()); sent != 1 || err != nil {
			t.Fatal(sent, err)
		}
	}
	if n := len(server.Mails()); n != 6 {
		t.Errorf("the server has %d mails", n)
	}
}

// A recipient whom the server refuses night after night is a finding in the
// ledger, of which the others are told.
func TestARefusedRecipientIsAFinding(t *testing.T) {
	d := newDesk(t)
	mailTo(t, d.cfg, func(stage smtptest.Stage, _, to string) error {
		if stage == smtptest.AtRecipient && to == "gone@acme.example" {
			return smtptest.Answer(550, "no such user")
		}
		return nil
	}, "gone@acme.example", "olga@acme.example")
	if _, err := d.collect("honest", 0); err != nil {
		t.Fatal(err)
	}
	for range mail.Patience + 1 {
		var refused *mail.RefusedError
		if _, next, err := d.safe.DeliverMails(t.Context()); !errors.As(err, &refused) || next.IsZero() {
			t.Fatalf("next at %s, %v", next, err)
		}
		d.now = d.now.Add(2 * time.Hour)
	}
	if err := d.safe.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := 0
	for b, err := range d.safe.state.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(`"mail.refused","subject":"gone@acme.example"`)) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("there are %d findings, want 1", found)
	}
	d.check()
}

// Two processes deliver at the same time: every mail goes out once.
func TestMailsAreDeliveredByOneProcess(t *testing.T) {
	d := newDesk(t)
	server := mailTo(t, d.cfg, nil, "olga@acme.example")
	for range 5 {
		if _, err := d.collect("honest", 0); err != nil {
			t.Fatal(err)
		}
	}
	var safes []*Safe
	for range 3 {
		s, err := Open(t.Context(), d.cfg, Options{Program: []string{"none"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		safes = append(safes, s)
	}
	var wait sync.WaitGroup
	for _, s := range safes {
		wait.Go(func() {
			if _, _, err := s.DeliverMails(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := len(server.Mails()); n != 5 {
		t.Errorf("the server has %d mails, want 5", n)
	}
}

// Whoever comes in by a roster is told so before anything else: that it is in
// force and what it changes, with its words and a checkpoint.
func TestWhoComesInIsToldSo(t *testing.T) {
	h := newHall(t)
	server := mailTo(t, h.cfg, nil, "root@acme.example")
	h.must(h.safe.meetRecipients(t.Context()))
	enrol := func(name safe.PersonName, role access.Role) access.Enrolment {
		p := accesstest.NewPerson(t, name, role)
		p.Mail = string(name) + "@acme.example"
		return h.enrol(p)
	}
	mails := func() map[string][]string {
		t.Helper()
		h.tick() // as Serve does before it delivers
		h.must(h.safe.Publish(t.Context()))
		known := len(server.Mails())
		_, _, err := h.safe.DeliverMails(t.Context())
		h.must(err)
		got := make(map[string][]string)
		for _, m := range server.Mails()[known:] {
			if _, err := mail.Checkpoint(m.Bytes); err != nil {
				t.Error(err)
			}
			got[m.To] = append(got[m.To], string(m.Bytes))
		}
		return got
	}
	told := func(got map[string][]string, to string, want ...string) {
		t.Helper()
		if len(got[to]) == 0 {
			t.Fatalf("%s got no mail", to)
		}
		for _, w := range want {
			if !strings.Contains(got[to][0], w) {
				t.Errorf("the first mail to %s has no %q:\n%s", to, w, got[to][0])
			}
		}
	}

	founding, err := compose.Found(h.roster(), []access.Enrolment{enrol("ada", access.Keykeeper), enrol("bob", access.Operator)}, compose.Keyring{}, h.now())
	h.must(err)
	mails() // so that nobody is met by chance
	h.must(h.propose("ada", founding))
	h.must(h.agree("bob", founding, 0))
	got := mails()
	for _, to := range []string{"ada@acme.example", "bob@acme.example"} {
		told(got, to, "roster 2 is in force", "adds ada, keykeeper", "adds bob, operator", words.Of(founding.Digest()), "first checkpoint that you are sent")
	}

	// Somebody who comes later is not told of what was before them.
	eve := enrol("eve", access.Auditor)
	next, err := compose.Add(h.roster(), []access.Enrolment{eve}, compose.Keyring{}, nil, h.now())
	h.must(err)
	h.changed(next, "ada", "bob")
	told(mails(), "eve@acme.example", "roster 3 is in force", "adds eve, auditor")
}

// What people compared once stands in every mail: the first roster with both
// roles, however many came after it.
func TestFoundingRoster(t *testing.T) {
	team := accesstest.NewTeam(t, "ada:keykeeper bob:operator")
	versions := []access.Roster{team.First, team.Roster}
	for range 3 {
		versions = append(versions, accesstest.Reread(t, versions[len(versions)-1].Next()))
	}
	read := func(number int, digest safe.Digest) (access.Roster, error) {
		r := versions[number-1]
		if r.Digest() != digest {
			t.Errorf("roster %d was asked for as %s", number, digest)
		}
		return r, nil
	}
	for i, r := range versions {
		got, ok, err := foundingRoster(r, read)
		if err != nil || ok != (i > 0) || ok && got.Number != 2 {
			t.Errorf("from roster %d: got %d, %v, %v", r.Number, got.Number, ok, err)
		}
	}
}
