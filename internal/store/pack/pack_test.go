package pack

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"strongroom/internal/safe"
)

// random returns n bytes that are the same for the same seed.
func random(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// text returns n bytes that can be compressed.
func text(seed uint64, n int) []byte {
	words := strings.Fields("the quick brown fox jumps over a lazy dog and thinks of nothing else all day long 0 1 2 3")
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = append(append(b, words[rng.IntN(len(words))]...), ' ')
	}
	return b[:n]
}

func testChunks() [][]byte {
	return [][]byte{
		{0}, []byte("short"), text(1, 255), text(2, 256), random(3, 257), text(4, 4095), random(4, 4096),
		text(5, 65_535), random(6, 65_791), random(7, 65_792), random(8, rawBlock), random(9, rawBlock+1),
		make([]byte, 300_000), text(10, 1<<20), random(11, 1<<20),
		append(random(12, 600_000), text(12, 600_000)...),
		random(14, MaxChunk), make([]byte, MaxChunk),
	}
}

// noSeal is a seal that leaves the plaintext as it is.
func noSeal(w io.Writer) (io.WriteCloser, error) { return nopCloser{w}, nil }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func noUnseal(r io.ReaderAt, n int64) (io.ReaderAt, int64, error) { return r, n, nil }

func openPlain(t testing.TB, plain []byte) *Reader {
	t.Helper()
	r, err := Open(bytes.NewReader(plain), int64(len(plain)), noUnseal)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// build writes chunks into a pack.
func build(t testing.TB, dst io.Writer, seal func(io.Writer) (io.WriteCloser, error), chunks ...[]byte) ([]Ref, Sealed) {
	t.Helper()
	w, err := NewWriter(dst, seal)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCompressor(Fastest)
	var refs []Ref
	for _, chunk := range chunks {
		frame := c.Append(nil, chunk)
		if !w.Fits(len(frame)) {
			t.Fatalf("a frame of %d bytes does not fit after %d", len(frame), w.frames)
		}
		hash := safe.DigestOf(chunk)
		offset, err := w.Add(hash, frame, len(chunk))
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, Ref{hash, offset, uint32(len(frame)), uint32(len(chunk))})
	}
	sealed, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return refs, sealed
}

