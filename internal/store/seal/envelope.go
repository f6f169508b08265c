package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"strongroom/internal/safe"
)

// A Label says which run an envelope belongs to. age has no associated data,
// so the label stands inside both layers, and whoever opens one compares.
type Label struct {
	Store  safe.StoreID
	Run    safe.RunID
	Source safe.SourceName
	Time   time.Time // when the envelope was made
	Roster int       // number of the roster whose role keys were used, from 1
}

// A Want is what somebody expects an envelope to be labelled with. A zero
// Store, Run or Source fits no envelope.
type Want struct {
	Store  safe.StoreID
	Run    safe.RunID
	Source safe.SourceName // is compared in the outer layer only: the inner one does not name it
	Roster int             // 0 if it is not known, and then not compared
}

// A LabelError means that a layer was opened and belongs to something else
// than was asked for: an envelope was put in another's place.
type LabelError struct {
	Layer string // "outer" or "inner"
	Field string // "store", "run", "source" or "roster"
	Got   string
	Want  string
}

func (e *LabelError) Error() string {
	return fmt.Sprintf("the %s layer is labelled with %s %s, not %s: it belongs elsewhere", e.Layer, e.Field, e.Got, e.Want)
}

// An InnerFile is the inner layer of an envelope, still sealed to the
// operators' role key: an age file.
type InnerFile []byte

// MaxEnvelope bounds envelopes and inner files, sealed and opened. Real
// envelopes have about 5 kB.
const MaxEnvelope = 64 << 10

// envelopeVersion is the version of both layers.
const envelopeVersion = 1

// The layers as they are written. docs/format.md promises the names, their
// order and the one spelling that encoding/json gives them.
type (
	outerLayer struct {
		Version int             `json:"v"`
		Store   safe.StoreID    `json:"store"`
		Run     safe.RunID      `json:"run"`
		Source  safe.SourceName `json:"source"`
		Time    time.Time       `json:"time"`
		Roster  int             `json:"roster"`
		Inner   []byte          `json:"inner"` // standard base64 in one line
	}
	innerLayer struct {
		Version  int          `json:"v"`
		Store    safe.StoreID `json:"store"`
		Run      safe.RunID   `json:"run"`
		Roster   int          `json:"roster"`
		Identity string       `json:"identity"`
	}
)

// NewEnvelope makes the key of a run and seals it, first to inner, then to
// outer. It returns the envelope and the public half; the private half is
// nowhere but in the envelope and in the memory of this process, which is
// therefore expected to exit.
func NewEnvelope(label Label, outer OuterRecipient, inner InnerRecipient) ([]byte, RunRecipient, error) {
	key, err := newIdentity()
	if err != nil {
		return nil, RunRecipient{}, err
	}
	innerFile, err := sealLayer(inner.recipient, innerLayer{
		envelopeVersion, label.Store, label.Run, label.Roster, key.key.String(),
	})
	if err != nil {
		return nil, RunRecipient{}, fmt.Errorf("making the inner layer of run %s: %w", label.Run, err)
	}
	layer := outerLayer{
		envelopeVersion, label.Store, label.Run, label.Source, label.Time.UTC(), label.Roster, innerFile,
	}
	if err := layer.check(); err != nil {
		return nil, RunRecipient{}, fmt.Errorf("making the envelope of run %s: %w", label.Run, err)
	}
	envelope, err := sealLayer(outer.recipient, layer)
	if err != nil {
		return nil, RunRecipient{}, fmt.Errorf("making the outer layer of run %s: %w", label.Run, err)
	}
	return envelope, RunRecipient{key.public()}, nil
}

// OpenOuter opens the outer layer of an envelope. The error is ErrWrongKey if
// it is sealed to another key, and a *LabelError if it is not the envelope
// that want describes.
func OpenOuter(outer OuterIdentity, envelope []byte, want Want) (InnerFile, error) {
	plain, err := outer.openLayer(envelope)
	if err != nil {
		return nil, fmt.Errorf("opening the outer layer of run %s: %w", want.Run, err)
	}
	layer, err := parseOuter(plain)
	if err != nil {
		return nil, fmt.Errorf("reading the outer layer of run %s: %w", want.Run, err)
	}
	if err := want.compare("outer", layer.Store, layer.Run, layer.Roster); err != nil {
		return nil, err
	}
	if layer.Source != want.Source {
		return nil, &LabelError{"outer", "source", string(layer.Source), string(want.Source)}
	}
	return layer.Inner, nil
}

