package mail

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/ui"
)

// tell makes the story of one entry, or of several that go together. It is the
// closed list of what people are told.
func tell(items []Item, c clock) (story, error) {
	first := items[0]
	switch e := first.Entry.What.(type) {
	case ledger.SnapshotKept:
		return tellKept(first, e, c), nil
	case ledger.RunFailed:
		return tellFailed(first, e, c), nil
	case ledger.FindingRaised:
		if coverage.IsMiss(e.Finding) {
			return tellMissed(items), nil
		}
		return tellFinding(first, e), nil
	case ledger.FindingCleared:
		return tellMissed(items), nil
	case ledger.FindingAcknowledged:
		return tellAcknowledged(items, c), nil
	case ledger.ObjectLost:
		return tellLost(items), nil
	case ledger.ObjectRepaired:
		return tellRepaired(items), nil
	case ledger.ScrubDone:
		return tellScrub(first, e), nil
	case ledger.SafeStarted:
		return tellStarted(first, e), nil
	case ledger.StateRebuilt:
		return tellRebuilt(first, e), nil
	case ledger.AccessRefused:
		return tellRefusedAccess(items, c), nil
	case ledger.MapRuled, ledger.MapWithdrawn, ledger.MapAnswered:
		return tellMap(items), nil
	case ledger.RecordAccepted:
		return tellRecord(first, e, c), nil
	case ledger.RecordRefused:
		return tellRefusedRecords(items, c), nil
	}
	if s, ok := tellPeople(first, c); ok {
		return s, nil
	}
	if s, ok := tellOpening(first, c); ok {
		return s, nil
	}
	return story{}, fmt.Errorf("there is no mail about %s", first.Entry.What.Kind())
}

// pageOf returns the path of the page that shows what an entry is about.
func pageOf(item Item) string {
	if opening := report.OpeningOf(item.Entry.What); !opening.IsZero() {
		return "/openings/" + opening.String()
	}
	switch e := item.Entry.What.(type) {
	case ledger.SnapshotKept:
		return "/sources/" + string(e.Source)
	case ledger.RunFailed:
		return "/sources/" + string(e.Source)
	case ledger.RosterProposed, ledger.RosterAgreed, ledger.RosterObjected, ledger.RosterDropped, ledger.RosterChanged,
		ledger.PersonInvited, ledger.EnrolmentReceived, ledger.PersonSuspended, ledger.KeyChecked:
		return "/people"
	}
	if app := aboutApplication(item.Entry.What); app != "" {
		return "/applications/" + url.PathEscape(app)
	}
	return fmt.Sprintf("/ledger/%d", item.Number)
}

// verdict is what a mail's subject says of an entry: the sentence that the
// ledger has for it, and which opening it is about.
func verdict(item Item) string { return clean(report.Tell(item.Entry).What) + ofRequest(item) }

func tellKept(item Item, e ledger.SnapshotKept, c clock) story {
	s := story{Mood: good, Verdict: verdict(item), Lead: fmt.Sprintf("The collection of %s is complete.", e.Source)}
	if e.Partial {
		s.Mood = note
		s.Lead = fmt.Sprintf("The collection of %s is not complete. What was pulled is kept.", e.Source)
		s.wrong("It is partial: %s", quote(e.Reason))
		s.step("strongroom collect "+string(e.Source)+" --dry-run", "See what cannot be pulled, and mend it. The next collection goes on from here.")
	}
	s.fact("Collected", "%s in %s", ui.Size(e.Bytes), report.Counted(e.Entries, "entry", "entries"))
	s.fact("New", "%s", ui.Size(e.NewBytes))
	if d := item.Snapshot; d != nil {
		s.Verdict += ", " + ui.Duration(d.Finished.Sub(d.Started))
		s.fact("Stored", "%s, and %s of parity", ui.Size(d.StoredBytes), ui.Size(d.ParityBytes))
		s.fact("Took", "%s, from %s to %s", ui.Duration(d.Finished.Sub(d.Started)), c.minute(d.Started), c.hour(d.Finished))
	}
	if b := item.Before; b != nil {
		s.fact("Since "+c.date(b.Started), "%s; entries: %s", change(e.Bytes-b.Bytes, ui.Size), change(e.Entries-b.Entries, ui.Count))
	} else {
		s.fact("Before", "no complete snapshot of this source")
	}
	s.fact("Kept until", "%s (%s)", c.date(e.KeepUntil), e.Tier)
	s.fact("Run", "%s", e.Run)
	if e.Warnings > 0 {
		s.wrong("The collection gave %s, which name files and so are not in this mail.", report.Counted(e.Warnings, "warning", "warnings"))
		if !e.Partial {
			s.step("strongroom collect "+string(e.Source)+" --dry-run", "See the warnings that are still there.")
		}
	}
	return s
}

