package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/access/profile"
	"strongroom/internal/paper"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

func (a *app) keysPaperCommand() *cobra.Command {
	var roleKey, safeName, out string
	var period int
	phrase := &passphrase{}
	cmd := &cobra.Command{
		Use:   "paper --output FILE",
		Short: "Write a page with a private key, to be printed and locked away",
		Long: `Write a page with your personal key, with the role key of a period, or with one
that is in a file, as a QR code and as letters that can be typed. The page says
what it is for. A file that ends in .html is for a browser's printer, any other
is plain text.

Whoever has the file or the page has the key: print it, lock the page away, and
wipe the file. Both paper pages of a safe's role keys together open everything,
so they belong in two places.`,
		Example: `  strongroom keys paper --output kim.html
  strongroom keys paper --period 2 --output outer-2.html
  strongroom keys paper --role-key outer.key --safe acme --output outer.txt`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return &ui.UsageError{Problem: "say which file to write", Remedy: "Add --output FILE.html"}
			}
			page, err := a.keyPage(roleKey, safeName, period, phrase)
			if err != nil {
				return err
			}
			if err := writePage(page, out); err != nil {
				return err
			}
			a.talk().Printf("The page is in %s: print it, lock the page away, and wipe the file.", out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&roleKey, "role-key", "", "`file` with a role key (default: your personal key)")
	f.IntVar(&period, "period", 0, "the role key of this `number`, of which you have a copy (default: your personal key)")
	f.StringVar(&safeName, "safe", "", "`name` of the safe that the role key is for (default: that of your profile)")
	f.StringVarP(&out, "output", "o", "", "`file` to write: .html, or else text")
	phrase.register(cmd)
	return cmd
}

// keyPage makes the page of a role key, or of the personal key.
func (a *app) keyPage(roleKey, safeName string, period int, phrase *passphrase) (paper.Page, error) {
	switch {
	case roleKey != "" && period != 0:
		return paper.Page{}, &ui.UsageError{Problem: "--role-key and --period exclude each other", Remedy: "Write one page at a time."}
	case period != 0:
		return a.periodPage(period, phrase)
	case roleKey == "":
		p, err := a.openProfile()
		if err != nil {
			return paper.Page{}, err
		}
		personal, err := a.unlock(p, phrase)
		if err != nil {
			return paper.Page{}, err
		}
		return personalPage(p, personal, a.now()), nil
	}
	if safeName == "" {
		p, err := a.openProfile()
		if err != nil {
			return paper.Page{}, &ui.UsageError{Problem: "which safe the key is for belongs on the page", Remedy: "Add --safe NAME"}
		}
		safeName = p.Safe
	}
	outer, err := readKey(roleKey, seal.ReadOuterIdentity)
	inner, innerErr := readKey(roleKey, seal.ReadInnerIdentity)
	switch {
	case err == nil && innerErr == nil:
		return paper.Page{}, ui.WithRemedy(fmt.Errorf("%s does not say of which role the key is", roleKey), `Add the line "# strongroom outer key" or "# strongroom inner key" before it.`)
	case err == nil:
		return rolePage(safeName, "outer", "keykeepers", outer.PrivateLine(), outer.Recipient().String(), a.now()), nil
	case innerErr == nil:
		return rolePage(safeName, "inner", "operators", inner.PrivateLine(), inner.Recipient().String(), a.now()), nil
	}
	return paper.Page{}, err
}

// periodPage makes the page of a role key out of the person's copy of it.
func (a *app) periodPage(period int, phrase *passphrase) (paper.Page, error) {
	p, err := a.openPerson()
	if err != nil {
		return paper.Page{}, err
	}
	defer p.Close()
	_, roster, err := p.people(a.stop)
	if err != nil {
		return paper.Page{}, err
	}
	personal, err := a.unlock(p.profile, phrase)
	if err != nil {
		return paper.Page{}, err
	}
	ring, err := ringOf(roster, p.profile.Person, personal)
	if err != nil {
		a.talk().Warn("%v", err)
	}
	for _, k := range ring.Outer {
		if k.Period == period {
			return rolePage(p.profile.Safe, "outer", "keykeepers", k.Key.PrivateLine(), k.Key.Recipient().String(), a.now()), nil
		}
	}
	for _, k := range ring.Inner {
		if k.Period == period {
			return rolePage(p.profile.Safe, "inner", "operators", k.Key.PrivateLine(), k.Key.Recipient().String(), a.now()), nil
		}
	}
	return paper.Page{}, refusedError{ui.WithRemedy(fmt.Errorf("you have no copy of a role key of period %d", period), "See of which periods: strongroom people list")}
}

func personalPage(p *profile.Profile, personal seal.PersonalIdentity, now time.Time) paper.Page {
	return paper.Page{
		Title: fmt.Sprintf("Personal key of %s", p.Person),
		Safe:  p.Safe,
		Made:  now,
		Purpose: []string{
			fmt.Sprintf("This page brings the personal key of %s back if the passphrase is forgotten or the machine is lost. The key opens the copies of role keys that are sealed to %s in the roster of the safe; alone it opens no backup.", p.Person, p.Person),
			"Lock the page away, where nobody else comes and where it does not burn together with the machine. Whoever has it can act with this key until somebody suspends it.",
		},
		Secret: paper.Secret{Label: "Private key", Key: paper.Key(personal.PrivateLine())},
		Facts: []paper.Fact{
			{Label: "Store", Value: p.Store.String()},
			{Label: "Address of the safe", Value: p.URL},
			{Label: "Public key", Value: personal.Recipient().String()},
		},
		Steps: []paper.Step{
			{Text: "If only the passphrase is lost: on the machine with the profile, scan or type the key, and choose another passphrase.", Command: "strongroom keys restore --from-paper -"},
			{Text: "If the machine is lost: ask any other person of the safe to suspend your SSH key at once, get a new invitation, and have somebody of your role add you with new keys.", Command: fmt.Sprintf("strongroom people suspend %s --key SHA256: --reason \"machine lost\"", p.Person)},
		},
	}
}

func rolePage(safeName, role, people, private, public string, now time.Time) paper.Page {
	return paper.Page{
		Title: fmt.Sprintf("The %s role key", role),
		Safe:  safeName,
		Made:  now,
		Purpose: []string{
			fmt.Sprintf("This is the role key of the %s. Together with that of the other role it opens every backup of its period, without the safe and without Strongroom.", people),
			"Lock the page away. The page of the other role key belongs in another place, in other hands: nobody should hold both.",
		},
		Secret: paper.Secret{Label: "Private key", Key: paper.Key(private)},
		Facts:  []paper.Fact{{Label: "Public key", Value: public}},
		Steps: []paper.Step{
			{Text: "To read backups with both role keys and a copy of the store: type each key into a file, and follow docs/restore-by-hand.md on the recovery stick, or use the program."},
			{Text: "With the program, for the newest snapshot of a source:", Command: "strongroom restore SOURCE --to FOLDER --store COPY \\\n    --outer-key outer.key --inner-key inner.key"},
			{Text: "To prove once in a while that the page is still good:", Command: "strongroom keys check --paper -"},
		},
	}
}

// writePage writes a new file that only its owner can read.
func writePage(page paper.Page, file string) error {
	write := page.Text
	if ext := strings.ToLower(filepath.Ext(file)); ext == ".html" || ext == ".htm" {
		write = page.HTML
	}
	err := writeNew(file, 0o600, write)
	if os.IsExist(err) {
		err = refusedError{ui.WithRemedy(err, "Name another file: nothing is written over.")}
	}
	return err
}
