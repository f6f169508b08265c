package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/ui"
)

// describeOfPeople says an entry about people and openings in words. The
// evidence that some carry, statement and signature, is left to --json.
func describeOfPeople(what ledger.Event) string {
	switch e := what.(type) {
	case ledger.SafeStarted:
		s := fmt.Sprintf("program %s", e.Program)
		if !e.Pages.IsZero() {
			s += fmt.Sprintf(", scripts of the pages %s", e.Pages)
		}
		if e.Unclean {
			s = "was not stopped before; " + s
		}
		return s
	case ledger.SafeStopped:
		return ""
	case ledger.RosterProposed:
		var changes []string
		for _, c := range e.Changes {
			changes = append(changes, string(c))
		}
		return fmt.Sprintf("roster %d, %s: %s", e.Version, e.Digest, strings.Join(changes, "; "))
	case ledger.RosterAgreed:
		if e.Ready.IsZero() {
			return fmt.Sprintf("roster %d, %s", e.Version, e.Digest)
		}
		return fmt.Sprintf("roster %d, %s, from %s", e.Version, e.Digest, e.Ready.Local().Format(time.DateTime))
	case ledger.RosterObjected:
		return fmt.Sprintf("roster %d, %s: %s", e.Version, e.Digest, e.Reason)
	case ledger.RosterDropped:
		return fmt.Sprintf("roster %d, %s: %s", e.Version, e.Digest, e.Reason)
	case ledger.PersonInvited:
		return fmt.Sprintf("%s, %s, until %s", e.Person, e.Role, e.Until.Local().Format(time.DateTime))
	case ledger.EnrolmentReceived:
		return fmt.Sprintf("%s, from %s, %s", e.Person, e.From, e.Digest)
	case ledger.PersonSuspended:
		if e.Key != "" {
			return fmt.Sprintf("%s with the key %s: %s", e.Person, e.Key, e.Reason)
		}
		return fmt.Sprintf("%s: %s", e.Person, e.Reason)
	case ledger.KeyChecked:
		if e.Paper {
			return fmt.Sprintf("%s key of period %d, from paper", e.Role, e.Period)
		}
		return fmt.Sprintf("%s key of period %d", e.Role, e.Period)
	case ledger.KeyringKept:
		return e.Digest.String()
	default:
		return describeOpening(what)
	}
}

func describeOpening(what ledger.Event) string {
	switch e := what.(type) {
	case ledger.OpeningRequested:
		var sources []string
		for _, s := range e.Snapshots {
			sources = append(sources, string(s.Source))
		}
		slices.Sort(sources)
		return fmt.Sprintf("%s of %s, from %s for %s: %s; opening %s", plural(int64(len(e.Snapshots)), "snapshot", "snapshots"),
			strings.Join(slices.Compact(sources), ", "), e.Address, plural(int64(e.Hours), "hour", "hours"), e.Reason, e.Opening)
	case ledger.OpeningReleased:
		return fmt.Sprintf("%s until %s; opening %s", plural(e.Runs, "collection", "collections"), e.Until.Local().Format(time.DateTime), e.Opening)
	case ledger.OpeningOpened:
		return fmt.Sprintf("gate at %s until %s; opening %s", e.Listen, e.Until.Local().Format(time.DateTime), e.Opening)
	case ledger.OpeningRefused:
		return fmt.Sprintf("%s; opening %s", e.Reason, e.Opening)
	case ledger.OpeningWithdrawn:
		return because(e.Reason) + fmt.Sprintf("opening %s", e.Opening)
	case ledger.OpeningExpired:
		return because(e.Reason) + fmt.Sprintf("opening %s", e.Opening)
	case ledger.OpeningClosed:
		read := "read"
		if e.Unknown {
			read = "read at least"
		}
		return because(e.Cause) + fmt.Sprintf("%s %s of %s in %s; opening %s", read, ui.Size(e.Bytes), plural(e.Objects, "object", "objects"),
			plural(e.Sessions, "session", "sessions"), e.Opening)
	case ledger.RecordReceived:
		return fmt.Sprintf("%s, %s, %s; opening %s", e.Name, ui.Size(e.Size), e.Digest, e.Opening)
	case ledger.RecordAccepted:
		from := "opening " + e.Opening.String()
		if e.Opening.IsZero() {
			from = fmt.Sprintf("the account %s", e.Account)
		}
		return describeRestored(e) + "; " + from
	case ledger.RecordRefused:
		return fmt.Sprintf("%s, %s: %s; opening %s", e.Name, e.Digest, e.Reason, e.Opening)
	case ledger.AccessRefused:
		times, from := "", ""
		if e.Count > 1 {
			times = fmt.Sprintf(", %s times", ui.Count(e.Count))
		}
		if e.From.IsValid() {
			from = fmt.Sprintf(" from %s", e.From)
		}
		return fmt.Sprintf("%s%s%s: %s", e.What, from, times, e.Reason)
	default:
		return fmt.Sprintf("%+v", what)
	}
}

// describeRestored says what somebody claims to have restored.
func describeRestored(e ledger.RecordAccepted) string {
	var all []string
	for _, s := range e.Snapshots {
		verdict := "right"
		if !s.Right {
			verdict = "wrong"
		}
		all = append(all, fmt.Sprintf("%s/%s %s", s.Source, s.Run, verdict))
	}
	whole := ""
	if e.Application != "" {
		whole = fmt.Sprintf("all of %s, ", e.Application)
	}
	return fmt.Sprintf("%s%s, in %s", whole, strings.Join(all, ", "), ui.Duration(e.Ended.Sub(e.Started)))
}

// because begins a description with a reason, if there is one.
func because(reason ledger.Text) string {
	if reason == "" {
		return ""
	}
	return string(reason) + "; "
}
