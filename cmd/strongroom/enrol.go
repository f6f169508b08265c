package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
	"strongroom/internal/web/client"
)

// enrolling is one call of the command enrol.
type enrolling struct {
	*app
	sshKey     string
	addresses  []string
	mail, name string
	roleKey    string
	from       string
	paper      string
	phrase     passphrase
}

func (a *app) enrolCommand() *cobra.Command {
	e := &enrolling{app: a}
	cmd := &cobra.Command{
		Use:   "enrol LINK --ssh-key FILE",
		Short: "Become a person of a safe, with the link of an invitation",
		Long: `Use an invitation, on your own machine. It makes a profile: for a keykeeper or
an operator a personal key behind a passphrase, and for all the address of the
safe and which SSH key signs for you. The public halves go to the safe.

Then it shows eight words. Whoever adds you to the roster sees the words of what
the safe received: compare them by voice, since the safe's host could have put
other keys in. A founder who has made a role key brings it with --role-key; it
is sealed to the personal key at once and does not leave this machine otherwise.

Print the personal key, now with --paper or later with "strongroom keys paper":
a lost passphrase cannot be found again.`,
		Example: `  strongroom enrol 'https://safe.example.com:8443/enrol#...' \
      --ssh-key ~/.ssh/id_ed25519 --role-key outer.key --paper kim.html
  strongroom enrol 'https://safe.example.com:8443/enrol#...' \
      --ssh-key ~/.ssh/id_ed25519.pub --address 192.0.2.17 --mail o@example.com`,
		Args: args(1, 1, "the link of an invitation, in quotes"),
		RunE: func(_ *cobra.Command, given []string) error {
			invitation, err := access.ParseInvitation(given[0])
			if err != nil {
				return &ui.UsageError{Problem: err.Error(), Remedy: "Copy the whole link, and put it in quotes: the shell knows what # means, too."}
			}
			return e.run(invitation)
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.sshKey, "ssh-key", "", "your SSH key (Ed25519), or the .pub `file` if an agent or a security key has it")
	f.StringArrayVar(&e.addresses, "address", nil, "IP `address` that you come from as an operator; a second one for emergencies")
	f.StringVar(&e.mail, "mail", "", "`address` for mails")
	f.StringVar(&e.name, "full-name", "", "your `name` as others know it")
	f.StringVar(&e.roleKey, "role-key", "", "`file` with the role key that you have made as a founder")
	f.StringVar(&e.from, "from", "", "`address` of this machine to call from, if it has several")
	f.StringVar(&e.paper, "paper", "", "`file` for the page with your personal key: .html, or else text")
	e.phrase.register(cmd)
	return cmd
}

func (e *enrolling) run(invitation access.Invitation) error {
	if e.sshKey == "" {
		return &ui.UsageError{Problem: "your SSH key is missing", Remedy: "Name it: --ssh-key ~/.ssh/id_ed25519. If you have none: ssh-keygen -t ed25519"}
	}
	from, err := parseAddr("from", e.from)
	if err != nil {
		return err
	}
	dir, err := e.folder(invitation)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); err == nil { // before anybody thinks of a passphrase
		return enrolledHere(fmt.Errorf("%s: %w", dir, fs.ErrExist))
	}
	sshKey, err := filepath.Abs(e.sshKey)
	if err != nil {
		return err
	}
	signer, release, err := e.loadSigner(sshKey)
	if err != nil {
		return err
	}
	defer release()
	enrolment, personal, phrase, err := e.enrolment(invitation, signer, from)
	if err != nil {
		return err
	}
	draft, err := profile.NewDraft(dir, profile.Data{Safe: invitation.Safe, Store: invitation.Store, URL: invitation.URL,
		Person: invitation.Person, Roles: enrolment.Person.Roles, SSHKey: sshKey, From: from, Enrolment: enrolment.Digest()}, personal, phrase, e.now())
	if errors.Is(err, fs.ErrExist) {
		return enrolledHere(err)
	}
	if err != nil {
		return err
	}
	defer draft.Discard()
	ca, err := client.Enrol(e.stop, invitation, enrolment.Encode(), from)
	if err != nil {
		return explainSent(err)
	}
	p, err := draft.Commit(string(ca))
	if err != nil {
		return err
	}
	return e.show(p, enrolment, personal)
}

// enrolledHere explains that there is a profile already.
func enrolledHere(err error) error {
	return refusedError{ui.WithRemedy(err, "Enrol into another folder with --profile FOLDER, or move that one away if it is of no use any more.")}
}

// folder is where the profile will be.
func (e *enrolling) folder(invitation access.Invitation) (string, error) {
	if e.profileDir != "" {
		return filepath.Abs(e.profileDir)
	}
	base, err := profileBase()
	return filepath.Join(base, invitation.Safe), err
}

