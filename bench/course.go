package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A course is a set of data, and what each contender does with it in turn.
type course struct {
	name       string
	title      string
	data       dataset
	one        string // a file of the data, for the operation of that name
	contenders []contender
	steps      []step
	runs       int      // of each contender
	media      []string // where it makes sense
	remark     string   // for the document, on what its figures mean; "" if they speak for themselves
	// begin prepares what all contenders share, such as a server, and what ends
	// it. It may add variables to the stage. nil if there is nothing.
	begin func(ctx context.Context, s *stage) (end func() error, err error)
}

// A step is one operation of a course, and one row of the document.
type step struct {
	name    string
	version int // of the data, as it is then
	do      operation
	// must and aim are how many times as fast as the fastest peer we are to be;
	// 0 if nothing was promised.
	must, aim float64
	size      bool // what is stored then is compared, too
}

// Where a course can take place: data, repository and target together.
const (
	tmpfs = "tmpfs" // in memory: the work alone
	disk  = "disk"  // on a filesystem, with all of it written out when a step ends
)

// A stage is where a course takes place.
type stage struct {
	medium string
	dir    string            // everything is below it
	vars   map[string]string // for the lines of contenders
	facts  facts
}

// source is the folder that contenders are to keep.
func (s *stage) source() string { return filepath.Join(s.dir, "source") }

// A measurement is what one step of one contender took, once.
type measurement struct {
	Step, Contender string
	Cost            cost
	Stored          int64 // in the repository afterwards, in bytes without parity
	Parity          int64 // beside that
	New             int64 // of Stored, what this step has added
}

// measure lets the contenders of a course take turns, on every medium, and
// saves what it has measured.
func (c course) measure(ctx context.Context, o options, out io.Writer) error {
	var present []contender
	for _, who := range c.contenders {
		switch {
		case who.installed():
			present = append(present, who)
		case !o.short || who.name == ours:
			return fmt.Errorf("%s is not installed", who.program())
		default:
			fmt.Fprintf(out, "%s: %s is not there, and left out\n", c.name, who.program())
		}
	}
	if o.runs > 0 {
		c.runs = o.runs
	}
	if o.short {
		c.runs = 1
	}
	for _, medium := range c.media {
		if len(o.media) > 0 && !slices.Contains(o.media, medium) {
			continue
		}
		r, err := c.on(ctx, medium, present, o, out)
		if err != nil {
			return fmt.Errorf("on %s: %w", medium, err)
		}
		if err := r.save(o.results(), c.name, medium); err != nil {
			return fmt.Errorf("saving results: %w", err)
		}
	}
	return nil
}

// on measures a course on a medium.
func (c course) on(ctx context.Context, medium string, contenders []contender, o options, out io.Writer) (_ result, err error) {
	fmt.Fprintf(out, "\n%s, on %s\n", c.title, medium)
	parent := o.dir
	if medium == tmpfs {
		parent = o.memory
	}
	data, err := c.data.prepare(filepath.Join(o.dir, "data"), out)
	if err != nil {
		return result{}, fmt.Errorf("making the data: %w", err)
	}
	if medium == tmpfs {
		// At most the source, a repository as large, and a target.
		if err := room(parent, 3*data.Bytes); err != nil {
			return result{}, err
		}
	}
	dir, err := os.MkdirTemp(parent, "strongroom-bench-")
	if err != nil {
		return result{}, fmt.Errorf("making a folder to work in: %w", err)
	}
	defer func() { err = errors.Join(err, remove(dir)) }()
	s := &stage{medium: medium, dir: dir, vars: make(map[string]string), facts: data}
	if c.begin != nil {
		end, err := c.begin(ctx, s)
		if err != nil {
			return result{}, fmt.Errorf("preparing: %w", err)
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	r := result{Data: data, Runs: c.runs, Programs: make(map[string]string)}
	if r.Filesystem, err = filesystem(dir); err != nil {
		return result{}, err
	}
	for _, who := range contenders {
		if r.Programs[who.name], err = who.release(); err != nil {
			return result{}, fmt.Errorf("asking %s for its version: %w", who.name, err)
		}
	}
	version := -1 // of the data that lies in source
	for run := range c.runs {
		for _, who := range contenders {
			t := &turn{course: c, stage: s, contender: who, careful: o.short || run == 0, version: &version, out: out}
			got, err := t.take(ctx)
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", who.name, err)
			}
			r.Measurements = append(r.Measurements, got...)
		}
	}
	return r, nil
}

// room says whether a tmpfs can hold so much beside half of what is free now:
// whatever lies there takes memory from those who are measured.
func room(dir string, bytes int64) error {
	const most = 8 << 30
	var free syscall.Statfs_t
	if err := syscall.Statfs(dir, &free); err != nil {
		return fmt.Errorf("looking for room in %s: %w", dir, err)
	}
	if bytes > most || bytes > int64(free.Bavail)*free.Bsize/2 {
		return fmt.Errorf("%d MB are too much for %s", bytes/1e6, dir)
	}
	return nil
}

// A turn is one contender's way through a course, from an empty repository.
type turn struct {
	course
	*stage
	contender
	careful     bool // compare what was restored
	version     *int // of the data that lies in the source now
	collections int
	newest      string // $SNAPSHOT
	out         io.Writer
}

func (t *turn) home() string   { return filepath.Join(t.dir, "contender", "home") }
func (t *turn) repo() string   { return filepath.Join(t.dir, "contender", "repo") }
func (t *turn) target() string { return filepath.Join(t.dir, "contender", "target") }
func (t *turn) output() string { return filepath.Join(t.dir, "output") }

// get returns a variable of the command lines.
func (t *turn) get(name string) string {
	switch name {
	case "HOME":
		return t.home()
	case "REPO":
		return t.repo()
	case "SOURCE":
		return t.source()
	case "TARGET":
		return t.target()
	case "ONE":
		return t.course.one
	case "N":
		return strconv.Itoa(t.collections)
	case "SNAPSHOT":
		return t.newest
	default:
		return t.vars[name]
	}
}

// environment is what a contender sees: the path, and nothing of who measures.
func (t *turn) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC", "NO_COLOR=1",
		"HOME=" + t.home(), "XDG_CONFIG_HOME=" + t.home() + "/config", "XDG_CACHE_HOME=" + t.home() + "/cache", "XDG_STATE_HOME=" + t.home() + "/state",
	}
	for _, v := range t.env {
		env = append(env, os.Expand(v, t.get))
	}
	return env
}