func tellFailed(item Item, e ledger.RunFailed, c clock) story {
	s := story{
		Mood: bad, Verdict: verdict(item),
		Lead: fmt.Sprintf("The collection of %s failed. Nothing of it could be kept; what was kept before is as it was.", e.Source),
	}
	s.fact("Newest complete", "%s", before(item.Before, c))
	s.fact("Run", "%s", e.Run)
	s.wrong("The collector said: %s", quote(e.Reason))
	s.step("strongroom doctor", "See whether the source can be reached, and what else is wrong.")
	s.step("strongroom collect "+string(e.Source), "Collect it again.")
	return s
}

// before says which snapshot there is.
func before(b *safe.Snapshot, c clock) string {
	if b == nil {
		return "none: there is no complete snapshot of this source"
	}
	return fmt.Sprintf("%s, %s", c.minute(b.Started), ui.Size(b.Bytes))
}

func tellFinding(item Item, e ledger.FindingRaised) story {
	s := story{
		Mood: bad, Verdict: verdict(item),
		Lead: "The safe saw what looks like tampering, or a broken promise. A person must look at it.",
	}
	s.fact("Finding", "%s", e.Finding)
	s.fact("In", "%s", clean(e.Subject))
	s.wrong("%s", quote(e.Text))
	if e.Finding == report.NobodyLeft {
		s.Lead = "Nothing can be restored before this is mended. The last suspension brought it about."
	}
	s.step(fmt.Sprintf("strongroom ledger show --from %d", item.Number), "Read it in the ledger, and what was before it. The handbook says what each finding means.")
	if e.Finding != report.NobodyLeft {
		s.step(fmt.Sprintf("strongroom findings ack %d --reason WHY --until 30d", item.Number), "If you know that it is none, say so: it is silent until then, and nothing else is.")
	}
	return s
}

// aboutApplication returns the application whose coverage or service levels an
// event is about; "" if it is about none.
func aboutApplication(what ledger.Event) string {
	kind, subject := "", ledger.Text("")
	switch e := what.(type) {
	case ledger.FindingRaised:
		kind, subject = e.Finding, e.Subject
	case ledger.FindingCleared:
		kind, subject = e.Finding, e.Subject
	}
	if !coverage.IsMiss(kind) {
		return ""
	}
	application, _ := coverage.About(string(subject))
	return application
}

// mostMissed bounds how many findings of one night a mail names: each is a thing
// to do.
const mostMissed = 12

// tellMissed tells what came up and what is mended when the safe compared how
// things are with what people were told: the worst first.
func tellMissed(items []Item) story {
	var raised, cleared []Item
	var apps []string
	for _, item := range items {
		if _, ok := item.Entry.What.(ledger.FindingCleared); ok {
			cleared = append(cleared, item)
		} else {
			raised = append(raised, item)
		}
		if app := aboutApplication(item.Entry.What); app != "" && !slices.Contains(apps, app) {
			apps = append(apps, app)
		}
	}
	slices.SortStableFunc(raised, func(a, b Item) int { return rank(a) - rank(b) })
	s := story{Mood: good, Verdict: verdictOn(apps, raised, cleared)}
	switch {
	case len(raised) > 0:
		s.Lead = "The safe has compared what is needed with what is kept. It tells each thing once: until it is mended, you hear no more of it."
		s.Mood = note
		if rank(raised[0]) == 0 {
			s.Mood = bad
		}
	default:
		s.Lead = "What you were told of is not so any more."
	}
	for i, item := range raised {
		if i == mostMissed {
			s.wrong("and %s", report.Counted(len(raised)-i, "other", "others"))
			break
		}
		s.wrong("%s", missedLine(item))
	}
	for i, item := range cleared {
		if i == mostMissed {
			s.fact("And", "%s", report.Counted(len(cleared)-i, "other", "others"))
			break
		}
		if e, ok := item.Entry.What.(ledger.FindingCleared); ok {
			s.fact("Mended", "%s in %s (%d): %s", e.Finding, clean(e.Subject), e.Entry, clean(e.Reason))
		}
	}
	if len(raised) == 0 {
		return s
	}
	for i, app := range apps {
		if i == most {
			break
		}
		s.step("strongroom coverage "+clean(app)+" --propose", "See what closes each miss of %s: what to put into the configuration, and what to run.", clean(app))
	}
	s.step(fmt.Sprintf("strongroom findings ack %d --reason WHY --until 30d", raised[0].Number), "What has to stay so for a time, acknowledge by its number; or waive it in the configuration.")
	s.step("strongroom findings list", "See everything that is open. The handbook says what each finding means.")
	return s
}

