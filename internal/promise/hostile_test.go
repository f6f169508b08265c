package promise

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"strongroom/internal/source/sftp/sftptest"
)

// The names that hostile servers give their files. A name is nobody's business
// who has no key, so it may be told on the terminal and is published nowhere.
const (
	good   = "a-confidential-name"
	better = "b-confidential-name"
	bad    = "c-confidential-name"
)

// A lie is a server that does not do what it should.
type lie struct {
	name string
	fake sftptest.Fake
	say  string   // among what the program says; "" if all is well
	kept []string // of the files; if a connection broke, perhaps fewer
	// include is what is asked for; "" means the folder.
	include string
}

func lies() []lie {
	small := func(name string) sftptest.Named { return sftptest.Entry(name, sftptest.Attrs(sftptest.Regular, 5)) }
	files := []sftptest.Named{small(good), small(better), small(bad)}
	others := []string{good, better}
	honest := map[string]string{good: "hello", better: "world", bad: "again"}
	with := func(content string) map[string]string {
		data := maps.Clone(honest)
		data[bad] = content
		return data
	}
	sized := func(size uint64) []sftptest.Named {
		return []sftptest.Named{files[0], files[1], sftptest.Entry(bad, sftptest.Attrs(sftptest.Regular, size))}
	}
	// on has the bad file, or everything if name is "", answered in another way.
	on := func(want byte, name string, reply func(id uint32, offset uint64) []byte) func(byte, uint32, string, uint64) []byte {
		return func(typ byte, id uint32, text string, offset uint64) []byte {
			if typ == want && strings.HasSuffix(text, name) {
				return reply(id, offset)
			}
			return nil
		}
	}
	silent := func(uint32, uint64) []byte { return sftptest.Silence }
	later := func(what []byte) func(id uint32, offset uint64) []byte {
		return func(_ uint32, offset uint64) []byte {
			if offset < 1<<20 {
				return nil
			}
			return what
		}
	}
	large := strings.Repeat("x", 4<<20)
	return []lie{
		{name: "honest", fake: sftptest.Fake{Files: files, Data: honest}, kept: []string{good, better, bad}},
		{name: "less than it claims", fake: sftptest.Fake{Files: files, Data: with("hi")}, say: "is not complete", kept: others},
		{name: "a size beyond all", fake: sftptest.Fake{Files: sized(1<<63 - 1), Data: honest}, say: "is not complete", kept: others},
		{name: "endless data", say: "is not complete", kept: others, fake: sftptest.Fake{Files: files, Data: honest,
			Answer: func(typ byte, id uint32, text string, offset uint64) []byte {
				switch {
				case typ == sftptest.Read && strings.HasSuffix(text, bad):
					return sftptest.Data(id, "yyyyy")
				case typ == sftptest.Fstat && strings.HasSuffix(text, bad):
					return sftptest.Attributes(id, sftptest.Attrs(sftptest.Regular, offset+1<<40))
				}
				return nil
			}}},
		{name: "endless names", say: "is not complete", fake: sftptest.Fake{Target: "x",
			Answer: on(sftptest.Readdir, "", func(id uint32, _ uint64) []byte {
				var page []sftptest.Named
				for i := range 20 {
					page = append(page, sftptest.Entry(fmt.Sprintf("%s-%d-%d", good, id, i), sftptest.Attrs(sftptest.Link, 0)))
				}
				return sftptest.Page(id, page...)
			})}},
		{name: "silent from the start", fake: sftptest.Fake{Answer: on(sftptest.Init, "", silent)}, say: "took longer than the 2s"},
		{name: "silent when listed", fake: sftptest.Fake{Answer: on(sftptest.Readdir, "", silent)}, say: "took longer than the 2s"},
		{name: "silent in a file", fake: sftptest.Fake{Files: sized(4 << 20), Data: with(large), Answer: on(sftptest.Read, bad, later(sftptest.Silence))},
			say: "took longer than the 2s", kept: others},
		{name: "hangs up when listed", fake: sftptest.Fake{Answer: on(sftptest.Readdir, "", func(uint32, uint64) []byte { return sftptest.HangUp })},
			say: "closed the connection"},
		{name: "hangs up in a file", fake: sftptest.Fake{Files: sized(4 << 20), Data: with(large), Answer: on(sftptest.Read, bad, later(sftptest.HangUp))},
			say: "closed the connection", kept: others},
		{name: "fails in a file", fake: sftptest.Fake{Files: files, Data: honest,
			Answer: on(sftptest.Read, bad, func(id uint32, _ uint64) []byte { return sftptest.Status(id, 4) })}, say: "is not complete", kept: others},
		{name: "denies a file", fake: sftptest.Fake{Files: files, Data: honest,
			Answer: on(sftptest.Open, bad, func(id uint32, _ uint64) []byte { return sftptest.Status(id, 3) })}, say: "is not complete", kept: others},
		{name: "a packet beyond all", fake: sftptest.Fake{Files: files, Data: honest,
			Answer: on(sftptest.Open, bad, func(uint32, uint64) []byte { return append(sftptest.U32(1<<32-1), 102) })}, say: "does not keep to the SFTP protocol", kept: others},
		{name: "more than was asked for", fake: sftptest.Fake{Files: files, Data: honest,
			Answer: on(sftptest.Read, bad, func(id uint32, _ uint64) []byte { return sftptest.Data(id, "again, and more") })},
			say: "does not keep to the SFTP protocol", kept: others},
		{name: "denies all that was asked for", fake: sftptest.Fake{Files: files, Data: honest,
			Answer: on(sftptest.Open, bad, func(id uint32, _ uint64) []byte { return sftptest.Status(id, 3) })}, say: "unreadable", include: "/d/c*"},
		{name: "names that lead elsewhere", fake: sftptest.Fake{Files: append(files[:2:2], small("../../"+bad), small("/etc/"+bad), small("..")), Data: honest},
			say: "is not complete", kept: others},
	}
}

