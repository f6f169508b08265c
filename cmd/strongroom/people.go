package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/profile"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/safe/words"
	"strongroom/internal/ui"
)

func (a *app) peopleCommand() *cobra.Command {
	return group(&cobra.Command{Use: "people COMMAND", Short: "Who may do what: invite, add, agree, suspend"},
		a.inviteCommand(), a.peopleListCommand(), a.peopleAddCommand(), a.peopleRemoveCommand(), a.peopleAgreeCommand(), a.peopleObjectCommand(),
		a.peopleSuspendCommand(), a.peopleLiftCommand(), a.peoplePinCommand(), a.peopleRecoverCommand())
}

func (a *app) inviteCommand() *cobra.Command {
	var given []string
	cmd := &cobra.Command{
		Use:   "invite NAME --role ROLE",
		Short: "Print a link with which somebody enrols (on the safe's host)",
		Long: `Print a link with which somebody enrols from their own machine: once, and within
half an hour. It runs on the safe's host. The link is a secret until it is used.
An invitation gives nobody a right: that does the roster, which others agree on.

keykeeper  releases the outer seal of what an operator asks for
operator   asks, and restores with the inner key; never also keykeeper
officer    signs recoveries off; says on the page Map what depends on what
auditor    looks`,
		Example: `  strongroom people invite kim --role keykeeper
  strongroom people invite ana --role officer --role auditor`,
		Args: args(1, 1, "one name"),
		RunE: func(_ *cobra.Command, names []string) error {
			name, err := safe.ParsePersonName(names[0])
			if err != nil {
				return &ui.UsageError{Problem: err.Error(), Remedy: "It is what commands call the person, such as kim; a full name is given with strongroom enrol --full-name."}
			}
			roles, err := parseRoles(given)
			if err != nil {
				return err
			}
			return a.invite(name, roles)
		},
	}
	cmd.Flags().StringArrayVar(&given, "role", nil, "`role` of the person; may be given several times")
	return cmd
}

func parseRoles(given []string) ([]access.Role, error) {
	var roles []access.Role
	for _, s := range given {
		role, err := access.ParseRole(s)
		if err != nil {
			return nil, &ui.UsageError{Problem: err.Error(), Remedy: "Write --role keykeeper, for example."}
		}
		roles = append(roles, role)
	}
	slices.Sort(roles)
	roles = slices.Compact(roles)
	switch {
	case len(roles) == 0:
		return nil, &ui.UsageError{Problem: "the role is missing", Remedy: "Add --role keykeeper, operator, officer or auditor."}
	case slices.Contains(roles, access.Keykeeper) && slices.Contains(roles, access.Operator):
		return nil, &ui.UsageError{Problem: "one person cannot be keykeeper and operator: they would open the safe alone", Remedy: "Invite two people."}
	}
	return roles, nil
}

func (a *app) invite(name safe.PersonName, roles []access.Role) error {
	s, err := a.openSafe()
	if err != nil {
		return err
	}
	defer s.Close() // what counts was committed
	url, ca, err := a.door(s.Config(), roles)
	if err != nil {
		return err
	}
	invitation, err := s.Invite(a.stop, name, roles)
	if err != nil {
		return err
	}
	invitation.URL, invitation.Safe, invitation.CA = url, s.Config().Safe, ca
	until := a.now().Add(access.InvitationLife)
	a.talk().Printf("%s", invitation)
	there := "there"
	if usesPages(s.Config(), roles) {
		there += ", in a browser, or"
	}
	enrol := "strongroom enrol 'LINK' --ssh-key FILE --mail ADDRESS"
	if slices.Contains(roles, access.Operator) {
		enrol += " --address IP"
	}
	a.talk().Note("The link is good once, until %s. Give it to %s over a way that you trust; %s:\n  %s", until.Local().Format("15:04"), name, there, enrol)
	a.talk().Emit("invitation", map[string]any{"person": name, "roles": roles, "link": invitation.String(), "until": until.UTC()})
	return nil
}