// missedLine says what came up, with its number.
func missedLine(item Item) string {
	if e, ok := item.Entry.What.(ledger.FindingRaised); ok {
		if app, component := coverage.About(string(e.Subject)); component != "" {
			return fmt.Sprintf("%s needs %s (%d): %s", clean(app), clean(component), item.Number, clean(e.Text))
		}
	}
	told := report.Tell(item.Entry)
	return fmt.Sprintf("%s (%d): %s", clean(told.What), item.Number, clean(told.Detail))
}

// rank orders what came up: 0 is the worst.
func rank(item Item) int {
	if report.Tell(item.Entry).Level == report.Alarm {
		return 0
	}
	return 1
}

// verdictOn is the subject of a mail about what came up and what is mended.
func verdictOn(apps []string, raised, cleared []Item) string {
	if len(raised) == 1 && len(cleared) == 0 {
		return verdict(raised[0])
	}
	whose := ""
	if len(apps) == 1 {
		whose = clean(apps[0]) + ": "
	}
	came := report.Counted(len(raised), "finding came up", "findings came up")
	mended := report.Counted(len(cleared), "finding is mended", "findings are mended")
	switch {
	case len(cleared) == 0:
		return whose + came
	case len(raised) == 0:
		return whose + mended
	}
	return fmt.Sprintf("%s%s, %s", whose, came, mended)
}

// tellAcknowledged tells who has silenced what: the others should hear of it.
func tellAcknowledged(items []Item, c clock) story {
	s := story{Mood: note, Verdict: verdict(items[0]), Lead: "Somebody at the safe's host knows of this and takes it on themselves. Nobody is told of it again before that time, if it does not change."}
	if len(items) > 1 {
		s.Verdict = report.Counted(len(items), "finding is acknowledged", "findings are acknowledged")
	}
	for i, item := range items {
		if e, ok := item.Entry.What.(ledger.FindingAcknowledged); ok && i < mostMissed {
			s.fact(fmt.Sprintf("Finding %d", e.Entry), "%s in %s, until %s, by the account %s: %s", e.Finding, clean(e.Subject), c.minute(e.Until), clean(e.Account), quote(e.Reason))
			continue
		}
		s.fact("And", "%s", report.Counted(len(items)-i, "other", "others"))
		break
	}
	s.step("strongroom findings list --all", "See what is open, and what is acknowledged by whom.")
	return s
}

// most bounds how many of several equal things a mail names.
const most = 6

func tellLost(items []Item) story {
	s := story{
		Mood: bad, Verdict: report.Counted(len(items), "object of the store is lost", "objects of the store are lost"),
		Lead: "Something in the store is damaged or missing and could not be made again.",
	}
	for i, item := range items {
		e, ok := item.Entry.What.(ledger.ObjectLost)
		if !ok || i == most {
			s.wrong("and %s", report.Counted(len(items)-i, "other", "others"))
			break
		}
		s.wrong("%s, needed by %s", clean(e.Name), report.Counted(len(e.Snapshots)+e.More, "snapshot", "snapshots"))
	}
	s.step("", "Copy each from a copy of the store to the same place; its name says what it must be.")
	s.step("strongroom scrub", "See what is lost, and which snapshots need it.")
	s.step("strongroom forget SOURCE", "If there is no copy: let the next snapshot of the source be whole again.")
	return s
}

