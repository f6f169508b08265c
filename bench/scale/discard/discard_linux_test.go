package discard

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

func TestStore(t *testing.T) {
	s := New()
	defer s.Close()
	run := safe.NewRunID(time.Unix(1e9, 0))
	put := func(name string, content []byte) {
		t.Helper()
		o, err := s.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		half := len(content) / 2
		for _, part := range [][]byte{content[:half], content[half:]} {
			if n, err := o.Write(part); n != len(part) || err != nil {
				t.Fatalf("%d bytes written of %d, %v", n, len(part), err)
			}
		}
		// One byte more is asked for than there is of this object, though the
		// file may have more of an earlier one.
		got := make([]byte, len(content)+1)
		if n, err := o.ReadAt(got, 0); n != len(content) || err != io.EOF || !bytes.Equal(got[:n], content) {
			t.Errorf("%q of %q was read back, %v", got[:n], content, err)
		}
		if n, err := o.ReadAt(got[:1], int64(len(content))); n != 0 || err != io.EOF {
			t.Errorf("beyond the end: %d bytes, %v", n, err)
		}
		if err := errors.Join(o.Publish(t.Context(), name), o.Discard(), o.Discard()); err != nil {
			t.Error(err)
		}
	}
	put(layout.Pack(run, safe.Digest{1}), []byte("a long object"))
	put(layout.Pack(run, safe.Digest{2}), []byte("short"))
	put(layout.Parity(run, safe.Digest{2}), []byte("x"))
	put(layout.Root(run, safe.Digest{3}), []byte("root"))
	put(layout.Envelope(run), nil)
	never, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(never.Discard(), s.Sync(t.Context())); err != nil {
		t.Error(err)
	}
	want := Counts{Packs: Count{2, 18}, Parity: Count{1, 1}, Roots: Count{1, 4}, Other: Count{1, 0}}
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Errorf("counts differ (- want):\n%s", diff)
	}
}

// Objects that are staged at the same time do not lie in one another's place.
func TestStagedTogether(t *testing.T) {
	s := New()
	defer s.Close()
	one, err1 := s.Stage(t.Context())
	other, err2 := s.Stage(t.Context())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	one.Write([]byte("one"))
	other.Write([]byte("other"))
	got := make([]byte, 3)
	if _, err := one.ReadAt(got, 0); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if err := errors.Join(one.Discard(), other.Discard()); err != nil {
		t.Error(err)
	}
}