// usesPages reports whether people of these roles can enrol in a browser.
func usesPages(cfg *config.Config, roles []access.Role) bool {
	return !slices.Contains(roles, access.Operator) && len(cfg.Serve.Origins()) > 0
}

// door tells where people of these roles reach the safe, and by which authority
// they know it; the zero one is a public authority.
func (a *app) door(cfg *config.Config, roles []access.Role) (url string, ca safe.Digest, err error) {
	if cfg.Serve == nil {
		return "", ca, &ui.UsageError{Problem: "the configuration does not say where people reach the safe", Remedy: serveStanza}
	}
	url = cfg.Serve.URL()
	if usesPages(cfg, roles) {
		url = cfg.Serve.Origins()[0]
	}
	_, fingerprint, err := a.certificate(cfg, a.logger())
	if err != nil || fingerprint == "" {
		return url, ca, err
	}
	ca, err = safe.ParseDigest(fingerprint)
	return url, ca, err
}

func (a *app) peopleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the roster, what is proposed, who waits, and what is missing",
		Long: `Show the people of the safe with their roles and keys, who can open the role
keys of which periods, who is suspended, who has enrolled and waits to be added,
which changes are proposed and what they wait for, and what is missing.

On a person's own machine the roster is verified first. On the safe's host it is
what the safe itself believes; there it needs no profile.`,
		Example: `  strongroom people list
  strongroom people list --config /etc/strongroom/strongroom.yaml`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.listPeople() },
	}
}

// listPeople lists for a person, or, where there is no profile or a
// configuration was named, for the safe's host.
func (a *app) listPeople() error {
	if a.configFile != "" && a.profileDir == "" {
		return a.listPeopleOfState()
	}
	p, err := a.openPerson()
	var find *profile.FindError
	if errors.As(err, &find) && len(find.Found) == 0 {
		if _, configErr := a.config(); configErr == nil {
			return a.listPeopleOfState()
		}
	}
	if err != nil {
		return err
	}
	defer p.Close()
	everyone, roster, err := p.people(a.stop)
	if err != nil {
		return err
	}
	a.showPeople(everyone, roster, p.profile.Pin)
	return nil
}

func (a *app) listPeopleOfState() error {
	s, err := a.openSafe()
	if err != nil {
		return err
	}
	defer s.Close() // nothing was written
	everyone, err := s.Everyone(a.stop, 0)
	if err != nil {
		return err
	}
	roster, err := access.ParseRoster(everyone.Current)
	if err != nil {
		return err
	}
	var pin profile.Pin
	if founding, ok, err := profile.Candidate(everyone); err == nil && ok {
		pin = profile.Pin{Number: founding.Number, Digest: founding.Digest()}
	}
	a.showPeople(everyone, roster, pin)
	return nil
}

// showPeople tells everything about people.
func (a *app) showPeople(everyone api.Everyone, roster access.Roster, pin profile.Pin) {
	t := a.talk()
	state := "in force"
	if !roster.Founded() {
		state = "not founded: a keykeeper and an operator found the safe with \"strongroom people add\""
	}
	t.Printf("Roster version %d, %s\n  words    %s", roster.Number, state, words.Of(roster.Digest()))
	if pin.Number > 0 {
		t.Printf("  pinned   version %d: %s", pin.Number, words.Of(pin.Digest))
	}
	if len(roster.People) > 0 {
		t.Printf("")
		table := ui.NewTable(ui.Column{Title: "NAME"}, ui.Column{Title: "ROLES"}, ui.Column{Title: "OPENS"}, ui.Column{Title: "FROM"}, ui.Column{Title: "KEYS", Cut: true})
		for _, p := range roster.People {
			table.Row(p.Name, rolesOf(p.Roles), opens(roster, p.Name), addressesOf(p), keysOf(p))
		}
		t.Table(table)
	}
	a.showSuspensions(everyone, roster)
	a.showEnrolments(everyone, roster)
	a.showProposals(everyone, roster)
	for _, line := range a.lacks(everyone, roster) {
		t.Warn("%s", line)
	}
	t.Emit("roster", map[string]any{"n": roster.Number, "digest": roster.Digest(), "words": words.Of(roster.Digest()), "founded": roster.Founded(),
		"periods": len(roster.Periods), "pinned": pin.Number})
	for _, p := range roster.People {
		t.Emit("person", map[string]any{"name": p.Name, "full_name": p.FullName, "roles": p.Roles, "mail": p.Mail, "ssh": p.SSH, "passkeys": p.Passkeys, "addresses": p.Addresses, "periods": periods(roster, p.Name)})
	}
}

