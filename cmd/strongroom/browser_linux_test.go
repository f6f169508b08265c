package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/daemon/mail/smtptest"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/browsertest"
	"strongroom/internal/web/certificate"
	"strongroom/internal/web/wiretest"
)

// TestReleaseInABrowser has people work together at a real safe: keykeepers in
// a browser, with passkeys, operators at a terminal. From the invitation to the
// ledger nothing is played but the touches and the machines, which are
// addresses of this one.
func TestReleaseInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("what people do takes a while")
	}
	s := newSite(t)
	ada, kim := s.guest("ada"), s.guest("kim")

	// Everybody enrols where they work. Two found the safe: one at a terminal,
	// who proposes, and one on the page, where the outer key was made.
	ada.enrol("Make the outer key")
	s.enrolWithoutPRF("max")
	s.enrol("bob", "operator", "--role-key", s.inner)
	otto := s.enrol("otto", "operator")
	founding := s.as("bob", "people", "add", "ada", "bob", "otto", "--yes", "--words", "ada="+ada.words, "--words", "otto="+otto)
	ada.founds(lastWords(t, founding))

	// Another keykeeper is taken in on the page, where the outer key is sealed to
	// her.
	kim.enrol("")
	ada.Go(s.origin + "/people")
	ada.Tick("#heard-kim")
	ada.Press("Take in whose words you have heard")
	ada.Press("Propose it with your passkey")
	ada.says("#people-status", "You have proposed version 3.")
	ada.says("#enrolments", "Taken in") // as the page says by itself
	ada.says("#proposals", "You have agreed.")
	s.as("bob", "people", "agree", "--yes", "--words", ada.Text("#proposals dd.words"))
	ada.keep()
	s.as("safe", "collect", "erp-files")

	// An operator asks, and each keykeeper gets a mail with a link.
	s.as("bob", "opening", "request", "--snapshot", "erp-files", "--hours", "2", "--reason", "disk array lost")
	link := s.mailed("ada@acme.example", "bob asks to read erp-files")
	if want := s.origin + "/openings/"; !strings.HasPrefix(link, want) {
		t.Fatalf("the mail links to %s, want a page of %s", link, want)
	}
	opening := strings.TrimPrefix(link, s.origin+"/openings/")

	// What is not as it must be is refused, by the page or by the safe.
	kim.signInFrom("bob")
	kim.signInUnverified()
	kim.Go(link)
	kim.signIn("/openings/" + opening)
	ada.releaseUnverified(link)
	ada.alteredReleases(link)
	kim.releaseWithoutPRF(link)

	// The keykeeper reads, and touches the passkey once.
	ada.Go(link)
	ada.Press("Look at what would be released")
	ada.Wait(`document.querySelector("#release-button")`)
	for _, want := range []string{"bob", "127.0.0.2", "disk array lost", "erp-files: one collection"} {
		if !strings.Contains(ada.Text("#grant"), want) {
			t.Errorf("the page does not say %q:\n%s", want, ada.Text("#grant"))
		}
	}
	ada.Click("#release-button")
	ada.says("#ended", "It is released.")
	ada.says("#asked", "Open until")
	if n := ada.keep(); n != 1 {
		t.Errorf("the release took %d touches", n)
	}

	ada.replays(kim)

	// The gate is open for the operator, who restores.
	gate := regexp.MustCompile(`sftp://\S+`).FindString(s.as("bob", "opening", "show"))
	s.as("bob", "restore", "erp-files", "--from", gate, "--to", "out")
	if diff := cmp.Diff(tree(t, s.data), tree(t, filepath.Join(s.root, "bob", "out", s.data))); diff != "" {
		t.Errorf("restored (-want +got)\n%s", diff)
	}

	// Another keykeeper closes it.
	kim.Go(link)
	kim.Fill("#reason", "bob has it all back")
	kim.Press("Close it")
	kim.says("#ended", "It is closed.")
	kim.says("#asked", "closed")
	kim.keep()
	if out, err := s.run("bob", "restore", "erp-files", "--from", gate, "--to", "late"); err == nil {
		t.Errorf("after the end the gate lets in:\n%s", out)
	}

	// Everybody sees it in the ledger, which anybody can verify.
	ledger := s.as("safe", "ledger", "show")
	at := 0
	for _, want := range []string{
		`enrolment\.received +\S+ +ada`, `opening\.requested +bob`, `opening\.released +ada`, `opening\.opened`, `opening\.closed +kim .*bob has it all back`,
	} {
		found := regexp.MustCompile(want).FindStringIndex(ledger[at:])
		if found == nil {
			t.Fatalf("the ledger does not tell of %q after what came before:\n%s", want, ledger)
		}
		at += found[0]
	}
	for _, want := range []string{
		"call from 127.0.0.2: kim is a keykeeper and calls from an address of the operator bob", "the authenticator did not ask who touched it",
		"not the grant that was given out with its nonce", "ada sent a release of kim", "or it was used", "kim sent a release of ada", "prf from 127.0.0.7",
	} {
		if !strings.Contains(ledger, want) {
			t.Errorf("the ledger does not tell of %q", want)
		}
	}
	if t.Failed() {
		t.Logf("the ledger:\n%s", ledger)
	}
	s.as("safe", "ledger", "verify")
	kim.Go(s.origin + "/ledger")
	if shown := kim.Text("main"); !strings.Contains(shown, "kim") || !strings.Contains(shown, "opening.closed") {
		t.Errorf("the page of the ledger says\n%s", shown)
	}

	// Neither on the wire nor on the safe is a key that only people have.
	for _, g := range []*guest{ada, kim} {
		for _, complaint := range g.Complaints() {
			if !strings.Contains(complaint, "status of 403") { // of what was refused above
				t.Errorf("the browser of %s complains: %s", g.name, complaint)
			}
		}
	}
	s.knowsNothing(ada, kim)
}

