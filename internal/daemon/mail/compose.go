package mail

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	html "html/template"
	"slices"
	"strings"
	text "text/template"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/ui"
)

// A Safe is what every mail says of the safe that it comes from.
type Safe struct {
	Name          string
	SubjectPrefix string
	LedgerKey     ledger.PublicKey // the newest
	Words         string           // of the first roster, to compare; "" if they are not known
	Program       safe.Digest      // SHA-256 of the program; zero if it is not known
	Pages         string           // origin of its pages: the one place that a mail links to; "" if it has none
	Scripts       safe.Digest      // SHA-256 of the scripts of its pages; zero if it has none
	Zone          *time.Location   // in which times are written
}

// A Proof is what a person needs to see that the ledger only grew.
type Proof struct {
	Checkpoint []byte // the newest, signed
	// From the checkpoint that the person was sent last to this one. Its From
	// is 0 if they were sent none.
	Consistency ledger.Consistency
}

// A Message is a mail without its recipient. Subject is one line.
type Message struct {
	ID         string // the same for the same content to the same recipient
	Subject    string
	Text       string
	HTML       string
	Checkpoint []byte // attached as it is
}

// Compose makes the mail about one entry, or about several of a kind that are
// told together.
func Compose(s Safe, items []Item, p Proof) (Message, error) {
	if len(items) == 0 {
		return Message{}, errors.New("a mail about nothing")
	}
	told, err := tell(items, clock{s.Zone})
	if err != nil {
		return Message{}, err
	}
	told.Page = pageOf(items[0])
	return s.write(told, items[0].Number, items[len(items)-1].Number, p)
}

// mostSummed bounds what a summary lists: the newest, which concern people most.
const mostSummed = 200

// Summarize makes one mail of all that is waiting, after an outage: groups of
// entries as Compose takes them, oldest first.
func Summarize(s Safe, groups [][]Item, p Proof) (Message, error) {
	if len(groups) == 0 {
		return Message{}, errors.New("a mail about nothing")
	}
	c := clock{s.Zone}
	first, last := groups[0][0], groups[len(groups)-1]
	told := story{
		Mood: good, Verdict: report.Counted(len(groups), "event", "events") + " that you were not told of",
		Lead: "These mails could not be delivered in time. This one is for all of them; each event is in the ledger with all that is known of it.",
	}
	told.fact("From", "%s", c.minute(first.Entry.Time))
	told.fact("To", "%s", c.minute(last[len(last)-1].Entry.Time))
	told.Left = max(0, len(groups)-mostSummed)
	for i, group := range groups {
		one, err := tell(group, c)
		if err != nil {
			return Message{}, err
		}
		told.Mood = worse(told.Mood, one.Mood)
		if i >= told.Left {
			told.Events = append(told.Events, event{Time: c.minute(group[0].Entry.Time), Mood: one.Mood, Text: one.Verdict})
		}
	}
	told.step(fmt.Sprintf("strongroom ledger show --from %d", first.Number), "Read what happened.")
	told.step("strongroom status", "See how things are now.")
	return s.write(told, first.Number, last[len(last)-1].Number, p)
}

func worse(a, b mood) mood {
	order := []mood{good, note, bad}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// Test makes a mail that tells nothing but that mails arrive.
func Test(s Safe, now time.Time, p Proof) (Message, error) {
	told := story{
		Mood: good, Verdict: "mails of this safe arrive",
		Lead: "This is a test that somebody asked for on the safe's host. Nothing happened.",
	}
	told.fact("Sent", "%s", clock{s.Zone}.minute(now))
	told.step("", "Keep this mail: the checkpoint in it proves later that nothing before it was changed.")
	return s.form(told, fmt.Sprintf("test-%d", now.UnixNano()), "", p)
}

// A page is what the two forms of a mail are made of.
type page struct {
	story
	Safe    Safe
	Subject string
	Entries string // which of the ledger the mail is about; "" in a test
	Link    string // to the safe's page; "" if there is none

	Begin, Checkpoint, End      string
	ProofBegin, Proof, ProofEnd string // Proof is "" in the first mail to a person
	From, To                    int64  // of the proof
}

var (
	//go:embed mail.txt
	textForm string
	//go:embed mail.html
	htmlForm string

	textPage = text.Must(text.New("mail.txt").Funcs(text.FuncMap{"pad": pad, "fill": fill}).Parse(textForm))
	htmlPage = html.Must(html.New("mail.html").Parse(htmlForm))
)

// write gives its form to a story of the entries first to last.
func (s Safe) write(told story, first, last int64, p Proof) (Message, error) {
	entries := fmt.Sprintf("entry %d", first)
	if last != first {
		entries = fmt.Sprintf("entries %d to %d", first, last)
	}
	return s.form(told, fmt.Sprintf("%d-%d", first, last), entries, p)
}

func (s Safe) form(told story, id, entries string, p Proof) (Message, error) {
	v := page{
		story: told, Safe: s, Subject: subject(s.SubjectPrefix + " " + told.Verdict), Entries: entries,
		Begin: checkpointBegin, Checkpoint: string(p.Checkpoint), End: checkpointEnd,
		ProofBegin: proofBegin, ProofEnd: proofEnd, From: p.Consistency.From, To: p.Consistency.To,
	}
	if s.Pages != "" && told.Page != "" {
		v.Link = s.Pages + told.Page
	}
	if v.From > 0 {
		v.Proof = string(p.Consistency.Encode())
	}
	var plain, rich bytes.Buffer
	if err := textPage.Execute(&plain, v); err != nil {
		return Message{}, fmt.Errorf("composing a mail: %w", err)
	}
	if err := htmlPage.Execute(&rich, v); err != nil {
		return Message{}, fmt.Errorf("composing a mail: %w", err)
	}
	return Message{
		ID:      s.LedgerKey.Store().String() + "." + id,
		Subject: v.Subject, Text: plain.String(), HTML: rich.String(), Checkpoint: p.Checkpoint,
	}, nil
}

// subject makes a text fit for the header: it is clean, so that nothing in it
// ends the header, and it has nothing that mail programs would decode.
func subject(s string) string { return cut(strings.ReplaceAll(ui.Clean(s), "=?", "= ?"), 200) }

// messageID makes an address that is the same for the same message to the same
// recipient, so that mail programs recognise a mail that was sent twice.
func messageID(m Message, recipient, domain string) string {
	sum := sha256.Sum256([]byte(recipient))
	return fmt.Sprintf("%s.%s@%s", m.ID, hex.EncodeToString(sum[:8]), domain)
}

// pad fills a name to the width of the column of names.
func pad(name string) string { return fmt.Sprintf("%-15s", name) }

// fill breaks a paragraph into lines of a width that every mail program shows,
// all but the first indented.
func fill(indent int, s string) string {
	const width = 76
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(s) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
