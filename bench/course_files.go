package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// incompressible is one large file from which nothing can be saved: what
// moving and sealing bytes costs by itself.
func incompressible(short bool) course {
	data := dataset{
		name: "incompressible", what: "a file of 2 GiB of which nothing can be compressed", versions: 1,
		make: func(dir string, _ int) error { return noise(dir, 2<<30) },
	}
	if short {
		data.name, data.what = "incompressible-short", "a file of 8 MiB of which nothing can be compressed"
		data.make = func(dir string, _ int) error { return noise(dir, 8<<20) }
	}
	return course{
		name: "incompressible", title: "A file that cannot be compressed",
		data: data, contenders: everyone(), runs: 5, media: bothMedia(short),
		steps: []step{{name: "first collection", do: collect, must: 1.5, aim: 2.5}},
	}
}

// bothMedia are tmpfs and disk. A short run takes the disk, which is
// everywhere.
func bothMedia(short bool) []string {
	if short {
		return []string{disk}
	}
	return []string{tmpfs, disk}
}

// noise writes a file of that many bytes.
func noise(dir string, size int64) error {
	return write(filepath.Join(dir, "noise"), func(w *bufio.Writer) error {
		_, err := io.CopyN(w, rand.NewChaCha8([32]byte{1}), size)
		return err
	})
}

// tree is what hosts are full of: sources, documents, programs.
func tree(short bool) course {
	const most = 1 << 30
	data := dataset{
		name: "tree", versions: 1,
		what: "a mixed tree, copied from the source of Go, /usr/share/doc and /usr/lib/x86_64-linux-gnu",
		make: func(dir string, _ int) error {
			goroot, err := goroot()
			if err != nil {
				return err
			}
			return gather(dir, most, root{filepath.Join(goroot, "src"), 12000}, root{"/usr/share/doc", 4000}, root{"/usr/lib/x86_64-linux-gnu", 4000})
		},
	}
	if short {
		data.name, data.what = "tree-short", "a small mixed tree, copied from the source of Go"
		data.make = func(dir string, _ int) error {
			goroot, err := goroot()
			if err != nil {
				return err
			}
			return gather(dir, most, root{filepath.Join(goroot, "src", "net"), 300})
		}
	}
	return course{
		name: "tree", title: "A mixed tree",
		data: data, contenders: everyone(), runs: 5, media: bothMedia(short),
		steps: []step{
			{name: "first collection", do: collect, must: 1.5, aim: 2, size: true},
			{name: "nothing changed", do: collect, must: 2, aim: 4},
			{name: "full restore", do: restore, must: 1.4, aim: 2},
		},
	}
}

// A root is a folder to gather files from.
type root struct {
	path  string
	files int // at most
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

// goroot asks the go command where its source is.
func goroot() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the source of Go: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// gather copies files, folders and links of each root in the order of their
// names, with times and permissions, until it has enough of it, or that many
// bytes in all. What cannot be read is no matter.
func gather(dir string, most int64, roots ...root) error {
	var bytes int64
	for _, r := range roots {
		files := 0
		err := filepath.WalkDir(r.path, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if files >= r.files || bytes >= most {
				return errEnough
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			to := filepath.Join(dir, strings.TrimPrefix(path, "/"))
			switch {
			case d.IsDir():
				return os.MkdirAll(to, 0o755)
			case d.Type() == fs.ModeSymlink:
				link, err := os.Readlink(path)
				if err != nil {
					return err
				}
				return os.Symlink(link, to)
			case !d.Type().IsRegular():
				return nil
			}
			if err := copyFile(path, to, info); errors.Is(err, fs.ErrPermission) {
				return nil
			} else if err != nil {
				return err
			}
			files++
			bytes += info.Size()
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return fmt.Errorf("copying from %s: %w", r.path, err)
		}
	}
	return nil
}

func copyFile(from, to string, info fs.FileInfo) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := write(to, func(w *bufio.Writer) error { _, err := io.Copy(w, f); return err }); err != nil {
		return err
	}
	if err := os.Chmod(to, info.Mode().Perm()|0o600); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// small is a million small files: what each file costs by itself.
func small(short bool) course {
	folders, each := 1000, 1000
	data := dataset{name: "small", what: "a million files of 100 to 2,000 bytes, in 1,000 folders", versions: 1}
	if short {
		folders, each = 20, 50
		data.name, data.what = "small-short", "1,000 files of 100 to 2,000 bytes, in 20 folders"
	}
	data.make = func(dir string, _ int) error { return sprinkle(dir, folders, each) }
	return course{
		name: "small", title: "Small files", one: filepath.Join("0007", "0042"),
		data: data, contenders: everyone(), runs: 2, media: []string{disk},
		steps: []step{
			{name: "first collection", do: collect},
			{name: "nothing changed", do: collect},
			{name: "list of everything", do: find},
			{name: "restore of one file", do: one},
		},
	}
}

// sprinkle writes many small files of words that repeat.
func sprinkle(dir string, folders, each int) error {
	words := slices.Collect(strings.SplitSeq(vocabulary, " "))
	r := rand.New(rand.NewPCG(3, 4))
	var content []byte
	for i := range folders {
		folder := filepath.Join(dir, fmt.Sprintf("%04d", i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
		for j := range each {
			content = fmt.Appendf(content[:0], "%016x", r.Uint64())
			for size := 100 + r.IntN(1901); len(content) < size; {
				content = append(append(content, ' '), words[r.IntN(len(words))]...)
			}
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%04d", j)), content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// vocabulary is what generated text is made of.
const vocabulary = "account address amount approved archive balance bank branch cancelled city closed company contract country " +
	"created credit currency customer date debit delivered department description discount due employee example export field " +
	"finished group history holder import index invoice item ledger limit line location manager market month name note number " +
	"office open order owner paid partner payment pending period person phone place plan price product project purchase quantity " +
	"rate reason received reference region rejected remark report request returned sales section service shipped site status " +
	"stock street supplier table tax team term total transfer unit updated user value version warehouse week year zone"
