// Package generated is a source that is made up as it is pulled: any number of
// files, of any length, the same for the same seed, at the cost of next to no
// memory and of little more time than copying its content takes. It stands for
// a production host that no test machine has room for.
//
// Content cannot be compressed, and no two files have any in common. Night
// after night a part of the files is written anew, and nothing else changes:
// there are no links, attributes, problems or files that come and go, for which
// there are smaller tests.
package generated

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// A Shape is what a source is like.
type Shape struct {
	Seed  uint64
	Files int64
	// Shortest and Longest bound the lengths of files, in bytes. Between them
	// each doubling has as many files as every other, as in real trees, where
	// most files are short and most bytes are in long ones.
	Shortest, Longest int64
	// Night is how many nights have passed, Change the part of the files that
	// was written anew on each of them, with the same length.
	Night  int
	Change float64
}

const (
	// Folders hold 100 to 1,000 files, and folders of folders 256.
	fewestInFolder, mostInFolder = 100, 1000
	foldersInFolder              = 256

	top = "srv"
)

// begun is when the oldest files were written.
var begun = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// A Source is a source.Source of a Shape.
type Source struct {
	shape   Shape
	noise   *noise
	entries int64 // yielded by the last Pull
}

// New returns a source of a shape.
func New(shape Shape) *Source { return &Source{shape: shape, noise: newNoise(shape.Seed)} }

// Matches tells of one line that includes everything.
func (s *Source) Matches() []source.Match {
	return []source.Match{{Pattern: "/" + top, Entries: s.entries}}
}

// Pull yields the entries. What is needed is asked just before it is yielded.
func (s *Source) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		s.entries = 0
		for e, key := range s.all() {
			if err := context.Cause(ctx); err != nil {
				yield(source.Item{}, err)
				return
			}
			item := source.Item{Entry: e}
			if e.Type == safe.File && (request.Need == nil || request.Need(e)) {
				item = s.item(ctx, e, key)
			}
			s.entries++
			if !yield(item, nil) {
				return
			}
		}
	}
}

// Entries yields what Pull does, without content.
func (s *Source) Entries() iter.Seq[safe.Entry] {
	return func(yield func(safe.Entry) bool) {
		for e := range s.all() {
			if !yield(e) {
				return
			}
		}
	}
}

// File returns the nth file, counted from 0, after making up the names of those
// before it.
func (s *Source) File(ctx context.Context, n int64) source.Item {
	for e, key := range s.all() {
		if e.Type != safe.File {
			continue
		}
		if n == 0 {
			return s.item(ctx, e, key)
		}
		n--
	}
	panic("generated: there are fewer files than that")
}

func (s *Source) item(ctx context.Context, e safe.Entry, key uint64) source.Item {
	return source.Item{Entry: e, Content: &content{ctx: ctx, noise: s.noise, key: key, size: e.Size}}
}

// all yields all entries in path order, files with the key of their content.
func (s *Source) all() iter.Seq2[safe.Entry, uint64] {
	return func(yield func(safe.Entry, uint64) bool) {
		if !yield(folder(top), 0) {
			return
		}
		file, above, within := int64(0), "", ""
		for n := 0; file < s.shape.Files; n++ {
			if n%foldersInFolder == 0 {
				above = fmt.Sprintf("%s/%05d", top, n/foldersInFolder)
				if !yield(folder(above), 0) {
					return
				}
			}
			within = fmt.Sprintf("%s/%03d", above, n%foldersInFolder)
			if !yield(folder(within), 0) {
				return
			}
			size := fewestInFolder + int64(mix(s.shape.Seed, uint64(n))%(mostInFolder-fewestInFolder+1))
			for last := min(file+size, s.shape.Files); file < last; file++ {
				if !yield(s.file(within, file)) {
					return
				}
			}
		}
	}
}

func folder(path string) safe.Entry {
	return safe.Entry{Path: path, Type: safe.Dir, Mode: 0o755, User: "root", Group: "root", MTime: begun, CTime: begun, Inode: 2}
}

// file returns the nth file, which lies in a folder.
func (s *Source) file(folder string, n int64) (safe.Entry, uint64) {
	key := mix(s.shape.Seed+1, uint64(n))
	written := begun.Add(time.Duration(key % uint64(365*24*time.Hour)))
	path := fmt.Sprintf("%s/document-%08d-%04x.pdf", folder, n, uint16(key))
	length := s.length(key)
	if night := s.lastChange(key); night > 0 {
		key = mix(key, uint64(night))
		written = begun.AddDate(1, 0, night)
	}
	return safe.Entry{
		Path: path, Type: safe.File, Mode: 0o640, UID: 1001, GID: 1001, User: "erp", Group: "erp",
		MTime: written, CTime: written, Inode: 1<<20 + uint64(n), Size: length,
	}, key
}

func (s *Source) length(key uint64) int64 {
	ratio := float64(s.shape.Longest) / float64(s.shape.Shortest)
	return int64(float64(s.shape.Shortest) * math.Pow(ratio, part(mix(key, 1<<32))))
}

// lastChange returns the last night on which a file was written anew, 0 if
// there was none.
func (s *Source) lastChange(key uint64) int {
	night := s.shape.Night
	for night > 0 && part(mix(key, 1<<33+uint64(night))) >= s.shape.Change {
		night--
	}
	return night
}

// mix returns numbers that look random (splitmix64): for one seed, different
// ones for different n.
func mix(seed, n uint64) uint64 {
	x := seed*0xD1342543DE82EF95 + n*0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// part turns a number of mix into one from 0 to 1.
func part(x uint64) float64 { return float64(x>>11) / (1 << 53) }

// noise is what content is made of. Each block of that is one stretch of random
// bytes laid over another, at places that come from a key: that is as quick as
// copying, and there are 2^40 pairs of places.
type noise struct{ one, other [noisePlaces + blockSize]byte }

const (
	noisePlaces = 1 << 20
	blockSize   = 64 << 10
)

func newNoise(seed uint64) *noise {
	n := new(noise)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	random := rand.NewChaCha8(key)
	random.Read(n.one[:])
	random.Read(n.other[:])
	return n
}

// fill writes what is at an offset of a block, as far as the block goes. The
// block begins with its key, so that short contents differ for certain too.
func (n *noise) fill(p []byte, key uint64, offset int) int {
	p = p[:min(len(p), blockSize-offset)]
	one, other := n.one[key%noisePlaces:], n.other[key>>32%noisePlaces:]
	subtle.XORBytes(p, one[offset:][:len(p)], other[offset:][:len(p)])
	if offset < 8 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], key)
		copy(p, b[offset:])
	}
	return len(p)
}

// content reads a file.
type content struct {
	ctx      context.Context // of the Pull, with which reading ends
	noise    *noise
	key      uint64
	at, size int64
}

func (c *content) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	if c.at == c.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.size-c.at)]
	for done := 0; done < len(p); {
		n := c.noise.fill(p[done:], mix(c.key, uint64(c.at/blockSize)), int(c.at%blockSize))
		done += n
		c.at += int64(n)
	}
	return len(p), nil
}

func (c *content) Close() error { return nil }
