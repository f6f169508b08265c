package chunk

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// small has the proportions of the sizes in use, so that tests see many
// chunks in little content.
var small = Sizes{256, 1 << 10, 4 << 10}

var testTable = NewTable([]byte("a key for tests"))

// random returns n bytes that are the same for the same seed.
func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// cutAll returns the lengths of all chunks of data.
func cutAll(t *Table, data []byte, s Sizes) (lengths []int) {
	for len(data) > 0 {
		n := t.Cut(data, s)
		lengths = append(lengths, n)
		data = data[n:]
	}
	return lengths
}

// readAll returns the chunks that a Cutter makes of src, which are checked to
// be unharmed by later ones.
func readAll(c *Cutter, src io.Reader) (chunks [][]byte, err error) {
	c.Reset(src)
	for {
		buf := make([]byte, c.sizes.Max)
		n, err := c.Next(buf)
		if err == io.EOF {
			return chunks, nil
		}
		if err != nil {
			return chunks, err
		}
		chunks = append(chunks, buf[:n])
	}
}

func lengths(chunks [][]byte) (l []int) {
	for _, c := range chunks {
		l = append(l, len(c))
	}
	return l
}

// The cuts are part of what a safe remembers: if they move, every source is
// stored anew.
func TestCutsStay(t *testing.T) {
	h := sha256.New()
	for _, g := range testTable.gear {
		fmt.Fprintf(h, "%016x", g)
	}
	if got, want := fmt.Sprintf("%x", h.Sum(nil)), "341e8e8de3e00d52c231dc7a00506f5a09654933139e4ccd493060fca063af37"; got != want {
		t.Errorf("gear table has digest %s, want %s", got, want)
	}
	got := cutAll(testTable, random(1, 12_000), small)
	want := []int{905, 1152, 1136, 844, 1182, 490, 908, 1511, 937, 852, 858, 870, 355}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cuts moved (-want +got):\n%s", diff)
	}
}

// reference is the definition of a cut without any of the shortcuts.
func reference(t *Table, data []byte, s Sizes) int {
	for n := s.Min + 1; n <= len(data) && n <= s.Max; n++ {
		var h uint64
		for _, b := range data[n-window : n] {
			h = h<<1 + t.gear[b]
		}
		odds := uint64(4 * s.Avg)
		if n > s.Avg-3*s.Avg/16 {
			odds = uint64(s.Avg / 4)
		}
		if h < ^uint64(0)/odds {
			return n
		}
	}
	return min(len(data), s.Max)
}

func TestCutIsWhatTheDefinitionSays(t *testing.T) {
	for seed := range uint64(60) {
		data := random(seed, 6<<10)
		if got, want := testTable.Cut(data, small), reference(testTable, data, small); got != want {
			t.Errorf("seed %d: Cut = %d, the definition says %d", seed, got, want)
		}
	}
}

func TestCutterCutsAsCutDoes(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"whole":       func(r io.Reader) io.Reader { return r },
		"one byte":    iotest.OneByteReader,
		"half":        iotest.HalfReader,
		"data at EOF": iotest.DataErrReader,
		"random": func(r io.Reader) io.Reader {
			rng := rand.New(rand.NewPCG(1, 2))
			return readerFunc(func(p []byte) (int, error) { return r.Read(p[:rng.IntN(len(p)+1)]) })
		},
	}
	s := small
	sizes := []int{0, 1, 63, 64, s.Min - 1, s.Min, s.Min + 1, s.Min + s.Avg/16, s.Avg, s.Max - 1, s.Max, s.Max + 1, 300_000}
	contents := map[string]func(n int) []byte{
		"random": func(n int) []byte { return random(3, n) },
		"zeros":  func(n int) []byte { return make([]byte, n) },
		"text":   func(n int) []byte { return bytes.Repeat([]byte("to be or not to be, "), n/20+1)[:n] },
	}
	c := NewCutter(testTable, s)
	for kind, content := range contents {
		for _, size := range sizes {
			data := content(size)
			want := cutAll(testTable, data, s)
			for name, reader := range readers {
				chunks, err := readAll(c, reader(bytes.NewReader(data)))
				if err != nil {
					t.Fatalf("%d bytes of %s, reader %q: %v", size, kind, name, err)
				}
				if got := lengths(chunks); !cmp.Equal(got, want) {
					t.Errorf("%d bytes of %s, reader %q: chunks of %v, want %v", size, kind, name, got, want)
				}
				if !bytes.Equal(bytes.Join(chunks, nil), data) {
					t.Errorf("%d bytes of %s, reader %q: the chunks are not the content", size, kind, name)
				}
			}
		}
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSizes(t *testing.T) {
	data := random(4, 24<<20)
	for _, s := range []Sizes{small, Manifests, Records, Files} {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			// The standard deviation of a length is about 0.3 Avg, so 5 % of
			// the mean of n chunks are sqrt(n)/6 standard deviations.
			n := min(700, len(data)/s.Avg)
			got := cutAll(testTable, data[:n*s.Avg], s)
			sum := 0
			for i, l := range got {
				if l > s.Max || l <= s.Min && i < len(got)-1 {
					t.Errorf("chunk %d of %d has %d bytes", i, len(got), l)
				}
				sum += l
			}
			mean, off := float64(sum)/float64(len(got)), 0.05
			if n < 500 {
				off = 0.2
			}
			if f := mean / float64(s.Avg); f < 1-off || f > 1+off {
				t.Errorf("%d chunks have %.0f bytes on average, want %d", len(got), mean, s.Avg)
			}
		})
	}
}

