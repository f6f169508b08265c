package sftp

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/pattern"
	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/tree"
)

// host is the tree of the other side.
type host struct {
	owners  owners
	buffers buffers
	pages   atomic.Int64   // parts of listings under way, but for two of each folder
	asked   atomic.Int64   // see reads
	begun   chan struct{}  // closed when what foresee asked for is there
	busy    chan struct{}  // closed when there is work for further connections
	hurry   sync.Once      // closes busy
	grown   chan struct{}  // closed when there are going to be no more connections
	wg      sync.WaitGroup // of what foresee and widen have begun

	mu          sync.Mutex // guards the fields below
	connections []*connection
	links       []*link // of all connections; one at least
	foreseen    map[string]func() (wire.Attrs, error)
	interrupted bool
}

func newHost(first *connection) *host {
	h := &host{
		buffers: make(buffers, idleBuffers), foreseen: make(map[string]func() (wire.Attrs, error)),
		begun: make(chan struct{}), busy: make(chan struct{}), grown: make(chan struct{}),
	}
	h.add(first)
	return h
}

// add gives the host another connection.
func (h *host) add(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connections = append(h.connections, c)
	h.links = append(h.links, c.links...)
	if h.interrupted {
		c.conn.Interrupt()
	}
}

// Close ends all connections and waits for everything that ran on them.
func (h *host) Close() {
	h.Interrupt()
	h.wg.Wait()
	for _, c := range h.connections { // nobody adds any more
		c.close()
	}
}

// Interrupt implements tree.Tree.
func (h *host) Interrupt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.interrupted = true
	for _, c := range h.connections {
		c.conn.Interrupt()
	}
}

// foresee asks at once for what a walk would ask for one after the other: the
// attributes of the folders on the way to the first thing that the include list
// names, and what root is called, who owns most of them. It waits for nothing;
// Root does.
func (h *host) foresee(list *pattern.List) {
	first := h.pick().client
	at := "/"
	for place := list.Root(); place != nil; {
		names, all := place.Names()
		if all || len(names) == 0 {
			break
		}
		at = path.Join(at, names[0])
		call := first.AskLstat(at)
		h.foreseen[at] = func() (wire.Attrs, error) { return first.Attrs(call) }
		place = place.Match(names[0]).Beneath
	}
	h.wg.Go(func() {
		defer close(h.begun)
		_ = h.owners.learn(first, []wire.Name{{}}) // what makes it fail will make the walk fail
	})
}

// lstat returns what was foreseen, once: later it may be different.
func (h *host) lstat(client *wire.Client, path string) (wire.Attrs, error) {
	h.mu.Lock()
	foreseen, ok := h.foreseen[path]
	delete(h.foreseen, path)
	h.mu.Unlock()
	if ok {
		return foreseen()
	}
	return client.Lstat(path)
}

// Root implements tree.Tree.
func (h *host) Root() (tree.Dir, error) {
	<-h.begun
	return &dir{host: h, path: "/"}, nil
}

// Handles implements tree.Distant. Sessions are yet to come, so it is what one of
// them allows.
func (h *host) Handles() int {
	h.mu.Lock()
	first := h.links[0]
	h.mu.Unlock()
	return first.client.Handles()
}

// pick returns the session that does least. So none has more open than one may
// have.
func (h *host) pick() *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.MinFunc(h.links, func(a, b *link) int { return cmp.Compare(a.under.Load(), b.under.Load()) })
}

// others returns the sessions to read a file over along with one.
func (h *host) others(one *link) []*link {
	h.mu.Lock()
	defer h.mu.Unlock()
	links := slices.DeleteFunc(slices.Clone(h.links), func(l *link) bool { return l == one })
	return links[:min(len(links), maxLanes-1)]
}

const (
	// much is how many bytes a pull reads before it is worth another connection,
	// and leastAsked what a file counts at least: it takes as many round trips as
	// one much larger.
	much       = 1 << 20
	leastAsked = 16 << 10
)

