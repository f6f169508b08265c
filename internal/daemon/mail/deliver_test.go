package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"strongroom/internal/daemon/mail/smtptest"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// A desk has a ledger, a mailer and a mail server.
type desk struct {
	t      *testing.T
	state  *state.State
	file   string
	server *smtptest.Server
	mailer *Mailer
	sender *Sender
	now    time.Time
	to     []string
	raised []string // recipients whose refusals became findings
}

func newDesk(t *testing.T, opts smtptest.Options, to ...string) *desk {
	t.Helper()
	d := &desk{t: t, now: night, to: to, file: filepath.Join(t.TempDir(), "state.db")}
	d.openState()
	d.append(ledger.SafeCreated{Name: "acme", Store: testKey.Public().Store(), Roster: safe.Digest{1}, Key: testKey.Public()})
	d.serve(opts)
	d.sender = &Sender{Config: mailConfig(d.server.Addr), Timeout: 5 * time.Second, Now: func() time.Time { return d.now }}
	d.newMailer()
	d.deliver(0) // meets the recipients
	return d
}

func (d *desk) openState() {
	d.t.Helper()
	var err error
	if d.state, err = state.Open(d.t.Context(), d.file, testKey); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { d.state.Close() })
}

// newMailer starts anew, as a new process would.
func (d *desk) newMailer() {
	d.mailer = New(Options{
		State: d.state, Sender: d.sender, Safe: func(context.Context) (Safe, error) { return testSafe(), nil },
		Keys:       func() []ledger.PublicKey { return []ledger.PublicKey{testKey.Public()} },
		Recipients: func() []string { return d.to },
		Refused: func(tx *state.Tx, refusal *RefusedError) error {
			d.raised = append(d.raised, refusal.Recipient)
			return tx.Append(d.now, ledger.Safe, ledger.FindingRaised{Finding: "mail.refused", Subject: ledger.TextOf(refusal.Recipient), Text: ledger.TextOf(refusal.Error())})
		},
		Now: func() time.Time { return d.now },
	})
}

func (d *desk) serve(opts smtptest.Options) {
	d.t.Helper()
	var err error
	if d.server, err = smtptest.Start(opts); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.server.Stop)
}

func mailConfig(addr string) config.Mail {
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return config.Mail{Server: config.Server{Name: host, Port: n}, From: "strongroom@acme.example", TLS: config.NoTLS, SubjectPrefix: "[acme]"}
}

func (d *desk) append(what ledger.Event) {
	d.t.Helper()
	if err := d.state.Update(d.t.Context(), func(tx *state.Tx) error { return tx.Append(d.now, ledger.Safe, what) }); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) fail(source safe.SourceName) {
	d.t.Helper()
	d.append(ledger.RunFailed{Run: safe.NewRunID(d.now), Source: source, Reason: "connection refused"})
}

// deliver delivers, without an error, so many mails.
func (d *desk) deliver(want int) {
	d.t.Helper()
	if sent, _, err := d.mailer.Deliver(d.t.Context()); sent != want || err != nil {
		d.t.Fatalf("%d mails were sent (%v), want %d", sent, err, want)
	}
}

// subjects are those of the mails that the server took, with the recipient.
func (d *desk) subjects() (all []string) {
	for _, m := range d.server.Mails() {
		all = append(all, m.To+": "+parse(d.t, m.Bytes).subject)
	}
	return all
}

func (d *desk) want(subjects ...string) {
	d.t.Helper()
	if got := d.subjects(); !slices.Equal(got, subjects) {
		d.t.Fatalf("the server has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(subjects, "\n"))
	}
}

// A parsed mail.
type parsed struct {
	header             netmail.Header
	subject            string
	text, html, attach []byte
}

func parse(t *testing.T, b []byte) (p parsed) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	p.header = m.Header
	if p.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	var walk func(kind string, r io.Reader)
	walk = func(kind string, r io.Reader) {
		_, params, err := mime.ParseMediaType(kind)
		if err != nil {
			t.Fatal(err)
		}
		for parts := multipart.NewReader(r, params["boundary"]); ; {
			part, err := parts.NextPart() // which undoes quoted-printable
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			switch kind := part.Header.Get("Content-Type"); {
			case strings.HasPrefix(kind, "multipart/"):
				walk(kind, part)
			default:
				b, err := io.ReadAll(part)
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case part.FileName() == "checkpoint.txt":
					p.attach = b
				case strings.HasPrefix(kind, "text/plain"):
					p.text = b
				case strings.HasPrefix(kind, "text/html"):
					p.html = b
				}
			}
		}
	}
	walk(m.Header.Get("Content-Type"), m.Body)
	return p
}