// enrolment makes what is sent, and the personal key with its passphrase, if
// the person's role has one.
func (e *enrolling) enrolment(invitation access.Invitation, signer ssh.Signer, from netip.Addr) (enrolment access.Enrolment, personal seal.PersonalIdentity, phrase string, err error) {
	self, err := e.person(invitation, signer, from)
	if err != nil {
		return enrolment, personal, "", err
	}
	hasKey := self.Has(access.Keykeeper) || self.Has(access.Operator)
	if hasKey {
		if personal, err = seal.NewPersonalIdentity(); err != nil {
			return enrolment, personal, "", err
		}
		self.Key = personal.Recipient()
	}
	if err := self.Check(); err != nil {
		remedy := "See: strongroom enrol --help"
		if self.Has(access.Operator) && len(self.Addresses) == 0 {
			remedy = "Name the address that you come from: --address 192.0.2.17"
		}
		return enrolment, personal, "", &ui.UsageError{Problem: err.Error(), Remedy: remedy}
	}
	enrolment = access.Enrolment{Version: 1, Store: invitation.Store, Time: e.now().UTC(), Person: self}
	if !hasKey && e.roleKey != "" {
		return enrolment, personal, "", &ui.UsageError{Problem: "only keykeepers and operators have a role key", Remedy: "Leave out --role-key."}
	}
	if err := e.bringRoleKey(&enrolment); err != nil || !hasKey {
		return enrolment, personal, "", err
	}
	phrase, err = e.phrase.fresh(e.app)
	return enrolment, personal, phrase, err
}

// person makes what will stand in the roster, without the personal key.
func (e *enrolling) person(invitation access.Invitation, signer ssh.Signer, from netip.Addr) (access.Person, error) {
	key, err := sshsig.PublicKeyOf(signer.PublicKey())
	if err != nil {
		return access.Person{}, fmt.Errorf("%s: %w", e.sshKey, err)
	}
	self := access.Person{Name: invitation.Person, Roles: slices.Sorted(slices.Values(invitation.Roles)), Mail: e.mail, SSH: []sshsig.PublicKey{key}}
	if err := (*ledger.Text)(&self.FullName).UnmarshalText([]byte(e.name)); err != nil {
		return self, &ui.UsageError{Problem: "--full-name: " + err.Error(), Remedy: "Write it on one line."}
	}
	for _, s := range e.addresses {
		addr, err := parseAddr("address", s)
		if err != nil {
			return self, err
		}
		self.Addresses = append(self.Addresses, addr)
	}
	if len(self.Addresses) == 0 && self.Has(access.Operator) && from.IsValid() {
		self.Addresses = []netip.Addr{from}
	}
	return self, nil
}

// bringRoleKey seals the role key of a founder to the founder's own key.
func (e *enrolling) bringRoleKey(enrolment *access.Enrolment) (err error) {
	person := enrolment.Person
	switch {
	case e.roleKey == "":
		return nil
	case person.Has(access.Keykeeper):
		key, err := readKey(e.roleKey, seal.ReadOuterIdentity)
		if err != nil {
			return err
		}
		enrolment.OuterCopy, err = key.SealTo(person.Key, e.now())
		return err
	default:
		key, err := readKey(e.roleKey, seal.ReadInnerIdentity)
		if err != nil {
			return err
		}
		enrolment.InnerCopy, err = key.SealTo(person.Key, e.now())
		return err
	}
}

func (e *enrolling) show(p *profile.Profile, enrolment access.Enrolment, personal seal.PersonalIdentity) error {
	t, digest := e.talk(), enrolment.Digest()
	t.Printf("%s is enrolled at the safe %s. The words of this enrolment:\n  %s", p.Person, p.Safe, words.Of(digest))
	if e.mail == "" {
		t.Warn("without --mail you get no mails: nobody tells you what happens, or when you are needed. To add an address, enrol anew.")
	}
	t.Note("Read them by voice to the person who adds you. The profile is in %s.", p.Dir())
	hasKey := !enrolment.Person.Key.IsZero()
	switch {
	case hasKey && e.paper != "":
		if err := writePage(personalPage(p, personal, e.now()), e.paper); err != nil {
			return fmt.Errorf("writing the page of the personal key (you are enrolled all the same; write it with \"strongroom keys paper\"): %w", err)
		}
		t.Note("Your personal key is in %s: print it, lock the page away, and wipe the file.", e.paper)
	case hasKey:
		t.Note("Print your personal key before you need it: strongroom keys paper --output FILE.html")
	}
	t.Emit("enrolment", struct {
		Person  safe.PersonName `json:"person"`
		Safe    string          `json:"safe"`
		Profile string          `json:"profile"`
		Digest  safe.Digest     `json:"digest"`
		Words   string          `json:"words"`
	}{p.Person, p.Safe, p.Dir(), digest, words.Of(digest)})
	return nil
}
