package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/daemon/mail/smtptest"
)

// A person has a machine, which is a folder, and an address.
type person struct {
	name, role, machine, address string
	roleKey                      string // what the role's key is called
	page                         string // with the personal key, printed
}

func (p *person) mail() string { return p.name + "@acme.example" }

// auditor is who keeps the mails, and has no key.
const auditor = "audit@acme.example"

// unlock is how a person's commands get the passphrase, which people type.
const unlock = " --passphrase-file passphrase"

// build makes the machines, the role keys and the safe.
func (d *demo) build() error {
	d.kim = &person{name: "kim", role: "keykeeper", machine: "keykeeper", address: addressOfKim, roleKey: "outer", page: "paper/kim.html"}
	d.otto = &person{name: "otto", role: "operator", machine: "operator", address: addressOfOtto, roleKey: "inner", page: "paper/otto.txt"}
	for _, folder := range []string{"safe", d.kim.machine, d.otto.machine, "auditor", "mails", "paper"} {
		if err := os.Mkdir(d.path(folder), 0o700); err != nil {
			return err
		}
	}
	d.say("Three machines, each a folder and an address: the safe (%s), Kim's, who is a keykeeper (%s), and Otto's, who is an operator (%s). Reading will take them both. Each makes the key of their role, and has an SSH key; the safe gets no more than public halves.", addressOfSafe, addressOfKim, addressOfOtto)
	for _, p := range []*person{d.kim, d.otto} {
		phrase := "a passphrase that only " + p.name + " knows"
		if err := os.WriteFile(d.path(p.machine, "passphrase"), []byte(phrase+"\n"), 0o600); err != nil {
			return err
		}
		if _, err := d.quietly(p.machine, "ssh-keygen -q -t ed25519 -N '' -C "+p.name+" -f id_ed25519", 0); err != nil {
			return err
		}
		if _, err := d.shell(p.machine, "strongroom keys new-role "+p.roleKey, 0); err != nil {
			return err
		}
	}
	if err := d.configure(); err != nil {
		return err
	}
	out, err := d.shell("safe", "strongroom init --outer ../keykeeper/outer.key.pub --inner ../operator/inner.key.pub", 0)
	if err != nil {
		return err
	}
	if d.ledgerKey = ledgerKeyForm.FindString(out); d.ledgerKey == "" {
		return errors.New("init shows no ledger key")
	}
	if err := os.WriteFile(d.path("auditor/ledger-key"), []byte(d.ledgerKey+"\n"), 0o600); err != nil {
		return err
	}
	d.say("An auditor notes the ledger key. Then the safe begins to answer people; who they are, it does not know yet.")
	return d.serve()
}

var ledgerKeyForm = regexp.MustCompile(`strongroom/[0-9a-f]{32}\+[0-9a-f]{8}\+[0-9A-Za-z+/=]+`)

// configure writes the configuration, and starts the mail server that it names.
func (d *demo) configure() (err error) {
	if d.safe, err = findDoor(); err != nil {
		return err
	}
	if d.post, err = smtptest.Start(smtptest.Options{Dir: d.path("mails")}); err != nil {
		return err
	}
	server := d.production.server
	key := d.path("safe/production.key")
	if err := os.WriteFile(key, server.PrivateKey, 0o400); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "safe: acme\nstore: %q\ndir: %q\n", d.path("safe/store"), d.path("safe/state"))
	fmt.Fprintf(&b, "mail:\n  server: %s\n  tls: none  # on this host\n  from: safe@acme.example\n  to: [%s]\n", d.post.Addr, auditor)
	fmt.Fprintf(&b, "serve:\n  listen: %s\n  name: %s\n  tls: auto\n  gate: { listen: %q }\n", d.safe.api, addressOfSafe, d.safe.gate)
	fmt.Fprintf(&b, "sources:\n")
	for _, source := range slices.Sorted(maps.Keys(d.production.sources)) {
		fmt.Fprintf(&b, "  %s:\n    kind: sftp\n    host: %q\n    host_key: %q\n    key: %q\n    include: %s\n", source,
			server.User+"@"+server.Addr, server.HostKey, "file:"+key, list(d.production.sources[source]))
	}
	b.WriteString(said())
	return os.WriteFile(d.path("safe/strongroom.yaml"), []byte(b.String()), 0o600)
}

