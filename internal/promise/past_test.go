package promise

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func readKey[K any](s *site, role string, read func(io.Reader) (K, error)) K {
	s.t.Helper()
	f, err := os.Open(s.path("keys", role))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	key, err := read(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

// A tree is what production holds at one time. Everything in it can be told
// from everything else by its name, its content, or both.
type tree struct {
	tag   string
	files map[string]string
	link  string
	attr  string
}

func newTree(tag string) tree {
	id := func(what string) string { return fmt.Sprintf("%s-%s-%s", tag, what, rand.Text()) }
	noise := make([]byte, 300<<10)
	rand.Read(noise)
	prose := strings.Repeat("Whereas the party of the first part, "+id("prose")+"; ", 4000)
	return tree{
		tag: tag,
		files: map[string]string{
			id("folder") + "/" + id("name") + ".txt": prose,
			id("photo") + ".bin":                     string(noise[:200<<10]) + id("noise") + string(noise[200<<10:]),
			id("tiny"):                               id("content"),
		},
		link: id("target"),
		attr: id("attribute"),
	}
}

// put makes the folder hold the tree and nothing else.
func (tr tree) put(t *testing.T, folder string) {
	t.Helper()
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	write(t, folder, tr.files)
	if err := os.Symlink(tr.link, filepath.Join(folder, tr.tag+"-link")); err != nil {
		t.Fatal(err)
	}
	err := unix.Setxattr(filepath.Join(folder, slices.Sorted(maps.Keys(tr.files))[0]), "user.strongroom", []byte(tr.attr), 0)
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
}

// names are what the manifest says of the tree, contents what it does not.
func (tr tree) names() map[string]string {
	wanted := map[string]string{tr.tag + ": target of a link": tr.link}
	for name, content := range tr.files {
		digest := sha256.Sum256([]byte(content))
		wanted[tr.tag+": name "+kindOf(name)] = filepath.Base(name)
		wanted[tr.tag+": digest "+kindOf(name)] = hex.EncodeToString(digest[:])
		wanted[tr.tag+": raw digest "+kindOf(name)] = string(digest[:])
		if folder := filepath.Dir(name); folder != "." {
			wanted[tr.tag+": folder"] = folder
		}
	}
	return wanted
}

func (tr tree) contents() map[string]string {
	wanted := map[string]string{}
	for name, content := range tr.files {
		// The mark in the middle stands for the whole.
		i := strings.LastIndex(content, tr.tag+"-")
		wanted[tr.tag+": content "+kindOf(name)] = content[i : i+len(tr.tag)+20]
	}
	return wanted
}

// kindOf leaves out what is random in a name.
func kindOf(name string) string {
	_, kind, _ := strings.Cut(filepath.Base(name), "-")
	kind, _, _ = strings.Cut(kind, "-")
	return kind
}

// TestNobodyReadsThePastAlone plays a thief who has everything that is on the
// safe and one of the two role keys.
func TestNobodyReadsThePastAlone(t *testing.T) {
	folder := t.TempDir()
	s := newSite(t, localSource("papers", folder, ""))
	past, present := newTree("past"), newTree("present")
	past.put(t, folder)
	s.must("collect", "papers")
	present.put(t, folder)
	s.must("collect", "papers")

	secret := maps.Clone(past.names())
	maps.Copy(secret, past.contents())
	maps.Copy(secret, present.contents())
	remembered := present.names()

	rob := func(roles ...string) *thief {
		wanted := maps.Clone(secret)
		maps.Copy(wanted, remembered)
		h := newThief(t, wanted)
		loot := map[string]string{}
		everyFile(t, s.path("host"), func(path string) {
			place, _ := filepath.Rel(s.path("host"), path)
			loot[place] = path
		})
		for _, role := range roles {
			loot["key of another: "+role] = s.path("keys", role)
		}
		h.rob(loot)
		return h
	}
	for _, role := range []string{"outer", "inner"} {
		h := rob(role)
		for _, what := range slices.Sorted(maps.Keys(secret)) {
			for place := range h.found[what] {
				t.Errorf("with the %s key alone, %q is found in %s", role, what, place)
			}
		}
		for _, what := range slices.Sorted(maps.Keys(remembered)) {
			for place := range h.found[what] {
				if !strings.HasPrefix(place, "dir/memory/papers/") || !strings.Contains(place, ", opened") {
					t.Errorf("with the %s key alone, %q is found in %s, beside the sealed memory", role, what, place)
				}
			}
		}
		// The thief knows the trade: what the safe does remember is found.
		for what := range remembered {
			if h.found[what] == nil && !strings.Contains(what, "digest photo") && !strings.Contains(what, "raw digest") {
				t.Errorf("with the memory's key, %q is not found: the search is worth nothing", what)
			}
		}
		// Of the store, the outer key opens the outer layers and no more.
		var opened int
		for place := range h.opened {
			switch {
			case !strings.HasPrefix(place, "store/"):
			case role == "outer" && strings.HasSuffix(place, ".age, opened"):
				opened++
			default:
				t.Errorf("with the %s key alone, %s", role, place)
			}
		}
		if want := map[string]int{"outer": 4, "inner": 0}[role]; opened != want {
			t.Errorf("the %s key alone opens %d objects of the store, want %d: the envelopes of two runs, and their copies", role, opened, want)
		}
	}

	both := rob("outer", "inner")
	for _, what := range slices.Sorted(maps.Keys(secret)) {
		if both.found[what] == nil && !strings.Contains(what, "digest") {
			t.Errorf("with both keys, %q is not found: the search is worth nothing", what)
		}
	}
}