// TestHostileServers shows that of a server which lies or stalls nothing is
// kept as complete, that what is kept is true, and that no name of a file gets
// to where it can be read without a key.
func TestHostileServers(t *testing.T) {
	var sources strings.Builder
	names := map[string]string{} // of sources, by what the server does
	for i, l := range lies() {
		server := sftptest.Start(t, sftptest.Signer(t, sftptest.NewKey(t)), l.fake.Serve)
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, server.PrivateKey, 0o600); err != nil {
			t.Fatal(err)
		}
		names[l.name] = fmt.Sprintf("source-%d", i)
		fmt.Fprintf(&sources, "%s:\n  kind: sftp\n  host: %s@%s\n  host_key: %s\n  key: file:%s\n  include: [ %s ]\n  limits: { duration: 2s, bytes: 9MB, entries: 40 }\n",
			names[l.name], server.User, server.Addr, server.HostKey, key, cmp.Or(l.include, "/d"))
	}
	full := t.TempDir()
	write(t, full, map[string]string{good: randomText(12 << 20)})
	sources.WriteString(localSource("full", full, ""))
	s := newSite(t, sources.String())
	// A store that is full fails in the middle of a file, too.
	r := s.limited(1<<20, "collect", "full")
	if r.code != 1 || !containsAll(r.err, "nothing could be kept", "file too large") {
		t.Errorf("a store that takes no more: %s", r)
	}
	t.Run("servers", func(t *testing.T) {
		for _, l := range lies() {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				s.of(t).face(l, names[l.name])
			})
		}
	})
	ledger := s.must("ledger", "show", "--json").out
	if strings.Contains(ledger, "confidential") {
		t.Errorf("a name of a file is in the ledger:\n%s", ledger)
	}
	everyFile(t, s.path("host"), func(path string) {
		if bytes.Contains(mustRead(t, path), []byte("confidential")) {
			t.Errorf("a name of a file is in %s", path)
		}
	})
}

// limited runs the program where no file may grow beyond a size.
func (s *site) limited(size int, args ...string) result {
	s.t.Helper()
	cmd := s.command(args...)
	script := fmt.Sprintf(`ulimit -f %d && exec "$0" "$@"`, size/512)
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"/bin/sh", "-c", script}, cmd.Args...)
	return s.finish(cmd)
}

// face collects from a server and looks at what is kept.
func (s *site) face(l lie, source string) {
	s.t.Helper()
	began := time.Now()
	r := s.run("collect", source)
	if took := time.Since(began); took > 15*time.Second {
		s.t.Errorf("it took %v", took)
	}
	// 1 says that nothing could be kept, and 3 that it was in part.
	if lied := l.say != ""; lied != (r.code == 1 || r.code == 3) || !lied && r.code != 0 || !containsAll(r.err, l.say) {
		s.t.Errorf("want it to say %q, got %s", l.say, r)
	}
	all := s.run("snapshots", "--json", source)
	if l.say != "" && strings.Contains(all.out, `"partial":false`) {
		s.t.Errorf("a complete snapshot was kept: %s", all)
	}
	restored, kept := map[string]string{}, map[string]string{}
	if r.code != 1 {
		out := s.t.TempDir()
		if r := s.read(s.path("host/store"), "restore", source, "--to", out); r.code != 0 {
			s.t.Error(r)
		}
		everyFile(s.t, out, func(path string) {
			rel, _ := filepath.Rel(out, path)
			restored[rel] = string(mustRead(s.t, path))
		})
	}
	for _, name := range l.kept {
		// Which files are read before a connection breaks is a race.
		if _, ok := restored["d/"+name]; ok || !strings.Contains(r.err, "the server") {
			kept["d/"+name] = l.fake.Data[name]
		}
	}
	if diff := gocmp.Diff(kept, restored); diff != "" {
		s.t.Errorf("kept (-want +got):\n%s\n%s", diff, r)
	}
}