func (a *app) showSuspensions(everyone api.Everyone, roster access.Roster) {
	t := a.talk()
	for _, s := range everyone.Suspensions {
		what := "with all keys"
		key := ""
		if !s.Key.IsZero() {
			key = s.Key.Fingerprint()
			what = "with the " + s.Key.Kind() + " " + key
		}
		t.Printf("\nSuspended: %s, %s (ledger entry %d). strongroom people lift %s ends it.", s.Person, what, s.Entry, s.Person)
		t.Emit("suspension", map[string]any{"person": s.Person, "key": key, "entry": s.Entry})
	}
}

func (a *app) showEnrolments(everyone api.Everyone, roster access.Roster) {
	t := a.talk()
	for _, e := range everyone.Enrolments {
		enrolment, err := access.ParseEnrolment(e.Enrolment)
		if err != nil {
			t.Warn("an enrolment cannot be read: %v", err)
			continue
		}
		person := enrolment.Person
		as := "waits to be added"
		if _, known := roster.Person(person.Name); known {
			as = "waits to have new keys"
		}
		t.Printf("\nEnrolled: %s, %s, from %s, %s\n  words    %s", person.Name, rolesOf(person.Roles), e.From, as, words.Of(enrolment.Digest()))
		t.Emit("enrolled", map[string]any{"person": person.Name, "roles": person.Roles, "from": e.From, "time": e.Time, "digest": enrolment.Digest(), "words": words.Of(enrolment.Digest())})
	}
}

func (a *app) showProposals(everyone api.Everyone, roster access.Roster) {
	t := a.talk()
	for _, p := range everyone.Proposals {
		next, err := access.ParseRoster(p.Roster)
		if err != nil {
			t.Warn("a proposal cannot be read: %v", err)
			continue
		}
		t.Printf("\nProposed by %s %s: version %d, %.8s\n  words    %s\n  %s", p.By, ui.Ago(p.Proposed, a.now()), next.Number, next.Digest(), words.Of(next.Digest()), a.standsAt(p, roster, next))
		for _, line := range compose.Changes(roster, next) {
			t.Printf("  - %s", line)
		}
		t.Emit("proposal", map[string]any{"n": next.Number, "digest": next.Digest(), "words": words.Of(next.Digest()), "by": p.By, "proposed": p.Proposed,
			"agreed": agreed(p), "objected": p.Objected, "papers": p.Papers, "ready": p.Ready, "changes": compose.Changes(roster, next)})
	}
}

// agreed returns who has agreed with a proposal.
func agreed(p access.Proposal) []safe.PersonName {
	names := []safe.PersonName{}
	for _, signed := range p.Agreed {
		if s, err := access.ParseStatement([]byte(signed.Statement)); err == nil {
			names = append(names, s.Person)
		}
	}
	return names
}

// standsAt tells what people have said of a proposal and what it waits for.
func (a *app) standsAt(p access.Proposal, roster, next access.Roster) string {
	var parts []string
	if names := agreed(p); len(names) > 0 {
		parts = append(parts, "agreed: "+joined(names))
	}
	if len(p.Objected) > 0 {
		parts = append(parts, "objected: "+joined(p.Objected))
	}
	if p.Papers {
		parts = append(parts, "both role keys were proven from paper")
	}
	return strings.Join(append(parts, a.waitsFor(p, roster, next)), "; ")
}