// checkChain verifies the proofs of all mails to one recipient, each from the
// checkpoint of the mail before it, as that person could.
func (d *desk) checkChain(recipient string) {
	d.t.Helper()
	var last ledger.Checkpoint
	n := 0
	for _, m := range d.server.Mails() {
		if m.To != recipient {
			continue
		}
		b, err := Checkpoint(m.Bytes)
		if err != nil {
			d.t.Fatal(err)
		}
		c, err := ledger.ParseCheckpoint(b, testKey.Public())
		if err != nil {
			d.t.Fatalf("%v\n%s", err, b)
		}
		proof, err := ConsistencyProof(m.Bytes)
		if n++; n == 1 {
			if !errors.Is(err, ErrNoCheckpoint) {
				d.t.Errorf("the first mail to %s has the proof %s, %v", recipient, proof, err)
			}
			last = c
			continue
		}
		if err != nil {
			d.t.Fatal(err)
		}
		consistency, err := ledger.ParseConsistency(proof)
		if err != nil {
			d.t.Fatal(err)
		}
		if err := consistency.Verify(last, c); err != nil {
			d.t.Errorf("mail %d to %s: %v", n, recipient, err)
		}
		last = c
	}
	if n == 0 {
		d.t.Errorf("there is no mail to %s", recipient)
	}
}

func TestMailOnTheWire(t *testing.T) {
	d := newDesk(t, smtptest.Options{Dir: t.TempDir()}, "olga@acme.example")
	d.fail("erp-db")
	d.deliver(1)
	taken := d.server.Mails()[0]
	if b, err := os.ReadFile(taken.File); err != nil || !bytes.Equal(b, taken.Bytes) {
		t.Errorf("the file of the mail: %v", err)
	}
	got := parse(t, taken.Bytes)
	for name, want := range map[string]string{
		"Auto-Submitted": "auto-generated",
		"Date":           "Sat, 21 Nov 2026 02:30:00 +0000",
		"To":             "<olga@acme.example>",
		"From":           `"Strongroom" <strongroom@acme.example>`,
	} {
		if h := got.header.Get(name); h != want {
			t.Errorf("header %s is %q, want %q", name, h, want)
		}
	}
	if id := got.header.Get("Message-Id"); !strings.HasPrefix(id, "<"+testKey.Public().Store().String()+".1-1.") || !strings.HasSuffix(id, "@acme.example>") {
		t.Errorf("Message-ID is %q", id)
	}
	if got.subject != "[acme] erp-db failed: nothing was kept" || !bytes.Contains(got.text, []byte("connection refused")) || !bytes.Contains(got.html, []byte("</html>")) {
		t.Errorf("got %q\n%s", got.subject, got.text)
	}
	checkpoint, err := d.state.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if saved, err := Checkpoint(taken.Bytes); err != nil || !bytes.Equal(saved, checkpoint) {
		t.Errorf("the mail's checkpoint is %q, %v, want %q", saved, err, checkpoint)
	}
	if plain := decodeBase64(t, got.attach); !bytes.Equal(plain, checkpoint) {
		t.Errorf("the attached checkpoint is %q, want %q", plain, checkpoint)
	}
	for line := range strings.SplitSeq(string(taken.Bytes), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
}

func TestEachRecipientHasTheirOwnPlace(t *testing.T) {
	d := newDesk(t, smtptest.Options{}, "olga@acme.example")
	d.fail("a")
	d.deliver(1)
	d.to = append(d.to, "karl@acme.example")
	d.deliver(0) // karl is not told of what was before
	d.append(ledger.RunBegun{Run: safe.NewRunID(d.now), Source: "b", Envelope: safe.Digest{1}, Roster: 1})
	d.deliver(0)
	d.fail("b")
	d.fail("c")
	d.deliver(4)
	d.deliver(0)
	d.want(
		"olga@acme.example: [acme] a failed: nothing was kept",
		"olga@acme.example: [acme] b failed: nothing was kept",
		"olga@acme.example: [acme] c failed: nothing was kept",
		"karl@acme.example: [acme] b failed: nothing was kept",
		"karl@acme.example: [acme] c failed: nothing was kept",
	)
	d.checkChain("olga@acme.example")
	d.checkChain("karl@acme.example")
}

func TestServerIsDownThenUp(t *testing.T) {
	d := newDesk(t, smtptest.Options{}, "olga@acme.example", "karl@acme.example")
	addr := d.server.Addr
	d.server.Stop()
	d.fail("a")
	for i, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		sent, next, err := d.mailer.Deliver(t.Context())
		var server *ServerError
		if sent != 0 || !errors.As(err, &server) {
			t.Fatalf("%d mails were sent (%v), want a ServerError", sent, err)
		}
		if got := next.Sub(d.now); got != wait*time.Minute {
			t.Errorf("attempt %d: again in %s, want %d minutes", i+1, got, wait)
		}
		d.now = d.now.Add(30 * time.Second)
		if sent, again, err := d.mailer.Deliver(t.Context()); sent != 0 || err != nil || !again.Equal(next) {
			t.Errorf("too early: %d sent, %v, again at %s, want %s", sent, err, again, next)
		}
		d.now = next
	}
	d.serve(smtptest.Options{Addr: addr})
	d.deliver(2)
	d.want("olga@acme.example: [acme] a failed: nothing was kept", "karl@acme.example: [acme] a failed: nothing was kept")
}

func TestWhatTheServerAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		stage smtptest.Stage
		err   error
		later bool // or refused
	}{
		"greylisted":         {smtptest.AtRecipient, smtptest.Answer(451, "come back later"), true},
		"busy":               {smtptest.AtEnd, smtptest.Answer(452, "disk full"), true},
		"cut in DATA":        {smtptest.AtData, smtptest.ErrCut, true},
		"cut before 250":     {smtptest.AtEnd, smtptest.ErrCut, true},
		"unknown recipient":  {smtptest.AtRecipient, smtptest.Answer(550, "no such user"), false},
		"content is refused": {smtptest.AtEnd, smtptest.Answer(554, "looks like spam"), false},
	} {
		t.Run(name, func(t *testing.T) {
			failing := true
			d := newDesk(t, smtptest.Options{Judge: func(stage smtptest.Stage, _, to string) error {
				if failing && stage == tt.stage && to == "olga@acme.example" {
					return tt.err
				}
				return nil
			}}, "olga@acme.example", "karl@acme.example")
			d.fail("a")
			sent, next, err := d.mailer.Deliver(t.Context())
			if sent != 1 || next.Sub(d.now) != time.Minute {
				t.Errorf("%d mails were sent, again at %s, want karl's, again in a minute", sent, next)
			}
			var later *LaterError
			var refused *RefusedError
			if errors.As(err, &later) != tt.later || errors.As(err, &refused) == tt.later {
				t.Errorf("got %T: %v", err, err)
			}
			failing = false
			d.now = next
			d.deliver(1)
			d.deliver(0)
			d.want("karl@acme.example: [acme] a failed: nothing was kept", "olga@acme.example: [acme] a failed: nothing was kept")
		})
	}
}

// A mail that the server will never take is a finding, once, of which the
// others are told; then what waits is summed up, so that one mail that looks
// like spam does not hold up what is behind it.
func TestARefusalBecomesAFinding(t *testing.T) {
	spam := []byte("[acme] a failed")
	d := newDesk(t, smtptest.Options{}, "olga@acme.example", "karl@acme.example")
	d.server.Stop()
	var refuse bool
	d.serve(smtptest.Options{Judge: func(stage smtptest.Stage, _, to string) error {
		if stage == smtptest.AtRecipient && refuse && to == "olga@acme.example" {
			return smtptest.Answer(554, "no "+string(spam))
		}
		return nil
	}})
	d.sender.Config = mailConfig(d.server.Addr)
	refuse = true
	d.fail("a")
	for range Patience + 2 {
		d.newMailer() // a night for each attempt: nothing is remembered but the cursor
		if _, _, err := d.mailer.Deliver(t.Context()); err == nil {
			t.Fatal("it was sent")
		}
		d.now = d.now.Add(24 * time.Hour)
	}
	if !slices.Equal(d.raised, []string{"olga@acme.example"}) {
		t.Errorf("findings were raised about %v", d.raised)
	}
	d.want("karl@acme.example: [acme] a failed: nothing was kept", "karl@acme.example: [acme] finding mail.refused in olga@acme.example")
	refuse = false
	d.newMailer()
	d.deliver(1)
	d.fail("b")
	d.deliver(2)
	if got := d.subjects()[2:]; got[0] != "olga@acme.example: [acme] 2 events that you were not told of" || got[1] != "olga@acme.example: [acme] b failed: nothing was kept" {
		t.Errorf("got %v", got)
	}
	d.checkChain("olga@acme.example")
	d.checkChain("karl@acme.example")
}

