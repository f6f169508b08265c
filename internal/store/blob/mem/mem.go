// Package mem keeps objects in memory, for tests: it counts what is read, can
// be as slow as a distant bucket, and lets a test damage and lose objects.
// Like a bucket it can be read as a stream.
package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom/internal/store/blob"
)

// Options tunes a Store. The zero value is ready to use.
type Options struct {
	// Latency is how long each Open, Stat, List, Publish and Replace takes,
	// each ReadAt of an object, and a Stream until its first byte. Writing and
	// Sync take no time, as with a bucket.
	Latency time.Duration
	// Rate is how many bytes a second each ReadAt and each Stream brings, 0 for
	// any number: a bucket gives as much to every request, whatever others get.
	Rate int64
	Now  func() time.Time // nil means time.Now
}

// A Store is a blob.Store and a blob.Replacer. All methods may be called
// concurrently.
type Store struct {
	opts Options

	mu      sync.Mutex // guards the fields below
	objects map[string]object
	folders map[string]bool     // every folder of a name ever published
	damaged map[string][][]byte // what Replace put aside, oldest first
	counts  Counts
	reads   map[string]Reads
}

type object struct {
	data    []byte // immutable
	modTime time.Time
	synced  bool // the name would survive LosePower
}

// Counts says how often a Store was asked, with and without success.
type Counts struct {
	Opens, Stats, Lists, Publishes, Syncs, Replaces int64
	Reads                                           Reads
}

// Reads says how often ReadAt and Stream were called and how many bytes they
// returned.
type Reads struct{ Calls, Bytes int64 }

// New returns an empty Store.
func New(opts Options) *Store {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Store{
		opts:    opts,
		objects: map[string]object{},
		folders: map[string]bool{},
		damaged: map[string][][]byte{},
		reads:   map[string]Reads{},
	}
}

// SetLatency changes Options.Latency, for a store that is filled first.
func (s *Store) SetLatency(latency time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Latency = latency
}

// Counts returns what was counted so far.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Reads returns what was counted so far for one object.
func (s *Store) Reads(name string) Reads {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads[name]
}

// Corrupt passes a copy of an object's bytes to change and puts what that
// returns in their place. It panics if there is no such object: then the test
// is wrong.
func (s *Store) Corrupt(name string, change func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.mustHaveLocked(name)
	o.data = change(bytes.Clone(o.data))
	s.objects[name] = o
}

// Delete removes an object. It panics if there is no such object.
func (s *Store) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustHaveLocked(name)
	delete(s.objects, name)
}

func (s *Store) mustHaveLocked(name string) object {
	o, ok := s.objects[name]
	if !ok {
		panic(fmt.Sprintf("mem: there is no object %q", name))
	}
	return o
}

// LosePower removes the objects whose names no Sync has made durable, except
// those that keep chooses: a real disk may have any of them.
func (s *Store) LosePower(keep func(name string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.objects, func(name string, o object) bool { return !o.synced && !keep(name) })
}

// Damaged returns the contents that Replace has put aside for a name, oldest
// first.
func (s *Store) Damaged(name string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.damaged[name])
}

// request counts one request and waits as long as it takes.
func (s *Store) request(ctx context.Context, count func(*Counts)) error {
	s.mu.Lock()
	count(&s.counts)
	latency := s.opts.Latency
	s.mu.Unlock()
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// lookup returns the object of that name.
func (s *Store) lookup(name string) (object, error) {
	if err := blob.CheckName(name); err != nil {
		return object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.objects[name]; ok {
		return o, nil
	}
	if s.folders[name] {
		return object{}, &blob.NameError{Name: name, Err: errors.New("is a folder, not an object")}
	}
	return object{}, fmt.Errorf("object %s: %w", name, blob.ErrNotExist)
}

// Open implements blob.Reader.
func (s *Store) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := s.request(ctx, func(c *Counts) { c.Opens++ }); err != nil {
		return nil, fmt.Errorf("opening object %s: %w", name, err)
	}
	o, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	return &opened{ctx: ctx, store: s, name: name, data: bytes.NewReader(o.data)}, nil
}

// opened is an object as it was when it was opened.
type opened struct {
	ctx   context.Context // of Open, which bounds the reads
	store *Store
	name  string
	data  *bytes.Reader
}

func (o *opened) Size() int64  { return o.data.Size() }
func (o *opened) Close() error { return nil }

func (o *opened) ReadAt(p []byte, off int64) (int, error) {
	if err := o.store.request(o.ctx, func(c *Counts) { c.Reads.Calls++ }); err != nil {
		return 0, fmt.Errorf("reading %s: %w", o.name, err)
	}
	n, err := o.data.ReadAt(p, off)
	o.store.pace(o.ctx, time.Now(), int64(n))
	o.store.noteRead(o.name, 1, int64(n))
	return n, err
}

// noteRead counts what was read of an object. That it was asked for is counted
// by request.
func (s *Store) noteRead(name string, calls, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Reads.Bytes += bytes
	r := s.reads[name]
	s.reads[name] = Reads{Calls: r.Calls + calls, Bytes: r.Bytes + bytes}
}

// pace waits until so many bytes can have come since a request was answered.
func (s *Store) pace(ctx context.Context, since time.Time, bytes int64) {
	if s.opts.Rate == 0 {
		return
	}
	wait := time.Duration(float64(bytes)/float64(s.opts.Rate)*float64(time.Second)) - time.Since(since)
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// Stream implements blob.Streamer.
func (s *Store) Stream(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	if err := s.request(ctx, func(c *Counts) { c.Reads.Calls++ }); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	o, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, fmt.Errorf("reading %s at %d", name, off)
	}
	s.noteRead(name, 1, 0)
	return &stream{ctx: ctx, store: s, name: name, began: time.Now(), left: o.data[min(off, int64(len(o.data))):]}, nil
}

// stream is a Stream. It is for one goroutine.
type stream struct {
	ctx   context.Context // of Stream, which bounds the reads
	store *Store
	name  string
	began time.Time
	came  int64
	left  []byte
}

func (r *stream) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.left)
	r.came += int64(n)
	r.store.pace(r.ctx, r.began, r.came)
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("reading %s: %w", r.name, err)
	}
	r.left = r.left[n:]
	r.store.noteRead(r.name, 0, int64(n))
	return n, nil
}

