package mail

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/ui"
)

// An Item is an entry of the ledger with what else is known about it.
type Item struct {
	Number int64
	Entry  ledger.Entry

	// Of a snapshot that was kept: its description, and that of the newest
	// complete one of the source before it. Nil if there is none.
	Snapshot, Before *safe.Snapshot
	// Of an entry about an opening: that with which it was asked for. Nil if it
	// is not known.
	Request *ledger.Entry
	// Proposal is the entry with which a version of the roster was proposed that
	// has come into force; nil if it is not known.
	Proposal *ledger.Entry
}

// Deserves reports whether people are told of the event by a mail.
func Deserves(what ledger.Event) bool {
	switch e := what.(type) {
	case ledger.SafeCreated, ledger.RunBegun, ledger.MemoryForgotten, ledger.KeepExtended, ledger.SafeStopped, ledger.KeyringKept,
		ledger.RecordReceived: // what came of it is told
		return false
	case ledger.ScrubDone:
		return e.Damaged > 0
	case ledger.SafeStarted:
		return e.Unclean
	default:
		return true
	}
}

// together reports whether two events, following each other, are told in one
// mail: those of which one cause, or one person, makes many.
func together(a, b ledger.Event) bool {
	if aboutFindings(a) && aboutFindings(b) {
		return true
	}
	switch a.(type) {
	case ledger.ObjectRepaired, ledger.ObjectLost, ledger.AccessRefused, ledger.MapRuled, ledger.MapWithdrawn, ledger.MapAnswered,
		ledger.RecordRefused, ledger.FindingAcknowledged:
		return a.Kind() == b.Kind()
	default:
		return false
	}
}

// aboutFindings reports whether an event says what came up, or is mended, when
// the safe compared how things are with what people were told.
func aboutFindings(what ledger.Event) bool {
	switch e := what.(type) {
	case ledger.FindingRaised:
		return coverage.IsMiss(e.Finding)
	case ledger.FindingCleared:
		return true
	default:
		return false
	}
}

// A mood is how much of a person's attention something needs.
type mood string

const (
	good mood = "good" // as it should be
	note mood = "note" // to know, perhaps to act on
	bad  mood = "bad"  // look at it
)

// A story is what a mail says, before its form. Its strings are clean.
type story struct {
	Mood    mood
	Verdict string // for the subject, after the safe's name
	Lead    string // a sentence or two
	Facts   []fact
	Wrong   []string // what is wrong
	Steps   []step   // what to do; nothing if there are none
	Page    string   // path of the safe's page that shows it; "" if there is none
	Events  []event  // of a summary, oldest first
	Left    int      // how many more events there are
}

type fact struct{ Name, Value string }

// A step is something to do, by hand or with a command.
type step struct{ Text, Command string }

type event struct {
	Time string
	Mood mood
	Text string
}

func (s *story) fact(name, format string, args ...any) {
	s.Facts = append(s.Facts, fact{name, fmt.Sprintf(format, args...)})
}

func (s *story) wrong(format string, args ...any) {
	s.Wrong = append(s.Wrong, fmt.Sprintf(format, args...))
}

func (s *story) step(command, format string, args ...any) {
	s.Steps = append(s.Steps, step{fmt.Sprintf(format, args...), command})
}

// clean makes a text of an entry fit for a mail: on one line, nothing hidden
// in it, not longer than anyone reads, and without what mail programs turn
// into links. The full text is in the ledger.
func clean[S ~string](s S) string { return cut(noLinks.Replace(ui.Clean(string(s))), 400) }

// cut shortens a text to so many bytes and a mark.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

var noLinks = strings.NewReplacer("://", "[:]//", "www.", "www[.]", "WWW.", "WWW[.]", "mailto:", "mailto[:]")

// quote is clean for what somebody else may have said.
func quote[S ~string](s S) string { return "“" + clean(s) + "”" }

// change writes a difference with its sign.
func change(n int64, write func(int64) string) string {
	switch {
	case n > 0:
		return "+" + write(n)
	case n < 0:
		return "−" + write(-n)
	default:
		return "no change"
	}
}

// A clock writes times in one zone.
type clock struct{ zone *time.Location }

func (c clock) minute(t time.Time) string { return t.In(c.zone).Format("2006-01-02 15:04 MST") }
func (c clock) milli(t time.Time) string  { return t.In(c.zone).Format("2006-01-02 15:04:05.000 MST") }
func (c clock) date(t time.Time) string   { return t.In(c.zone).Format(time.DateOnly) }
func (c clock) hour(t time.Time) string   { return t.In(c.zone).Format("15:04") }
