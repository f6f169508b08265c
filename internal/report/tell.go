package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/ui"
)

// Told is what an entry of the ledger says, for people. Its texts are on one
// line, and nothing is hidden in them.
type Told struct {
	Level   Level
	What    string          // a sentence without its full stop
	Detail  string          // what else is known; "" if nothing is
	Source  safe.SourceName // that it is about; "" if about none
	Opening safe.OpeningID  // that it is about; zero if about none
}

// Tell says what an entry of the ledger says. Mails, pages and lists have their
// sentences from here.
func Tell(e ledger.Entry) Told {
	who := string(e.Who)
	if e.Who == ledger.Papers {
		who = "somebody with both role keys on paper"
	}
	t, ok := tellRun(e.What)
	if !ok {
		t, ok = tellSafe(e.What)
	}
	if !ok {
		t, ok = tellMap(who, e.What)
	}
	if !ok {
		t, ok = tellPeople(who, e.What)
	}
	if !ok {
		t, ok = tellOpening(who, e.What)
	}
	if !ok { // the test goes through all kinds
		t = Told{Level: Look, What: string(e.What.Kind())}
	}
	t.What, t.Detail = ui.Clean(t.What), ui.Clean(t.Detail)
	t.Opening = OpeningOf(e.What)
	return t
}

func tellRun(what ledger.Event) (t Told, ok bool) {
	switch e := what.(type) {
	case ledger.RunBegun:
		t = Told{Level: OK, What: fmt.Sprintf("the collection of %s began", e.Source), Source: e.Source}
	case ledger.SnapshotKept:
		verdict := "kept"
		t = Told{Level: OK, Source: e.Source}
		if e.Partial {
			t.Level, t.Detail, verdict = Look, string(e.Reason), "kept in part"
		} else if e.Warnings > 0 {
			t.Detail = Counted(e.Warnings, "warning", "warnings")
		}
		t.What = fmt.Sprintf("%s %s: %s, %s new", e.Source, verdict, ui.Size(e.Bytes), ui.Size(e.NewBytes))
	case ledger.RunFailed:
		t = Told{Level: Alarm, What: fmt.Sprintf("%s failed: nothing was kept", e.Source), Detail: string(e.Reason), Source: e.Source}
	case ledger.MemoryForgotten:
		t = Told{Level: OK, What: fmt.Sprintf("what the safe remembered of %s is forgotten", e.Source), Detail: string(e.Reason), Source: e.Source}
	case ledger.KeepExtended:
		t = Told{Level: OK, What: "a snapshot is kept longer", Detail: fmt.Sprintf("run %s", e.Run)}
	default:
		return t, false
	}
	return t, true
}

// NobodyLeft is the finding that everybody of a role is suspended, or lacks the
// key that it takes.
const NobodyLeft = "people.nobody"

// Ruled says in words what somebody says of a dependency.
func Ruled(e ledger.MapRuled) string {
	need := ""
	if e.Need != "" {
		need = fmt.Sprintf(" (%s)", e.Need)
	}
	if e.Verdict == ledger.Rejected {
		return fmt.Sprintf("%s does not need %s%s, as people say", brief(string(e.From)), brief(string(e.To)), need)
	}
	return fmt.Sprintf("%s needs %s%s, as people say", brief(string(e.From)), brief(string(e.To)), need)
}

// Answered says in words what somebody answers to the question of a knot.
func Answered(e ledger.MapAnswered) string {
	may := "may"
	if !e.May {
		may = "may not"
	}
	return fmt.Sprintf("%s %s start without %s, as people say", brief(string(e.From)), may, brief(string(e.To)))
}

func tellMap(who string, what ledger.Event) (t Told, ok bool) {
	said := func(account, reason ledger.Text) string {
		if account != "" {
			who = fmt.Sprintf("the account %s", account)
		}
		return fmt.Sprintf("by %s: %s", who, reason)
	}
	switch e := what.(type) {
	case ledger.MapRuled:
		t = Told{Level: OK, What: Ruled(e), Detail: said(e.Account, e.Reason)}
		if e.Verdict == ledger.Rejected {
			t.Level = Look // what is not on the map is not missed
		}
	case ledger.MapWithdrawn:
		t = Told{Level: Look, What: fmt.Sprintf("what entry %d says of the map is withdrawn", e.Entry), Detail: said(e.Account, e.Reason)}
	case ledger.MapAnswered:
		t = Told{Level: OK, What: Answered(e), Detail: said(e.Account, e.Reason)}
	default:
		return t, false
	}
	return t, true
}