// reads notes that a file of this size is going to be read.
func (h *host) reads(size int64) {
	if h.asked.Add(max(min(size, much), leastAsked)) >= much {
		h.hurry.Do(func() { close(h.busy) })
	}
}

// judge tells refusals, which concern one entry, from the end of a connection.
func judge(doing string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", doing, err)
	var refused *wire.StatusError
	if errors.As(err, &refused) {
		return err
	}
	return &tree.Fatal{Err: err}
}

// dir is a folder. SFTP has no way to hold on to one but by its name.
type dir struct {
	host *host
	path string
}

func (d *dir) Close() {}

func (d *dir) join(name string) string { return path.Join(d.path, name) }

// Sub implements tree.Dir without asking; Names will.
func (d *dir) Sub(name string, list bool) (tree.Dir, error) {
	return &dir{host: d.host, path: d.join(name)}, nil
}

// maxDots is how often a listing may name "." and ".." before it counts as
// endless: servers that glue folders together may do so more than once.
const maxDots = 64

const (
	// fewPages is how many parts of a folder's listing are asked for at first:
	// most folders have one, and another request shows that this was all.
	fewPages = 2
	// manyPages is how many, of a folder with very many names, and morePages how
	// many times as many as before are asked for until then. With 100 names in
	// each, as OpenSSH sends, 1,000,000 names take 160 round trips.
	manyPages = 64
	morePages = 8
	// maxPages bounds the parts under way beyond fewPages of each folder.
	maxPages = 128
)

// Names implements tree.Dir. A small folder takes two round trips; the longer a
// folder is, the more of it is asked for at once.
func (d *dir) Names(add func(tree.Name) error) error {
	link := d.host.pick()
	handle, err := link.openDir(d.path)
	if err != nil {
		return judge("opening the folder", err)
	}
	defer link.give(handle)
	n, extra := fewPages, 0
	defer func() { d.host.pages.Add(int64(-extra)) }()
	dots := 0
	for {
		for _, call := range handle.ListMany(n) {
			page, err := handle.Page(call)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return judge("listing the folder", err)
			}
			if err := d.host.owners.learn(link.client, page); err != nil {
				return judge("asking for the names of owners", err)
			}
			for _, n := range page {
				if n.Name == "." || n.Name == ".." {
					if dots++; dots > maxDots {
						return &source.Problem{Kind: source.Invalid, Err: errors.New("the listing of the folder goes in circles")}
					}
					continue
				}
				if err := add(listed(n)); err != nil {
					return err
				}
			}
		}
		d.host.pages.Add(int64(-extra))
		if extra = min(morePages*n, manyPages) - fewPages; d.host.pages.Add(int64(extra)) > maxPages {
			d.host.pages.Add(int64(-extra))
			extra = 0
		}
		n = fewPages + extra
	}
}

// listed keeps of n what a walk needs. What is not as it must be is left to
// Describe: Listed is false then, so that it asks again.
func listed(n wire.Name) tree.Name {
	if !plausible(n.Attrs) {
		return tree.Name{Name: n.Name}
	}
	return tree.Name{Name: n.Name, Size: int64(n.Size), Mode: n.Mode, UID: n.UID, GID: n.GID, MTime: n.MTime, Listed: true}
}

// plausible reports whether all attributes that a walk needs are there.
func plausible(a wire.Attrs) bool {
	return a.Has(wire.HasSize|wire.HasOwner|wire.HasMode|wire.HasTimes) && a.Size <= math.MaxInt64
}

// Describe implements tree.Dir.
func (d *dir) Describe(n tree.Name) (tree.Stat, error) {
	if !n.Listed {
		client := d.host.pick().client
		a, err := d.host.lstat(client, d.join(n.Name))
		if err != nil {
			return tree.Stat{}, judge("asking for its attributes", err)
		}
		if !plausible(a) {
			return tree.Stat{}, &source.Problem{Kind: source.Invalid, Err: errors.New("the server does not tell its type, size, owner and time")}
		}
		if err := d.host.owners.learn(client, []wire.Name{{Attrs: a}}); err != nil {
			return tree.Stat{}, judge("asking for the names of owners", err)
		}
		n = listed(wire.Name{Name: n.Name, Attrs: a})
	}
	e := n.Entry()
	e.User, e.Group = d.host.owners.names(n.UID, n.GID)
	return tree.Stat{Entry: e, Links: 1}, nil
}

