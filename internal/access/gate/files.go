package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"strongroom/internal/store/blob"
)

// maxHandles bounds what a session may have open at a time.
const maxHandles = 64

// acquire takes one of the session's handles.
func (c *session) acquire(method, p string) error {
	if c.handles == maxHandles {
		c.denied(method, p)
		return refuse("a session may have %d files open, and has", maxHandles)
	}
	c.handles++
	return nil
}

func (c *session) release() { c.handles-- }

// get opens a file for reading. Paths are absolute and clean from here on.
func (c *session) get(ctx context.Context, p string) (*outgoing, error) {
	t := c.server.tree
	content, isFile := t.files[p]
	object, isObject := t.object(p)
	switch {
	case isFile, isObject:
	case t.folders[p] != nil, p == inboxPath:
		return nil, errors.New("it is a folder")
	case c.isInbox(p):
		c.denied("read", p)
		return nil, refuse("what was put into the inbox is not read back")
	default:
		return nil, c.absent("read", p)
	}
	if err := c.acquire("read", p); err != nil {
		return nil, err
	}
	if isFile {
		return &outgoing{session: c, name: p[1:], ReaderAt: bytes.NewReader(content)}, nil
	}
	o, err := c.server.store.Open(ctx, object)
	if err != nil {
		c.release()
		return nil, c.unreadable(object, err)
	}
	return &outgoing{session: c, name: object, ReaderAt: o, object: o}, nil
}

// absent answers for a path that is not in the tree. Who asks for what is not
// in scope, and got its name elsewhere, is reported, and told what everybody is.
func (c *session) absent(method, p string) error {
	if foreign(p) {
		c.denied(method, p)
	}
	return errAbsent
}

// unreadable tells the supervisor alone what is wrong with an object. One that
// is not there is no news: parity may never have been, and a scrub misses what
// a snapshot needs.
func (c *session) unreadable(name string, err error) error {
	if errors.Is(err, blob.ErrNotExist) {
		return errAbsent
	}
	c.server.report.failed(c.number, name, err)
	return errors.New("the store cannot read this object")
}

// an outgoing is a file that is being read.
type outgoing struct {
	session *session
	name    string
	io.ReaderAt
	object blob.Object // nil for a file in memory
	bytes  int64
	failed bool // which was told
}

func (f *outgoing) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	f.bytes += int64(n)
	f.session.bytes += int64(n)
	if err != nil && err != io.EOF {
		if !f.failed {
			f.session.server.report.failed(f.session.number, f.name, err)
		}
		f.failed = true
		return n, errors.New("the store cannot read this object")
	}
	return n, err
}

// Close tells what was read.
func (f *outgoing) Close() error {
	f.session.release()
	if f.bytes > 0 {
		f.session.server.report.readDone(f.session.number, f.name, f.bytes)
	}
	if f.object != nil {
		f.object.Close() // nothing was written
	}
	return nil
}

// put opens a new file in the inbox.
func (c *session) put(p string, flags uint32) (*incoming, error) {
	folder, name := path.Split(p)
	fail := func(err error) (*incoming, error) {
		c.denied("put", p)
		return nil, err
	}
	switch {
	case c.server.inbox == nil || folder != inboxPath+"/":
		return fail(refuse("nothing can be written here but into %s", inboxPath))
	case flags&openCreate == 0 || flags&openWrite == 0 || flags&(openRead|openAppend) != 0:
		return fail(refuse("files in the inbox are new, and written only"))
	}
	if err := c.acquire("put", p); err != nil {
		return nil, err
	}
	if err := c.server.inbox.take(name); err != nil {
		c.release()
		return fail(err)
	}
	return &incoming{session: c, name: name}, nil
}

// stat describes what is at a path.
func (c *session) stat(ctx context.Context, p string) (fs.FileInfo, error) {
	t := c.server.tree
	if content, ok := t.files[p]; ok {
		return c.server.info(path.Base(p), 0o400, int64(len(content))), nil
	}
	if p == inboxPath && c.server.inbox != nil {
		return c.server.info(path.Base(p), fs.ModeDir|0o700, 0), nil
	}
	if t.folders[p] != nil {
		return c.server.info(path.Base(p), fs.ModeDir|0o500, 0), nil
	}
	if object, ok := t.object(p); ok {
		info, err := c.server.store.Stat(ctx, object)
		if err != nil {
			return nil, c.unreadable(object, err)
		}
		return c.server.info(path.Base(p), 0o400, info.Size), nil
	}
	if c.isInbox(p) {
		size, _ := c.server.inbox.size(path.Base(p)) // it stays
		return c.server.info(path.Base(p), 0o200, size), nil
	}
	return nil, c.absent("stat", p)
}

// isInbox reports whether a path leads to a file that was received.
func (c *session) isInbox(p string) bool {
	if c.server.inbox == nil || path.Dir(p) != inboxPath {
		return false
	}
	_, ok := c.server.inbox.size(path.Base(p))
	return ok
}

// list opens a folder.
func (c *session) list(p string) (*listing, error) {
	var names []string
	folder := c.server.tree.folders[p]
	switch {
	case p == inboxPath && c.server.inbox != nil:
		names = c.server.inbox.names()
	case folder == nil:
		return nil, c.absent("list", p)
	case p == "/" && c.server.inbox != nil:
		names = append(slices.Clone(folder.names), path.Base(inboxPath))
	default:
		names = folder.names
	}
	if err := c.acquire("list", p); err != nil {
		return nil, err
	}
	return &listing{session: c, folder: p, names: names}, nil
}

// a listing yields what is in a folder, and looks at each object only then: a
// run may have a hundred thousand. Objects that the store has lost are left
// out.
type listing struct {
	session *session
	folder  string
	names   []string // still to come
}

// next returns at most n more entries, none at the end.
func (l *listing) next(ctx context.Context, n int) []fs.FileInfo {
	var entries []fs.FileInfo
	for len(entries) < n && len(l.names) > 0 {
		info, err := l.session.stat(ctx, path.Join(l.folder, l.names[0]))
		l.names = l.names[1:]
		if err == nil { // or else it was reported
			entries = append(entries, info)
		}
	}
	return entries
}

// Close gives back the handle.
func (l *listing) Close() error {
	l.session.release()
	return nil
}

// an info describes a file or folder. All have the time at which the gate was
// made: when the safe wrote an object is nobody's concern.
type info struct {
	name string
	mode fs.FileMode
	size int64
	time time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.time }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