// OpenInner opens the inner layer of an envelope. The error is ErrWrongKey if
// it is sealed to another key, and a *LabelError if it is not the layer that
// want describes.
func OpenInner(inner InnerIdentity, file InnerFile, want Want) (RunIdentity, error) {
	plain, err := inner.openLayer(file)
	if err != nil {
		return RunIdentity{}, fmt.Errorf("opening the inner layer of run %s: %w", want.Run, err)
	}
	layer, key, err := parseInner(plain)
	if err != nil {
		return RunIdentity{}, fmt.Errorf("reading the inner layer of run %s: %w", want.Run, err)
	}
	if err := want.compare("inner", layer.Store, layer.Run, layer.Roster); err != nil {
		return RunIdentity{}, err
	}
	return RunIdentity{key}, nil
}

func (w Want) compare(layer string, store safe.StoreID, run safe.RunID, roster int) error {
	switch {
	case store != w.Store:
		return &LabelError{layer, "store", store.String(), w.Store.String()}
	case run != w.Run:
		return &LabelError{layer, "run", run.String(), w.Run.String()}
	case w.Roster != 0 && roster != w.Roster:
		return &LabelError{layer, "roster", strconv.Itoa(roster), strconv.Itoa(w.Roster)}
	}
	return nil
}

func (l outerLayer) check() error {
	if _, err := safe.ParseSourceName(string(l.Source)); err != nil {
		return err
	}
	if l.Time.IsZero() || l.Time.Location() != time.UTC {
		return errors.New("there is no time in the label, or not in UTC")
	}
	if len(l.Inner) == 0 {
		return errors.New("there is no inner layer")
	}
	return checkLabel(l.Version, l.Store, l.Run, l.Roster)
}

// checkLabel refuses what no label has, in either layer.
func checkLabel(version int, store safe.StoreID, run safe.RunID, roster int) error {
	switch {
	case version != envelopeVersion:
		return fmt.Errorf("it has version %d, this program knows version %d", version, envelopeVersion)
	case store.IsZero() || run.IsZero():
		return errors.New("there is no store or no run in the label")
	case roster < 1:
		return fmt.Errorf("there is no roster %d", roster)
	}
	return nil
}

func parseOuter(plain []byte) (outerLayer, error) {
	var layer outerLayer
	if err := decodeLayer(plain, &layer, &layer.Version); err != nil {
		return outerLayer{}, err
	}
	if err := layer.check(); err != nil {
		return outerLayer{}, err
	}
	return layer, nil
}

func parseInner(plain []byte) (innerLayer, identity, error) {
	var layer innerLayer
	if err := decodeLayer(plain, &layer, &layer.Version); err != nil {
		return innerLayer{}, identity{}, err
	}
	if err := checkLabel(layer.Version, layer.Store, layer.Run, layer.Roster); err != nil {
		return innerLayer{}, identity{}, err
	}
	key, err := parseIdentity(layer.Identity)
	if err != nil {
		return innerLayer{}, identity{}, err
	}
	return layer, key, nil
}

// decodeLayer fills layer, whose version is at version, from its JSON. It
// takes only the bytes that encoding the layer again gives, so that one value
// has one spelling: no unknown, missing or repeated names, nothing before or
// after. What is wrong is not said in detail, since an error must not repeat
// what was under a seal. The version is looked at first, so that a layer of a
// later version is called that and not damaged.
func decodeLayer(plain []byte, layer any, version *int) error {
	if err := json.Unmarshal(plain, layer); err != nil {
		return errors.New("its content is not that of such a layer")
	}
	if *version != envelopeVersion {
		return fmt.Errorf("it has version %d, this program knows version %d", *version, envelopeVersion)
	}
	again, err := json.Marshal(layer)
	if err != nil || !bytes.Equal(again, plain) {
		return errors.New("its content is not in the one spelling that such a layer has")
	}
	return nil
}

func sealLayer(to recipient, layer any) ([]byte, error) {
	plain, err := json.Marshal(layer)
	if err != nil {
		return nil, err
	}
	return to.sealBytes(plain)
}

func (i identity) openLayer(sealed []byte) ([]byte, error) {
	return i.openBytes(sealed, MaxEnvelope)
}