// Readlink implements tree.Dir.
func (d *dir) Readlink(name string) (string, error) {
	target, err := d.host.pick().client.Readlink(d.join(name))
	return target, judge("reading the symbolic link", err)
}

// Open implements tree.Dir. A small file is whole when it returns, after two
// round trips.
func (d *dir) Open(name string, listed safe.Entry) (tree.File, error) {
	d.host.reads(listed.Size)
	link, path := d.host.pick(), d.join(name)
	handle, err := link.open(path)
	if err != nil {
		return nil, judge("opening", err)
	}
	readSize := int64(link.client.ReadSize())
	if listed.Size <= readSize {
		whole, err := readWhole(link, handle, listed.Size)
		if whole != nil || err != nil {
			return whole, err
		}
		if handle, err = link.open(path); err != nil {
			return nil, judge("opening", err)
		}
	}
	f := &file{lanes: []*lane{{link: link, handle: handle}}, buffers: d.host.buffers, readSize: readSize, listed: listed, statAt: -1, closed: make(chan struct{})}
	if listed.Size > tree.Ahead && time.Since(listed.MTime) > settled {
		f.wider = make(chan []*lane)
		d.host.wg.Go(func() { d.host.widen(f, path) })
	}
	f.refill()
	return f, nil
}

// widen opens a file in further sessions too, as soon as there are some. Where one
// refuses it, those that do not must do; if a connection has ended, whoever reads
// from it will see.
func (h *host) widen(f *file, path string) {
	select {
	case <-h.grown:
	case <-f.closed:
		return
	}
	var mu sync.Mutex
	var lanes []*lane // guarded by mu
	var wg sync.WaitGroup
	for _, l := range h.others(f.lanes[0].link) {
		wg.Go(func() {
			if handle, err := l.open(path); err == nil {
				mu.Lock()
				defer mu.Unlock()
				lanes = append(lanes, &lane{link: l, handle: handle})
			}
		})
	}
	wg.Wait()
	select {
	case f.wider <- lanes:
	case <-f.closed:
		for _, l := range lanes {
			l.link.give(l.handle)
		}
	}
}

// readWhole reads a file that has the size listed, and gives the handle back.
// It returns nil if the file has not, or if the server does not give it at once.
func readWhole(link *link, handle *wire.Handle, size int64) (tree.File, error) {
	defer link.under.Add(-1)
	data := make([]byte, size)
	read, stat := handle.ReadOnce(data)
	if read != nil {
		n, err := handle.Data(read)
		if err != nil && err != io.EOF {
			return nil, judge("reading", err)
		}
		if int64(n) < size {
			return nil, nil
		}
	}
	now, err := handle.Attrs(stat)
	if err != nil {
		return nil, judge("asking for its attributes", err)
	}
	if !plausible(now) || now.Size != uint64(size) {
		return nil, nil
	}
	return &whole{Reader: bytes.NewReader(data), now: entryOf(now)}, nil
}

// whole is a small file, read and closed.
type whole struct {
	*bytes.Reader
	now safe.Entry
}

func (w *whole) Stat() (safe.Entry, error) { return w.now, nil }
func (w *whole) Close() error              { return nil }

func entryOf(now wire.Attrs) safe.Entry {
	return safe.Entry{Size: int64(now.Size), MTime: time.Unix(int64(now.MTime), 0).UTC()}
}

