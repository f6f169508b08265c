package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"strongroom/internal/store/chunk"
)

// A source is what is collected: files of chunks, in path order. It has no
// content: that a chunk is changed is all that is known of it.
type source struct {
	random  *rand.Rand
	stream  bool     // files are streams, as dumps are: read every night, each chunk with its own turn
	files   []file   // those before gone were deleted
	gone    int      // only from the front: what is deleted here is what is oldest
	lengths []uint32 // of the chunks of all files
	bytes   int64    // of the files that are there
}

// A file has the chunks first to end.
type file struct {
	path       string
	first, end int
}

func (f file) chunks() int { return f.end - f.first }

// A churn changes a source as a day does, and returns which chunks have other
// content now, ascending. It may add files at the end and delete some at the
// front.
type churn func(s *source, night int) (changed []int)

func newSource(seed uint64) *source {
	return &source{random: rand.New(rand.NewPCG(seed, 0))}
}

// add appends a file of that size.
func (s *source) add(path string, size int64, sizes chunk.Sizes) {
	f := file{path: path, first: len(s.lengths)}
	s.bytes += size
	for size > 0 {
		n := min(chunkLength(s.random.ExpFloat64(), sizes), size)
		s.lengths = append(s.lengths, uint32(n))
		size -= n
	}
	f.end = len(s.lengths)
	s.files = append(s.files, f)
}

// fileOf returns the file that a chunk belongs to.
func (s *source) fileOf(c int) int {
	return sort.Search(len(s.files), func(i int) bool { return s.files[i].end > c })
}

// size returns the length of a file.
func (s *source) size(f file) (n int64) {
	for _, length := range s.lengths[f.first:f.end] {
		n += int64(length)
	}
	return n
}

// chunkLength returns the length of a chunk of content that has no pattern: x,
// exponentially distributed, is spent at the rate at which package chunk cuts.
func chunkLength(x float64, sizes chunk.Sizes) int64 {
	turn := sizes.Avg - 3*sizes.Avg/16
	strict := float64(turn-sizes.Min) / float64(4*sizes.Avg)
	length := float64(sizes.Min) + x*float64(4*sizes.Avg)
	if x > strict {
		length = float64(turn) + (x-strict)*float64(sizes.Avg/4)
	}
	return min(int64(length), int64(sizes.Max))
}

// fill adds a folder of files up to so many bytes. Half of the files are below
// 256 KiB and the mean is near 3 MiB, so that most bytes are in few files, as
// on file servers.
func (s *source) fill(folder string, bytes int64) {
	most := max(bytes/20, 1<<20)
	for i := 0; bytes > 0; i++ {
		size := int64(math.Exp(math.Log(256<<10) + 2.2*s.random.NormFloat64()))
		size = min(max(size, 1), most, bytes)
		s.add(fmt.Sprintf("%s/%03d/%04d", folder, i/10_000, i%10_000), size, chunk.Files)
		bytes -= size
	}
}

// dump makes a source of one stream.
func dump(seed uint64, bytes int64) *source {
	s := newSource(seed)
	s.stream = true
	s.add("erp.dump", bytes, chunk.Records)
	return s
}

// tree makes a source of files.
func tree(seed uint64, bytes int64) *source {
	s := newSource(seed)
	s.fill("data", bytes)
	return s
}

// some returns a part of 0 to n-1, ascending, each with the same probability.
func (s *source) some(n int, probability float64) (chosen []int) {
	if probability <= 0 {
		return nil
	}
	for i := -1; ; {
		// How many are passed over before the next is geometrically distributed.
		skip := math.Floor(math.Log(1-s.random.Float64()) / math.Log1p(-min(probability, 0.999)))
		if skip >= float64(n-1-i) {
			return chosen
		}
		i += 1 + int(skip)
		chosen = append(chosen, i)
	}
}

// scattered changes every chunk with the same probability.
func scattered(rate float64) churn {
	return func(s *source, _ int) []int { return s.some(len(s.lengths), rate) }
}

// rewritten changes every file with the same probability, from its first byte
// to its last.
func rewritten(rate float64) churn {
	return func(s *source, _ int) (changed []int) {
		for _, i := range s.some(len(s.files), rate) {
			for c := s.files[i].first; c < s.files[i].end; c++ {
				changed = append(changed, c)
			}
		}
		return changed
	}
}

// hot changes chunks at the rate, but most of them in few files: of a hundred
// changes 95 are in 5 files of a hundred, always the same ones.
func hot(rate float64) churn {
	var few, others []int // chunks
	var fewShare float64  // of all chunks
	return func(s *source, night int) []int {
		if few == nil {
			isHot := s.some(len(s.files), 0.05)
			for i, f := range s.files {
				into := &others
				if len(isHot) > 0 && isHot[0] == i {
					into, isHot = &few, isHot[1:]
				}
				for c := f.first; c < f.end; c++ {
					*into = append(*into, c)
				}
			}
			fewShare = float64(len(few)) / float64(len(s.lengths))
		}
		var changed []int
		for _, i := range s.some(len(few), 0.95*rate/fewShare) {
			changed = append(changed, few[i])
		}
		for _, i := range s.some(len(others), 0.05*rate/(1-fewShare)) {
			changed = append(changed, others[i])
		}
		slices.Sort(changed)
		return changed
	}
}

// uploads adds files every night and changes none.
func uploads(bytes int64) churn {
	return func(s *source, night int) []int {
		s.fill(fmt.Sprintf("uploads/%04d", night), bytes)
		return nil
	}
}

// logs returns a source of dated files, and a churn that adds a day and
// deletes the oldest.
func logs(seed uint64, bytes int64, days int) (*source, churn) {
	s := newSource(seed)
	daily := bytes / int64(days)
	var begins []int // by day: the first of its files
	day := func(s *source) {
		begins = append(begins, len(s.files))
		s.fill(fmt.Sprintf("log/%04d", len(begins)), daily)
	}
	for range days {
		day(s)
	}
	return s, func(s *source, night int) []int {
		day(s)
		for s.gone < begins[len(begins)-days] {
			s.bytes -= s.size(s.files[s.gone])
			s.gone++
		}
		return nil
	}
}
