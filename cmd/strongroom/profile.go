package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
	"strongroom/internal/web/client"
)

// profileBase is where the profiles of this user are, one for each safe.
func profileBase() (string, error) {
	base := os.Getenv("XDG_CONFIG_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "strongroom"), nil
}

// openProfile opens the profile that was named, or else the only one.
func (a *app) openProfile() (*profile.Profile, error) {
	dir := a.profileDir
	if dir == "" {
		dir = os.Getenv("STRONGROOM_PROFILE")
	}
	if dir == "" {
		base, err := profileBase()
		if err != nil {
			return nil, err
		}
		if dir, err = profile.Find(base); err != nil {
			return nil, explainFind(err)
		}
	}
	p, err := profile.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		err = ui.WithRemedy(err, "Name the folder with profile.json: --profile FOLDER")
	}
	return p, err
}

// verifiedRoster returns the newest version of a store's roster that was
// verified in a profile of this user. What cannot be read is as good as nothing.
func (a *app) verifiedRoster(id safe.StoreID) (access.Roster, bool) {
	var all []*profile.Profile
	p, err := a.openProfile()
	var several *profile.FindError
	switch {
	case err == nil:
		all = append(all, p)
	case errors.As(err, &several):
		for _, dir := range several.Found {
			if p, err := profile.Open(dir); err == nil {
				all = append(all, p)
			}
		}
	}
	for _, p := range all {
		if p.Store != id {
			continue
		}
		if r, ok, err := p.Verified(); err == nil && ok {
			return r, true
		}
	}
	return access.Roster{}, false
}

func explainFind(err error) error {
	var find *profile.FindError
	switch {
	case errors.As(err, &find) && len(find.Found) == 0:
		return ui.WithRemedy(err, "Ask for an invitation, then: strongroom enrol LINK --ssh-key FILE")
	case errors.As(err, &find):
		return ui.WithRemedy(err, "Name one of them: --profile "+strings.Join(find.Found, " or --profile "))
	}
	return err
}

// A person is somebody's own machine at work: a profile, the key that signs,
// and the safe at the other end. Commands of people begin with one.
type person struct {
	*app
	profile *profile.Profile
	signer  ssh.Signer
	client  *client.Client
	release func() // ends what the signer holds open
}

// openPerson opens the profile and loads the SSH key.
func (a *app) openPerson() (*person, error) {
	p, err := a.openProfile()
	if err != nil {
		return nil, err
	}
	signer, release, err := a.loadSigner(p.SSHKey)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{URL: p.URL, CA: []byte(p.CA), Store: p.Store, Person: p.Person, Signer: signer, From: p.From, Now: a.now})
	if err != nil {
		release()
		return nil, err
	}
	return &person{a, p, signer, c, release}, nil
}

// Close lets go of the safe and of the SSH agent.
func (p *person) Close() {
	p.client.Close()
	p.release()
}