func TestPackIsReadAsWritten(t *testing.T) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	chunks := testChunks()
	var sealed bytes.Buffer
	refs, got := build(t, &sealed, func(w io.Writer) (io.WriteCloser, error) {
		return age.Encrypt(w, id.Recipient())
	}, chunks...)

	last := refs[len(refs)-1]
	want := Sealed{
		Digest: safe.DigestOf(sealed.Bytes()),
		Size:   int64(sealed.Len()),
		Frames: last.Offset + int64(last.Stored),
		Chunks: len(chunks),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Close (-want +got):\n%s", diff)
	}

	r, err := Open(bytes.NewReader(sealed.Bytes()), int64(sealed.Len()), func(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
		return age.DecryptReaderAt(src, size, id)
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.Table()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(refs, table); diff != "" {
		t.Errorf("table (-added +read):\n%s", diff)
	}
	var wg sync.WaitGroup
	for i, ref := range refs {
		wg.Go(func() {
			got, err := r.Chunk([]byte("before"), ref)
			if err != nil {
				t.Errorf("chunk %d: %v", i, err)
			} else if !bytes.Equal(got, append([]byte("before"), chunks[i]...)) {
				t.Errorf("chunk %d of %d bytes is not what was added", i, len(chunks[i]))
			}
		})
	}
	wg.Wait()
}

// The promise of docs/format.md: the program zstd reads packs, too.
func TestByHand(t *testing.T) {
	for _, tool := range []string{"zstd", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	chunks := testChunks()
	var plain bytes.Buffer
	refs, _ := build(t, &plain, noSeal, chunks...)
	name := filepath.Join(t.TempDir(), "pack")
	if err := os.WriteFile(name, plain.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := func(script string) []byte {
		t.Helper()
		cmd := exec.Command("sh", "-c", script, "sh", name)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return out
	}
	if !bytes.Equal(sh(`zstd -d <"$1"`), bytes.Join(chunks, nil)) {
		t.Error("zstd -d of a pack is not its chunks one after the other")
	}
	for i, r := range refs {
		script := fmt.Sprintf(`cat "$1" | tail -c +$((%d+1)) | head -c %d | zstd -d`, r.Offset, r.Stored)
		if !bytes.Equal(sh(script), chunks[i]) {
			t.Errorf("%s: not chunk %d", script, i)
		}
	}
}

func TestPackLengths(t *testing.T) {
	for _, n := range []int{0, 1, 100, 1000, 10_000, 100_000, 1_000_000} {
		var plain bytes.Buffer
		var chunks [][]byte
		if n > 0 {
			chunks = append(chunks, random(1, n))
		}
		build(t, &plain, noSeal, chunks...)
		if size := int64(plain.Len()); padme(size) != size {
			t.Errorf("a pack with %d bytes has %d bytes, no Padme length", n, size)
		}
		if table, err := openPlain(t, plain.Bytes()).Table(); err != nil || len(table) != len(chunks) {
			t.Errorf("a pack with %d bytes: %d chunks, %v", n, len(table), err)
		}
	}
}

func TestPadme(t *testing.T) {
	// From the paper: 5 bits of 9 must be zero, and so on.
	for n, want := range map[int64]int64{
		0: 0, 1: 1, 2: 2, 3: 3, 8: 8, 9: 10, 15: 16, 33: 36, 1000: 1024, 1025: 1088, 1 << 20: 1 << 20, 1<<20 + 1: 1<<20 + 1<<15,
		maxPlaintext: maxPlaintext, maxPlaintext + 1: Target,
	} {
		if got := padme(n); got != want {
			t.Errorf("padme(%d) = %d, want %d", n, got, want)
		}
	}
}

// Packs are filled up to the target and never beyond it, sealing included.
func TestTarget(t *testing.T) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(io.Discard, func(w io.Writer) (io.WriteCloser, error) {
		return age.Encrypt(w, id.Recipient())
	})
	if err != nil {
		t.Fatal(err)
	}
	frame := NewCompressor(Fastest).Append(nil, random(1, 100_000))
	for w.Fits(len(frame)) {
		if _, err := w.Add(safe.Digest{}, frame, 100_000); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if s.Size > Target || s.Size < Target-768<<10 {
		t.Errorf("a full pack has %d bytes, want a little less than %d", s.Size, Target)
	}
}

func TestMaxChunks(t *testing.T) {
	var plain bytes.Buffer
	w, err := NewWriter(&plain, noSeal)
	if err != nil {
		t.Fatal(err)
	}
	frame := NewCompressor(Fastest).Append(nil, []byte("x"))
	for n := 0; w.Fits(len(frame)); n++ {
		if n == MaxChunks {
			t.Fatalf("more than %d chunks fit", MaxChunks)
		}
		if _, err := w.Add(safe.DigestOf([]byte("x")), frame, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if table, err := openPlain(t, plain.Bytes()).Table(); err != nil || len(table) != MaxChunks {
		t.Errorf("table has %d chunks, %v", len(table), err)
	}
}

func TestAddRefuses(t *testing.T) {
	for name, add := range map[string]func(w *Writer) error{
		"no content":        func(w *Writer) error { _, err := w.Add(safe.Digest{}, []byte("frame"), 0); return err },
		"no frame":          func(w *Writer) error { _, err := w.Add(safe.Digest{}, nil, 5); return err },
		"too long a chunk":  func(w *Writer) error { _, err := w.Add(safe.Digest{}, []byte("frame"), MaxChunk+1); return err },
		"longer than 2^32":  func(w *Writer) error { _, err := w.Add(safe.Digest{}, []byte("frame"), 1<<32+5); return err },
		"more than it was":  func(w *Writer) error { _, err := w.Add(safe.Digest{}, make([]byte, 100), 5); return err },
		"after being shut":  func(w *Writer) error { w.Close(); _, err := w.Add(safe.Digest{}, []byte("frame"), 5); return err },
		"closed once again": func(w *Writer) error { w.Close(); _, err := w.Close(); return err },
	} {
		w, err := NewWriter(io.Discard, noSeal)
		if err != nil {
			t.Fatal(err)
		}
		if add(w) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// failAt fails at the nth write and later.
type failAt struct{ n int }

var errFull = errors.New("disk full")

func (f *failAt) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return len(b) / 2, errFull
	}
	return len(b), nil
}

func TestWriteErrorsSurface(t *testing.T) {
	frame := NewCompressor(Fastest).Append(nil, random(1, 100_000))
	whole := false
	for n := 0; !whole; n++ {
		w, err := NewWriter(&failAt{n}, noSeal)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err = w.Add(safe.Digest{}, frame, 100_000); err != nil {
				break
			}
		}
		_, closeErr := w.Close()
		if err != nil && !errors.Is(err, errFull) || !errors.Is(closeErr, errFull) && closeErr != nil {
			t.Errorf("failing at write %d: Add: %v, Close: %v", n, err, closeErr)
		}
		if err != nil && closeErr == nil {
			t.Errorf("failing at write %d: Close hides that Add failed", n)
		}
		whole = closeErr == nil
	}
}

func TestCompressor(t *testing.T) {
	noise := random(1, 256<<10)
	cases := []struct {
		name            string
		data            []byte
		atLeast, atMost float64 // of the chunk's length
	}{
		{"random", noise, 1, 1.001},
		{"text", text(1, 256<<10), 0, 0.5},
		{"base64", []byte(base64.StdEncoding.EncodeToString(noise)), 0.7, 0.8},
		{"hexadecimal", []byte(hex.EncodeToString(noise)), 0.4, 0.6},
		{"random, repeated", bytes.Repeat(noise[:20_000], 20), 0, 0.1},
		{"hardly compressible", append(noise[:200_000:200_000], make([]byte, 2_000)...), 1, 1.001},
	}
	for _, level := range []Level{Fastest, Balanced, Better} {
		c := NewCompressor(level)
		for _, tc := range cases {
			frame := c.Append([]byte("dst"), tc.data)
			if !bytes.HasPrefix(frame, []byte("dst")) {
				t.Fatalf("level %d, %s: dst is gone", level, tc.name)
			}
			frame = frame[3:]
			if part := float64(len(frame)) / float64(len(tc.data)); part < tc.atLeast || part > tc.atMost {
				t.Errorf("level %d, %s: %d of %d bytes are left", level, tc.name, len(frame), len(tc.data))
			}
			ref := Ref{safe.DigestOf(tc.data), 0, uint32(len(frame)), uint32(len(tc.data))}
			if _, err := Decode(nil, frame, ref); err != nil {
				t.Errorf("level %d, %s: %v", level, tc.name, err)
			}
		}
	}
}

func TestRawFrames(t *testing.T) {
	for _, n := range []int{1, 255, 256, 257, 65_791, 65_792, rawBlock - 1, rawBlock, rawBlock + 1, 2 * rawBlock, MaxChunk} {
		chunk := random(uint64(n), n)
		frame := appendRaw(nil, chunk)
		if len(frame) > int(MaxFrame(uint32(n))) {
			t.Errorf("%d bytes: a raw frame has %d bytes, more than the %d that are taken", n, len(frame), MaxFrame(uint32(n)))
		}
		got, err := Decode(nil, frame, Ref{safe.DigestOf(chunk), 0, uint32(len(frame)), uint32(n)})
		if err != nil || !bytes.Equal(got, chunk) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// Some bits of a frame mean nothing, so a flipped one need not be found; but
// it must never give other content.
func TestFlippedBytes(t *testing.T) {
	chunks := [][]byte{text(1, 300), random(2, 300), text(3, 1000)}
	var plain bytes.Buffer
	refs, _ := build(t, &plain, noSeal, chunks...)
	found := 0
	for i := range plain.Len() {
		b := bytes.Clone(plain.Bytes())
		b[i] ^= 0x10
		r := openPlain(t, b)
		var errs []error
		if _, err := r.Table(); err != nil {
			errs = append(errs, err)
		}
		for n, ref := range refs {
			chunk, err := r.Chunk(nil, ref)
			if err != nil {
				errs = append(errs, err)
			}
			if err != nil && chunk != nil || err == nil && !bytes.Equal(chunk, chunks[n]) {
				t.Errorf("byte %d: chunk %d has wrong content, error %v", i, n, err)
			}
		}
		for _, err := range errs {
			if c := new(CorruptError); !errors.As(err, &c) {
				t.Errorf("byte %d: %v is not a CorruptError", i, err)
			}
		}
		if len(errs) > 0 {
			found++
		}
	}
	last := refs[len(refs)-1]
	frames, digests := int(last.Offset)+int(last.Stored), len(refs)*32
	if want := frames + int(tableSize(len(refs))) - digests - 20; found < want {
		t.Errorf("%d of %d flipped bytes were found, want %d", found, plain.Len(), want)
	}
}

func TestImpossibleRefs(t *testing.T) {
	chunk := text(1, 1000)
	var plain bytes.Buffer
	refs, _ := build(t, &plain, noSeal, random(1, 500), chunk)
	good := refs[1]
	for name, change := range map[string]func(*Ref){
		"digest":            func(r *Ref) { r.Hash[5]++ },
		"offset before":     func(r *Ref) { r.Offset-- },
		"offset after":      func(r *Ref) { r.Offset++ },
		"offset of another": func(r *Ref) { r.Offset = 0 },
		"negative offset":   func(r *Ref) { r.Offset = -1 },
		"offset at the end": func(r *Ref) { r.Offset = int64(plain.Len()) },
		"greatest offset":   func(r *Ref) { r.Offset = 1<<63 - 1 },
		"frame too short":   func(r *Ref) { r.Stored-- },
		"frame too long":    func(r *Ref) { r.Stored++ },
		"no frame":          func(r *Ref) { r.Stored = 0 },
		"greatest frame":    func(r *Ref) { r.Stored = 1<<32 - 1 },
		"chunk too short":   func(r *Ref) { r.Length-- },
		"chunk too long":    func(r *Ref) { r.Length++ },
		"no chunk":          func(r *Ref) { r.Length = 0 },
		"greatest chunk":    func(r *Ref) { r.Length = 1<<32 - 1 },
		"table as a frame": func(r *Ref) {
			r.Offset, r.Stored = int64(plain.Len())-tableSize(2), uint32(tableSize(2))
		},
	} {
		ref := good
		change(&ref)
		got, err := openPlain(t, plain.Bytes()).Chunk(nil, ref)
		if c := new(CorruptError); !errors.As(err, &c) || got != nil {
			t.Errorf("%s: %d bytes, error %v, want none and a CorruptError", name, len(got), err)
		}
	}
}

// hostile are frames that claim or hold something else than 1000 bytes.
func hostile() map[string][]byte {
	enc := func(data []byte, opts ...zstd.EOption) []byte {
		e, _ := zstd.NewWriter(nil, append(opts, zstd.WithEncoderConcurrency(1))...)
		return e.EncodeAll(data, nil)
	}
	k := text(1, 1000)
	streamed := func() []byte {
		var b bytes.Buffer
		e, _ := zstd.NewWriter(&b)
		e.Write(k)
		e.Flush() // so that the length is not known when the header is written
		e.Close()
		return b.Bytes()
	}()
	lie := enc(make([]byte, 1<<20), zstd.WithSingleSegment(true)) // compresses to a few bytes
	lie = append(appendFrameHeader(nil, 1000), lie[9:]...)
	return map[string][]byte{
		"empty":                 {},
		"magic alone":           {0x28, 0xb5, 0x2f, 0xfd},
		"no zstd":               k[:100],
		"zip bomb":              enc(make([]byte, 64<<20)),
		"more than it says":     lie,
		"less than it says":     append(appendFrameHeader(nil, 1000), appendRaw(nil, k[:999])[7:]...),
		"length unknown":        streamed,
		"two frames":            append(enc(k), enc(k)...),
		"a frame and an empty":  append(enc(k), enc(nil, zstd.WithZeroFrames(true))...),
		"a frame and skippable": appendSkippable(enc(k), paddingMagic, 0),
		"skippable":             appendSkippable(nil, paddingMagic, 0),
		"a byte behind":         append(enc(k), 0),
		"cut short":             enc(k)[:50],
		"block type 3":          append(appendFrameHeader(nil, 1000), 7, 0, 0),
		"a great window":        {0x28, 0xb5, 0x2f, 0xfd, 0x40, 0xf8, 0xe8, 0x02, 1, 0, 0},
	}
}

func TestHostileFrames(t *testing.T) {
	want := Ref{Hash: safe.DigestOf(text(1, 1000)), Length: 1000}
	decoder() // made once, whatever is decoded
	for name, frame := range hostile() {
		want.Stored = uint32(min(max(1, len(frame)), 1000))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := Decode(nil, frame, want)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
		if c := new(CorruptError); !errors.As(err, &c) || got != nil {
			t.Errorf("%s: %d bytes, error %v, want none and a CorruptError", name, len(got), err)
		}
	}
}

func TestDecodeAllocatesNoMoreThanTheChunk(t *testing.T) {
	chunk := make([]byte, MaxChunk)
	frame := NewCompressor(Fastest).Append(nil, chunk)
	want := Ref{safe.DigestOf(chunk), 0, uint32(len(frame)), MaxChunk}
	buf, err := Decode(nil, frame, want) // warms up the decoder
	if err != nil {
		t.Fatal(err)
	}
	if allocs := testing.AllocsPerRun(5, func() {
		buf, err = Decode(buf[:0], frame, want)
	}); allocs > 10 || err != nil {
		t.Errorf("%v allocations in decoding into a buffer that is large enough, %v", allocs, err)
	}
}

func TestReadErrorsAreNotDamage(t *testing.T) {
	var plain bytes.Buffer
	refs, _ := build(t, &plain, noSeal, text(1, 1000))
	r := &Reader{plain: brokenReader{}, size: int64(plain.Len())}
	_, chunkErr := r.Chunk(nil, refs[0])
	_, tableErr := r.Table()
	for _, err := range []error{chunkErr, tableErr} {
		if c := new(CorruptError); errors.As(err, &c) || !errors.Is(err, errFull) {
			t.Errorf("got %v, want the reader's own error and no CorruptError", err)
		}
	}
}

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, errFull }

func FuzzTable(f *testing.F) {
	for _, chunks := range [][][]byte{nil, {[]byte("x")}, {text(1, 300), random(2, 300)}} {
		var plain bytes.Buffer
		build(f, &plain, noSeal, chunks...)
		f.Add(plain.Bytes())
	}
	f.Add([]byte("SRPK"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		r := openPlain(t, plain)
		refs, err := r.Table()
		if err != nil {
			if c := new(CorruptError); !errors.As(err, &c) {
				t.Errorf("%v is not a CorruptError", err)
			}
			return
		}
		// What was accepted is what a Writer would have written, but for
		// frames and padding.
		if n := len(refs); !bytes.HasSuffix(plain, appendTable(nil, refs)) || padme(int64(len(plain))) != int64(len(plain)) {
			t.Errorf("a table of %d entries that no Writer writes was accepted", n)
		}
		for _, ref := range refs {
			r.Chunk(nil, ref)
		}
	})
}

func FuzzChunk(f *testing.F) {
	for _, chunk := range [][]byte{[]byte("x"), text(1, 1000), random(2, 1000), make([]byte, 10_000)} {
		f.Add(NewCompressor(Fastest).Append(nil, chunk), uint32(len(chunk)))
	}
	for _, frame := range hostile() {
		f.Add(frame, uint32(1000))
	}
	f.Fuzz(func(t *testing.T, frame []byte, length uint32) {
		// The digest is that of whatever the frame holds, so that it does not
		// hide what comes before it.
		d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20))
		defer d.Close()
		chunk, refErr := d.DecodeAll(frame, nil)
		want := Ref{safe.DigestOf(chunk), 0, uint32(len(frame)), length}
		got, err := openPlain(t, frame).Chunk(nil, want)
		if err == nil && (refErr != nil || !bytes.Equal(got, chunk)) {
			t.Errorf("%d bytes where the decoder alone gives %d, %v", len(got), len(chunk), refErr)
		}
		if err != nil && got != nil {
			t.Errorf("an error and %d bytes", len(got))
		}
	})
}

func BenchmarkCompressor(b *testing.B) {
	noise := random(1, 1<<20)
	for name, data := range map[string][]byte{
		"random": noise, "text": text(1, 1<<20), "base64": []byte(base64.StdEncoding.EncodeToString(noise)),
	} {
		b.Run(name, func(b *testing.B) {
			c, buf := NewCompressor(Fastest), []byte(nil)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				buf = c.Append(buf[:0], data)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, data := range map[string][]byte{"random": random(1, 1<<20), "text": text(1, 1<<20)} {
		b.Run(name, func(b *testing.B) {
			frame := NewCompressor(Fastest).Append(nil, data)
			ref, buf := Ref{safe.DigestOf(data), 0, uint32(len(frame)), uint32(len(data))}, []byte(nil)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = Decode(buf[:0], frame, ref); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
