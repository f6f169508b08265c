package restore

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"sync"

	"strongroom/internal/safe"
)

// describe gives a file or folder its metadata; f is what is called name in
// the folder in. What cannot be set is a loss of its own.
//
// The order matters: a change of the owner clears setuid, setgid and
// capabilities, an ACL changes the mode, a mode can make the attributes
// unchangeable, and the time is what says that all was done.
func (r *restorer) describe(f *os.File, in *os.Root, name string, e safe.Entry) {
	mode := e.Mode
	if !r.giveAway(e, f.Chown) && mode&(setuid|setgid) != 0 {
		mode &^= setuid | setgid
		r.tally.lose(e.Path, Mode, errors.New("setuid and setgid are left out, since the owner is another"))
	}
	for _, x := range slices.Sorted(maps.Keys(e.Xattrs)) {
		if err := setXattr(f, x, e.Xattrs[x]); err != nil {
			r.tally.lose(e.Path, Xattr, fmt.Errorf("%q: %w", x, err))
		}
	}
	if !hasModes {
		r.tally.skip(Mode, "this system has no such modes")
	} else if err := f.Chmod(fileMode(mode)); err != nil {
		r.tally.lose(e.Path, Mode, err)
	}
	err := errTime
	if timeFits(e.MTime) {
		err = setTime(f, in, name, e.MTime)
	}
	if err != nil {
		r.tally.lose(e.Path, MTime, err)
	}
}

// describeSymlink is describe for the link itself. Links have no mode of their
// own.
func (r *restorer) describeSymlink(in *os.Root, name string, e safe.Entry) {
	r.giveAway(e, func(uid, gid int) error { return in.Lchown(name, uid, gid) })
	dir, err := in.Open(".")
	if err != nil {
		r.tally.lose(e.Path, MTime, err)
		return
	}
	defer dir.Close() // was opened for reading
	for _, x := range slices.Sorted(maps.Keys(e.Xattrs)) {
		if err := setSymlinkXattr(dir, name, x, e.Xattrs[x]); err != nil {
			r.tally.lose(e.Path, Xattr, fmt.Errorf("%q: %w", x, err))
		}
	}
	err = errTime
	if timeFits(e.MTime) {
		err = setSymlinkTime(dir, name, e.MTime)
	}
	if err != nil {
		r.tally.lose(e.Path, MTime, err)
	}
}

var errTime = errors.New("the year cannot be set")

// The bits of safe.Entry.Mode beyond the permissions.
const (
	setuid = 0o4000
	setgid = 0o2000
	sticky = 0o1000
)

func fileMode(mode uint32) os.FileMode {
	m := os.FileMode(mode & 0o777)
	if mode&setuid != 0 {
		m |= os.ModeSetuid
	}
	if mode&setgid != 0 {
		m |= os.ModeSetgid
	}
	if mode&sticky != 0 {
		m |= os.ModeSticky
	}
	return m
}

// euid is who restores.
var euid = sync.OnceValue(os.Geteuid)

// giveAway gives an entry its owner by calling chown, and tells whether the
// owner is now as it was on the source, by number or, if so wanted, by name.
func (r *restorer) giveAway(e safe.Entry, chown func(uid, gid int) error) bool {
	switch euid := euid(); {
	case r.opts.Owner == NoOwner, e.Type == safe.Stream: // what a program wrote belonged to nobody
		return false
	case euid < 0:
		r.tally.skip(Owned, "this system has no such owners")
		return false
	case euid != 0 && uint32(euid) != e.UID:
		r.tally.skip(Owned, "only root can give files away")
		return false
	}
	uid, gid := e.UID, e.GID
	if r.opts.Owner == ByName {
		var err error
		if uid, err = r.names.number(userNumber, e.User, uid); err != nil {
			r.tally.lose(e.Path, Owned, err)
		}
		if gid, err = r.names.number(groupNumber, e.Group, gid); err != nil {
			r.tally.lose(e.Path, Owned, err)
		}
	}
	if err := chown(int(uid), int(gid)); err != nil {
		r.tally.lose(e.Path, Owned, err)
		return false
	}
	return true
}

// nameNumbers remembers what numbers the names of users and groups have here.
// It may be used concurrently.
type nameNumbers struct {
	mu    sync.Mutex // guards known; held during a lookup, which reads a file of the system
	known map[nameOf]numberOf
}

type (
	nameOf struct {
		group bool
		name  string
	}
	numberOf struct {
		id  uint32
		err error
	}
)

const (
	userNumber  = false
	groupNumber = true
)

// maxNames bounds what is remembered: a manifest can have any number of names.
const maxNames = 10_000

// number returns the number of a name, or otherwise if it has none here or is
// empty.
func (n *nameNumbers) number(group bool, name string, otherwise uint32) (uint32, error) {
	if name == "" {
		return otherwise, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	key := nameOf{group, name}
	found, ok := n.known[key]
	if !ok {
		found.id, found.err = lookUp(key)
		if n.known == nil || len(n.known) >= maxNames {
			n.known = make(map[nameOf]numberOf)
		}
		n.known[key] = found
	}
	if found.err != nil {
		return otherwise, found.err
	}
	return found.id, nil
}

func lookUp(key nameOf) (uint32, error) {
	var text string
	if key.group {
		g, err := user.LookupGroup(key.name)
		if err != nil {
			return 0, err
		}
		text = g.Gid
	} else {
		u, err := user.Lookup(key.name)
		if err != nil {
			return 0, err
		}
		text = u.Uid
	}
	id, err := strconv.ParseUint(text, 10, 32)
	return uint32(id), err
}
