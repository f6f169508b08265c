package remote

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
)

// large is how many bytes are worth a handle on another connection than that
// on which the object was opened.
const large = 512 << 10

// An object is open on one connection at least.
type object struct {
	store *Store
	ctx   context.Context // given to Open; bounds the reads
	name  string
	size  int64
	home  *line // on which it was opened

	mu      sync.Mutex        // guards handles and the handle in each
	handles map[*link]*handle // nil when closed
}

// A handle is the object open on one connection, or about to be.
type handle struct {
	opening sync.Mutex   // held while asking, so that one does it for all
	handle  *wire.Handle // nil if it is not open
}

// Open implements blob.Reader. It takes one round trip.
func (s *Store) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	o := &object{store: s, ctx: ctx, name: name, home: s.next(), handles: make(map[*link]*handle)}
	if layout.Parse(name).Kind == layout.PackObject {
		// A pack is large, and read over all lines: the first read is not to wait
		// until it is open on them too.
		for _, l := range s.row(o.home)[1:] {
			s.background.Go(func() {
				_ = s.do(ctx, l, func(l *link) error { // a read will tell
					_, err := o.handle(l)
					return err
				})
			})
		}
	}
	err := s.do(ctx, o.home, func(l *link) error {
		var info blob.Info
		var errStat error
		var asking sync.WaitGroup
		asking.Go(func() {
			a, err := l.client.Lstat(name)
			if err == nil {
				info, err = describe(name, a)
			}
			errStat = err
		})
		_, err := o.handle(l)
		asking.Wait()
		o.size = info.Size
		return cmp.Or(errStat, err) // a folder may be refused, or not
	})
	if err != nil {
		o.Close()
		return nil, nameError(name, err)
	}
	return o, nil
}

// handle returns the handle on a connection, opening the object there if need
// be.
func (o *object) handle(l *link) (*wire.Handle, error) {
	o.mu.Lock()
	at := o.handles[l]
	if at == nil && o.handles != nil {
		at = new(handle)
		o.handles[l] = at
	}
	o.mu.Unlock()
	if at == nil {
		return nil, errObjectClosed
	}
	at.opening.Lock()
	defer at.opening.Unlock()
	o.mu.Lock()
	h := at.handle
	o.mu.Unlock()
	if h != nil {
		return h, nil
	}
	h, err := l.client.Open(o.name)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.handles == nil {
		h.Close()
		return nil, errObjectClosed
	}
	at.handle = h
	return h, nil
}

// errObjectClosed is no error of the connection.
const errObjectClosed = oddError("was closed meanwhile")

// Size implements blob.Object.
func (o *object) Size() int64 { return o.size }

// Close implements blob.Object. It waits for nothing.
func (o *object) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, at := range o.handles {
		if at.handle != nil {
			at.handle.Close()
		}
	}
	o.handles = nil
	return nil
}

// ReadAt implements blob.Object.
func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("object %s: reading at %d", o.name, off)
	}
	whole := len(p)
	if off >= o.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), o.size-off)]
	// Each line takes its share, so that all of them are at work for one read.
	lines := o.store.row(o.home)
	share := max((len(p)+len(lines)-1)/len(lines), large)
	var group errgroup.Group
	for i := 0; i*share < len(p); i++ {
		group.Go(func() error {
			begin, end := i*share, min((i+1)*share, len(p))
			return o.store.do(o.ctx, lines[i], func(l *link) error { return o.read(l, p[begin:end], off+int64(begin)) })
		})
	}
	if err := group.Wait(); err != nil {
		return 0, nameError(o.name, err)
	}
	if len(p) < whole {
		return len(p), io.EOF
	}
	return len(p), nil
}

// A part is a request and where its answer goes.
type part struct {
	call *wire.Call
	data []byte
	off  int64
}

// read fills p. All parts are asked for before any answer is waited for, and
// none is under way any more when it returns.
func (o *object) read(l *link, p []byte, off int64) error {
	h, err := o.handle(l)
	if err != nil {
		return err
	}
	parts := make([]part, 0, len(p)/l.client.ReadSize()+1)
	for len(p) > 0 {
		n := min(len(p), l.client.ReadSize())
		parts = append(parts, part{h.Read(off, p[:n]), p[:n], off})
		p, off = p[n:], off+int64(n)
	}
	for _, part := range parts {
		for len(part.data) > 0 {
			n, errPart := h.Data(part.call)
			if errPart == io.EOF {
				errPart = oddError("ends before the size that the gate has told")
			}
			if errPart != nil {
				if err == nil {
					err = errPart
				}
				break
			}
			part.data, part.off = part.data[n:], part.off+int64(n)
			if len(part.data) > 0 { // the gate may give less than it was asked for
				part.call = h.Read(part.off, part.data)
			}
		}
	}
	return err
}
