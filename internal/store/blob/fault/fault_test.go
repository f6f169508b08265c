package fault_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/blobtest"
	"strongroom/internal/store/blob/fault"
	"strongroom/internal/store/blob/mem"
)

// A Store that is not to fail yet is as good as the one in it.
func TestStore(t *testing.T) {
	blobtest.TestStore(t, func(*testing.T) blob.Store {
		return fault.New(mem.New(mem.Options{}), fault.Stop, 1<<30)
	})
}

// The operations of two objects put and synced:
//
//	1 stage  2 write  3 publish a  4 sync  5 stage  6 write  7 publish b  8 sync
func putTwo(t *testing.T, s blob.Store) error {
	for _, name := range []string{"a", "b"} {
		if err := blob.Put(t.Context(), s, name, []byte("four")); err != nil {
			return err
		}
		if err := s.Sync(t.Context()); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryOperationFailsOnce(t *testing.T) {
	none, a, both := map[string]string{}, map[string]string{"a": "four"}, map[string]string{"a": "four", "b": "four"}
	before := []map[string]string{none, none, none, a, a, a, a, both} // operation n had no effect
	unknown := []map[string]string{none, none, a, a, a, a, both, both}
	for _, mode := range fault.Modes {
		for n := 1; ; n++ {
			inner := mem.New(mem.Options{})
			s := fault.New(inner, mode, n)
			err := putTwo(t, s)
			if !s.Struck() {
				if err != nil || n != len(before)+1 || s.Operations() != len(before) {
					t.Errorf("%s: %d operations, %v, want %d and no error", mode, s.Operations(), err, len(before))
				}
				break
			}
			if !errors.Is(err, fault.ErrInjected) || errors.Is(err, syscall.ENOSPC) != (mode == fault.NoSpace) {
				t.Errorf("%s at %d: got %v", mode, n, err)
			}
			want := before[n-1]
			if mode == fault.Unknown {
				want = unknown[n-1]
			}
			if diff := cmp.Diff(want, blobtest.Contents(t, inner)); diff != "" {
				t.Errorf("%s at %d: contents (-want +got):\n%s", mode, n, diff)
			}
			// What failed once succeeds when it is done again, after a Stop
			// with a new process.
			again := blob.Store(s)
			if mode == fault.Stop {
				if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, fault.ErrInjected) {
					t.Errorf("reading after a stop at %d: %v", n, err)
				}
				again = inner
			}
			for _, name := range []string{"a", "b"} {
				if err := blob.PutOnce(t.Context(), again, name, []byte("four")); err != nil {
					t.Errorf("%s at %d: again: %v", mode, n, err)
				}
			}
			if diff := cmp.Diff(both, blobtest.Contents(t, again)); diff != "" {
				t.Errorf("%s at %d: contents at last (-want +got):\n%s", mode, n, diff)
			}
		}
	}
}

func TestWriteThatFailed(t *testing.T) {
	for mode, want := range map[fault.Mode]int{fault.Fail: 0, fault.Short: 2, fault.NoSpace: 2, fault.Unknown: 4, fault.Stop: 0} {
		s := fault.New(mem.New(mem.Options{}), mode, 2)
		st, err := s.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n, err := st.Write([]byte("four")); n != want || !errors.Is(err, fault.ErrInjected) {
			t.Errorf("%s: Write returned %d, %v, want %d and the fault", mode, n, err, want)
		}
		if err := st.Publish(t.Context(), "a"); err == nil {
			t.Errorf("%s: the object was published all the same", mode)
		}
		if err := st.Discard(); err != nil {
			t.Errorf("%s: discarding: %v", mode, err)
		}
	}
}

func TestReplaceFails(t *testing.T) {
	for mode, want := range map[fault.Mode]string{fault.Fail: "old", fault.Unknown: "new", fault.Stop: "old"} {
		inner := mem.New(mem.Options{})
		blobtest.Put(t, inner, "a", "old")
		s := fault.New(inner, mode, 3)
		if err := s.Replace(t.Context(), "a", blobtest.Stage(t, s, "new")); !errors.Is(err, fault.ErrInjected) {
			t.Errorf("%s: got %v", mode, err)
		}
		if diff := cmp.Diff(map[string]string{"a": want}, blobtest.Contents(t, inner)); diff != "" {
			t.Errorf("%s: contents (-want +got):\n%s", mode, diff)
		}
	}
}