const (
	// maxLanes is over how many sessions one file is read at most, with
	// tree.Ahead of it on its way in each: at 40 ms for a round trip that is 150
	// MB a second. It bounds the memory of the one file that is being read.
	maxLanes = 3
	// settled is how long ago a file must have changed for that. Each session
	// opens it by its name, and if meanwhile a file of the same size and second
	// takes this name, nobody can tell them apart. The clocks of the host and of
	// the safe may differ by as much.
	settled = time.Hour
)

// file reads an open file ahead of its reader. It is for one goroutine.
type file struct {
	lanes    []*lane      // one at least
	wider    chan []*lane // brings further lanes, once; nil if there are to be none
	closed   chan struct{}
	buffers  buffers
	readSize int64
	listed   safe.Entry
	turn     bool // its reader has begun

	flight []piece // reads under way or not used up, without gaps
	asked  int64   // where the next read will begin
	offset int64   // how much was handed out
	statAt int64   // how much was read when attributes were asked for; -1 before
	ended  bool    // there is nothing more
}

// lane is the file as one session has it open.
type lane struct {
	link   *link
	handle *wire.Handle
	under  int // reads under way
	stat   *wire.Call
}

// piece is one read.
type piece struct {
	lane   *lane
	call   *wire.Call
	buffer []byte
	data   []byte // what was asked for, in buffer
	got    int
	used   int
	settle bool // got is valid
}

// refill keeps reads under way, up to the listed size: tree.Ahead before the
// file's turn has come, then as much on each lane. Whether that is the end is
// asked for along with the last of them, so that nobody waits for it.
func (f *file) refill() {
	if f.asked < f.listed.Size {
		select {
		case lanes := <-f.wider:
			f.lanes, f.wider = append(f.lanes, lanes...), nil
		default:
		}
	}
	ahead := int64(tree.Ahead)
	if f.turn {
		ahead *= int64(len(f.lanes))
	}
	for f.asked < f.listed.Size && f.asked+f.readSize <= f.offset+ahead {
		f.ask(min(f.readSize, f.listed.Size-f.asked))
		if f.asked == f.listed.Size {
			f.askStat()
		}
	}
}

func (f *file) ask(n int64) {
	buffer := f.buffers.take(int(n))
	data := buffer[:n]
	lane := slices.MinFunc(f.lanes, func(a, b *lane) int { return cmp.Compare(a.under, b.under) })
	f.flight = append(f.flight, piece{lane: lane, call: lane.read(f.asked, data), buffer: buffer, data: data})
	f.asked += n
}

func (l *lane) read(offset int64, data []byte) *wire.Call {
	l.under++
	return l.handle.Read(offset, data)
}

// askStat asks for the attributes as they are after all reads under way: a
// server has to do in order what concerns one file.
func (f *file) askStat() {
	for _, l := range f.lanes {
		l.stat = l.handle.Stat()
	}
	f.statAt = f.asked
}

func (f *file) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if !f.turn {
		f.turn = true
		f.refill()
	}
	for {
		if f.ended {
			return 0, io.EOF
		}
		if len(f.flight) == 0 {
			if err := f.more(); err != nil {
				return 0, err
			}
			continue
		}
		p := &f.flight[0]
		if !p.settle {
			n, err := p.lane.handle.Data(p.call)
			p.lane.under--
			if err == io.EOF {
				f.ended = true
				continue
			}
			if err != nil {
				return 0, judge("reading", err)
			}
			p.got, p.settle = n, true
		}
		if p.used < p.got {
			n := copy(b, p.data[p.used:p.got])
			p.used += n
			f.offset += int64(n)
			return n, nil
		}
		if p.got < len(p.data) {
			// The server gave less than it was asked for, which it may:
			// ask for the rest, before what follows.
			rest := p.data[p.got:]
			*p = piece{lane: p.lane, buffer: p.buffer, data: rest, call: p.lane.read(f.offset, rest)}
			f.statAt = -1
			continue
		}
		f.buffers.give(p.buffer)
		f.flight = slices.Delete(f.flight, 0, 1)
		f.refill()
	}
}