// waitsFor tells what a proposal waits for.
func (a *app) waitsFor(p access.Proposal, roster, next access.Roster) string {
	if p.Ready.IsZero() {
		return "waits for " + a.missingVoices(p, roster, next)
	}
	return "comes into force " + ui.Age(p.Ready.Local(), a.now())
}

func (a *app) missingVoices(p access.Proposal, roster, next access.Roster) string {
	voters := roster
	if !roster.Founded() {
		voters = next
	}
	var roles []access.Role
	for _, name := range agreed(p) {
		person, _ := voters.Person(name)
		roles = append(roles, person.Roles...)
	}
	var missing []string
	if !slices.Contains(roles, access.Keykeeper) {
		missing = append(missing, "a keykeeper")
	}
	if !slices.Contains(roles, access.Operator) {
		missing = append(missing, "an operator")
	}
	return strings.Join(missing, " and ") + " to agree"
}

func joined[S ~string](names []S) string {
	var s []string
	for _, n := range names {
		s = append(s, string(n))
	}
	return strings.Join(s, ", ")
}

func rolesOf(roles []access.Role) string { return joined(roles) }

func addressesOf(p access.Person) string {
	var s []string
	for _, a := range p.Addresses {
		s = append(s, a.String())
	}
	return strings.Join(s, ", ")
}

func keysOf(p access.Person) string {
	var s []string
	for _, k := range p.Keys() {
		s = append(s, k.Fingerprint())
	}
	return strings.Join(s, ", ")
}

// periods returns of which periods a person holds a role key, oldest first.
func periods(r access.Roster, name safe.PersonName) []int {
	all := []int{}
	for i, p := range r.Periods {
		_, outer := p.OuterCopy(name)
		_, inner := p.InnerCopy(name)
		if outer || inner {
			all = append(all, i+1)
		}
	}
	return all
}

func opens(r access.Roster, name safe.PersonName) string {
	all := periods(r, name)
	switch {
	case len(all) == 0:
		return ""
	case len(all) == len(r.Periods):
		return "all periods"
	}
	return fmt.Sprintf("%d of %d periods", len(all), len(r.Periods))
}

// provenEvery is how often each person proves each role key that they hold.
const provenEvery = 60 * 24 * time.Hour

// lacks tells what is missing: people, copies, and proofs that keys are there.
func (a *app) lacks(everyone api.Everyone, roster access.Roster) []string {
	if !roster.Founded() {
		return nil
	}
	lines := compose.Lacks(roster)
	proven := make(map[string]time.Time)
	key := func(name safe.PersonName, role string, period int) string {
		return fmt.Sprint(name, " ", role, " ", period)
	}
	for _, c := range everyone.Checks {
		if !c.Paper {
			proven[key(safe.PersonName(c.Person), c.Role, c.Period)] = c.Time
		}
	}
	for _, p := range roster.People {
		var unproven []string
		since := "yet"
		for _, role := range []string{"outer", "inner"} {
			for i, period := range roster.Periods {
				_, has := period.OuterCopy(p.Name)
				if role == "inner" {
					_, has = period.InnerCopy(p.Name)
				}
				last := proven[key(p.Name, role, i+1)]
				if !has || a.now().Sub(last) <= provenEvery {
					continue
				}
				unproven = append(unproven, strconv.Itoa(i+1))
				if !last.IsZero() {
					since = fmt.Sprintf("in %d days", provenEvery/(24*time.Hour))
				}
			}
		}
		if len(unproven) > 0 {
			how := "strongroom keys check"
			if len(p.SSH) == 0 {
				how = "on the page People"
			}
			lines = append(lines, fmt.Sprintf("%s has not proven the role key of period %s %s: %s", p.Name, strings.Join(unproven, ", "), since, how))
		}
	}
	return lines
}
