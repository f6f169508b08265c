package sftp

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/tree"
)

// host is the tree of the other side.
type host struct {
	links   []*link
	clients []*wire.Client
	turn    atomic.Uint32
	owners  owners
}

// Close ends all connections and waits for everything that ran on them.
func (h *host) Close() {
	h.Interrupt()
	for _, l := range h.links {
		l.close()
	}
}

// Interrupt implements tree.Tree.
func (h *host) Interrupt() {
	for _, l := range h.links {
		l.conn.Interrupt()
	}
}

// Root implements tree.Tree.
func (h *host) Root() (tree.Dir, error) { return &dir{host: h, path: "/"}, nil }

// pick returns the connections in turn.
func (h *host) pick() *wire.Client {
	return h.clients[int(h.turn.Add(1))%len(h.clients)]
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

// Names implements tree.Dir. Two requests are under way at any time, so that
// a small folder takes two round trips.
func (d *dir) Names(add func(tree.Name) error) error {
	client := d.host.pick()
	handle, err := client.OpenDir(d.path)
	if err != nil {
		return judge("opening the folder", err)
	}
	defer handle.Close()
	next, afterNext := handle.List(), handle.List()
	dots := 0
	for {
		page, err := handle.Page(next)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return judge("listing the folder", err)
		}
		next, afterNext = afterNext, handle.List()
		if err := d.host.owners.learn(client, page); err != nil {
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
		client := d.host.pick()
		a, err := client.Lstat(d.join(n.Name))
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
	target, err := d.host.pick().Readlink(d.join(name))
	return target, judge("reading the symbolic link", err)
}

// Open implements tree.Dir.
func (d *dir) Open(name string, listed safe.Entry) (tree.File, error) {
	client := d.host.pick()
	handle, err := client.Open(d.join(name))
	if err != nil {
		return nil, judge("opening", err)
	}
	f := &file{handle: handle, readSize: int64(client.ReadSize()), listed: listed.Size}
	f.begin()
	return f, nil
}

// file reads an open file ahead of its reader. It is for one goroutine.
type file struct {
	handle   *wire.Handle
	readSize int64
	listed   int64 // size in the listing

	flight []piece // reads under way or not used up, without gaps
	asked  int64   // where the next read will begin
	offset int64   // how much was handed out
	spare  []byte  // a buffer to use again
	stat   *wire.Call
	statAt int64 // how much was read when stat was asked; -1 before
	ended  bool  // there is nothing more
}

// piece is one read.
type piece struct {
	call   *wire.Call
	data   []byte // what was asked for
	got    int
	used   int
	settle bool // got is valid
}

// begin asks for as much as may be read ahead. For a small file, that is all
// there is, and it takes one round trip.
func (f *file) begin() {
	f.statAt = -1
	if f.listed <= f.readSize {
		p := piece{data: make([]byte, f.listed)}
		if f.listed == 0 {
			f.stat = f.handle.Stat()
		} else {
			p.call, f.stat = f.handle.ReadAndStat(p.data)
			f.flight = append(f.flight, p)
		}
		f.asked, f.statAt = f.listed, f.listed
		return
	}
	f.refill()
}

// refill keeps reads under way, up to the listed size.
func (f *file) refill() {
	for f.asked < f.listed && f.asked+f.readSize <= f.offset+tree.Ahead {
		f.ask(min(f.readSize, f.listed-f.asked))
	}
}

func (f *file) ask(n int64) {
	data := f.spare
	f.spare = nil
	if int64(cap(data)) < n {
		data = make([]byte, n)
	}
	data = data[:n]
	f.flight = append(f.flight, piece{call: f.handle.Read(f.asked, data), data: data})
	f.asked += n
}

func (f *file) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
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
			n, err := f.handle.Data(p.call)
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
			p.data = p.data[p.got:]
			*p = piece{data: p.data, call: f.handle.Read(f.offset, p.data)}
			f.statAt = -1
			continue
		}
		f.spare = p.data[:0]
		f.flight = slices.Delete(f.flight, 0, 1)
		f.refill()
	}
}

// more decides what comes after the listed size: as long as the file has more
// by now, that is read too.
func (f *file) more() error {
	if f.statAt != f.offset {
		f.stat, f.statAt = f.handle.Stat(), f.offset
	}
	now, err := f.handle.Attrs(f.stat)
	if err != nil {
		return judge("asking for its attributes", err)
	}
	if now.Has(wire.HasSize) && now.Size == uint64(f.offset) {
		f.ended = true
		return nil
	}
	f.ask(f.readSize)
	return nil
}

// Stat implements tree.File.
func (f *file) Stat() (safe.Entry, error) {
	if f.statAt != f.offset {
		f.stat, f.statAt = f.handle.Stat(), f.offset
	}
	now, err := f.handle.Attrs(f.stat)
	if err != nil {
		return safe.Entry{}, judge("asking for its attributes", err)
	}
	if !plausible(now) {
		return safe.Entry{}, &source.Problem{Kind: source.Invalid, Err: errors.New("the server does not tell its size and time after reading")}
	}
	return safe.Entry{Size: int64(now.Size), MTime: time.Unix(int64(now.MTime), 0).UTC()}, nil
}

func (f *file) Close() error {
	f.handle.Close()
	return nil
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

// learn asks for the owners in page that are not known yet.
func (o *owners) learn(client *wire.Client, page []wire.Name) error {
	o.mu.Lock()
	uids, gids := make(map[uint32]bool), make(map[uint32]bool)
	if len(o.users) < maxOwners && len(o.groups) < maxOwners {
		for _, n := range page {
			if _, ok := o.users[n.UID]; !ok {
				uids[n.UID] = true
			}
			if _, ok := o.groups[n.GID]; !ok {
				gids[n.GID] = true
			}
		}
	}
	o.mu.Unlock()
	if len(uids) == 0 && len(gids) == 0 {
		return nil
	}
	askUsers, askGroups := slices.Collect(maps.Keys(uids)), slices.Collect(maps.Keys(gids))
	users, groups, err := client.Owners(askUsers, askGroups)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.users == nil {
		o.users, o.groups = make(map[uint32]string), make(map[uint32]string)
	}
	note(o.users, askUsers, users)
	note(o.groups, askGroups, groups)
	return nil
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
