package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/store/blob"
)

// maxNames bounds a folder. A run of a terabyte has 32,000 packs.
const maxNames = 1 << 20

// List implements blob.Reader. It holds the names of one folder at a time and
// of those above it, and takes three round trips for each.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if err := blob.CheckPrefix(prefix); err != nil {
			yield(blob.Info{}, err)
			return
		}
		in, rest := path.Split(prefix)
		s.list(ctx, in, rest, yield)
	}
}

// list yields what is in a folder, whose name is empty or ends in a slash, and
// begins there with rest. It reports whether to go on.
func (s *Store) list(ctx context.Context, in, rest string, yield func(blob.Info, error) bool) bool {
	children, err := s.children(ctx, in)
	switch {
	case err == nil:
	case in != "" && answered(err) && errors.Is(err, fs.ErrNotExist):
		return true
	case in != "" && answered(err):
		return yield(blob.Info{}, nameError(strings.TrimSuffix(in, "/"), err))
	default:
		yield(blob.Info{}, fmt.Errorf("listing the store at the gate: %w", err))
		return false
	}
	for _, child := range children {
		if !strings.HasPrefix(child.Name, rest) {
			continue
		}
		name, isFolder := strings.CutSuffix(in+child.Name, "/")
		goOn := true
		switch err := blob.CheckName(name); {
		case in == "" && (name == "stage" || name == "damaged"):
		case err != nil:
			goOn = yield(blob.Info{}, &blob.NameError{Name: name, Err: err})
		case isFolder:
			goOn = s.list(ctx, name+"/", "", yield)
		default:
			info, err := describe(name, child.Attrs)
			goOn = yield(info, nameError(name, err))
		}
		if !goOn {
			return false
		}
	}
	return true
}

// children returns what is in a folder, with a slash at the end of the names
// of folders: sorted like this, a walk yields whole names in ascending order.
func (s *Store) children(ctx context.Context, in string) (names []wire.Name, err error) {
	err = s.do(ctx, s.next(), func(l *link) error {
		names, err = readFolder(l.client, path.Clean(in)) // "." for the top
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range names {
		if names[i].Has(wire.HasMode) && names[i].Mode&typeBits == folder {
			names[i].Name += "/"
		}
	}
	slices.SortFunc(names, func(a, b wire.Name) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(names); i++ {
		if names[i].Name == names[i-1].Name {
			return nil, oddError(fmt.Sprintf("%q is listed twice", names[i].Name))
		}
	}
	return names, nil
}

// readFolder reads a folder with two requests under way at any time.
func readFolder(client *wire.Client, name string) ([]wire.Name, error) {
	handle, err := client.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	var all []wire.Name
	dots := 0
	next, afterNext := handle.List(), handle.List()
	for {
		page, err := handle.Page(next)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		next, afterNext = afterNext, handle.List()
		for _, n := range page {
			if n.Name == "." || n.Name == ".." {
				dots++
			} else {
				all = append(all, n)
			}
		}
		if len(all)+dots > maxNames {
			return nil, oddError(fmt.Sprintf("has more than %d names", maxNames))
		}
	}
}