// more decides what comes after the listed size: as long as the file has more
// by now, that is read too.
func (f *file) more() error {
	now, err := f.attrs()
	if err != nil {
		return err
	}
	if now.Has(wire.HasSize) && now.Size == uint64(f.offset) {
		f.ended = true
		return nil
	}
	f.ask(f.readSize)
	return nil
}

// attrs returns the attributes as they were when all that was handed out had
// been read: where a lane has others than were listed, those.
func (f *file) attrs() (wire.Attrs, error) {
	if f.statAt != f.offset { // since then less came, or more
		f.askStat()
	}
	var now wire.Attrs
	for _, l := range f.lanes {
		var err error
		if now, err = l.handle.Attrs(l.stat); err != nil {
			return now, judge("asking for its attributes", err)
		}
		if e := entryOf(now); e.Size != f.listed.Size || !e.MTime.Equal(f.listed.MTime) {
			break // what one connection has shows that it changed, or is another file
		}
	}
	return now, nil
}

// Stat implements tree.File.
func (f *file) Stat() (safe.Entry, error) {
	now, err := f.attrs()
	if err != nil {
		return safe.Entry{}, err
	}
	if !plausible(now) {
		return safe.Entry{}, &source.Problem{Kind: source.Invalid, Err: errors.New("the server does not tell its size and time after reading")}
	}
	return entryOf(now), nil
}

func (f *file) Close() error {
	close(f.closed)
	for _, l := range f.lanes {
		l.link.give(l.handle)
	}
	return nil
}

// buffers are those of reads that are done, to be used again.
type buffers chan []byte

// idleBuffers bounds how many lie idle, to 4 MiB.
const idleBuffers = 16

func (b buffers) take(n int) []byte {
	select {
	case buffer := <-b:
		if n <= cap(buffer) {
			return buffer[:cap(buffer)]
		}
	default:
	}
	return make([]byte, n)
}

// give takes a buffer back, into which nothing is being read any more.
func (b buffers) give(buffer []byte) {
	select {
	case b <- buffer:
	default:
	}
}

// owners remembers what the numbers of users and groups are called on the host.
type owners struct {
	mu     sync.Mutex // guards the fields below
	users  map[uint32]string
	groups map[uint32]string
}

// maxOwners bounds what is remembered; a page of a listing can have thousands
// of new owners, so a little more may be.
const maxOwners = 10_000

// learn asks for the owners in page that are not known yet: most often none.
func (o *owners) learn(client *wire.Client, page []wire.Name) error {
	uids, gids := o.unknown(page)
	if len(uids) == 0 && len(gids) == 0 {
		return nil
	}
	users, groups, err := client.Owners(uids, gids)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.users == nil {
		o.users, o.groups = make(map[uint32]string), make(map[uint32]string)
	}
	note(o.users, uids, users)
	note(o.groups, gids, groups)
	return nil
}

// unknown returns the owners in page to ask for, each once.
func (o *owners) unknown(page []wire.Name) (uids, gids []uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.users) >= maxOwners || len(o.groups) >= maxOwners {
		return nil, nil
	}
	for _, n := range page {
		if _, ok := o.users[n.UID]; !ok {
			uids = append(uids, n.UID)
		}
		if _, ok := o.groups[n.GID]; !ok {
			gids = append(gids, n.GID)
		}
	}
	slices.Sort(uids)
	slices.Sort(gids)
	return slices.Compact(uids), slices.Compact(gids)
}

// note remembers names, and also that there are none.
func note(known map[uint32]string, ids []uint32, names []string) {
	for i, id := range ids {
		known[id] = ""
		if i < len(names) && reasonable(names[i]) {
			known[id] = names[i]
		}
	}
}

// reasonable reports whether name may be that of a user or group: what is to
// be shown to people and given to chown(1) has no odd characters in it.
func reasonable(name string) bool {
	const odd = "/:,\"'`$&|;<>()*?!~#"
	return len(name) <= 255 && strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(odd, r) }) < 0
}

func (o *owners) names(uid, gid uint32) (user, group string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.users[uid], o.groups[gid]
}
