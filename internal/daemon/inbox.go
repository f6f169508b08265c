package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"strongroom/internal/access/gate"
	"strongroom/internal/access/record"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// What is taken out of an inbox. The gate takes no more, but the gate may have
// been taken over.
const (
	maxRecord  = 1 << 20
	maxRecords = 100
)

var recordForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,94}\.json$`)

// A left file is one that an operator has left in an inbox, and the record that
// it is, or why it is none.
type left struct {
	ledger.RecordReceived
	signed ledger.Signed
	record record.Record
	err    error
}

// lookIntoInbox returns what an operator has left.
func (s *Safe) lookIntoInbox(id safe.OpeningID) (all []left, err error) {
	err = s.eachRecord(id, func(root *os.Root, name string) error {
		b, err := readRecord(root, name)
		if err != nil {
			return err
		}
		l := left{RecordReceived: ledger.RecordReceived{Opening: id, Name: ledger.TextOf(name), Digest: safe.DigestOf(b), Size: int64(len(b))}}
		l.signed, l.record, l.err = record.Parse(b)
		all = append(all, l)
		return nil
	})
	return all, err
}

// eachRecord calls do for every name in an inbox that can be that of a record.
func (s *Safe) eachRecord(id safe.OpeningID, do func(*os.Root, string) error) error {
	root, err := os.OpenRoot(filepath.Join(s.inboxPath(id), gate.InboxFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close() // nothing was written
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	count := 0
	for _, e := range entries {
		if !e.Type().IsRegular() || !recordForm.MatchString(e.Name()) || count == maxRecords {
			continue
		}
		count++
		if err := do(root, e.Name()); err != nil {
			return err
		}
	}
	return nil
}

func readRecord(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(b) > maxRecord {
		err = fmt.Errorf("%s has more than %d bytes", name, maxRecord)
	}
	return b, err
}

// emptyInbox moves the records of an opening that is over to where they stay.
// It may be repeated.
func (s *Safe) emptyInbox(id safe.OpeningID) error {
	to := s.recordsPath(id)
	err := s.eachRecord(id, func(_ *os.Root, name string) error {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		return os.Rename(filepath.Join(s.inboxPath(id), gate.InboxFolder, name), filepath.Join(to, name))
	})
	if _, statErr := os.Stat(to); err == nil && statErr == nil {
		err = errors.Join(syncFolder(to), syncFolder(filepath.Dir(to)))
	}
	if err == nil {
		err = os.RemoveAll(s.inboxPath(id))
	}
	if err != nil {
		return fmt.Errorf("emptying the inbox of opening %s: %w", id, err)
	}
	return nil
}

// emptyInboxes moves what a crash has left in the inboxes of openings that are
// over.
func (s *Safe) emptyInboxes() error {
	entries, err := os.ReadDir(filepath.Join(s.config.Dir, "inbox"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if id, err := safe.ParseOpeningID(e.Name()); err == nil {
			errs = append(errs, s.emptyInbox(id))
		}
	}
	return errors.Join(errs...)
}