// loadSigner loads an SSH key: from its file, whose passphrase is asked for,
// or from the user's agent.
func (a *app) loadSigner(path string) (ssh.Signer, func(), error) {
	var connections []net.Conn
	release := func() {
		for _, c := range connections {
			c.Close() // nothing is waited for
		}
	}
	signer, err := sshsig.LoadSigner(path,
		func(try func(phrase string) error) error {
			return a.attempt(fmt.Sprintf("Passphrase of the SSH key %s:", path),
				"Load the key into an ssh-agent and name its public half, the .pub file.", sshsig.ErrPassphrase, try)
		},
		func() (agent.Agent, error) {
			socket := os.Getenv("SSH_AUTH_SOCK")
			if socket == "" {
				return nil, ui.WithRemedy(errors.New("there is no ssh-agent to ask for it"), "Start one, and load the key with ssh-add.")
			}
			conn, err := (&net.Dialer{}).DialContext(a.stop, "unix", socket)
			if err != nil {
				return nil, err
			}
			connections = append(connections, conn)
			return agent.NewClient(conn), nil
		})
	if errors.Is(err, sshsig.ErrPassphrase) {
		err = refusedError{err}
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return signer, release, nil
}

// people asks the safe for all about people, and verifies the roster. Whatever
// is done with the rest goes by that roster.
func (p *person) people(ctx context.Context) (api.Everyone, access.Roster, error) {
	everyone, err := p.client.People(ctx, p.profile.After())
	if err != nil {
		return everyone, access.Roster{}, explainCall(err)
	}
	roster, err := p.profile.Follow(everyone)
	return everyone, roster, explainTrust(err)
}

// explainTrust adds what to do about a roster that cannot be trusted.
func explainTrust(err error) error {
	switch {
	case errors.Is(err, profile.ErrNotPinned):
		return ui.WithRemedy(err, "Compare its words with those that other people have, then pin it: strongroom people pin")
	case errors.Is(err, access.ErrPapers):
		return ui.WithRemedy(err, "Pin it: strongroom people pin")
	case errors.Is(err, profile.ErrNotYet):
		return ui.WithRemedy(err, "It waits for agreement, or for its time. If it was given up, pin what is in force: strongroom people pin")
	case errors.Is(err, profile.ErrOtherPin):
		return refusedError{ui.WithRemedy(err, "Compare words with other people by voice before anything else: somebody may pretend to be the safe. See: strongroom people pin")}
	case err != nil:
		return refusedError{fmt.Errorf("the safe's roster does not hold: %w", err)}
	}
	return nil
}

// explainCall adds what to do about a call that the safe did not answer, or
// answered with no.
func explainCall(err error) error {
	var problem *client.ProblemError
	var clock *client.ClockError
	switch {
	case errors.As(err, &problem):
		if problem.Remedy != "" {
			err = ui.WithRemedy(err, problem.Remedy)
		}
		if problem.Status == http.StatusForbidden || problem.Status == http.StatusUnauthorized || problem.Status == http.StatusConflict {
			err = refusedError{err}
		}
		return err
	case errors.As(err, &clock):
		return refusedError{err}
	}
	return err
}

// explainSent is explainCall for a call that does something.
func explainSent(err error) error {
	var away *client.UnreachableError
	if errors.As(err, &away) {
		return ui.WithRemedy(err, "It may have been done, or not. Look before you do it again: strongroom people list, strongroom opening list")
	}
	return explainCall(err)
}

// sign states an act and signs it.
func (p *person) sign(act access.Act) (ledger.Signed, error) {
	return access.Sign(access.Statement{Store: p.profile.Store, Person: p.profile.Person, Time: p.now(), Act: act}, p.signer)
}

// own returns how the person stands in the roster.
func (p *person) own(everyone api.Everyone, r access.Roster) (access.Person, error) {
	self, ok := r.Person(p.profile.Person)
	if ok {
		return self, nil
	}
	remedy := "Somebody in it adds you: strongroom people add " + string(p.profile.Person)
	for _, proposal := range everyone.Proposals {
		next, err := access.ParseRoster(proposal.Roster)
		if err != nil {
			continue // people list warns of it
		}
		if _, ok := next.Person(p.profile.Person); ok {
			remedy = fmt.Sprintf("Version %d has %s; it %s.", next.Number, p.profile.Person, p.waitsFor(proposal, r, next))
		}
	}
	return self, refusedError{ui.WithRemedy(fmt.Errorf("%s is not in the roster that is in force", p.profile.Person), remedy)}
}

// passphrase is the flag with which scripts give a passphrase.
type passphrase struct {
	file string
	ask  bool // pass over the file of the environment, which has another one
}

func (f *passphrase) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "passphrase-file", "", "`file` whose first line is the passphrase of the personal key (default: ask)")
}

// fromFile reads the passphrase from the file that was named, if one was.
func (f *passphrase) fromFile() (string, bool, error) {
	file := f.file
	if file == "" && !f.ask {
		file = os.Getenv("STRONGROOM_PASSPHRASE_FILE")
	}
	if file == "" {
		return "", false, nil
	}
	s, err := firstLine(file)
	return s, true, err
}

func firstLine(file string) (string, error) {
	b, err := os.ReadFile(file)
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), err
}

const passphraseRemedy = "Name a file that holds it: --passphrase-file FILE"

// attempts is how often a passphrase is asked for at a terminal.
const attempts = 3

