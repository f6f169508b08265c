package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"strongroom/internal/safe"
	"strongroom/internal/source/local/xattrat"
	"strongroom/internal/source/tree"
)

const (
	// whole is up to which size a file is read and closed ahead of its turn.
	whole = 128 << 10
	// xattrBytes bounds the names, and the values, of one entry's extended
	// attributes: what Linux allows for one value.
	xattrBytes = 64 << 10
)

// files is the tree of this host.
type files struct {
	users, groups names
}

func newFiles() *files {
	return &files{
		users: names{lookup: func(id string) (string, error) {
			u, err := user.LookupId(id)
			if err != nil {
				return "", err
			}
			return u.Username, nil
		}},
		groups: names{lookup: func(id string) (string, error) {
			g, err := user.LookupGroupId(id)
			if err != nil {
				return "", err
			}
			return g.Name, nil
		}},
	}
}

func (f *files) learnOwners() {
	f.users.learn("/etc/passwd")
	f.groups.learn("/etc/group")
}

// Interrupt does nothing: no call waits for anyone but the own disk.
func (f *files) Interrupt() {}

func (f *files) Root() (tree.Dir, error) {
	// Landlock asks no right for O_PATH.
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /: %w", err)
	}
	return &dir{files: f, fd: fd}, nil
}

// dir is a folder, by a descriptor that no renaming leads astray.
type dir struct {
	files *files
	fd    int
}

func (d *dir) Close() { unix.Close(d.fd) } // was opened for reading: nothing can be lost

func (d *dir) Sub(name string, list bool) (tree.Dir, error) {
	flags := unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if !list {
		flags |= unix.O_PATH
	}
	fd, err := retry(func() (int, error) { return unix.Openat(d.fd, name, flags, 0) })
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("was a folder and is none any more: %w", fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("opening the folder: %w", err)
	}
	return &dir{files: d.files, fd: fd}, nil
}

func (d *dir) Names(add func(tree.Name) error) error {
	buf := make([]byte, 32<<10)
	var names []string
	for {
		n, err := retry(func() (int, error) { return unix.Getdents(d.fd, buf) })
		if err != nil || n == 0 {
			return err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0]) // leaves out "." and ".."
		for _, name := range names {
			if err := add(tree.Name{Name: name}); err != nil {
				return err
			}
		}
	}
}

func (d *dir) Describe(n tree.Name) (tree.Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd, n.Name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return tree.Stat{}, fmt.Errorf("asking for its attributes: %w", err)
	}
	s := tree.Stat{Entry: d.files.entry(&st)}
	if s.Type != safe.Dir && st.Nlink > 1 {
		s.File, s.Links = [2]uint64{uint64(st.Dev), st.Ino}, uint64(st.Nlink)
	}
	var err error
	if s.Xattrs, err = d.xattrs(n.Name); err != nil {
		return tree.Stat{}, fmt.Errorf("reading its extended attributes: %w", err)
	}
	return s, nil
}

func (f *files) entry(st *unix.Stat_t) safe.Entry {
	e := safe.Entry{
		Type:  tree.TypeOf(st.Mode),
		Mode:  st.Mode & 0o7777,
		UID:   st.Uid,
		GID:   st.Gid,
		User:  f.users.name(st.Uid),
		Group: f.groups.name(st.Gid),
		MTime: time.Unix(st.Mtim.Unix()).UTC(),
		CTime: time.Unix(st.Ctim.Unix()).UTC(),
		Inode: st.Ino,
	}
	if e.Type == safe.File {
		e.Size = st.Size
		e.Sparse = st.Blocks*512 < st.Size
	}
	return e
}

func (d *dir) Readlink(name string) (string, error) {
	buf := make([]byte, safe.MaxPath+1)
	n, err := unix.Readlinkat(d.fd, name, buf)
	if err != nil {
		return "", fmt.Errorf("reading the symbolic link: %w", err)
	}
	return string(buf[:n]), nil
}