func (r *stream) Close() error {
	r.left = nil
	return nil
}

// Stat implements blob.Reader.
func (s *Store) Stat(ctx context.Context, name string) (blob.Info, error) {
	if err := s.request(ctx, func(c *Counts) { c.Stats++ }); err != nil {
		return blob.Info{}, fmt.Errorf("looking for object %s: %w", name, err)
	}
	o, err := s.lookup(name)
	if err != nil {
		return blob.Info{}, err
	}
	return blob.Info{Name: name, Size: int64(len(o.data)), ModTime: o.modTime}, nil
}

// List implements blob.Reader.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		err := s.request(ctx, func(c *Counts) { c.Lists++ })
		if err == nil {
			err = blob.CheckPrefix(prefix)
		}
		if err != nil {
			yield(blob.Info{}, fmt.Errorf("listing %q: %w", prefix, err))
			return
		}
		for _, info := range s.infos(prefix) {
			if err := ctx.Err(); err != nil {
				yield(blob.Info{}, fmt.Errorf("listing %q: %w", prefix, err))
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (s *Store) infos(prefix string) []blob.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var infos []blob.Info
	for name, o := range s.objects {
		if strings.HasPrefix(name, prefix) {
			infos = append(infos, blob.Info{Name: name, Size: int64(len(o.data)), ModTime: o.modTime})
		}
	}
	slices.SortFunc(infos, func(a, b blob.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// Stage implements blob.Writer.
func (s *Store) Stage(ctx context.Context) (blob.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("staging an object: %w", err)
	}
	return &staged{store: s}, nil
}

// Sync implements blob.Writer.
func (s *Store) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("syncing the store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Syncs++
	for name, o := range s.objects {
		o.synced = true
		s.objects[name] = o
	}
	return nil
}

// Replace implements blob.Replacer.
func (s *Store) Replace(ctx context.Context, name string, st blob.Staged) error {
	o, ok := st.(*staged)
	if !ok {
		return fmt.Errorf("replacing %s: the new object was staged elsewhere", name)
	}
	err := o.finish(ctx, name, func(c *Counts) { c.Replaces++ }, func() error {
		if old, ok := s.objects[name]; ok {
			s.damaged[name] = append(s.damaged[name], old.data)
			delete(s.objects, name)
		}
		return s.addLocked(name, object{data: o.data, modTime: s.opts.Now(), synced: true})
	})
	if err != nil {
		return fmt.Errorf("replacing %s: %w", name, err)
	}
	return nil
}

// addLocked gives an object its name. s.mu must be held.
func (s *Store) addLocked(name string, o object) error {
	if _, ok := s.objects[name]; ok {
		return blob.ErrExist
	}
	// A folder could not hold these, and what is tested with mem must run on
	// a folder.
	if s.folders[name] {
		return &blob.NameError{Name: name, Err: errors.New("is a folder")}
	}
	for f := path.Dir(name); f != "."; f = path.Dir(f) {
		if _, ok := s.objects[f]; ok {
			return &blob.NameError{Name: f, Err: errors.New("is an object, not a folder")}
		}
	}
	for f := path.Dir(name); f != "."; f = path.Dir(f) {
		s.folders[f] = true
	}
	s.objects[name] = o
	return nil
}

// staged is a blob.Staged; it is used by one goroutine at a time.
type staged struct {
	store *Store
	data  []byte
	done  bool // published, discarded, or neither possible any more
}

func (o *staged) Write(p []byte) (int, error) {
	if o.done {
		return 0, errors.New("writing to an object that is no longer staged")
	}
	o.data = append(o.data, p...)
	return len(p), nil
}

func (o *staged) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(o.data).ReadAt(p, off)
}

func (o *staged) Publish(ctx context.Context, name string) error {
	err := o.finish(ctx, name, func(c *Counts) { c.Publishes++ }, func() error {
		return o.store.addLocked(name, object{data: o.data, modTime: o.store.opts.Now()})
	})
	if err != nil {
		return fmt.Errorf("publishing %s: %w", name, err)
	}
	return nil
}

// finish ends the staging with one request that does what place does, called
// with the store's mu held.
func (o *staged) finish(ctx context.Context, name string, count func(*Counts), place func() error) error {
	if o.done {
		return errors.New("the object is no longer staged")
	}
	o.done = true
	if err := blob.CheckName(name); err != nil {
		return err
	}
	if err := o.store.request(ctx, count); err != nil {
		return err
	}
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	return place()
}

func (o *staged) Discard() error {
	o.done = true
	return nil
}