func TestManyThatWaitAreSummedUp(t *testing.T) {
	for _, n := range []int{mostWaiting, mostWaiting + 1, 25} {
		d := newDesk(t, smtptest.Options{}, "olga@acme.example")
		d.fail("a")
		d.deliver(1)
		for i := range n {
			d.fail(safe.SourceName(fmt.Sprint("s", i)))
		}
		if n <= mostWaiting {
			d.deliver(n)
			d.checkChain("olga@acme.example")
			continue
		}
		d.deliver(1)
		d.deliver(0)
		got := parse(t, d.server.Mails()[1].Bytes)
		if want := fmt.Sprintf("[acme] %d events that you were not told of", n); got.subject != want {
			t.Errorf("got %q, want %q", got.subject, want)
		}
		for i := range n {
			if !bytes.Contains(got.text, fmt.Appendf(nil, "s%d failed", i)) {
				t.Errorf("source s%d is not in the summary:\n%s", i, got.text)
			}
		}
		d.fail("b")
		d.deliver(1)
		d.checkChain("olga@acme.example")
	}
}

// A crash between the server's answer and the commit of the cursor sends the
// mail again, and mail programs recognise it.
func TestACrashBeforeTheCommitSendsTwice(t *testing.T) {
	d := newDesk(t, smtptest.Options{}, "olga@acme.example")
	d.server.Stop()
	crash := true
	d.serve(smtptest.Options{Judge: func(stage smtptest.Stage, _, _ string) error {
		if stage == smtptest.AfterTaken && crash {
			crash = false
			d.state.Close() // from here on the process can commit nothing
		}
		return nil
	}})
	d.sender.Config = mailConfig(d.server.Addr)
	d.fail("a")
	if _, _, err := d.mailer.Deliver(t.Context()); err == nil {
		t.Fatal("the cursor was committed")
	}
	d.openState()
	d.newMailer()
	d.deliver(1)
	d.deliver(0)
	first, again := parse(t, d.server.Mails()[0].Bytes), parse(t, d.server.Mails()[1].Bytes)
	if id := first.header.Get("Message-Id"); id == "" || id != again.header.Get("Message-Id") {
		t.Errorf("the two mails are %q and %q", id, again.header.Get("Message-Id"))
	}
	if len(d.server.Mails()) != 2 {
		t.Errorf("the server has %v", d.subjects())
	}
}

// The same, if the connection breaks so that the answer is never heard.
func TestAnAnswerThatIsNotHeardSendsTwice(t *testing.T) {
	cut := true
	d := newDesk(t, smtptest.Options{Judge: func(stage smtptest.Stage, _, _ string) error {
		if stage == smtptest.AfterTaken && cut {
			cut = false
			return smtptest.ErrCut
		}
		return nil
	}}, "olga@acme.example")
	d.fail("a")
	_, next, err := d.mailer.Deliver(t.Context())
	var later *LaterError
	if !errors.As(err, &later) {
		t.Fatalf("got %v", err)
	}
	d.now = next
	d.deliver(1)
	if len(d.server.Mails()) != 2 {
		t.Errorf("the server has %v", d.subjects())
	}
}

func TestProtectedConnections(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("correct horse\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		server   smtptest.Options
		tls      config.MailTLS
		distrust bool // the server's certificate
		problem  string
	}{
		"starttls and login":    {smtptest.Options{StartTLS: true, User: "strongroom", Password: "correct horse"}, config.StartTLS, false, ""},
		"tls and login":         {smtptest.Options{FullTLS: true, User: "strongroom", Password: "correct horse"}, config.FullTLS, false, ""},
		"wrong password":        {smtptest.Options{StartTLS: true, User: "strongroom", Password: "other"}, config.StartTLS, false, "Authentication failed"},
		"no starttls offered":   {smtptest.Options{User: "strongroom", Password: "correct horse"}, config.StartTLS, false, "does not support STARTTLS"},
		"unknown certificate":   {smtptest.Options{StartTLS: true, User: "strongroom", Password: "correct horse"}, config.StartTLS, true, "certificate signed by unknown authority"},
		"tls to a plain server": {smtptest.Options{User: "strongroom", Password: "correct horse"}, config.FullTLS, false, "does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, smtptest.Options{}, "olga@acme.example")
			d.server.Stop()
			d.serve(tt.server)
			d.sender.Config = mailConfig(d.server.Addr)
			d.sender.Config.TLS, d.sender.Config.User = tt.tls, "strongroom"
			d.sender.Config.Password = secretIn(t, password)
			if !tt.distrust && d.server.Pool != nil {
				d.sender.TLS = &tls.Config{RootCAs: d.server.Pool}
			}
			d.fail("a")
			_, _, err := d.mailer.Deliver(t.Context())
			probe := d.sender.Probe(t.Context())
			if tt.problem == "" {
				if err != nil || probe != nil {
					t.Fatal(err, probe)
				}
				if m := d.server.Mails()[0]; !m.TLS || m.User != "strongroom" {
					t.Errorf("it came over TLS: %v, from %q", m.TLS, m.User)
				}
				return
			}
			var server *ServerError
			if !errors.As(err, &server) || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), "correct horse") {
				t.Errorf("got %v, want a ServerError about %q", err, tt.problem)
			}
			if probe == nil || len(d.server.Mails()) > 0 {
				t.Errorf("the probe says %v, mails are %v", probe, d.subjects())
			}
		})
	}
}

