package safe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/spelling"
)

// Tier says which rule of the configuration's keep gave a snapshot its time.
type Tier string

const (
	Daily   Tier = "daily"
	Weekly  Tier = "weekly"
	Monthly Tier = "monthly"
	Yearly  Tier = "yearly"
	Broken  Tier = "partial" // of a collection that was not complete
)

// A Snapshot is the description of a snapshot: all that anyone may know about
// it without a key. Its bytes in the store are canonical: see Encode.
type Snapshot struct {
	Version     int        `json:"v"`
	Store       StoreID    `json:"store"`
	Run         RunID      `json:"run"`
	Source      SourceName `json:"source"`
	Kind        string     `json:"kind"`
	Started     time.Time  `json:"started"`
	Finished    time.Time  `json:"finished"`
	Entries     int64      `json:"entries"`
	Bytes       int64      `json:"bytes"`     // content of all entries
	NewBytes    int64      `json:"new_bytes"` // content that was not in the store before
	StoredBytes int64      `json:"stored_bytes"`
	ParityBytes int64      `json:"parity_bytes"`
	Warnings    int64      `json:"warnings"`
	Partial     bool       `json:"partial,omitempty"`
	KeepUntil   time.Time  `json:"keep_until"`
	Tier        Tier       `json:"tier"`
	Root        Digest     `json:"root"`
	// Runs names every run that the snapshot refers to, its own among them,
	// with the packs of it that are needed.
	Runs map[RunID]RunPacks `json:"runs"`
}

// RunPacks says what a snapshot needs of one run.
type RunPacks struct {
	Envelope Digest   `json:"envelope"` // of the envelope's bytes
	Packs    []Digest `json:"packs"`    // ascending
}

// MaxSnapshot bounds the bytes of a description: about 400,000 packs, or
// 12 TiB in full packs.
const MaxSnapshot = 32 << 20

// Encode returns the one spelling of s that is stored and hashed.
func (s Snapshot) Encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("a snapshot's description cannot be encoded: %v", err)) // no field can fail
	}
	return append(b, '\n')
}

// ParseSnapshot reads a description strictly: unknown or missing fields,
// another version, negative counts, or a spelling other than Encode's are
// errors.
func ParseSnapshot(b []byte) (Snapshot, error) {
	var s Snapshot
	if err := spelling.Parse(b, MaxSnapshot, "a description", &s); err != nil {
		return Snapshot{}, err
	}
	if s.Version != 1 {
		return Snapshot{}, fmt.Errorf("a description has version %d, this program knows version 1", s.Version)
	}
	if min(s.Entries, s.Bytes, s.NewBytes, s.StoredBytes, s.ParityBytes, s.Warnings) < 0 {
		return Snapshot{}, fmt.Errorf("a count in the description of run %s is negative", s.Run)
	}
	if _, ok := s.Runs[s.Run]; !ok {
		return Snapshot{}, fmt.Errorf("the description of run %s does not name that run", s.Run)
	}
	for run, needs := range s.Runs {
		if needs.Packs == nil || !slices.IsSortedFunc(needs.Packs, Digest.Compare) || len(slices.Compact(slices.Clone(needs.Packs))) != len(needs.Packs) {
			return Snapshot{}, fmt.Errorf("the packs that a description names of run %s are not in ascending order", run)
		}
	}
	if !bytes.Equal(s.Encode(), b) {
		return Snapshot{}, errors.New("a description is not in its canonical spelling")
	}
	return s, nil
}

// Name returns the object name of the snapshot's description.
func (s Snapshot) Name() string { return "snapshots/" + s.Run.String() + ".json" }

// Short returns the name that people use: source and minute, in the zone of
// the time given.
func (s Snapshot) Short(zone *time.Location) string {
	return string(s.Source) + "@" + s.Started.In(zone).Format("2006-01-02T15:04")
}