// attempt calls try with what a person types until it fits, or too often.
// Another error than wrong ends it.
func (a *app) attempt(question, otherwise string, wrong error, try func(phrase string) error) error {
	for n := 1; ; n++ {
		phrase, err := a.talk().AskSecret(a.stop, question, otherwise)
		if err != nil {
			return err
		}
		if err = try(phrase); !errors.Is(err, wrong) || n == attempts {
			return err
		}
		a.talk().Warn("%v", wrong)
	}
}

// fresh asks twice for a passphrase that is chosen now.
func (f *passphrase) fresh(a *app) (string, error) {
	s, given, err := f.fromFile()
	if err != nil {
		return "", err
	}
	if given {
		if err := seal.CheckPassphrase(s); err != nil {
			return "", &ui.UsageError{Problem: err.Error(), Remedy: "Write another one into the file."}
		}
		return s, nil
	}
	for range 3 {
		if s, err = a.talk().AskSecret(a.stop, "A passphrase for your personal key, four words or more:", passphraseRemedy); err != nil {
			return "", err
		}
		if err := seal.CheckPassphrase(s); err != nil {
			a.talk().Warn("%v", err)
			continue
		}
		again, err := a.talk().AskSecret(a.stop, "The same once more:", passphraseRemedy)
		if err != nil {
			return "", err
		}
		if again == s {
			return s, nil
		}
		a.talk().Warn("the two are not the same")
	}
	return "", &ui.UsageError{Problem: "there is no passphrase", Remedy: "Take four words that nobody expects together, and try again."}
}

// unlock opens the personal key of a profile.
func (a *app) unlock(p *profile.Profile, flag *passphrase) (personal seal.PersonalIdentity, err error) {
	try := func(phrase string) (err error) {
		personal, err = p.Unlock(phrase)
		return err
	}
	phrase, given, err := flag.fromFile()
	switch {
	case err != nil:
	case given:
		err = try(phrase)
	default:
		err = a.attempt("Passphrase of your personal key:", passphraseRemedy, seal.ErrPassphrase, try)
	}
	if errors.Is(err, seal.ErrPassphrase) {
		err = refusedError{ui.WithRemedy(err, "Try again. If it is lost, the paper page of your key brings it back: strongroom keys restore")}
	}
	return personal, err
}

// parseAddr reads the value of a flag with an address; "" is none.
func parseAddr(flag, s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return addr, &ui.UsageError{Problem: fmt.Sprintf("--%s %q is not an IP address", flag, s), Remedy: "Write it as 192.0.2.17 or 2001:db8::17."}
	}
	return addr.Unmap(), nil
}

// confirm is the flags with which scripts say yes, and which words they have.
type confirm struct {
	yes   bool
	words string
}

func (c *confirm) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask")
}

func (c *confirm) registerWords(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&c.words, "words", "", "the eight `words` of "+what+", as another person has them, instead of being asked")
}

// ask asks whether to go on. A no is a refusal.
func (c *confirm) ask(a *app, question string) error {
	if c.yes {
		return nil
	}
	yes, err := a.talk().Ask(a.stop, question, "Add --yes to go on without being asked.")
	if err != nil {
		return err
	}
	if !yes {
		return refusedError{errors.New("nothing was done")}
	}
	return nil
}

// compare has the person compare the words of something with those that
// another person has: by voice, or typed in after --words.
func (c *confirm) compare(a *app, what string, digest [32]byte) error {
	return compareWords(a, what, digest, c.words, "Give the words that the other person has: --words \"...\"")
}

func compareWords(a *app, what string, digest [32]byte, typed, otherwise string) error {
	if typed != "" {
		if err := words.Check(typed, digest); err != nil {
			return refusedError{ui.WithRemedy(fmt.Errorf("the words given are not those of %s: %w", what, err),
				"Ask for the words again. If they differ still, somebody stands between you and the safe: tell the others, and do nothing with it.")}
		}
		return nil
	}
	a.talk().Printf("The words of %s:\n  %s", what, words.Of(digest))
	same, err := a.talk().Ask(a.stop, "Does the other person, by voice, have the same eight words?", otherwise)
	if err != nil {
		return err
	}
	if !same {
		return refusedError{ui.WithRemedy(fmt.Errorf("the words of %s are not confirmed", what),
			"If they differ, somebody stands between you and the safe: tell the others, and do nothing with it.")}
	}
	return nil
}