// A password is never said over a connection without TLS to another host, and
// a server that does not answer does not hold up the safe.
func TestASilentServerIsGivenUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := &Sender{Config: mailConfig(silent.Addr().String()), Timeout: 200 * time.Millisecond}
	var server *ServerError
	if err := s.Probe(t.Context()); !errors.As(err, &server) {
		t.Errorf("got %v, want a ServerError", err)
	}
	s.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

// Attempts are collected for a while, unless there is something else to tell.
func TestRefusedAttemptsAreGathered(t *testing.T) {
	d := newDesk(t, smtptest.Options{}, "olga@acme.example")
	attempt := func() { d.append(ledger.AccessRefused{What: "gate", Reason: "no opening is open", Count: 7}) }
	begun := d.now
	for range 5 {
		attempt()
		sent, next, err := d.mailer.Deliver(t.Context())
		if sent != 0 || err != nil || !next.Equal(begun.Add(gather)) {
			t.Fatalf("%d sent, again at %s, %v", sent, next, err)
		}
		d.now = d.now.Add(time.Minute)
	}
	d.now = begun.Add(gather)
	d.deliver(1)
	attempt()
	d.fail("a")
	d.deliver(2)
	d.want("olga@acme.example: [acme] 35 attempts were refused", "olga@acme.example: [acme] 7 attempts were refused",
		"olga@acme.example: [acme] a failed: nothing was kept")
	d.checkChain("olga@acme.example")
}

// Nothing that an entry says can add a header or another recipient.
func TestHeadersCannotBeInjected(t *testing.T) {
	d := newDesk(t, smtptest.Options{}, "olga@acme.example")
	for _, hostile := range []string{
		"x\r\nBcc: all@acme.example\r\n\r\nbody", "x\nBcc: all@acme.example", "=?utf-8?q?x=0D=0ABcc:_all@acme.example?=",
		"\u202egnp.exe", strings.Repeat("ä", 3000), "\x00\x1b[2J", "\r\n.\r\nMAIL FROM:<a@b>",
	} {
		d.append(ledger.FindingRaised{Finding: "source.collector_lied", Subject: ledger.TextOf(hostile), Text: ledger.TextOf(hostile)})
	}
	d.deliver(7)
	for _, m := range d.server.Mails() {
		got := parse(t, m.Bytes)
		if m.To != "olga@acme.example" || got.header.Get("Bcc") != "" || len(got.header["To"]) != 1 || len(got.header["Subject"]) != 1 {
			t.Errorf("got the headers %v", got.header)
		}
		if strings.ContainsAny(got.subject, "\r\n\x00\x1b\u202e") || !strings.HasPrefix(got.subject, "[acme] finding source.collector_lied in ") {
			t.Errorf("got the subject %q", got.subject)
		}
		if _, err := Checkpoint(m.Bytes); err != nil {
			t.Errorf("%v:\n%s", err, got.text)
		}
	}
}

func decodeBase64(t *testing.T, b []byte) []byte {
	t.Helper()
	plain, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(b), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// secretIn makes a reference to a secret as a configuration does.
func secretIn(t *testing.T, file string) config.SecretRef {
	t.Helper()
	cfg, err := config.Parse("x", []byte("safe: a\nstore: /s\nmail: { server: mail:25, from: a@b, user: u, password: file:"+file+" }\n"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Mail.Password
}
