// Package layout says where everything stands in a store: the names of
// objects, and the line that marks a folder as a store. docs/format.md
// describes the same for other readers.
package layout

import (
	"fmt"
	"strconv"
	"strings"

	"strongroom/internal/safe"
)

// FormatName is the object that marks a store and carries its id.
const FormatName = "format"

const formatMark = "strongroom-store 1 "

// Format returns the content of the format object.
func Format(store safe.StoreID) []byte {
	return []byte(formatMark + store.String() + "\n")
}

// ParseFormat reads the content of the format object.
func ParseFormat(b []byte) (safe.StoreID, error) {
	line, ok := strings.CutSuffix(string(b), "\n")
	id, marked := strings.CutPrefix(line, formatMark)
	switch {
	case ok && marked:
		return safe.ParseStoreID(id)
	case strings.HasPrefix(line, "strongroom-store "):
		return safe.StoreID{}, fmt.Errorf("a store of another version: %.60q, this program knows %q", line, strings.TrimSpace(formatMark))
	default:
		return safe.StoreID{}, fmt.Errorf("not a store's format object: %.60q", line)
	}
}

// Copy returns the name of the second copy of a small object.
func Copy(name string) string { return name + ".2" }

// Run returns the folder of a run.
func Run(run safe.RunID) string { return "runs/" + run.String() }

// Envelope names the sealed identity of a run.
func Envelope(run safe.RunID) string { return Run(run) + "/envelope.age" }

// EnvelopeCopy names the second copy of the envelope, which keeps the ending
// that tells people what it is.
func EnvelopeCopy(run safe.RunID) string { return Run(run) + "/envelope.2.age" }

// Pack names a pack; its digest is that of its bytes.
func Pack(run safe.RunID, digest safe.Digest) string {
	return Run(run) + "/packs/" + digest.String()
}

// Parity names the parity of the pack of that digest.
func Parity(run safe.RunID, pack safe.Digest) string {
	return Run(run) + "/parity/" + pack.String()
}

// Root names the root of a run's snapshot; its digest is that of its bytes.
func Root(run safe.RunID, digest safe.Digest) string {
	return Run(run) + "/root/" + digest.String()
}

// Snapshot names the description of a run's snapshot.
func Snapshot(run safe.RunID) string { return "snapshots/" + run.String() + ".json" }

// Entry names the nth entry of the ledger, counted from 0.
func Entry(n int64) string { return "ledger/entries/" + strconv.FormatInt(n, 10) }

// Checkpoint names the checkpoint of a ledger of size entries.
func Checkpoint(size int64) string { return "ledger/checkpoints/" + strconv.FormatInt(size, 10) }

// Roster names version n of the roster, counted from 1.
func Roster(n int) string { return "roster/" + strconv.Itoa(n) + ".json" }

// Release names what a keykeeper has signed to release an opening, or to
// prolong it; the digest is that of its bytes.
func Release(opening safe.OpeningID, digest safe.Digest) string {
	return "openings/" + opening.String() + "/" + digest.String() + ".json"
}

// Keyring names what a person's passkey has wrapped; the digest is that of its
// bytes.
func Keyring(person safe.PersonName, digest safe.Digest) string {
	return "keyrings/" + string(person) + "/" + digest.String() + ".json"
}

// Inner names the inner layer of a run's envelope. It is in no store: an
// opening's gate shows it beside the run's other objects.
func Inner(run safe.RunID) string { return Run(run) + "/inner.age" }

// Kind says what an object is, from its name alone.
type Kind int

const (
	Unknown Kind = iota
	FormatObject
	EnvelopeObject
	PackObject
	ParityObject
	RootObject
	SketchObject
	SnapshotObject
	EntryObject
	CheckpointObject
	RosterObject
	ReleaseObject
	KeyringObject
)

// A Name is an object's name taken apart.
type Name struct {
	Kind    Kind
	Run     safe.RunID      // of what lies in a run's folder, and of a description
	Opening safe.OpeningID  // of a release
	Person  safe.PersonName // of a keyring
	Digest  safe.Digest     // of packs, parity, roots, sketches, releases and keyrings
	Number  int64           // of ledger entries, checkpoints and rosters
	Copied  bool            // it is a second copy
}

// Parse takes a name apart. Names that nothing of this version writes are of
// Kind Unknown.
func Parse(name string) Name {
	n := parse(name)
	if n.Kind != Unknown && n.String() != name {
		return Name{} // another spelling, such as a number with leading zeros
	}
	return n
}

