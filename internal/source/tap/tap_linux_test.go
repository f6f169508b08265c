package tap_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/local"
	"strongroom/internal/source/sourcetest"
	"strongroom/internal/source/tap"
)

// A source with a tap that wants everything keeps what every source promises.
func TestTapKeepsTheContract(t *testing.T) {
	sourcetest.Run(t, sourcetest.Kind{Full: true, New: func(include, exclude []string, limits source.Limits) (source.Source, error) {
		s, err := local.New(local.Options{Include: include, Exclude: exclude, Limits: limits})
		if err != nil {
			return nil, err
		}
		return tap.New(s, tap.Options{Wants: func(safe.Entry) bool { return true }, Most: 1 << 20, See: func(string, []byte) {}}), nil
	}})
}

func TestTapSees(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("x", 101)
	for name, content := range map[string]string{"a.conf": "one", "b.conf": "", "c.txt": "no", "d.conf": long, "e.conf": long[:100]} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"a.conf": "one", "b.conf": "", "e.conf": long[:100]}
	for _, tt := range []struct {
		name string
		need func(safe.Entry) bool
		gets []string // by the consumer
	}{
		{"the consumer needs all", nil, []string{"a.conf", "b.conf", "c.txt", "d.conf", "e.conf"}},
		{"the consumer needs nothing", func(safe.Entry) bool { return false }, nil},
		{"the consumer needs one", func(e safe.Entry) bool { return filepath.Base(e.Path) == "e.conf" }, []string{"e.conf"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := local.New(local.Options{Include: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[string]string)
			tapped := tap.New(s, tap.Options{
				Wants: func(e safe.Entry) bool { return strings.HasSuffix(e.Path, ".conf") },
				Most:  100,
				See:   func(path string, content []byte) { seen[filepath.Base(path)] = string(content) },
			})
			var gets []string
			for item, err := range tapped.Pull(t.Context(), source.Request{Need: tt.need}) {
				if err != nil {
					t.Fatal(err)
				}
				if item.Content == nil {
					continue
				}
				if _, err := io.Copy(io.Discard, item.Content); err != nil {
					t.Fatal(err)
				}
				item.Content.Close()
				gets = append(gets, filepath.Base(item.Path))
			}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("what was seen (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.gets, gets); diff != "" {
				t.Errorf("what the consumer got (-want +got):\n%s", diff)
			}
		})
	}
}

// half is a source whose one file breaks off.
type half struct{ failure error }

func (h half) Pull(_ context.Context, r source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		e := safe.Entry{Path: "/a", Type: safe.File, Size: 3}
		r.Need(e)
		yield(source.Item{Entry: e, Content: io.NopCloser(io.MultiReader(strings.NewReader("on"), iotest.ErrReader(h.failure)))}, nil)
	}
}

func (half) Matches() []source.Match { return nil }

// A file that cannot be read whole is not seen. If that is a matter of this file
// alone, and the consumer does not need it, then it is none of theirs.
func TestTapOfAFileThatBreaksOff(t *testing.T) {
	gone := errors.New("the connection is gone")
	for _, tt := range []struct {
		name    string
		failure error
		want    error
	}{
		{"a problem with the file", &source.Problem{Kind: source.Unreadable, Path: "/a", Err: gone}, nil},
		{"the end of the source", gone, gone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tapped := tap.New(half{tt.failure}, tap.Options{
				Wants: func(safe.Entry) bool { return true }, Most: 100,
				See: func(string, []byte) { t.Error("half a file was seen") },
			})
			for item, err := range tapped.Pull(t.Context(), source.Request{Need: func(safe.Entry) bool { return false }}) {
				if err != tt.want || item.Content != nil {
					t.Errorf("the error is %v, the content %v, want %v and none", err, item.Content, tt.want)
				}
			}
		})
	}
}