func tellRepaired(items []Item) story {
	s := story{
		Mood: note, Verdict: report.Counted(len(items), "damaged object of the store was repaired", "damaged objects of the store were repaired"),
		Lead: "Something in the store was damaged and is whole again. Nothing was lost.",
	}
	for i, item := range items {
		e, ok := item.Entry.What.(ledger.ObjectRepaired)
		if !ok || i == most {
			s.fact("And", "%s", report.Counted(len(items)-i, "other", "others"))
			break
		}
		s.fact(clean(e.Name), "%s", clean(report.Origin(e.How)))
	}
	s.step("", "Look at the disk: damage that comes back means one that dies.")
	return s
}

// tellMap tells what people say of the map: what they reject is missed by nobody
// afterwards, so others should hear of it.
func tellMap(items []Item) story {
	s := story{Mood: note, Verdict: verdict(items[0]), Lead: whoRuled(items) + " said what depends on what. It is on the map at once, and in the plans that are made of it."}
	if len(items) > 1 {
		s.Verdict = fmt.Sprintf("what people say of the map: %s", report.Counted(len(items), "change", "changes"))
	}
	for i, item := range items {
		if i == most {
			s.fact("And", "%s", report.Counted(len(items)-i, "other", "others"))
			break
		}
		told := report.Tell(item.Entry)
		s.fact(fmt.Sprintf("Entry %d", item.Number), "%s; %s", clean(told.What), clean(told.Detail))
	}
	if _, ok := items[0].Entry.What.(ledger.MapAnswered); ok { // all of them are of one kind
		s.step("strongroom map order", "See the order that comes of it, and its questions. What was answered wrongly is answered anew.")
	} else {
		s.step("strongroom map undo A B --reason WHY", "Take back what is wrong, at the safe's host. An officer does it on the page of the component.")
	}
	return s
}

// whoRuled says which sort of people have said something of the map. The entries
// say who.
func whoRuled(items []Item) string {
	host := slices.ContainsFunc(items, func(i Item) bool { return i.Entry.Who == ledger.Safe })
	officer := slices.ContainsFunc(items, func(i Item) bool { return i.Entry.Who != ledger.Safe })
	switch {
	case host && officer:
		return "Officers and somebody at the safe's host have"
	case officer:
		return "An officer has signed and"
	default:
		return "Somebody at the safe's host has"
	}
}

func tellRecord(item Item, e ledger.RecordAccepted, c clock) story {
	s := story{Mood: note, Verdict: clean(report.Tell(item.Entry).What), Lead: fmt.Sprintf("%s has signed a record of it. It says what %s claims; that it is true, only another rehearsal shows.", item.Entry.Who, item.Entry.Who)}
	if e.Application != "" {
		s.fact("Application", "%s, all of it", clean(e.Application))
	}
	s.fact("Took", "%s, from %s to %s", ui.Duration(e.Ended.Sub(e.Started)), c.minute(e.Started), c.minute(e.Ended))
	for i, restored := range e.Snapshots {
		name := fmt.Sprintf("%s of %s", restored.Source, c.minute(restored.Run.Time()))
		if !restored.Right {
			s.Mood = bad
			s.wrong("%s was not right.", name)
		}
		if i < most {
			s.fact("Snapshot", "%s", name)
		}
	}
	if more := len(e.Snapshots) - most; more > 0 {
		s.fact("And", "%s", report.Counted(more, "other snapshot", "other snapshots"))
	}
	if e.Opening.IsZero() {
		s.fact("Brought by", "the account %s of the safe's host", clean(e.Account))
	} else {
		s.fact("Opening", "%s", e.Opening)
	}
	s.step(fmt.Sprintf("strongroom ledger show --from %d --json", item.Number), "Read what was checked.")
	return s
}

func tellRefusedRecords(items []Item, c clock) story {
	s := story{Mood: note, Verdict: verdict(items[0]), Lead: "What the operator left in the gate's inbox cannot be believed. Nothing comes of it."}
	if len(items) > 1 {
		s.Verdict = report.Counted(len(items), "record is refused", "records are refused") + ofRequest(items[0])
	}
	openingFacts(&s, items[0], c)
	for i, item := range items {
		e, ok := item.Entry.What.(ledger.RecordRefused)
		if !ok || i == most {
			s.fact("And", "%s", report.Counted(len(items)-i, "other", "others"))
			break
		}
		s.fact("Record", "%s: %s", clean(e.Name), clean(e.Reason))
	}
	s.fact("Opening", "%s", report.OpeningOf(items[0].Entry.What))
	return s
}