func tellSafe(what ledger.Event) (t Told, ok bool) {
	switch e := what.(type) {
	case ledger.SafeCreated:
		t = Told{Level: OK, What: fmt.Sprintf("the safe %s was made", e.Name), Detail: fmt.Sprintf("store %s", e.Store)}
	case ledger.ObjectRepaired:
		t = Told{Level: Look, What: "a damaged object of the store was repaired", Detail: fmt.Sprintf("%s, %s", e.Name, Origin(e.How))}
	case ledger.ObjectLost:
		t = Told{Level: Alarm, What: "an object of the store is lost",
			Detail: fmt.Sprintf("%s, needed by %s", e.Name, Counted(len(e.Snapshots)+e.More, "snapshot", "snapshots"))}
	case ledger.ScrubDone:
		t = tellScrub(e)
	case ledger.FindingRaised:
		t = Told{Level: levelOf(e.Finding), What: findingSaid(e.Finding, e.Subject), Detail: string(e.Text)}
	case ledger.FindingCleared:
		t = Told{Level: OK, What: fmt.Sprintf("mended: %s in %s", e.Finding, brief(string(e.Subject))), Detail: string(e.Reason)}
	case ledger.FindingAcknowledged:
		t = Told{Level: Look, What: fmt.Sprintf("finding %d is acknowledged until %s: %s in %s", e.Entry, e.Until.Local().Format(time.DateOnly), e.Finding, brief(string(e.Subject))),
			Detail: fmt.Sprintf("by the account %s: %s", e.Account, e.Reason)}
	case ledger.StateRebuilt:
		t = Told{Level: Alarm, What: "the safe's state was lost, and made anew from its store",
			Detail: Counted(e.Entries, "entry", "entries") + " of the ledger were given back"}
	case ledger.SafeStarted:
		t = Told{Level: OK, What: "the safe began to serve people", Detail: fmt.Sprintf("program SHA-256 %s", e.Program)}
		if !e.Pages.IsZero() {
			t.Detail += fmt.Sprintf(", scripts of its pages SHA-256 %s", e.Pages)
		}
		if e.Unclean {
			t.Level, t.What = Look, "the safe started again after a crash"
		}
	case ledger.SafeStopped:
		t = Told{Level: OK, What: "the safe ceased to serve people"}
	case ledger.AccessRefused:
		from := ""
		if e.From.IsValid() {
			from = " from " + e.From.String()
		}
		t = Told{Level: Look, What: Counted(e.Count, "attempt was", "attempts were") + " refused", Detail: fmt.Sprintf("%s%s: %s", e.What, from, e.Reason)}
	default:
		return t, false
	}
	return t, true
}

func tellScrub(e ledger.ScrubDone) Told {
	t := Told{Level: Look, What: fmt.Sprintf("scrub: %s damaged, all repaired", Counted(e.Damaged, "object", "objects")),
		Detail: fmt.Sprintf("%s in %s were read", ui.Size(e.Bytes), Counted(e.Objects, "object", "objects"))}
	switch {
	case e.Left > 0:
		t.Level, t.What = Alarm, fmt.Sprintf("scrub: %s damaged, %s left", Counted(e.Damaged, "object", "objects"), ui.Count(e.Left))
	case e.Damaged == 0:
		t.Level, t.What = OK, "scrub: nothing is damaged"
	}
	return t
}

// Origin says where the right bytes of a damaged object came from.
func Origin(how ledger.Repair) string {
	switch how {
	case ledger.FromParity:
		return "made again from parity"
	case ledger.FromCopy:
		return "taken from its copy"
	case ledger.FromReplica:
		return "taken from a replica"
	case ledger.FromState:
		return "written again by the safe"
	case ledger.ParityRebuilt:
		return "computed again from the pack that it belongs to"
	default:
		return string(how)
	}
}

func tellPeople(who string, what ledger.Event) (t Told, ok bool) {
	switch e := what.(type) {
	case ledger.RosterProposed:
		t = Told{Level: Look, What: fmt.Sprintf("%s proposes roster %d", who, e.Version), Detail: joined(e.Changes)}
	case ledger.RosterAgreed:
		t = Told{Level: OK, What: fmt.Sprintf("%s agrees with roster %d", who, e.Version)}
	case ledger.RosterObjected:
		t = Told{Level: Alarm, What: fmt.Sprintf("%s objects to roster %d", who, e.Version), Detail: string(e.Reason)}
	case ledger.RosterDropped:
		t = Told{Level: OK, What: fmt.Sprintf("roster %d is dropped", e.Version), Detail: string(e.Reason)}
	case ledger.RosterChanged:
		t = Told{Level: OK, What: fmt.Sprintf("roster %d is in force", e.Version)}
	case ledger.PersonInvited:
		t = Told{Level: OK, What: fmt.Sprintf("%s is invited as %s", e.Person, e.Role)}
	case ledger.EnrolmentReceived:
		t = Told{Level: OK, What: fmt.Sprintf("%s sent their keys", e.Person), Detail: fmt.Sprintf("from %s", e.From)}
	case ledger.PersonSuspended:
		whom := string(e.Person)
		if e.Key != "" {
			whom = "a key of " + whom
		}
		t = Told{Level: Alarm, What: fmt.Sprintf("%s suspended %s", who, whom), Detail: string(e.Reason)}
	case ledger.KeyChecked:
		t = Told{Level: OK, What: fmt.Sprintf("%s proved the %s key of period %d", who, e.Role, e.Period)}
		if e.Paper {
			t.Detail = "typed in from paper"
		}
	case ledger.KeyringKept:
		t = Told{Level: OK, What: fmt.Sprintf("the safe keeps a new keyring of %s", e.Person), Detail: "keys that only their passkey opens"}
	default:
		return t, false
	}
	return t, true
}