// A site is a safe that serves, and the machines around it, as folders.
type site struct {
	t            *testing.T
	root, data   string // data is what is collected
	origin       string // of the pages
	listen       netip.AddrPort
	outer, inner string // files of the role keys; nobody who enrols has the first outer one
	auto         *certificate.Auto
	browser      *browsertest.Browser
	mails        *smtptest.Server
}

// siteAddresses are those of people's machines. The safe is 127.0.0.1.
var siteAddresses = map[string]string{"bob": "127.0.0.2", "otto": "127.0.0.4", "ada": "127.0.0.6", "kim": "127.0.0.7", "max": "127.0.0.8"}

const siteConfig = `safe: acme
dir: %[1]s/safe/dir
store: %[1]s/safe/store
mail: { server: "%[2]s", from: strongroom@acme.example, tls: none }
serve:
  listen: %[3]s
  name: [ 127.0.0.1, safe.test ]
  gate: { listen: "127.0.0.1:%[4]s" }
  passkeys: { release_pages: %[6]s }
sources:
  erp-files:
    kind: local
    include: [ %[5]s ]
`

// newSite makes a safe, which listens to these origins beside its own, and has
// it serve.
func newSite(t *testing.T, pages ...string) *site {
	t.Helper()
	return newSiteWith(t, "", pages...)
}