// xattrs returns the extended attributes of name. Only from Linux 6.13 on is
// there a call for it that takes a folder's descriptor. It serves to see that
// there are none, as most often; else the way leads through /proc, which takes
// longer and does not depend on what the folder is called by now either.
func (d *dir) xattrs(name string) (map[string][]byte, error) {
	if xattrat.None(d.fd, name) {
		return nil, nil
	}
	path := "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + name
	var few [1024]byte
	list := few[:]
	n, err := unix.Llistxattr(path, list)
	if errors.Is(err, unix.ERANGE) {
		list = make([]byte, xattrBytes)
		n, err = unix.Llistxattr(path, list)
	}
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, total := make(map[string][]byte), 0
	value := make([]byte, xattrBytes)
	for name := range bytes.SplitSeq(bytes.TrimSuffix(list[:n], []byte{0}), []byte{0}) {
		n, err := unix.Lgetxattr(path, string(name), value)
		switch {
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
			continue // gone again, or of a namespace that is not for us, as trusted.*
		case err != nil:
			return nil, err
		}
		if total += n; total > xattrBytes {
			return nil, fmt.Errorf("they have more than %d bytes", xattrBytes)
		}
		all[string(name)] = bytes.Clone(value[:n])
	}
	return all, nil
}

// Open opens a regular file. Should something else have taken its name, it is
// not followed, waited for or set in motion: O_NOFOLLOW is for links,
// O_NONBLOCK for pipes and devices.
func (d *dir) Open(name string, listed safe.Entry) (tree.File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("was a file and is none any more: %w", fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("opening: %w", err)
	}
	f := &file{files: d.files, fd: fd}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("asking for its attributes: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, fmt.Errorf("was a file and is none any more: %w", fs.ErrNotExist)
	}
	if st.Size > whole {
		// The kernel reads ahead from the file's beginning while the
		// consumer is still busy with the files before. It is only advice.
		_ = unix.Fadvise(fd, 0, tree.Ahead, unix.FADV_WILLNEED)
		return f, nil
	}
	defer f.Close()
	return readWhole(f, st.Size)
}

// readWhole reads a small file. One that has grown over the bound meanwhile
// ends there, and its size by then says that it changed.
func readWhole(f *file, size int64) (tree.File, error) {
	data := make([]byte, 0, size+1) // one more, so that the end shows itself without another round
	for {
		if len(data) == cap(data) {
			if len(data) > whole {
				break
			}
			data = append(data, make([]byte, 4096)...)[:len(data)]
		}
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	now, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &memory{Reader: bytes.NewReader(data), now: now}, nil
}

// memory is a file that was read and closed.
type memory struct {
	*bytes.Reader
	now safe.Entry
}

func (m *memory) Stat() (safe.Entry, error) { return m.now, nil }
func (m *memory) Close() error              { return nil }

// file is an open file. It does without os.File, whose poller has no use for
// regular files and costs two system calls each.
type file struct {
	files *files
	fd    int
}

func (f *file) Read(b []byte) (int, error) {
	n, err := retry(func() (int, error) { return unix.Read(f.fd, b) })
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading: %w", err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (f *file) Stat() (safe.Entry, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return safe.Entry{}, fmt.Errorf("asking for its attributes: %w", err)
	}
	return f.files.entry(&st), nil
}

func (f *file) Close() error { return os.NewSyscallError("close", unix.Close(f.fd)) }

// retry calls again what a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// names remembers what numbers of users or groups are called.
type names struct {
	lookup func(id string) (string, error)

	mu    sync.Mutex // guards known; held during a lookup, which reads a file of the system
	known map[uint32]string
}

// maxNames bounds what is remembered: a tree can have any number of owners.
const maxNames = 10_000

// name returns "" if id has no name.
func (n *names) name(id uint32) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.known[id]
	if ok {
		return name
	}
	if len(n.known) >= maxNames {
		return ""
	}
	name, err := n.lookup(strconv.FormatUint(uint64(id), 10))
	if err != nil {
		name = "" // most often: no such user here; the number says who it is
	}
	if n.known == nil {
		n.known = make(map[uint32]string)
	}
	n.known[id] = name
	return name
}

// learn notes all names of a file in which each line begins with a name and has
// its number in the third field. Where it cannot be read there are no names,
// as on a host that keeps them elsewhere.
func (n *names) learn(file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = make(map[uint32]string)
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || len(n.known) >= maxNames {
			continue
		}
		id, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			continue
		}
		if _, ok := n.known[uint32(id)]; !ok { // of two names for a number the first counts
			n.known[uint32(id)] = fields[0]
		}
	}
}