func tellScrub(item Item, e ledger.ScrubDone) story {
	s := story{
		Mood: note, Verdict: verdict(item),
		Lead: "The store was read and compared. What was damaged is whole again.",
	}
	if e.Left > 0 {
		s.Mood = bad
		s.Lead = "The store was read and compared. Some of it is damaged."
		s.wrong("%s not repaired.", report.Counted(e.Left, "object was", "objects were"))
		s.step("strongroom scrub --repair", "Make damaged objects again, as far as that is possible.")
	}
	s.fact("Read", "%s in %s", ui.Size(e.Bytes), report.Counted(e.Objects, "object", "objects"))
	s.fact("Damaged", "%s", ui.Count(e.Damaged))
	s.fact("Repaired", "%s", ui.Count(e.Damaged-e.Left))
	return s
}

func tellStarted(item Item, e ledger.SafeStarted) story {
	s := story{
		Mood: note, Verdict: verdict(item),
		Lead: "The safe serves again. It had not been stopped before: it crashed, was killed, or lost power.",
	}
	s.fact("Program", "SHA-256 %s", e.Program)
	s.step("journalctl -u strongroom -b -1", "Find out why, on the safe's host. If nobody can say why, somebody may have done it.")
	return s
}

func tellRebuilt(item Item, e ledger.StateRebuilt) story {
	s := story{
		Mood: bad, Verdict: verdict(item),
		Lead: "The database with what the safe knew was gone. Somebody on its host has made a new one from the store.",
	}
	s.fact("Given back", "%s of the ledger", report.Counted(e.Entries, "entry", "entries"))
	if e.Compared > 0 {
		s.fact("Compared", "with a checkpoint of %s from elsewhere", report.Counted(e.Compared, "entry", "entries"))
	}
	s.wrong("What was recorded last may be missing. If a mail of yours tells of something that the ledger does not have, the store is an old copy, or was cut.")
	s.step("strongroom ledger verify --checkpoint MAIL", "Compare the newest mail that you have from before with the store.")
	s.step("", "If you did not know of it, ask who did it, and why.")
	s.step("", "Proposed rosters, invitations and enrolments that nobody had taken into the roster are gone: make them again.")
	s.step(fmt.Sprintf("strongroom ledger show --from %d", item.Number), "See what else was found.")
	return s
}

func tellRefusedAccess(items []Item, c clock) story {
	var total int64
	var facts []fact
	for i, item := range items {
		e, ok := item.Entry.What.(ledger.AccessRefused)
		if !ok {
			continue
		}
		total += e.Count
		if i >= most {
			continue
		}
		from := ""
		if e.From.IsValid() {
			from = " from " + e.From.String()
		}
		times := ""
		if e.Count > 1 {
			times = ", " + report.Counted(e.Count, "time", "times")
		}
		facts = append(facts, fact{c.minute(item.Entry.Time), fmt.Sprintf("%s%s%s: %s", clean(e.What), from, times, clean(e.Reason))})
	}
	s := story{
		Mood: note, Verdict: report.Counted(total, "attempt was", "attempts were") + " refused",
		Lead:  "Somebody tried what they may not, and was refused.",
		Facts: facts,
	}
	if more := len(items) - len(facts); more > 0 {
		s.fact("And", "%s", report.Counted(more, "other", "others"))
	}
	s.step("", "If you know who it was, there is nothing to do. If not, find out who has these addresses.")
	s.step("strongroom people suspend NAME --reason TEXT", "If a person's key is in wrong hands, suspend the person at once.")
	return s
}

