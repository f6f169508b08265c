package parity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func write(t testing.TB, object []byte) []byte {
	t.Helper()
	var parity bytes.Buffer
	n, err := Write(&parity, bytes.NewReader(object), int64(len(object)), safe.DigestOf(object))
	if err != nil {
		t.Fatal(err)
	}
	if want := Size(int64(len(object))); n != want || int64(parity.Len()) != want {
		t.Fatalf("parity of %d bytes: Write says %d, wrote %d, Size says %d", len(object), n, parity.Len(), want)
	}
	return parity.Bytes()
}

func check(parity []byte) (Head, error) {
	return Check(bytes.NewReader(parity), int64(len(parity)))
}

func rebuild(object, parity []byte) ([]byte, Report, error) {
	var out bytes.Buffer
	r, err := Repair(&out, bytes.NewReader(object), int64(len(object)), bytes.NewReader(parity), int64(len(parity)))
	return out.Bytes(), r, err
}

// mustRepair repairs and fails the test unless the result is want.
func mustRepair(t *testing.T, story string, object, parity, want []byte) Report {
	t.Helper()
	got, r, err := rebuild(object, parity)
	if err != nil {
		t.Errorf("%s: %v", story, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("%s: no error, but %d bytes that are not the object", story, len(got))
	}
	return r
}

// rot returns b with other bytes in [from, to).
func rot(b []byte, from, to int64) []byte {
	b = bytes.Clone(b)
	for i := from; i < min(to, int64(len(b))); i++ {
		b[i] ^= 0x55
	}
	return b
}

// Parity that was written stays readable: this is what version 1 looks like.
func TestFormatStays(t *testing.T) {
	for n, want := range map[int]string{
		1:       "a1f9cf4f202fdb839db3c2bb1a0a06d9f008b7262e2a7d424b9c931846709e12",
		3_000:   "89b0afba886ea27579ecc201ad3e4543a24fcc0a1c40b02e8d4631a22b358f7e",
		2000000: "0061e0775ef1246d5065f252faf77aed4877f1bdb40163fe6aaaaf5452aa4328",
	} {
		if got := safe.DigestOf(write(t, random(1, n))).String(); got != want {
			t.Errorf("the parity of %d bytes has the digest\n%s, want\n%s", n, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	sizes := []int{1, 2, 63, 64, 65, 1279, 1280, 1281, 2400, 100_000,
		dataShards * blockSize, dataShards*blockSize + 1, dataShards*blockSize - 1, 3*dataShards*blockSize - 5}
	for _, n := range sizes {
		object := random(uint64(n), n)
		parity := write(t, object)
		if h, err := check(parity); err != nil || h != (Head{safe.DigestOf(object), int64(n)}) {
			t.Errorf("%d bytes: Check = %v, %v", n, h, err)
		}
		r := mustRepair(t, fmt.Sprintf("%d bytes, unharmed", n), object, parity, object)
		if want := (Report{Head: Head{safe.DigestOf(object), int64(n)}}); !cmp.Equal(r, want) {
			t.Errorf("%d bytes, unharmed: report %+v, want %+v", n, r, want)
		}
		if over := len(parity) - n/10; over > 500+n/5000 {
			t.Errorf("parity of %d bytes has %d, %d more than a tenth", n, len(parity), over)
		}
	}
	if _, err := Write(io.Discard, bytes.NewReader(nil), 0, safe.Digest{}); err == nil {
		t.Error("parity of an empty object was written")
	}
}

func TestAnyTwoShards(t *testing.T) {
	object := random(1, 59_990)
	parity := write(t, object)
	g := gridOf(int64(len(object)))
	spoil := func(object, parity []byte, s int) ([]byte, []byte) {
		if s < dataShards {
			return rot(object, g.at(s, 0), g.at(s, 0)+g.shard), parity
		}
		return object, rot(parity, g.at(s, 0), g.at(s, 0)+g.shard)
	}
	for a := range shards {
		for b := range a {
			o, p := spoil(object, parity, a)
			o, p = spoil(o, p, b)
			r := mustRepair(t, fmt.Sprintf("shards %d and %d", a, b), o, p, object)
			var want []Range
			for _, s := range []int{b, a} {
				if s < dataShards {
					want = append(want, Range{g.at(s, 0), min(g.shard, g.size-g.at(s, 0))})
				}
			}
			if a == b+1 && len(want) == 2 { // next to each other
				want = []Range{{want[0].Offset, want[0].Length + want[1].Length}}
			}
			if !cmp.Equal(r.Rebuilt, want) || r.ParityDamaged != (a >= dataShards) {
				t.Errorf("shards %d and %d: report %+v, want %+v to be rebuilt", a, b, r, want)
			}
		}
	}
}

// In each column others can be lost.
func TestScatteredRot(t *testing.T) {
	object := random(2, 5*dataShards*blockSize)
	parity := write(t, object)
	g := gridOf(int64(len(object)))
	rng := rand.New(rand.NewPCG(1, 2))
	o, p := bytes.Clone(object), bytes.Clone(parity)
	for c := range g.columns() {
		for _, s := range rng.Perm(shards)[:2] {
			at := g.at(s, c) + rng.Int64N(int64(g.width(c)))
			if s < dataShards {
				o[at] ^= 1
			} else {
				p[at] ^= 1
			}
		}
	}
	mustRepair(t, "two flipped bits in each column", o, p, object)
}

func TestAnyFlippedByte(t *testing.T) {
	for _, n := range []int{1, 700, 2_500} {
		object := random(3, n)
		parity := write(t, object)
		for i := range object {
			o := rot(object, int64(i), int64(i)+1)
			r := mustRepair(t, fmt.Sprintf("byte %d of %d", i, n), o, parity, object)
			if len(r.Rebuilt) != 1 || r.Rebuilt[0].Offset > int64(i) || r.Rebuilt[0].Offset+r.Rebuilt[0].Length <= int64(i) {
				t.Errorf("byte %d of %d: rebuilt %v", i, n, r.Rebuilt)
			}
		}
		for i := range parity {
			p := rot(parity, int64(i), int64(i)+1)
			if _, err := check(p); !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d of the parity of %d bytes: Check says %v", i, n, err)
			}
			// It can still repair the object, and a shard of the parity is left.
			r := mustRepair(t, fmt.Sprintf("byte %d of the parity of %d bytes", i, n), rot(object, 0, 1), p, object)
			if !r.ParityDamaged {
				t.Errorf("byte %d of the parity of %d bytes: Repair takes it for sound", i, n)
			}
		}
	}
}

func TestTruncation(t *testing.T) {
	object := random(4, 2*dataShards*blockSize)
	parity := write(t, object)
	g := gridOf(int64(len(object)))
	for _, left := range []int64{g.size - 1, g.size - 1000, g.size - g.shard, g.size - 2*g.shard} {
		mustRepair(t, fmt.Sprintf("%d of %d bytes are left", left, g.size), object[:left], parity, object)
	}
	if got, _, err := rebuild(object[:g.size-2*g.shard-1], parity); !errors.Is(err, ErrBeyondRepair) {
		t.Errorf("more than two shards are missing: %d bytes, error %v, want ErrBeyondRepair", len(got), err)
	}
	r := mustRepair(t, "bytes after the end", append(bytes.Clone(object), 1, 2, 3), parity, object)
	if len(r.Rebuilt) > 0 {
		t.Errorf("bytes after the end: rebuilt %v", r.Rebuilt)
	}

	small := random(5, 3000)
	parity = write(t, small)
	for left := range parity {
		if _, err := check(parity[:left]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d bytes of parity: Check says %v", left, len(parity), err)
		}
		// As long as the first head and a shard are left one block can be rebuilt.
		if int64(left) >= gridOf(3000).at(dataShards+1, 0) {
			mustRepair(t, fmt.Sprintf("%d bytes of parity", left), rot(small, 0, 1), parity[:left], small)
		}
	}
}

func TestBurst(t *testing.T) {
	object := random(6, 3*dataShards*blockSize)
	parity := write(t, object)
	g := gridOf(int64(len(object)))
	for _, from := range []int64{0, 1, g.shard - 1, g.shard / 2, 7*g.shard + 100_000} {
		// Two shards less a block touch no column three times, wherever
		// they begin.
		mustRepair(t, fmt.Sprintf("burst at %d", from), rot(object, from, from+2*g.shard-blockSize), parity, object)
	}
}

func TestThreeLosses(t *testing.T) {
	object := random(7, 2*dataShards*blockSize)
	parity := write(t, object)
	g := gridOf(int64(len(object)))
	o := object
	for _, s := range []int{3, 9} {
		o = rot(o, g.at(s, 1)+5, g.at(s, 1)+6)
	}
	p := rot(parity, g.at(20, 1), g.at(20, 1)+1)
	_, _, err := rebuild(o, p)
	want := fmt.Sprintf("beyond repair: 3 of 22 blocks are lost in column 1, the first at offset %d; parity can bring back 2", g.at(3, 1))
	if !errors.Is(err, ErrBeyondRepair) || err.Error() != want {
		t.Errorf("three losses in a column: %v, want %s", err, want)
	}
	// All parity is lost, but nothing of the object.
	p = rot(parity, g.at(20, 0), g.at(20, 0)+2*g.shard)
	mustRepair(t, "no parity, whole object", object, p, object)
}

func TestOtherVersion(t *testing.T) {
	parity := write(t, random(8, 3000))
	second := int64(len(parity)) - gridOf(3000).headSize()
	parity[4], parity[second+4] = 2, 2
	if _, err := check(parity); !errors.Is(err, errVersion) || errors.Is(err, ErrDamaged) {
		t.Errorf("parity of version 2: %v, which must not be taken for damage", err)
	}
}

func TestBothHeadsLost(t *testing.T) {
	object := random(8, 3000)
	parity := write(t, object)
	n := gridOf(3000).headSize()
	p := rot(rot(parity, 10, 11), int64(len(parity))-n, int64(len(parity))-n+1)
	if _, _, err := rebuild(object, p); !errors.Is(err, ErrBeyondRepair) {
		t.Errorf("error %v, want ErrBeyondRepair", err)
	}
	if _, err := check(p); !errors.Is(err, ErrDamaged) {
		t.Errorf("Check: %v, want ErrDamaged", err)
	}
}

// Checksums that were changed to fit cannot make a wrong object pass.
func TestForgedSums(t *testing.T) {
	object := random(9, 3000)
	forged := rot(object, 100, 101)
	var parity bytes.Buffer
	if _, err := Write(&parity, bytes.NewReader(forged), 3000, safe.DigestOf(object)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rebuild(forged, parity.Bytes()); !errors.Is(err, ErrBeyondRepair) {
		t.Errorf("error %v, want ErrBeyondRepair", err)
	}
}

// sick cannot read a part, as a disk with a bad sector.
type sick struct {
	io.ReaderAt
	from, to int64
}

var errSector = errors.New("bad sector")

func (s sick) ReadAt(b []byte, off int64) (int, error) {
	if off < s.to && off+int64(len(b)) > s.from {
		return 0, errSector
	}
	return s.ReaderAt.ReadAt(b, off)
}

func TestBadSectors(t *testing.T) {
	object := random(10, dataShards*blockSize)
	parity := write(t, object)
	size, paritySize := int64(len(object)), int64(len(parity))
	var out bytes.Buffer
	r, err := Repair(&out, sick{bytes.NewReader(object), 70_000, 70_512}, size, bytes.NewReader(parity), paritySize)
	if err != nil || !bytes.Equal(out.Bytes(), object) {
		t.Errorf("a bad sector: %d bytes, %v", out.Len(), err)
	}
	if want := []Range{{blockSize, blockSize}}; !cmp.Equal(r.Rebuilt, want) {
		t.Errorf("a bad sector: rebuilt %v, want %v", r.Rebuilt, want)
	}

	dead := sick{bytes.NewReader(object), 0, size}
	if _, err := Repair(io.Discard, dead, size, bytes.NewReader(parity), paritySize); !errors.Is(err, ErrBeyondRepair) || !errors.Is(err, errSector) {
		t.Errorf("a dead disk: %v, want ErrBeyondRepair and the reader's own error", err)
	}
	if _, err := Write(io.Discard, dead, size, safe.Digest{}); !errors.Is(err, errSector) {
		t.Errorf("writing parity of what cannot be read: %v", err)
	}
	if _, err := Check(sick{bytes.NewReader(parity), 500, 600}, paritySize); !errors.Is(err, errSector) || errors.Is(err, ErrDamaged) {
		t.Errorf("checking what cannot be read: %v, want the reader's own error", err)
	}
	if _, err := Write(io.Discard, bytes.NewReader(object[:size-1]), size, safe.Digest{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("writing parity of an object that is too short: %v", err)
	}
}

// A head that says it is for a great object must not cost memory or time.
func TestHostileHead(t *testing.T) {
	for _, size := range []uint64{1 << 40, 1<<63 - 1, 1 << 63, 0} {
		p := write(t, random(1, 100))
		binary.LittleEndian.PutUint64(p[6:], size)
		binary.LittleEndian.PutUint64(p[int64(len(p))-gridOf(100).headSize()+6:], size)
		if _, err := check(p); !errors.Is(err, ErrDamaged) {
			t.Errorf("a head for %d bytes: %v, want ErrDamaged", size, err)
		}
	}
}

func FuzzHead(f *testing.F) {
	for _, n := range []int{1, 3000, dataShards*blockSize + 1} {
		object := random(1, n)
		h := head{Head: Head{safe.DigestOf(object), int64(n)}}
		h.sums = make([][shards]uint32, gridOf(int64(n)).columns())
		f.Add(h.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(b)
		if err == nil && !bytes.Equal(h.append(nil), b) {
			t.Errorf("a head was accepted that is not how it is written: %x", b)
		}
		// The same bytes as a parity object.
		if _, err := check(b); err == nil && int64(len(b)) != Size(h.Size) {
			t.Errorf("parity of %d bytes was accepted", len(b))
		}
	})
}

func FuzzRepair(f *testing.F) {
	object := random(1, 1000)
	parity := write(f, object)
	f.Add(object, parity)
	f.Add(object[:900], rot(parity, 0, 1))
	f.Fuzz(func(t *testing.T, o, p []byte) {
		got, r, err := rebuild(o, p)
		if err == nil && safe.DigestOf(got) != r.Digest {
			t.Errorf("%d bytes that do not have the digest", len(got))
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	object := random(1, 16<<20)
	b.SetBytes(int64(len(object)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(io.Discard, bytes.NewReader(object), int64(len(object)), safe.Digest{}); err != nil {
			b.Fatal(err)
		}
	}
}
