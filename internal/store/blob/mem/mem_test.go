package mem_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/blobtest"
	"strongroom/internal/store/blob/mem"
)

func TestStore(t *testing.T) {
	blobtest.TestStore(t, func(*testing.T) blob.Store { return mem.New(mem.Options{}) })
}

func TestReadsAreCounted(t *testing.T) {
	s := mem.New(mem.Options{})
	blobtest.Put(t, s, "a", "0123456789")
	blobtest.Put(t, s, "b", "x")
	for range 3 {
		o, err := s.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		o.ReadAt(make([]byte, 4), 0)
		o.ReadAt(make([]byte, 4), 8)
		o.Close()
	}
	s.Stat(t.Context(), "absent")
	if got, want := s.Reads("a"), (mem.Reads{Calls: 6, Bytes: 18}); got != want {
		t.Errorf("reads of a: %+v, want %+v", got, want)
	}
	want := mem.Counts{Opens: 3, Stats: 1, Publishes: 2, Syncs: 2, Reads: mem.Reads{Calls: 6, Bytes: 18}}
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New(mem.Options{Latency: time.Second})
		begin := time.Now()
		blobtest.Put(t, s, "a", "x")                  // one request
		blob.ReadAll(t.Context(), s, "a", 1)          // two
		blob.PutOnce(t.Context(), s, "a", []byte("")) // two: sizes differ
		if got := time.Since(begin); got != 5*time.Second {
			t.Errorf("five requests took %v, want a second each", got)
		}
	})
}

func TestPowerLossTakesWhatWasNotSynced(t *testing.T) {
	s := mem.New(mem.Options{})
	blobtest.Put(t, s, "synced", "1")
	for _, name := range []string{"kept", "lost"} {
		if err := blob.Put(t.Context(), s, name, []byte("2")); err != nil {
			t.Fatal(err)
		}
	}
	s.LosePower(func(name string) bool { return name == "kept" })
	if diff := cmp.Diff(map[string]string{"kept": "2", "synced": "1"}, blobtest.Contents(t, s)); diff != "" {
		t.Errorf("after the loss of power (-want +got):\n%s", diff)
	}
}

func TestDamage(t *testing.T) {
	s := mem.New(mem.Options{})
	blobtest.Put(t, s, "a", "sound")
	s.Corrupt("a", func(b []byte) []byte { b[0] ^= 1; return b })
	if err := s.Replace(t.Context(), "a", blobtest.Stage(t, s, "sound")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{[]byte("round")}, s.Damaged("a")); diff != "" {
		t.Errorf("put aside (-want +got):\n%s", diff)
	}
	s.Delete("a")
	if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("after Delete: %v", err)
	}
}

func TestFolderIsNoObject(t *testing.T) {
	s := mem.New(mem.Options{})
	blobtest.Put(t, s, "a/b", "x")
	for _, name := range []string{"a", "a/b/c"} {
		if err := blob.Put(t.Context(), s, name, nil); err == nil {
			t.Errorf("%s was published beside a/b", name)
		}
	}
}