// tellPeople tells of changes of the roster and of keys.
func tellPeople(item Item, c clock) (s story, ok bool) {
	who := string(item.Entry.Who)
	version := func(n int64, digest safe.Digest) {
		s.fact("Roster", "version %d", n)
		s.fact("In words", "%s", words.Of(digest))
	}
	switch e := item.Entry.What.(type) {
	case ledger.RosterProposed:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s proposes a change of who may do what. It needs a keykeeper and an operator who agree, and then waits, so that anyone can object.", who),
		}
		version(e.Version, e.Digest)
		changeFacts(&s, e.Changes)
		s.step("strongroom people agree", "Whoever agrees compares the words with %s by voice.", who)
		s.step("strongroom people object --reason TEXT", "Whoever did not expect it objects.")
	case ledger.RosterAgreed:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s agrees with the proposed change of who may do what.", who),
		}
		version(e.Version, e.Digest)
		if !e.Ready.IsZero() {
			s.fact("In force from", "%s, unless somebody objects", c.minute(e.Ready))
		}
		s.step("strongroom people object --reason TEXT", "If it should not be, object before it comes into force.")
	case ledger.RosterObjected:
		s = story{
			Mood: bad, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s stopped the proposed change. What was agreed until now does not count any more.", who),
		}
		version(e.Version, e.Digest)
		s.wrong("%s says: %s", who, quote(e.Reason))
		s.step("", "Speak with %s, not by mail.", who)
	case ledger.RosterDropped:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: "The proposed change of who may do what will not come into force.",
		}
		version(e.Version, e.Digest)
		s.fact("Why", "%s", clean(e.Reason))
	case ledger.RosterChanged:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: "Who may do what has changed.",
		}
		version(e.Version, e.Digest)
		if item.Proposal != nil {
			if proposed, ok := item.Proposal.What.(ledger.RosterProposed); ok {
				changeFacts(&s, proposed.Changes)
			}
		}
		s.step("strongroom people list", "See who is who now.")
	case ledger.PersonInvited:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("Somebody on the safe's host invited %s. An invitation gives no right: only a change of the roster, by two people, does.", e.Person),
		}
		s.fact("Person", "%s", e.Person)
		s.fact("Role", "%s", clean(e.Role))
		s.fact("Good until", "%s", c.minute(e.Until))
		s.step("", "If nobody told you of it, ask who has root on the safe.")
	case ledger.EnrolmentReceived:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("The invitation of %s was used. They are in no roster yet.", e.Person),
		}
		s.fact("Person", "%s", e.Person)
		s.fact("From", "%s", e.From)
		s.fact("In words", "%s", words.Of(e.Digest))
		s.step("strongroom people add "+string(e.Person), "Whoever takes them in compares the words with %s by voice.", e.Person)
	case ledger.PersonSuspended:
		whom := string(e.Person)
		if e.Key != "" {
			whom = "a key of " + whom
		}
		s = story{
			Mood: bad, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s suspended %s, at once. Their openings are closed. Only a new roster lifts it.", who, whom),
		}
		s.fact("Person", "%s", e.Person)
		if e.Key != "" {
			s.fact("Key", "%s", clean(e.Key))
		}
		s.wrong("%s says: %s", who, quote(e.Reason))
		s.step("", "Find out what happened, and whether other keys are concerned.")
	case ledger.KeyChecked:
		where := "their own copy"
		if e.Paper {
			where = "paper"
		}
		s = story{
			Mood: good, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s still holds the role key: it was read from %s and opened what only it opens.", who, where),
		}
		s.fact("Role key", "%s", clean(e.Role))
		s.fact("Period", "%d", e.Period)
	default:
		return s, false
	}
	return s, true
}

// changeFacts says what a version of the roster changes.
func changeFacts(s *story, changes []ledger.Text) {
	for i, change := range changes {
		if i == 3*most {
			s.fact("And", "%s", report.Counted(len(changes)-i, "other change", "other changes"))
			break
		}
		s.fact("Change "+strconv.Itoa(i+1), "%s", clean(change))
	}
}

