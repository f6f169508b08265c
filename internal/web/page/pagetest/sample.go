package pagetest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/web/page"
)

// Now is when the safe is looked at.
var Now = time.Date(2026, 11, 22, 8, 10, 0, 0, time.UTC)

// Frame is what stands around a page for somebody with the roles; for a
// stranger, if there are none.
func Frame(path string, roles ...access.Role) page.Frame {
	f := page.Frame{Safe: "acme", Path: path, Now: Now, Digest: hash("pages"), Version: "v0.4.0"}
	if len(roles) > 0 {
		f.Visitor = &page.Visitor{Name: "kim", Roles: roles}
	}
	return f
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func root(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// run makes the id of a run that began then; n tells apart those of a moment.
func run(at time.Time, n int) safe.RunID {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	id, err := safe.ParseRunID(fmt.Sprintf("%s-%s-7000-8000-%012x", ms[:8], ms[8:], n))
	if err != nil {
		panic(err)
	}
	return id
}

func ago(d time.Duration) time.Time { return Now.Add(-d) }

const day = 24 * time.Hour

func checkpoint() report.Checkpoint {
	return report.Checkpoint{
		Size: 4381, Root: root("root"), Time: ago(5*time.Hour + 38*time.Minute), Words: "ocean tulip marble fabric lunar cradle onion vivid",
		Bytes: []byte("strongroom/0198a1b2000070008000000000000001\n4381\n" + root("root") + "\n\n— strongroom/0198a1b2000070008000000000000001 kUj2a/S+5dOwKFO9U8xpm+zIhMZlShowIFAlcwCcbrw/ZhtGgJARh7Ffg7oRPkmsmttpAUbXJ+QMhuAQiprVmMK4KAs=\n"),
	}
}

// days makes a strip: one letter a day, of kept, partial, failed, late, none
// and future.
func days(letters string) []report.Day {
	marks := map[rune]report.Mark{'k': report.MarkKept, 'p': report.MarkPartial, 'f': report.MarkFailed, 'l': report.MarkLate, '-': report.MarkNone, '.': report.MarkFuture}
	midnight := Now.Truncate(day)
	var all []report.Day
	for i, letter := range letters {
		d := report.Day{Date: midnight.Add(time.Duration(i-len(letters)+1) * day), Mark: marks[letter]}
		switch d.Mark {
		case report.MarkKept, report.MarkPartial:
			d.Runs = 1
		case report.MarkFailed:
			d.Runs = 2
		}
		all = append(all, d)
	}
	return all
}

func snapshot(source safe.SourceName, at time.Time, bytes, added int64) *report.SnapshotLine {
	return &report.SnapshotLine{
		Name: report.Name(source, at, time.UTC), Run: run(at, len(source)), Source: source, Time: at, Tier: safe.Daily, KeepUntil: at.Add(35 * day),
		Entries: bytes / 340_000, Bytes: bytes, New: added,
	}
}

func strip(name safe.SourceName, kind, letters string, newest time.Duration, count, bytes, added int64) report.SourceStrip {
	s := report.SourceStrip{
		Name: name, Kind: kind, Days: days(letters), Count: count, Bytes: bytes, New: added,
		Newest: snapshot(name, ago(newest), bytes, added),
		Last:   &report.Collection{Run: run(ago(newest), 1), Begun: ago(newest), Took: 6 * time.Minute, Outcome: report.Complete},
	}
	s.Whole = s.Newest
	return s
}

const (
	allKept = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
	night   = 5*time.Hour + 40*time.Minute
)

func sources() []report.SourceStrip {
	files := strip("erp-files", "sftp", "kkkkkkkkkkkkkkpkkkkkkkkkkkkkkk", night-8*time.Minute, 44, 412_000_000_000, 1_900_000_000)
	wiki := strip("wiki", "sftp", "kkkkkkkkkfkkkkkkkkkkkkkkkklfff", 4*day+night, 41, 18_700_000_000, 44_000_000)
	wiki.Last = &report.Collection{Begun: ago(night - 20*time.Minute), Outcome: report.Failed, Reason: "connecting to wiki.acme.example:22: connection refused"}
	mail := strip("mail", "sftp", "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkp", day+night, 44, 1_240_000_000_000, 6_100_000_000)
	mail.Newest = snapshot("mail", ago(night), 1_239_000_000_000, 6_100_000_000)
	mail.Newest.Partial = true
	mail.Last = &report.Collection{Begun: ago(night), Outcome: report.Partial, Reason: "stopped after 8 h, as configured"}
	fresh := report.SourceStrip{Name: "billing", Kind: "command", Days: days("-----------------------------.")}
	old := strip("crm-2019", "", "------------------------------", 211*day, 3, 77_000_000_000, 0)
	old.Gone = true
	return []report.SourceStrip{
		strip("erp-db", "command", allKept, night, 44, 41_200_000_000, 1_100_000_000),
		files, wiki, mail,
		strip("git", "sftp", "kkkkkkkkkkkkkkkkkkkkkkkkkkkkk.", day+3*time.Hour, 43, 9_300_000_000, 12_000_000),
		strip("directory", "command", "--------kkkkkkkkkkkkkkkkkkkkkk", night-12*time.Minute, 22, 88_000_000, 410_000),
		strip("dns-zones", "sftp", allKept, night-14*time.Minute, 44, 2_100_000, 1_800),
		fresh, old,
	}
}

// Overview is a safe that needs a look, while an operator reads.
func Overview() report.Overview {
	open, asked := openings()[1], openings()[0]
	return report.Overview{
		Safe: "acme", Now: Now,
		Verdict: report.Verdict{
			Level: report.Alarm, Sentence: "wiki has no complete snapshot of the last three days.",
			Remedy: "See whether it can be reached: strongroom doctor; then collect it: strongroom collect wiki", Others: 4,
		},
		Sources: sources(), Opening: &open, Requests: []report.OpeningLine{asked}, Applications: cards(),
		Findings: []report.Finding{
			{
				Level: report.Alarm, What: "wiki has no complete snapshot of the last three days", Why: "connecting to wiki.acme.example:22: connection refused",
				Do: "See whether it can be reached: strongroom doctor; then collect it: strongroom collect wiki", Since: ago(4*day + night), Sources: []safe.SourceName{"wiki"}, Entry: 4379,
			},
			{
				Level: report.Look, What: "mail was collected in part the last time", Why: "stopped after 8 h, as configured",
				Do: "See what cannot be pulled: strongroom collect mail --dry-run", Since: ago(day + night), Sources: []safe.SourceName{"mail"}, Entry: 4380,
			},
			{Level: report.Look, What: "the outer key of kim was proven last on 2026-09-02, and should be every 60 days", Do: "kim presses “Check your keys” on the page People", Entry: -1},
		},
		Checkpoint: checkpoint(),
		LastScrub:  &report.Scrub{Time: ago(4*time.Hour + 2*time.Minute), Objects: 48_211, Bytes: 1_960_000_000_000, Damaged: 1},
	}
}

// Calm is a safe in which all is well.
func Calm() report.Overview {
	o := Overview()
	o.Verdict = report.Verdict{Level: report.OK, Sentence: "Every source has a complete snapshot of the last 26 hours."}
	o.Opening, o.Requests, o.Findings = nil, nil, nil
	o.Sources = []report.SourceStrip{o.Sources[0], o.Sources[1], o.Sources[5], o.Sources[6]}
	o.LastScrub = &report.Scrub{Time: ago(4*time.Hour + 2*time.Minute), Objects: 48_211, Bytes: 1_960_000_000_000}
	return o
}

// Source is one that fails now and then.
func Source() report.Source {
	s := report.Source{
		Safe: "acme", Now: Now, Name: "wiki", Kind: "sftp", Where: "strongroom@wiki.acme.example:22",
		Include: []string{"srv/wiki/pages", "srv/wiki/uploads/**/*.pdf", "etc/wiki"}, Exclude: []string{"srv/wiki/pages/.cache"},
		Strip: sources()[2], Older: run(ago(90*day), 1),
	}
	for i := range 44 {
		if i == 3 {
			continue // it was late
		}
		at := ago(time.Duration(i)*day + night - 20*time.Minute)
		c := report.Collection{
			Run: run(at, 5), Begun: at, Took: time.Duration(190+(i*37)%61) * time.Second, Outcome: report.Complete,
			Entries: int64(55_012 - 31*i), Bytes: int64(18_700_000_000 - 41_000_000*i - 3_000_000*(i*i%7)), New: int64(44_000_000 + 1_900_000*(i*i%17)),
		}
		switch i {
		case 0, 1, 2, 20:
			c = report.Collection{Run: c.Run, Begun: at, Took: 2 * time.Second, Outcome: report.Failed, Reason: "connecting to wiki.acme.example:22: connection refused"}
		case 9:
			c.Outcome, c.Reason, c.Warnings = report.Partial, "3 files changed while they were read", 3
		}
		s.Collections = append(s.Collections, c)
		if c.Outcome != report.Failed {
			line := *snapshot("wiki", at, c.Bytes, c.New)
			line.Partial, line.Warnings, line.Entries = c.Outcome == report.Partial, c.Warnings, c.Entries
			if i%7 == 3 {
				line.Tier, line.KeepUntil = safe.Weekly, at.Add(180*day)
			}
			s.Snapshots = append(s.Snapshots, line)
		}
	}
	return s
}

func openings() []report.OpeningLine {
	usual := netip.MustParseAddr("10.0.9.7")
	return []report.OpeningLine{
		{
			ID: safe.OpeningID(run(ago(12*time.Minute), 1)), State: opening.Requested, Operator: "olga", Address: usual, Sources: []safe.SourceName{"erp-db"}, Count: 1,
			Reason: "order 88-1204 was deleted by mistake, support ticket 5512", Hours: 2, Asked: ago(12 * time.Minute), Until: Now.Add(day - 12*time.Minute),
		},
		{
			ID: safe.OpeningID(run(ago(100*time.Minute), 2)), State: opening.Open, Operator: "otto", Address: netip.MustParseAddr("10.0.9.8"), Sources: []safe.SourceName{"erp-files", "directory"}, Count: 2,
			Reason: "quarterly rehearsal", Hours: 4, Asked: ago(100 * time.Minute), Until: Now.Add(152 * time.Minute), Gate: "safe.acme.example:2222",
			Sessions: 2, Objects: 1312, Bytes: 40_100_000_000,
		},
		{
			ID: safe.OpeningID(run(ago(91*day), 3)), State: opening.Closed, Operator: "olga", Address: usual, Sources: []safe.SourceName{"erp-files"}, Count: 1,
			Reason: "disk array of erp-app lost", Hours: 8, Asked: ago(91 * day), Until: ago(91*day - 8*time.Hour), Cause: "olga closed it: restored", Sessions: 3, Objects: 12_240, Bytes: 398_000_000_000,
		},
		{
			ID: safe.OpeningID(run(ago(120*day), 4)), State: opening.Refused, Operator: "otto", Address: usual, Sources: []safe.SourceName{"mail"}, Count: 1,
			Reason: "need an old mail", Hours: 1, Asked: ago(120 * day), Until: ago(119 * day), Cause: "kim refused it: call me first",
		},
		{
			ID: safe.OpeningID(run(ago(180*day), 5)), State: opening.Expired, Operator: "olga", Address: usual, Sources: []safe.SourceName{"wiki"}, Count: 1,
			Reason: "rehearsal", Hours: 4, Asked: ago(180 * day), Until: ago(179 * day), Cause: "nobody answered",
		},
	}
}

// Openings are some, in all states.
func Openings() report.OpeningsPage {
	return report.OpeningsPage{Safe: "acme", Now: Now, Openings: openings(), More: true}
}

// Requested is an opening that waits for a keykeeper.
func Requested() report.OpeningPage {
	o := openings()[0]
	return report.OpeningPage{
		Safe: "acme", Now: Now, Opening: o, Runs: 12,
		Events: []report.OpeningEvent{
			{Entry: 4380, Time: o.Asked, Kind: "opening.requested", Who: "olga", From: "10.0.9.7", What: "olga asks to read erp-db", Detail: o.Reason, Until: o.Until},
		},
		Snapshots: []report.SnapshotLine{*snapshot("erp-db", ago(night), 41_200_000_000, 1_100_000_000)},
	}
}

// Open is an opening during which an operator reads.
func Open() report.OpeningPage {
	o := openings()[1]
	return report.OpeningPage{
		Safe: "acme", Now: Now, Opening: o, Runs: 113, Keykeeper: "kim",
		Events: []report.OpeningEvent{
			{Entry: 4371, Time: o.Asked, Kind: "opening.requested", Who: "otto", From: "10.0.9.8", What: "otto asks to read erp-files, directory", Detail: o.Reason, Until: Now.Add(day - 100*time.Minute)},
			{Entry: 4372, Time: ago(88 * time.Minute), Kind: "opening.released", Who: "kim", From: "10.0.8.21", What: "kim released it", Detail: "the keys of 113 runs", Until: o.Until},
			{Entry: 4373, Time: ago(88 * time.Minute), Kind: "opening.opened", Who: "safe", From: "10.0.9.2:2222", What: "the gate is open", Until: o.Until},
			{Entry: 4376, Time: ago(31 * time.Minute), Kind: "record.received", Who: "otto", What: "otto left the record rehearsal.json"},
		},
		Snapshots: []report.SnapshotLine{*snapshot("erp-files", ago(night), 412_000_000_000, 1_900_000_000), *snapshot("directory", ago(night), 88_000_000, 410_000)},
		Records:   []report.RecordLine{{Name: "rehearsal.json", Size: 12_040, Digest: safe.DigestOf([]byte("record")), Time: ago(31 * time.Minute)}},
	}
}

// Closed is an opening that is over, and of which the count was lost.
func Closed() report.OpeningPage {
	o := openings()[2]
	return report.OpeningPage{
		Safe: "acme", Now: Now, Opening: o, Runs: 91, Keykeeper: "kim", Unknown: true,
		Events: []report.OpeningEvent{
			{Entry: 2102, Time: o.Asked, Kind: "opening.requested", Who: "olga", From: "10.0.9.7", What: "olga asks to read erp-files"},
			{Entry: 2103, Time: o.Asked.Add(9 * time.Minute), Kind: "opening.released", Who: "kim", From: "10.0.8.21", What: "kim released it", Detail: "the keys of 91 runs", Until: o.Until},
			{Entry: 2104, Time: o.Asked.Add(9 * time.Minute), Kind: "opening.opened", Who: "safe", From: "10.0.9.2:2222", What: "the gate is open", Until: o.Until},
			{Entry: 2110, Time: o.Asked.Add(5 * time.Hour), Kind: "opening.closed", Who: "safe", What: "it is closed", Detail: "the safe crashed"},
		},
		Snapshots: []report.SnapshotLine{*snapshot("erp-files", ago(91*day+night), 398_000_000_000, 2_900_000_000)},
	}
}

func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// People is a roster that changes.
func People() report.PeoplePage {
	return report.PeoplePage{
		Safe: "acme", Now: Now, Version: 3, Words: "amber pilot canyon velvet stereo kiosk nylon tundra", Pinned: "ocean tulip marble fabric lunar cradle onion vivid", Founded: true,
		People: []report.PersonLine{
			{
				Name: "kim", FullName: "Kim Lindqvist", Roles: []access.Role{access.Keykeeper}, Mail: "kim@acme.example",
				Keys: []report.KeyLine{
					{Fingerprint: fingerprint("kim-sign-in"), Use: report.UseSignIn, Synced: true},
					{Fingerprint: fingerprint("kim-release"), Use: report.UseRelease},
				},
				Proven: []report.KeyProof{{Role: "outer", Time: ago(81 * day), Old: true, Page: true}, {Role: "outer", Paper: true, Time: ago(20 * day)}},
			},
			{
				Name: "olga", FullName: "Olga Brandt", Roles: []access.Role{access.Operator}, Mail: "olga@acme.example",
				Keys:      []report.KeyLine{{Fingerprint: fingerprint("olga"), Use: report.UseSSH}},
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.9.7"), netip.MustParseAddr("192.0.2.44")},
				Proven:    []report.KeyProof{{Role: "inner", Time: ago(12 * day)}},
			},
			{
				Name: "otto", Roles: []access.Role{access.Operator}, Mail: "otto@acme.example", Suspended: true,
				Keys:      []report.KeyLine{{Fingerprint: fingerprint("otto"), Use: report.UseSSH, Suspended: true}},
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.9.8")},
				Proven:    []report.KeyProof{{Role: "inner", Old: true}},
			},
			{Name: "ida", FullName: "Ida Sørensen", Roles: []access.Role{access.Auditor, access.Officer}, Keys: []report.KeyLine{{Fingerprint: fingerprint("ida"), Use: report.UseSignIn}}},
		},
		Missing: []report.Finding{
			{Level: report.Look, What: "there is one keykeeper and no proven paper key: if that person is gone, nobody can read what was stored", Do: "strongroom people invite NAME --role keykeeper", Entry: -1},
		},
		Proposals: []report.ProposalLine{{
			Version: 4, Digest: safe.DigestOf([]byte("roster 4")), Words: "meadow copper ribbon gallop sunset harbor pixel lemon", By: "kim", Proposed: ago(3 * time.Hour),
			Changes: []string{"petra becomes keykeeper", "a copy of the outer key of period 2 for petra"}, Agreed: []safe.PersonName{"kim", "olga"}, Ready: Now.Add(21 * time.Hour),
		}},
		Enrolments: []report.EnrolmentLine{{
			Person: "petra", FullName: "Petra Novak", Roles: []access.Role{access.Keykeeper}, From: netip.MustParseAddr("10.0.8.5"), Time: ago(4 * time.Hour),
			Words: "temple quartz jungle marina ticket salmon orbit fiddle", Keys: []report.KeyLine{{Fingerprint: fingerprint("petra"), Use: report.UseRelease}}, Proposed: 4,
		}, {
			Person: "nora", Roles: []access.Role{access.Operator}, From: netip.MustParseAddr("10.0.8.6"), Time: ago(2 * time.Hour),
			Words: "walnut prism garden anchor violin pepper comet saddle", Keys: []report.KeyLine{{Fingerprint: fingerprint("nora"), Use: report.UseSSH}},
		}},
		Invited: []report.InvitationLine{{Person: "mia", Roles: []access.Role{access.Auditor}, Until: Now.Add(22 * time.Minute)}},
	}
}

// Ledger is a part in the middle.
func Ledger() report.LedgerPage {
	l := report.LedgerPage{Safe: "acme", Now: Now, Checkpoint: checkpoint(), Older: 4366, Newer: 4400}
	lines := []report.LedgerLine{
		{Kind: "snapshot.kept", Who: "safe", What: "mail kept in part: 1.24 TB, 6.1 GB new", Level: report.Look, Source: "mail"},
		{Kind: "run.failed", Who: "safe", What: "wiki failed: nothing was kept", Detail: "connecting to wiki.acme.example:22: connection refused", Level: report.Alarm, Source: "wiki"},
		{Kind: "snapshot.kept", Who: "safe", What: "erp-files kept: 412 GB, 1.9 GB new", Level: report.OK, Source: "erp-files"},
		{Kind: "snapshot.kept", Who: "safe", What: "erp-db kept: 41.2 GB, 1.1 GB new", Level: report.OK, Source: "erp-db"},
		{Kind: "scrub.done", Who: "safe", What: "scrub: 1 object damaged, all repaired", Level: report.Look},
		{Kind: "object.repaired", Who: "safe", What: "a damaged object of the store was repaired", Level: report.Look},
		{Kind: "opening.opened", Who: "safe", What: "the gate is open for otto", Level: report.Look},
		{Kind: "opening.released", Who: "kim", What: "kim released an opening of otto: the keys of 113 runs", Level: report.Look},
		{Kind: "opening.requested", Who: "otto", What: "otto asks to read erp-files, directory", Level: report.Look},
		{Kind: "access.refused", Who: "safe", What: "214 attempts were refused", Detail: "gate from 203.0.113.9: no opening is open", Level: report.Look},
		{Kind: "key.checked", Who: "olga", What: "olga proved the inner key of period 2", Level: report.OK},
		{Kind: "roster.agreed", Who: "olga", What: "olga agrees with roster 4", Level: report.Look},
		{Kind: "roster.proposed", Who: "kim", What: "kim proposes roster 4", Level: report.Look},
		{Kind: "safe.started", Who: "safe", What: "the safe began to serve people", Level: report.OK},
	}
	lines = append(lines, report.LedgerLine{Kind: "enrolment.received", Who: "kim", What: "petra has sent the keys with which they enrol, from 10.0.8.5, as a keykeeper, and waits until somebody takes them in", Level: report.Look})
	for i, line := range lines {
		line.N, line.Time = int64(4380-i), ago(night+time.Duration(i*i)*7*time.Minute)
		l.Entries = append(l.Entries, line)
	}
	return l
}

// Entry is one of them.
func Entry() report.EntryPage {
	e := report.EntryPage{
		Safe: "acme", Now: Now, Line: Ledger().Entries[3], Checkpoint: checkpoint(), RootHex: hash("root"), Leaf: hash("leaf"), Last: 4380,
		Bytes: []byte(`{"v":1,"time":"2026-11-22T02:36:04.118Z","kind":"snapshot.kept","who":"safe","what":{"run":"01a1fbf0-6c40-7000-8000-000000000001","source":"erp-db","description":"` + hash("description") + `","tier":"daily","keep_until":"2026-12-27T02:30:00Z","entries":12345,"bytes":41200000000,"new_bytes":1100000000,"warnings":0}}` + "\n"),
		Proof: []byte(`{"v":1,"index":4377,"size":4381,"path":["` + root("a") + `","` + root("b") + `"]}`),
		Steps: []report.Step{
			{Text: "Save the exact bytes of the entry as a file named entry.json, without a line break at the end."},
			{Text: "Make its hash.", Command: "(printf '\\0'; cat entry.json) | sha256sum", Shows: hash("leaf")},
			{Text: "Go up the tree, node by node; the last one is the root.", Command: "printf '\\1%s%s' LEFT RIGHT | xxd -r -p | sha256sum", Shows: hash("root")},
			{Text: "Compare the root with the one in a mail that you kept.", Command: "strongroom ledger verify --checkpoint MAIL"},
		},
	}
	for i := range 6 {
		e.Path = append(e.Path, report.Node{Left: hash(fmt.Sprint("left", i)), Right: hash(fmt.Sprint("right", i)), Hash: hash(fmt.Sprint("node", i)), GivenRight: i%2 == 0})
	}
	e.Path[5].Hash = e.RootHex
	return e
}

// Elsewhere is the release page for another host.
func Elsewhere() page.Elsewhere {
	return page.Elsewhere{
		Safe: "acme", Origin: "https://safe.acme.example:8443", Store: safe.StoreID{7}, Domain: "acme.example",
		First: "ocean tulip marble fabric lunar cradle onion vivid", Roster: safe.Digest{5}, Number: 12, Words: "cactus bamboo ladder velvet copper island pepper tiger",
		Policy: "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'",
		Digest: safe.Digest{9}, Version: "v0.4.0",
	}
}