// newSiteWith is newSite with more sources, and what follows them in the
// configuration.
func newSiteWith(t *testing.T, more string, pages ...string) *site {
	t.Helper()
	root := t.TempDir()
	s := &site{t: t, root: root, data: filepath.Join(root, "srv/erp"), outer: filepath.Join(root, "paper/outer.key"), inner: filepath.Join(root, "bob/inner.key")}
	s.listen = netip.MustParseAddrPort("127.0.0.1:" + port(t))
	s.origin = fmt.Sprintf("https://safe.test:%d", s.listen.Port())
	for i := range 30 {
		write(t, filepath.Join(s.data, fmt.Sprintf("%02d", i%7), fmt.Sprintf("orders %d.csv", i)), strings.Repeat(fmt.Sprintf("%d;anvil;1\n", i), i*i*10))
	}
	listened, err := json.Marshal(append([]string{}, pages...)) // which is YAML, too
	s.must(err)
	s.mails, err = smtptest.Start(smtptest.Options{})
	s.must(err)
	t.Cleanup(s.mails.Stop)
	write(t, filepath.Join(root, "safe/strongroom.yaml"), fmt.Sprintf(siteConfig, root, s.mails.Addr, s.listen, port(t), s.data, listened)+more)
	s.as("paper", "keys", "new-role", "outer")
	s.as("bob", "keys", "new-role", "inner")
	s.as("safe", "init", "--outer", s.outer+".pub", "--inner", s.inner+".pub")
	s.auto, err = certificate.Open(filepath.Join(root, "safe/dir/tls"), []string{"127.0.0.1", "safe.test"}, time.Now)
	s.must(err)
	block, _ := pem.Decode(s.auto.CA())
	ca, err := x509.ParseCertificate(block.Bytes)
	s.must(err)
	s.browser = browsertest.Start(t, ca)
	s.serve()
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// run runs the program on somebody's machine, with the passphrase that they
// have there.
func (s *site) run(name string, args ...string) (string, error) {
	s.t.Helper()
	home := filepath.Join(s.root, name)
	phrase := filepath.Join(home, "passphrase")
	write(s.t, phrase, "the passphrase of "+name+"\n")
	cmd := exec.Command(filepath.Join(programDir, "strongroom"), args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "TZ=UTC", "STRONGROOM_PASSPHRASE_FILE="+phrase)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// as is run for what must not fail.
func (s *site) as(name string, args ...string) string {
	s.t.Helper()
	out, err := s.run(name, args...)
	if err != nil {
		s.t.Fatalf("%s$ strongroom %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// serve has the safe serve until the test ends.
func (s *site) serve() {
	s.t.Helper()
	file := filepath.Join(s.root, "serve.log")
	log, err := os.Create(file)
	s.must(err)
	defer log.Close() // the process has its own
	cmd := exec.Command(filepath.Join(programDir, "strongroom"), "serve")
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Join(s.root, "safe"), log, log
	s.must(cmd.Start())
	s.t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil || s.t.Failed() {
			b, _ := os.ReadFile(file) // it is for the message only
			s.t.Errorf("the safe stopped with %v, and has logged\n%s", err, b)
		}
	})
	for range 400 {
		said, err := os.ReadFile(file)
		s.must(err)
		if bytes.Contains(said, []byte("answers people")) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatal("the safe does not serve")
}

// invite returns the link of an invitation.
func (s *site) invite(name string, roles ...string) string {
	s.t.Helper()
	call := []string{"people", "invite", name}
	for _, role := range roles {
		call = append(call, "--role", role)
	}
	return regexp.MustCompile(`https://\S+`).FindString(s.as("safe", call...))
}

// enrol has somebody enrol at a terminal, with more flags of the command, and
// returns the words of the enrolment.
func (s *site) enrol(name, role string, flags ...string) string {
	s.t.Helper()
	// Names below .test lead nowhere but in the browser.
	link := strings.Replace(s.invite(name, role), "https://safe.test:", "https://127.0.0.1:", 1)
	key := filepath.Join(s.root, name, "ssh_key")
	s.must(os.MkdirAll(filepath.Dir(key), 0o700))
	s.must(writeSSHKey(key))
	call := append([]string{"enrol", link, "--ssh-key", key, "--mail", name + "@acme.example", "--from", siteAddresses[name]}, flags...)
	if role == "operator" {
		call = append(call, "--address", siteAddresses[name])
	}
	return lastWords(s.t, s.as(name, call...))
}

var eightWords = regexp.MustCompile(`(?m)^\s*((?:[a-z]+ ){7}[a-z]+)$`)

// lastWords returns the last eight words of what a command has said.
func lastWords(t *testing.T, said string) string {
	t.Helper()
	all := eightWords.FindAllStringSubmatch(said, -1)
	if len(all) == 0 {
		t.Fatalf("there are no eight words in\n%s", said)
	}
	return all[len(all)-1][1]
}

// A guest is a keykeeper at a browser, on a machine of their own.
type guest struct {
	*browsertest.Page
	*browsertest.Authenticator
	s       *site
	name    string
	line    *wiretest.Line
	words   string            // of the enrolment
	paper   string            // the personal key, as it is printed
	secrets map[string][]byte // what must not leave the page
}

// guest opens the browser of somebody.
func (s *site) guest(name string) *guest {
	s.t.Helper()
	return s.guestAt(name, s.listen, nil)
}

// guestAt is guest for who reaches the safe in another place than where it
// listens, and other hosts beside it.
func (s *site) guestAt(name string, at netip.AddrPort, beside map[string]netip.AddrPort) *guest {
	s.t.Helper()
	know, err := certificate.Trust(s.auto.CA())
	s.must(err)
	line := wiretest.Open(s.t, wiretest.Options{
		Name: strings.TrimPrefix(s.origin, "https://"), To: at, From: netip.MustParseAddr(siteAddresses[name]),
		Show: certificate.Server(s.auto.GetCertificate), Know: know, Beside: beside,
	})
	g := &guest{Page: s.browser.OpenVia(s.t, line.URL, "about:blank"), s: s, name: name, line: line, secrets: make(map[string][]byte)}
	g.Authenticator = g.Authenticate(true)
	g.Spy()
	return g
}

// says waits until the page says something, in an element that a CSS selector
// names. Its sentences begin with capitals.
func (g *guest) says(selector, text string) {
	g.s.t.Helper()
	g.Wait(fmt.Sprintf("document.querySelector(%q)?.innerText.toLowerCase().includes(%q)", selector, strings.ToLower(text)))
}

// keep keeps what this document must not send, and returns how many touches
// there were.
func (g *guest) keep() (touches int) {
	g.s.t.Helper()
	touches, prf := g.Spied()
	for _, b := range prf {
		g.secrets[fmt.Sprintf("the PRF result %x... of %s", b[:2], g.name)] = b
	}
	return touches
}

var privateLine = regexp.MustCompile(`AGE-SECRET-KEY-PQ-1[0-9A-Z]{50,}`)

// enrol has the guest enrol as a keykeeper, who may have more roles. Who founds
// the safe is asked for the outer key, and presses that button.
func (g *guest) enrol(outer string, more ...string) {
	t := g.s.t
	t.Helper()
	g.Go(g.s.invite(g.name, append(more, "keykeeper")...))
	g.Fill("#mail", g.name+"@acme.example")
	g.Press("Begin")
	g.Press("Make the passkey for looking")
	g.Press("Make the passkey that signs")
	g.Press("Put your personal key under this passkey")
	if outer != "" {
		g.Press(outer)
	}
	g.Wait(`document.querySelector("#paper")`)
	g.paper = privateLine.FindString(strings.ReplaceAll(g.Text("#paper"), "\n  ", ""))
	key, err := wiretest.KeyOf(g.paper)
	g.s.must(err)
	g.secrets["the personal key of "+g.name] = key
	g.Fill("#paper-check", g.paper[len(g.paper)-4:])
	g.Press("I have it on paper")
	g.Press("Send your public keys to the safe")
	g.says("#enrol-status", "You are enrolled")
	g.words = g.Text("#words")
	g.keep()
}

// founds has the guest, who has enrolled, agree with the version that founds the
// safe, whose words a terminal has told.
func (g *guest) founds(words string) {
	g.s.t.Helper()
	g.Go(g.s.origin + "/people")
	g.signIn("/people")
	g.Wait(`document.querySelector(".panel label.check")`)
	if got := g.Text(".notice dd.words"); got != words {
		g.s.t.Errorf("the page shows the words %q, the terminal %q", got, words)
	}
	g.Click(".panel label.check input")
	g.Press("Agree with your passkey")
	g.says(".ended", "It is in force.")
	g.keep()
}

// outerKey returns the outer key that the guest's key on paper opens, as it is
// in the newest version of the roster.
func (g *guest) outerKey() []byte {
	g.s.t.Helper()
	files, err := filepath.Glob(filepath.Join(g.s.root, "safe/store/roster/*.json"))
	g.s.must(err)
	b, err := os.ReadFile(filepath.Join(g.s.root, "safe/store/roster", fmt.Sprintf("%d.json", len(files))))
	g.s.must(err)
	roster, err := access.ParseRoster(b)
	g.s.must(err)
	personal, err := seal.ReadPersonalIdentity(strings.NewReader(g.paper))
	g.s.must(err)
	period := roster.Periods[len(roster.Periods)-1]
	sealed, ok := period.OuterCopy(safe.PersonName(g.name))
	if !ok {
		g.s.t.Fatalf("%s has no copy of the outer key", g.name)
	}
	outer, err := seal.OpenOuterCopy(personal, sealed, period.Outer)
	g.s.must(err)
	key, err := wiretest.KeyOf(outer.PrivateLine())
	g.s.must(err)
	return key
}

// signIn signs in on the page that somebody was sent to, and comes to the one
// that they wanted.
func (g *guest) signIn(wanted string) {
	g.s.t.Helper()
	g.Wait(`document.querySelector("#sign-in-button")`)
	g.Choose(g.name + " at acme")
	g.Press("Sign in with your passkey")
	g.Wait(fmt.Sprintf("location.pathname === %q", wanted))
}

// mailed returns the link of the mail to somebody with that subject, once it
// has come.
func (s *site) mailed(to, subject string) string {
	s.t.Helper()
	var subjects []string
	for range 200 {
		subjects = nil
		for _, m := range s.mails.Mails() {
			read, err := mail.ReadMessage(bytes.NewReader(m.Bytes))
			s.must(err)
			subjects = append(subjects, m.To+": "+read.Header.Get("Subject"))
			if m.To == to && strings.Contains(read.Header.Get("Subject"), subject) {
				return regexp.MustCompile(`https://\S+`).FindString(plainText(s.t, read))
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("there is no mail to %s about %q, but %q", to, subject, subjects)
	return ""
}

// plainText returns the text of a mail that is also in HTML.
func plainText(t *testing.T, m *mail.Message) string {
	t.Helper()
	var find func(kind string, body io.Reader) string
	find = func(kind string, body io.Reader) string {
		kind, params, err := mime.ParseMediaType(kind)
		if err != nil || !strings.HasPrefix(kind, "multipart/") {
			return ""
		}
		for parts := multipart.NewReader(body, params["boundary"]); ; {
			p, err := parts.NextPart() // which undoes quoted-printable
			if err != nil {
				return ""
			}
			if kind := p.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/plain") {
				text, err := io.ReadAll(p)
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			} else if text := find(kind, p); text != "" {
				return text
			}
		}
	}
	return find(m.Header.Get("Content-Type"), m.Body)
}

// knowsNothing fails the test if a secret has passed to the safe, or is on its
// disk.
func (s *site) knowsNothing(guests ...*guest) {
	s.t.Helper()
	secrets := make(map[string][]byte)
	for _, g := range guests {
		for name, secret := range g.secrets {
			secrets[name] = secret
		}
	}
	for _, g := range guests { // one was there when it was made, one has a copy
		secrets["the outer key of "+g.name] = g.outerKey()
	}
	look := func(where string, sent []byte) {
		for name, secret := range secrets {
			if forms := wiretest.Find(sent, secret); len(forms) > 0 {
				s.t.Errorf("%s has %s: %q", where, name, forms)
			}
		}
	}
	for _, g := range guests {
		for _, sent := range g.line.Sent() {
			look("what the browser of "+g.name+" has sent", sent)
		}
	}
	s.must(filepath.WalkDir(filepath.Join(s.root, "safe"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		look(name, b)
		return err
	}))
}

// tree returns the content of files by their names below a folder.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(folder, name))
		all[name] = string(b)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%s has %d files: %v", folder, len(all), err)
	}
	return all
}