// take takes all steps.
func (t *turn) take(ctx context.Context) ([]measurement, error) {
	if err := t.discard(filepath.Join(t.dir, "contender")); err != nil {
		return nil, fmt.Errorf("removing what the last one made: %w", err)
	}
	for _, dir := range []string{t.home(), t.repo()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := t.lay(t.steps[0].version); err != nil {
		return nil, err
	}
	if err := warm(t.source()); err != nil {
		return nil, fmt.Errorf("reading the source once: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if err := os.WriteFile(filepath.Join(t.home(), name), []byte(os.Expand(t.files[name], t.get)), 0o600); err != nil {
			return nil, err
		}
	}
	for _, line := range t.prepare {
		if _, err := t.execute(ctx, line); err != nil {
			return nil, err
		}
	}
	var results []measurement
	stored, _, err := t.size()
	if err != nil {
		return nil, err
	}
	for _, st := range t.steps {
		line, able := t.lines[st.do]
		if !able {
			continue
		}
		if err := t.lay(st.version); err != nil {
			return nil, err
		}
		if st.do == collect {
			t.collections++
		}
		c, err := t.execute(ctx, line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", st.name, err)
		}
		m := measurement{Step: st.name, Contender: t.contender.name, Cost: c}
		before := stored
		if stored, m.Parity, err = t.size(); err != nil {
			return nil, err
		}
		m.Stored, m.New = stored, stored-before
		if err := t.check(st, m); err != nil {
			return nil, fmt.Errorf("%s: %w", st.name, err)
		}
		fmt.Fprintf(t.out, "  %-12s %-31s %7.2f s %7.2f core s %5d MiB %5d MiB %9.1f MB new\n",
			m.Contender, m.Step, c.Wall.Seconds(), c.Cores.Seconds(), c.Peak>>20, c.Sum>>20, float64(m.New)/1e6)
		results = append(results, m)
	}
	return results, nil
}

// lay puts a version of the data where the source is, if another one is there.
func (t *turn) lay(version int) error {
	if *t.version == version {
		return nil
	}
	if err := remove(t.source()); err != nil {
		return err
	}
	if err := duplicate(t.facts.folder(version), t.source()); err != nil {
		return fmt.Errorf("copying the data: %w", err)
	}
	*t.version = version
	return nil
}

// execute runs a line in an empty $TARGET and returns what it took. What it
// wrote is then in the file output.
func (t *turn) execute(ctx context.Context, line string) (cost, error) {
	if err := t.discard(t.target()); err != nil {
		return cost{}, err
	}
	if err := os.Mkdir(t.target(), 0o700); err != nil {
		return cost{}, err
	}
	output, err := os.Create(t.output())
	if err != nil {
		return cost{}, err
	}
	defer output.Close() // only read from here
	cmd, err := program(ctx, line, t.get, t.environment(), t.target(), output)
	if err != nil {
		return cost{}, err
	}
	if err := t.settle(); err != nil { // nobody waits for what others have written
		return cost{}, err
	}
	c, err := measure(cmd, t.settle)
	if err != nil {
		return cost{}, failed(line, output, err)
	}
	return c, nil
}

// discard makes room for a folder of the same name. On a disk its files are
// emptied and put aside until the course ends: ext4 does not use the inode of a
// removed file again for minutes, and looks at each of them whenever it makes a
// file, so whoever came next would pay several seconds for what another left.
func (t *turn) discard(dir string) error {
	if t.medium != disk {
		return remove(dir)
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside, err := os.MkdirTemp(t.dir, "past-")
	if err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(aside, filepath.Base(dir))); err != nil {
		return err
	}
	return empty(aside)
}

// settle waits until what was written would survive a loss of power. So each
// is charged for writing, whether it syncs by itself or not.
func (t *turn) settle() error {
	if t.medium != disk {
		return nil
	}
	dir, err := os.Open(t.dir)
	if err != nil {
		return err
	}
	defer dir.Close() // only to name the filesystem
	return unix.Syncfs(int(dir.Fd()))
}

// size returns the bytes of all files in the repository, those that are there
// to repair others apart.
func (t *turn) size() (stored, parity int64, err error) {
	total := func(dir string) (n int64, err error) {
		err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				n += info.Size()
			}
			return err
		})
		return n, err
	}
	if stored, err = total(t.repo()); err != nil {
		return 0, 0, fmt.Errorf("counting what is stored: %w", err)
	}
	if t.parity == "" {
		return stored, 0, nil
	}
	apart, err := filepath.Glob(filepath.Join(t.repo(), t.parity))
	if err != nil {
		return 0, 0, err
	}
	for _, dir := range apart {
		n, err := total(dir)
		if err != nil {
			return 0, 0, fmt.Errorf("counting what is there to repair: %w", err)
		}
		parity += n
	}
	return stored - parity, parity, nil
}