// tellOpening tells of somebody who reads, or wants to.
func tellOpening(item Item, c clock) (s story, ok bool) {
	who := string(item.Entry.Who)
	show := func(id safe.OpeningID) string { return "strongroom opening show " + id.String() }
	switch e := item.Entry.What.(type) {
	case ledger.OpeningRequested:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s asks for an opening. Nothing can be read before a keykeeper releases it.", who),
		}
		requestFacts(&s, item.Entry, e, c)
		s.fact("Answer until", "%s", c.minute(e.Until))
		s.step(show(e.Opening), "Keykeepers: see what it would disclose. Ask %s, not by mail, whether it is theirs.", who)
		s.step("strongroom opening release "+e.Opening.String(), "Then release it,")
		s.step("strongroom opening refuse "+e.Opening.String(), "or refuse it.")
	case ledger.OpeningReleased:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s opened the outer seal of %s. The operator can read them until the opening closes.", who, report.Counted(e.Runs, "run", "runs")),
		}
		openingFacts(&s, item, c)
		s.fact("Until", "%s", c.minute(e.Until))
		s.step("strongroom opening close "+e.Opening.String(), "If it should not be, close it at once.")
	case ledger.OpeningOpened:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: "The gate listens for one operator, from one address, with one key.",
		}
		openingFacts(&s, item, c)
		s.fact("Listens at", "%s", e.Listen)
		s.fact("Until", "%s", c.minute(e.Until))
		s.step("strongroom opening close "+e.Opening.String(), "If it should not be, close it at once.")
	case ledger.OpeningRefused:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s refused the request. Nothing can be read.", who),
		}
		openingFacts(&s, item, c)
		s.fact("Why", "%s", quote(e.Reason))
	case ledger.OpeningWithdrawn:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: fmt.Sprintf("%s took the request back. Nothing can be read.", who),
		}
		openingFacts(&s, item, c)
		if e.Reason != "" {
			s.fact("Why", "%s", quote(e.Reason))
		}
	case ledger.OpeningExpired:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: "The request came to nothing. Nothing can be read.",
		}
		openingFacts(&s, item, c)
		s.fact("Why", "%s", clean(e.Reason))
	case ledger.OpeningClosed:
		s = story{
			Mood: note, Verdict: verdict(item),
			Lead: "The gate is shut for good.",
		}
		openingFacts(&s, item, c)
		if item.Entry.Who != ledger.Safe {
			s.fact("Closed by", "%s", who)
		}
		if e.Cause != "" {
			s.fact("Why", "%s", clean(e.Cause))
		}
		s.fact("Read", "%s of %s in %s", ui.Size(e.Bytes), report.Counted(e.Objects, "object", "objects"), report.Counted(e.Sessions, "session", "sessions"))
		if e.Unknown {
			s.Mood = bad
			s.wrong("The safe did not live to count: at least this was read, and perhaps all that was released.")
		}
	default:
		return s, false
	}
	s.fact("Opening", "%s", report.OpeningOf(item.Entry.What))
	return s, true
}

// openingFacts says what an opening is about, if that is known.
func openingFacts(s *story, item Item, c clock) {
	if item.Request == nil {
		return
	}
	if e, ok := item.Request.What.(ledger.OpeningRequested); ok {
		requestFacts(s, *item.Request, e, c)
	}
}

func requestFacts(s *story, entry ledger.Entry, e ledger.OpeningRequested, c clock) {
	s.fact("Operator", "%s, from %s", entry.Who, e.Address)
	s.fact("Asked", "%s, for %s", c.minute(entry.Time), report.Counted(e.Hours, "hour", "hours"))
	s.fact("Reason", "%s", quote(e.Reason))
	same := make(map[string]int) // how many snapshots of a source began in a minute
	name := func(n ledger.SnapshotNamed, at string) string { return string(n.Source) + " of " + at }
	for _, snapshot := range e.Snapshots {
		same[name(snapshot, c.minute(snapshot.Run.Time()))]++
	}
	for i, snapshot := range e.Snapshots {
		if i == most {
			s.fact("And", "%s", report.Counted(len(e.Snapshots)-i, "other snapshot", "other snapshots"))
			break
		}
		shown := name(snapshot, c.minute(snapshot.Run.Time()))
		if same[shown] > 1 {
			shown = name(snapshot, c.milli(snapshot.Run.Time()))
		}
		s.fact("Snapshot", "%s", shown)
	}
}

// ofRequest names the operator and the sources, for a subject.
func ofRequest(item Item) string {
	if item.Request == nil {
		return ""
	}
	e, ok := item.Request.What.(ledger.OpeningRequested)
	if !ok {
		return ""
	}
	return fmt.Sprintf(" (%s, %s)", item.Request.Who, report.Sources(report.SourcesOf(e.Snapshots)))
}