func parse(name string) (n Name) {
	if name == FormatName || name == Copy(FormatName) {
		return Name{Kind: FormatObject, Copied: name != FormatName}
	}
	top, rest, _ := strings.Cut(name, "/")
	switch top {
	case "runs":
		return parseRun(rest)
	case "snapshots":
		base, copied := cutCopy(rest)
		run, err := safe.ParseRunID(strings.TrimSuffix(base, ".json"))
		if err != nil {
			return Name{}
		}
		return Name{Kind: SnapshotObject, Run: run, Copied: copied}
	case "roster":
		base, copied := cutCopy(rest)
		return numbered(RosterObject, strings.TrimSuffix(base, ".json"), copied)
	case "openings":
		return parseRelease(rest)
	case "keyrings":
		return parseKeyring(rest)
	case "ledger":
		folder, base, _ := strings.Cut(rest, "/")
		base, copied := cutCopy(base)
		switch folder {
		case "entries":
			return numbered(EntryObject, base, copied)
		case "checkpoints":
			return numbered(CheckpointObject, base, copied)
		}
	}
	return Name{}
}

func parseRun(rest string) Name {
	id, rest, _ := strings.Cut(rest, "/")
	run, err := safe.ParseRunID(id)
	if err != nil {
		return Name{}
	}
	switch rest {
	case "envelope.age":
		return Name{Kind: EnvelopeObject, Run: run}
	case "envelope.2.age":
		return Name{Kind: EnvelopeObject, Run: run, Copied: true}
	}
	folder, base, _ := strings.Cut(rest, "/")
	base, copied := cutCopy(base)
	digest, err := safe.ParseDigest(base)
	if err != nil {
		return Name{}
	}
	kinds := map[string]Kind{"packs": PackObject, "parity": ParityObject, "root": RootObject, "sketch": SketchObject}
	if copied && folder != "root" {
		return Name{} // packs have parity instead, and a sketch may be lost
	}
	return Name{Kind: kinds[folder], Run: run, Digest: digest, Copied: copied}
}

func parseRelease(rest string) Name {
	id, base, _ := strings.Cut(rest, "/")
	base, copied := cutCopy(base)
	opening, err := safe.ParseOpeningID(id)
	if err != nil {
		return Name{}
	}
	digest, err := safe.ParseDigest(strings.TrimSuffix(base, ".json"))
	if err != nil {
		return Name{}
	}
	return Name{Kind: ReleaseObject, Opening: opening, Digest: digest, Copied: copied}
}

func parseKeyring(rest string) Name {
	name, base, _ := strings.Cut(rest, "/")
	base, copied := cutCopy(base)
	person, err := safe.ParsePersonName(name)
	if err != nil {
		return Name{}
	}
	digest, err := safe.ParseDigest(strings.TrimSuffix(base, ".json"))
	if err != nil {
		return Name{}
	}
	return Name{Kind: KeyringObject, Person: person, Digest: digest, Copied: copied}
}

func cutCopy(base string) (string, bool) { return strings.CutSuffix(base, ".2") }

func numbered(kind Kind, digits string, copied bool) Name {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return Name{}
	}
	return Name{Kind: kind, Number: n, Copied: copied}
}

// String puts the name together again.
func (n Name) String() string {
	name := n.original()
	switch {
	case !n.Copied:
		return name
	case n.Kind == EnvelopeObject:
		return EnvelopeCopy(n.Run)
	default:
		return Copy(name)
	}
}

func (n Name) original() string {
	switch n.Kind {
	case FormatObject:
		return FormatName
	case EnvelopeObject:
		return Envelope(n.Run)
	case PackObject:
		return Pack(n.Run, n.Digest)
	case ParityObject:
		return Parity(n.Run, n.Digest)
	case RootObject:
		return Root(n.Run, n.Digest)
	case SketchObject:
		return Run(n.Run) + "/sketch/" + n.Digest.String()
	case SnapshotObject:
		return Snapshot(n.Run)
	case EntryObject:
		return Entry(n.Number)
	case CheckpointObject:
		return Checkpoint(n.Number)
	case RosterObject:
		return Roster(int(n.Number))
	case ReleaseObject:
		return Release(n.Opening, n.Digest)
	case KeyringObject:
		return Keyring(n.Person, n.Digest)
	default:
		return ""
	}
}

// Other returns the name of the other copy of a small object, "" for objects
// that exist once.
func (n Name) Other() string {
	switch n.Kind {
	case Unknown, PackObject, ParityObject, SketchObject:
		return ""
	}
	n.Copied = !n.Copied
	return n.String()
}