func TestContentWithoutCutsGivesMaxima(t *testing.T) {
	// All windows of equal bytes are equal: either all are a cut or none is.
	got := cutAll(testTable, make([]byte, 3*small.Max+5), small)
	if want := []int{small.Max, small.Max, small.Max, 5}; !cmp.Equal(got, want) {
		t.Errorf("chunks of zeros: %v, want %v", got, want)
	}
}

// A change somewhere must leave the chunks alone that lie before it and those
// from soon after it.
func TestChangesStayLocal(t *testing.T) {
	changes := map[string]func(data []byte, at int) []byte{
		"insert one byte": func(d []byte, at int) []byte { return bytes.Join([][]byte{d[:at], {7}, d[at:]}, nil) },
		"insert 10,000":   func(d []byte, at int) []byte { return bytes.Join([][]byte{d[:at], random(9, 10_000), d[at:]}, nil) },
		"remove 3":        func(d []byte, at int) []byte { return bytes.Join([][]byte{d[:at], d[at+3:]}, nil) },
		"flip a bit":      func(d []byte, at int) []byte { e := bytes.Clone(d); e[at] ^= 1; return e },
	}
	data := random(5, 1<<20)
	known := map[string]bool{}
	for chunk := range pieces(data) {
		known[string(chunk)] = true
	}
	for name, change := range changes {
		for _, at := range []int{0, 1, 1000, 100_000, 500_003, len(data) - 3} {
			changed := change(data, at)
			unknown := 0
			for chunk := range pieces(changed) {
				if !known[string(chunk)] {
					unknown += len(chunk)
				}
			}
			// Cuts meet again after a few chunks; 20 averages are seen once
			// in thousands.
			if limit := max(0, len(changed)-len(data)) + 20*small.Avg; unknown > limit {
				t.Errorf("%s at %d: %d bytes are in new chunks, want at most %d", name, at, unknown, limit)
			}
		}
	}
}

func pieces(data []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			n := testTable.Cut(data, small)
			if !yield(data[:n]) {
				return
			}
			data = data[n:]
		}
	}
}

func TestKeyDecidesCuts(t *testing.T) {
	data := random(6, 1<<20)
	ends := func(tab *Table) map[int]bool {
		m, at := map[int]bool{}, 0
		for _, n := range cutAll(tab, data, small) {
			at += n
			m[at] = true
		}
		return m
	}
	a, b := ends(testTable), ends(NewTable([]byte("another key")))
	same := 0
	for at := range a {
		if b[at] {
			same++
		}
	}
	if same > 10 { // about one by chance, and the end
		t.Errorf("two keys cut at %d of %d places alike", same, len(a))
	}
}

func TestSourceErrors(t *testing.T) {
	broken := errors.New("the line went dead")
	for _, want := range []error{broken, io.ErrUnexpectedEOF} {
		data := random(7, 10_000)
		whole := cutAll(testTable, data, small)
		c := NewCutter(testTable, small)
		chunks, err := readAll(c, io.MultiReader(bytes.NewReader(data), iotest.ErrReader(want)))
		if err != want {
			t.Errorf("error %v, want %v", err, want)
		}
		// The last chunk is not known to be whole.
		if got := lengths(chunks); !cmp.Equal(got, whole[:len(whole)-1]) {
			t.Errorf("chunks before the error: %v, want %v", got, whole[:len(whole)-1])
		}
		if n, err := c.Next(make([]byte, small.Max)); n != 0 || err != want {
			t.Errorf("after the error Next = %d, %v, want 0, %v", n, err, want)
		}
	}

	idle := readerFunc(func([]byte) (int, error) { return 0, nil })
	if _, err := readAll(NewCutter(testTable, small), idle); err != io.ErrNoProgress {
		t.Errorf("reading an idle source: %v, want %v", err, io.ErrNoProgress)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	data := random(8, 1<<20)
	c, buf, src := NewCutter(testTable, small), make([]byte, small.Max), bytes.NewReader(nil)
	allocs := testing.AllocsPerRun(5, func() {
		src.Reset(data)
		c.Reset(src)
		for {
			if _, err := c.Next(buf); err != nil {
				return
			}
		}
	})
	if allocs > 0 {
		t.Errorf("cutting %d bytes made %v allocations", len(data), allocs)
	}
}

func BenchmarkCut(b *testing.B) {
	data := random(1, 16<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		cutAll(testTable, data, Files)
	}
}

func BenchmarkCutter(b *testing.B) {
	data := random(1, 16<<20)
	c, buf, src := NewCutter(testTable, Files), make([]byte, Files.Max), bytes.NewReader(nil)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		src.Reset(data)
		c.Reset(src)
		for {
			if _, err := c.Next(buf); err != nil {
				break
			}
		}
	}
}