// joined makes a detail of lines.
func joined(lines []ledger.Text) string {
	var all []string
	for _, line := range lines {
		all = append(all, string(line))
	}
	return strings.Join(all, "; ")
}

func tellOpening(who string, what ledger.Event) (t Told, ok bool) {
	t.Level = OK
	switch e := what.(type) {
	case ledger.OpeningRequested:
		t.Level = Look // a keykeeper answers it
		t.What = fmt.Sprintf("%s asks to read %s", who, Sources(SourcesOf(e.Snapshots)))
		t.Detail = fmt.Sprintf("from %s, for %s: %s", e.Address, Counted(e.Hours, "hour", "hours"), e.Reason)
	case ledger.OpeningReleased:
		t.What, t.Detail = fmt.Sprintf("%s released an opening", who), fmt.Sprintf("the outer seal of %s was opened", Counted(e.Runs, "run", "runs"))
	case ledger.OpeningOpened:
		t.What, t.Detail = "the gate is open", fmt.Sprintf("it listens at %s", e.Listen)
	case ledger.OpeningRefused:
		t.What, t.Detail = fmt.Sprintf("%s refused an opening", who), string(e.Reason)
	case ledger.OpeningWithdrawn:
		t.What, t.Detail = "the request for an opening was withdrawn", string(e.Reason)
	case ledger.OpeningExpired:
		t.What, t.Detail = "the request for an opening expired", string(e.Reason)
	case ledger.OpeningClosed:
		t.What, t.Detail = fmt.Sprintf("the opening is closed: %s was read", ui.Size(e.Bytes)), string(e.Cause)
		if e.Unknown {
			t.Level, t.What = Alarm, "the opening is closed; what was read is not known"
		}
	case ledger.RecordReceived:
		t.What, t.Detail = "a record came back", fmt.Sprintf("%s, %s", e.Name, ui.Size(e.Size))
	case ledger.RecordRefused:
		t.Level = Look
		t.What, t.Detail = "a record is refused", fmt.Sprintf("%s: %s", e.Name, e.Reason)
	case ledger.RecordAccepted:
		if t.What, t.Detail = tellRecord(who, e); len(wrongOf(e)) > 0 {
			t.Level = Look
		}
	default:
		return t, false
	}
	return t, true
}

// tellRecord says what somebody claims to have restored.
func tellRecord(who string, e ledger.RecordAccepted) (what, detail string) {
	verdict := "right"
	if wrong := wrongOf(e); len(wrong) > 0 {
		verdict = fmt.Sprintf("wrong in %s", Sources(RestoredOf(wrong)))
	}
	what = fmt.Sprintf("%s restored %s, and found it %s", who, Sources(RestoredOf(e.Snapshots)), verdict)
	detail = "in " + ui.Duration(e.Ended.Sub(e.Started))
	if e.Application != "" {
		detail = fmt.Sprintf("all of %s, %s", e.Application, detail)
	}
	return what, detail
}

func wrongOf(e ledger.RecordAccepted) []ledger.SnapshotRestored {
	return slices.DeleteFunc(slices.Clone(e.Snapshots), func(s ledger.SnapshotRestored) bool { return s.Right })
}

// OpeningOf returns the opening that an event is about; zero if about none.
func OpeningOf(what ledger.Event) safe.OpeningID {
	switch e := what.(type) {
	case ledger.OpeningRequested:
		return e.Opening
	case ledger.OpeningReleased:
		return e.Opening
	case ledger.OpeningOpened:
		return e.Opening
	case ledger.OpeningRefused:
		return e.Opening
	case ledger.OpeningWithdrawn:
		return e.Opening
	case ledger.OpeningExpired:
		return e.Opening
	case ledger.OpeningClosed:
		return e.Opening
	case ledger.RecordReceived:
		return e.Opening
	case ledger.RecordAccepted:
		return e.Opening
	case ledger.RecordRefused:
		return e.Opening
	default:
		return safe.OpeningID{}
	}
}

// SourcesOf returns the sources of some snapshots, each once.
func SourcesOf(snapshots []ledger.SnapshotNamed) (all []safe.SourceName) {
	for _, s := range snapshots {
		if !slices.Contains(all, s.Source) {
			all = append(all, s.Source)
		}
	}
	return all
}

// RestoredOf returns the sources of snapshots that were restored, each once.
func RestoredOf(snapshots []ledger.SnapshotRestored) (all []safe.SourceName) {
	for _, s := range snapshots {
		if !slices.Contains(all, s.Source) {
			all = append(all, s.Source)
		}
	}
	return all
}

// Sources names sources, the first of them if they are many.
func Sources(names []safe.SourceName) string {
	switch len(names) {
	case 0:
		return "nothing"
	case 1:
		return string(names[0])
	case 2:
		return string(names[0]) + " and " + string(names[1])
	default:
		return fmt.Sprintf("%s and %d other sources", names[0], len(names)-1)
	}
}

// Counted writes a number with its noun.
func Counted[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return ui.Count(int64(n)) + " " + many
}

// brief shortens what a sentence is about.
func brief(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
