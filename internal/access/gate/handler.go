package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"strongroom/internal/store/blob"
)

// maxHandles bounds what a session may have open at a time.
const maxHandles = 64

// These methods answer what the SFTP library makes of a session's requests. A
// path there is absolute and clean, whatever the client sent.

// acquire takes one of the session's handles.
func (c *session) acquire(method, p string) error {
	if c.handles.Add(1) > maxHandles {
		c.handles.Add(-1)
		c.denied(method, p)
		return refuse("a session may have %d files open, and has", maxHandles)
	}
	return nil
}

func (c *session) release() { c.handles.Add(-1) }

// Fileread opens a file for reading.
func (c *session) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	p, t := r.Filepath, c.server.tree
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
	o, err := c.server.store.Open(r.Context(), object)
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
	bytes  atomic.Int64
	failed sync.Once
}

func (f *outgoing) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	f.bytes.Add(int64(n))
	f.session.bytes.Add(int64(n))
	if err != nil && err != io.EOF {
		f.failed.Do(func() { f.session.server.report.failed(f.session.number, f.name, err) })
		return n, errors.New("the store cannot read this object")
	}
	return n, err
}

// Close tells what was read.
func (f *outgoing) Close() error {
	f.session.release()
	if n := f.bytes.Load(); n > 0 {
		f.session.server.report.readDone(f.session.number, f.name, n)
	}
	if f.object != nil {
		f.object.Close() // nothing was written
	}
	return nil
}

// Filewrite opens a new file in the inbox.
func (c *session) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	folder, name := path.Split(r.Filepath)
	flags := r.Pflags()
	fail := func(err error) (io.WriterAt, error) {
		c.denied("put", r.Filepath)
		return nil, err
	}
	switch {
	case c.server.inbox == nil || folder != inboxPath+"/":
		return fail(refuse("nothing can be written here but into %s", inboxPath))
	case !flags.Creat || !flags.Write || flags.Read || flags.Append:
		return fail(refuse("files in the inbox are new, and written only"))
	}
	if err := c.acquire("put", r.Filepath); err != nil {
		return nil, err
	}
	if err := c.server.inbox.take(name); err != nil {
		c.release()
		return fail(err)
	}
	return &incoming{session: c, name: name}, nil
}

// Filecmd refuses everything that would change something.
func (c *session) Filecmd(r *sftp.Request) error {
	p := r.Filepath
	if r.Target != "" {
		p += " -> " + r.Target
	}
	c.denied(strings.ToLower(r.Method), p)
	return refuse("nothing can be changed here")
}

// Filelist lists a folder, or describes what is at a path.
func (c *session) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method == "Readlink" {
		return nil, errors.New("there are no links here")
	}
	if r.Method == "List" {
		return c.list(r.Context(), r.Filepath)
	}
	info, err := c.stat(r.Context(), r.Filepath)
	if err != nil {
		return nil, err
	}
	return one{info}, nil
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

func (c *session) list(ctx context.Context, p string) (sftp.ListerAt, error) {
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
	stat := func(name string) (fs.FileInfo, error) { return c.stat(ctx, path.Join(p, name)) }
	return &listing{session: c, stat: stat, names: names}, nil
}

// a listing yields what is in a folder, and looks at each object only then: a
// run may have a hundred thousand. Objects that the store has lost are left
// out.
type listing struct {
	session *session
	stat    func(name string) (fs.FileInfo, error)

	// The library asks in turns for what a client lists, but at any time for
	// what a client reads from a folder as if it were a file.
	mu    sync.Mutex // guards names; held while looking at objects
	names []string   // still to come
}

// ListAt goes on where it was. The offset counts what was yielded and is of no
// use here.
func (l *listing) ListAt(into []os.FileInfo, _ int64) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n < len(into) && len(l.names) > 0 {
		info, err := l.stat(l.names[0])
		l.names = l.names[1:]
		if err == nil { // or else it was reported
			into[n] = info
			n++
		}
	}
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// Close gives back the handle.
func (l *listing) Close() error {
	l.session.release()
	return nil
}

// one is a listing of a single entry.
type one struct{ info fs.FileInfo }

func (o one) ListAt(into []os.FileInfo, offset int64) (int, error) {
	if offset > 0 || len(into) == 0 {
		return 0, io.EOF
	}
	into[0] = o.info
	return 1, nil
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