// list writes strings as a list of YAML.
func list(all []string) string {
	var quoted []string
	for _, s := range all {
		quoted = append(quoted, strconv.Quote(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// serve starts the safe's process, and waits until it answers.
func (d *demo) serve() (err error) {
	if d.serving, err = d.start("safe", "strongroom serve", "serve.log"); err != nil {
		return err
	}
	err = d.wait("strongroom serve begins to answer", func() (bool, error) {
		select {
		case <-d.serving.done:
			out, _ := d.serving.output() // what there is of it
			return false, fmt.Errorf("strongroom serve has ended (%w):\n%s", d.serving.err, out)
		default:
			out, err := d.serving.output()
			return strings.Contains(out, "SHA-256"), err
		}
	})
	if err != nil {
		return err
	}
	out, err := d.serving.output()
	for line := range strings.Lines(out) {
		d.item("%s", strings.TrimSpace(line))
	}
	return err
}

// found makes the two people those of the safe.
func (d *demo) found() error {
	d.say("Root on the safe's host invites two people. Each makes a key of their own behind a passphrase; it stands on a page of paper, too. The key of their role is sealed to it, and the file goes.")
	for _, p := range []*person{d.kim, d.otto} {
		if _, err := d.shell("safe", "strongroom people invite "+p.name+" --role "+p.role+" > ../"+p.machine+"/link", 0); err != nil {
			return err
		}
	}
	_, err := d.enrol(d.kim)
	if err != nil {
		return err
	}
	ottos, err := d.enrol(d.otto)
	if err != nil {
		return err
	}
	d.say("Is it Otto's key that the safe shows to Kim? The safe could have put in another. So Otto reads his eight words to Kim by telephone, and her machine compares them with what the safe shows. Then Kim reads to Otto those of the roster that founds the safe.")
	if err := d.wordsDiffer(ottos); err != nil {
		return err
	}
	out, err := d.shell(d.kim.machine, "strongroom people add kim otto --yes --words 'otto="+ottos+"'"+unlock, 0)
	if err != nil {
		return err
	}
	if d.words, err = wordsIn(out); err != nil {
		return err
	}
	if _, err := d.shell(d.otto.machine, "strongroom people agree --yes --words '"+d.words+"'"+unlock, 0); err != nil {
		return err
	}
	return d.founded()
}

// enrol lets a person use their invitation. It returns the eight words that
// the person's own machine shows.
func (d *demo) enrol(p *person) (string, error) {
	out, err := d.shell(p.machine, fmt.Sprintf(`strongroom enrol "$(cat link)" --ssh-key id_ed25519 --role-key %s.key --from %s --mail %s --paper ../%s%s && rm %[1]s.key`,
		p.roleKey, p.address, p.mail(), p.page, unlock), 0)
	if err != nil {
		return "", err
	}
	return wordsIn(out)
}

var wordsForm = regexp.MustCompile(`(?m)^ *([a-z]+(?: [a-z]+){7})$`)

// wordsIn finds the eight words in what a command has said.
func wordsIn(out string) (string, error) {
	found := wordsForm.FindAllStringSubmatch(out, -1)
	if len(found) != 1 {
		return "", fmt.Errorf("there are not eight words, once, in:\n%s", out)
	}
	return found[0][1], nil
}

// wordsDiffer lets Kim compare other words than the safe shows: the order of
// two is another.
func (d *demo) wordsDiffer(words string) error {
	w := strings.Fields(words)
	w[6], w[7] = w[7], w[6]
	if w[6] == w[7] {
		return nil // one time in two thousand there is nothing to see
	}
	return d.says(d.kim.machine, "strongroom people add kim otto --yes --words 'otto="+strings.Join(w, " ")+"'"+unlock, 4, "not those of the enrolment of otto")
}

// A rosterShown is what "people list --json" says about the roster.
type rosterShown struct {
	Type    string `json:"type"`
	Number  int    `json:"n"`
	Words   string `json:"words"`
	Founded bool   `json:"founded"`
	Pinned  int    `json:"pinned"`
}

// founded finds out whether both people see the same roster, and kept its words.
func (d *demo) founded() error {
	want := rosterShown{Type: "roster", Number: 2, Words: d.words, Founded: true, Pinned: 2}
	for _, p := range []*person{d.kim, d.otto} {
		out, err := d.quietly(p.machine, "strongroom people list --json", 0)
		if err != nil {
			return err
		}
		got, err := message[rosterShown](out, func(r rosterShown) bool { return r.Type == want.Type })
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s sees the roster %+v, and should see %+v", p.name, got, want)
		}
		if _, err := os.Lstat(d.path(p.machine, p.roleKey+".key")); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the file of the %s role key is still on %s's machine", p.roleKey, p.name)
		}
	}
	if _, err := d.shell(d.otto.machine, "strongroom people list", 0); err != nil {
		return err
	}
	if _, err := d.await(auditor, "roster 2 is in force", 0); err != nil {
		return err
	}
	d.say("Both see the same words, and their machines keep them: the safe cannot show them other people from now on. What it lacks, it says itself: a second person for each role.")
	return nil
}

// message finds the message for scripts that is meant, which is there once.
func message[T any](out string, meant func(T) bool) (T, error) {
	var found []T
	for line := range strings.Lines(out) {
		var m T
		if !strings.HasPrefix(line, "{") {
			continue // a note to people
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return m, fmt.Errorf("reading a message for scripts: %w", err)
		}
		if meant(m) {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		return *new(T), fmt.Errorf("the message is there %d times in:\n%s", len(found), out)
	}
	return found[0], nil
}

var keyForm = regexp.MustCompile(`AGE-SECRET-KEY-PQ-1[0-9A-Z]{58}`)

// typeIn types a key from its page into a file, as a person would.
func (d *demo) typeIn(p *person, file string) error {
	page, err := os.ReadFile(d.path(p.page))
	if err != nil {
		return err
	}
	key := keyForm.Find(page)
	if key == nil {
		return fmt.Errorf("there is no key on %s's page %s", p.name, p.page)
	}
	path := d.path(file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, append(key, '\n'), 0o400)
}
