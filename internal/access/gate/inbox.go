package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"strongroom/internal/store/blob"
)

// InboxFolder is the folder of an inbox that received files lie in.
const InboxFolder = "inbox"

const inboxPath = "/" + InboxFolder

// What an inbox takes of one opening. Records of rehearsals are some kilobytes
// each.
const (
	maxInboxName  = 100
	maxInboxFile  = 1 << 20
	maxInboxFiles = 100
	maxInboxBytes = 16 << 20
)

var inboxForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*\.json$`)

func isInboxName(name string) bool { return len(name) <= maxInboxName && inboxForm.MatchString(name) }

// An Inbox is where a gate puts what it receives.
type Inbox struct {
	Into blob.Writer // puts to InboxFolder
	Held []blob.Info // what is there already, from an earlier gate of the same opening
}

// an inbox keeps files in memory until they are whole.
type inbox struct {
	into blob.Writer

	mu    sync.Mutex       // guards the fields below
	taken map[string]bool  // names that are in use, and those that may be
	sizes map[string]int64 // of what can be listed
	bytes int64            // in files and on the way to them
}

// newInbox takes nothing if there is no Inbox.
func newInbox(in *Inbox) (*inbox, error) {
	if in == nil {
		return nil, nil
	}
	b := &inbox{into: in.Into, taken: map[string]bool{}, sizes: map[string]int64{}}
	for _, info := range in.Held {
		name, ok := strings.CutPrefix(info.Name, InboxFolder+"/")
		if !ok || !isInboxName(name) {
			return nil, fmt.Errorf("%q is in the inbox, where only received files should be", info.Name)
		}
		b.taken[name] = true
		b.sizes[name] = info.Size
		b.bytes += info.Size
	}
	return b, nil
}

// names returns what can be listed, ascending.
func (b *inbox) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := make([]string, 0, len(b.sizes))
	for name := range b.sizes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (b *inbox) size(name string) (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size, ok := b.sizes[name]
	return size, ok
}

// take keeps a name for a new file.
func (b *inbox) take(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !isInboxName(name):
		return refuse("the inbox takes names of letters, digits, dots, underscores and hyphens that end in .json, of at most %d characters", maxInboxName)
	case b.taken[name]:
		return refuse("the inbox has a file of that name, and nothing there is replaced")
	case len(b.taken) >= maxInboxFiles:
		return refuse("the inbox has taken %d files, which is all it takes", maxInboxFiles)
	}
	b.taken[name] = true
	return nil
}

// grow makes room for more bytes.
func (b *inbox) grow(bytes int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes+bytes > maxInboxBytes {
		return refuse("the inbox has no room: it takes %d bytes in all", maxInboxBytes)
	}
	b.bytes += bytes
	return nil
}

// drop gives back a name, and the room of a file that did not come to be.
func (b *inbox) drop(name string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.taken, name)
	b.bytes -= bytes
}

// keep makes a file durable and shows it. After an error the name stays taken:
// it may be, on the disk.
func (b *inbox) keep(ctx context.Context, name string, content []byte) error {
	err := blob.Put(ctx, b.into, path.Join(InboxFolder, name), content)
	if err == nil {
		err = b.into.Sync(ctx)
	}
	if err != nil {
		return fmt.Errorf("keeping %s: %w", name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sizes[name] = int64(len(content))
	return nil
}

// an incoming is a file on its way into the inbox.
type incoming struct {
	session *session
	name    string
	content []byte
	err     error // why it will not be kept
}

func (f *incoming) write(p []byte, offset uint64) error {
	if f.err != nil {
		return f.err
	}
	if f.err = f.grow(offset, len(p)); f.err != nil {
		f.session.denied("put", inboxPath+"/"+f.name)
		return f.err
	}
	copy(f.content[offset:], p)
	return nil
}

// grow makes content reach as far as n bytes from offset.
func (f *incoming) grow(offset uint64, n int) error {
	if offset > maxInboxFile || offset+uint64(n) > maxInboxFile {
		return refuse("a file in the inbox has %d bytes at most", maxInboxFile)
	}
	more := int(offset) + n - len(f.content)
	if more <= 0 {
		return nil
	}
	if err := f.session.server.inbox.grow(int64(more)); err != nil {
		return err
	}
	f.content = append(f.content, make([]byte, more)...)
	return nil
}

// abandon makes that the file is not kept.
func (f *incoming) abandon() { f.err = errors.Join(f.err, errors.New("it was not closed")) }

// Close keeps the file if it is whole.
func (f *incoming) Close() error {
	s := f.session
	defer s.release()
	if f.err == nil && len(f.content) == 0 {
		f.err = refuse("the inbox takes no empty files")
		s.denied("put", inboxPath+"/"+f.name)
	}
	if f.err != nil {
		s.server.inbox.drop(f.name, int64(len(f.content)))
		return f.err
	}
	// What the operator has sent in whole is kept, also if the end comes now.
	if err := s.server.inbox.keep(context.Background(), f.name, f.content); err != nil {
		s.server.report.failed(s.number, inboxPath[1:]+"/"+f.name, err)
		return errors.New("the safe cannot keep this file")
	}
	s.server.report.received(s.number, f.name, f.content)
	return nil
}

// refuse makes an error that clients show as a denied permission, with the
// reason.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), fs.ErrPermission)
}

var errAbsent = fmt.Errorf("there is nothing of that name: %w", fs.ErrNotExist)
