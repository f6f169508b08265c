package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/remote"
	"strongroom/internal/access/remote/remotetest"
	"strongroom/internal/fartest"
	"strongroom/internal/safe"
	"strongroom/internal/source/sftp/sftptest"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/blobtest"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// serve shows a folder as a gate would, by OpenSSH.
func serve(t testing.TB, folder string) remote.Options {
	t.Helper()
	return remotetest.Options(t, sshdtest.ForTest(t, sshdtest.Options{ForceCommand: "internal-sftp -R -d " + folder}))
}

func dial(t testing.TB, o remote.Options) *remote.Store {
	t.Helper()
	s, err := remote.Dial(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A pair writes into a folder and reads it through SFTP.
type pair struct {
	*remote.Store
	blob.Writer
}

func TestReader(t *testing.T) {
	t.Parallel()
	blobtest.TestStore(t, func(t *testing.T) blob.Store {
		folder := filepath.Join(t.TempDir(), "store")
		w, err := dir.Create(folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		return pair{dial(t, serve(t, folder)), w}
	})
}

// put fills a folder with the objects of a store.
func put(t testing.TB, folder string, s *storetest.Store) {
	t.Helper()
	for info, err := range s.Blobs.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := blob.ReadAll(context.Background(), s.Blobs, info.Name, info.Size)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, info.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// someFiles makes a store with a snapshot of files great and small.
func someFiles(t testing.TB) (*storetest.Store, safe.Snapshot) {
	s := storetest.New(t)
	src := rand.NewChaCha8([32]byte{7})
	random := func(n int) string {
		b := make([]byte, n)
		src.Read(b)
		return string(b)
	}
	entries := []storetest.Entry{
		storetest.File("great", random(20<<20+5)),
		storetest.File("pieces", random(1<<20)).Cut(3000),
		storetest.Hardlink("same", "great"),
		storetest.Symlink("link", "great"),
	}
	for i := range 300 {
		entries = append(entries, storetest.File(fmt.Sprintf("small/%02d/%03d", i/20, i), random(i*10)))
	}
	return s, s.Snapshot(entries...)
}

// tree returns what is in a folder, content and all.
func tree(t testing.TB, folder string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		content := ""
		if e.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = safe.DigestOf(b).String()
		}
		rel, _ := filepath.Rel(folder, path)
		if rel != "." {
			all[rel] = fmt.Sprint(info.Mode(), " ", info.ModTime().UnixNano(), " ", content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func restoreFrom(t testing.TB, r blob.Reader, s *storetest.Store, d safe.Snapshot, to string) error {
	t.Helper()
	snapshot, err := store.Open(context.Background(), r, d, s.Identities(r, d))
	if err != nil {
		return err
	}
	defer snapshot.Close()
	if report := runInto(t, snapshot, to); report.LossCount > 0 {
		return fmt.Errorf("lost: %v", report.Losses)
	}
	return nil
}

func runInto(t testing.TB, snapshot *store.Snapshot, to string) restore.Report {
	t.Helper()
	root, err := os.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	report, err := restore.Run(context.Background(), snapshot, root, restore.Options{Owner: restore.NoOwner})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestRestoreFromFarAway restores over a link of 20 ms in each direction what
// a restore from the store itself gives.
func TestRestoreFromFarAway(t *testing.T) {
	t.Parallel()
	s, d := someFiles(t)
	near, away := t.TempDir(), t.TempDir()
	if err := restoreFrom(t, s.Blobs, s, d, near); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	put(t, folder, s)
	o := serve(t, folder)
	o.Addr = fartest.ForTest(t, o.Addr, 20*time.Millisecond).Addr
	if err := restoreFrom(t, dial(t, o), s, d, away); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, near), tree(t, away)); diff != "" {
		t.Errorf("restored from far away (-near +away):\n%s", diff)
	}
}

// TestCut ends the opening while something is read: that is one clear error.
func TestCut(t *testing.T) {
	t.Parallel()
	s, d := someFiles(t)
	folder := t.TempDir()
	put(t, folder, s)
	o := serve(t, folder)
	f := fartest.ForTest(t, o.Addr, 20*time.Millisecond)
	o.Addr = f.Addr
	r := dial(t, o)
	snapshot, err := store.Open(t.Context(), r, d, s.Identities(r, d))
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	report, err := restore.Run(t.Context(), snapshot, root, restore.Options{Owner: restore.NoOwner, Progress: func(restore.Progress) { f.Close() }})
	if !errors.Is(err, remote.ErrCut) || !errors.Is(err, blob.ErrGone) {
		t.Errorf("a restore that was cut: %v, want ErrCut", err)
	}
	if report.LossCount > 0 {
		t.Errorf("%d losses are reported of a store that is gone, the first %v", report.LossCount, report.Losses[0])
	}
	if _, err := r.Stat(t.Context(), "format"); !errors.Is(err, remote.ErrCut) {
		t.Errorf("after the cut: %v, want ErrCut", err)
	}
	r.Close()
	if _, err := r.Stat(t.Context(), "format"); !errors.Is(err, blob.ErrGone) {
		t.Errorf("after Close: %v, want ErrGone", err)
	}
}

// TestReconnects loses connections that can be made again: nobody notices.
func TestReconnects(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := os.WriteFile(filepath.Join(folder, "a"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	o := serve(t, folder)
	f := fartest.ForTest(t, o.Addr, 0)
	o.Addr, o.Connections = f.Addr, 2
	r := dial(t, o)
	object, err := r.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	for round := range 3 {
		f.Cut()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				got := make([]byte, len(content))
				if _, err := object.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, content) {
					t.Errorf("round %d: reading after a connection was lost: %v", round, err)
				}
			})
		}
		group.Wait()
	}
	if n := f.Connections(); n > 8 {
		t.Errorf("%d connections were made, want no more than two each time", n)
	}
}

func TestCancelledDial(t *testing.T) {
	t.Parallel()
	o := serve(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	r, err := remote.Dial(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := r.Stat(context.Background(), "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context of Dial has ended: %v", err)
	}
}

func TestAnotherHost(t *testing.T) {
	t.Parallel()
	o := serve(t, t.TempDir())
	other := sftptest.Signer(t, sftptest.NewKey(t)).PublicKey()
	o.HostKey = other
	var wrong *remote.HostKeyError
	if _, err := remote.Dial(t.Context(), o); !errors.As(err, &wrong) || wrong.Want != "ssh-ed25519 "+ssh.FingerprintSHA256(other) {
		t.Errorf("another host key than the pinned one: %v", err)
	}
}

func TestAnotherUser(t *testing.T) {
	t.Parallel()
	o := serve(t, t.TempDir())
	o.Signer = sftptest.Signer(t, sftptest.NewKey(t))
	if _, err := remote.Dial(t.Context(), o); err == nil || !strings.Contains(err.Error(), "does not accept the key") {
		t.Errorf("another key than the operator's: %v", err)
	}
}

// hostile dials a server that says what it wants.
func hostile(t *testing.T, f *sftptest.Fake) *remote.Store {
	t.Helper()
	s := sftptest.Start(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	o := remotetest.Options(t, &sshdtest.Server{Addr: s.Addr, User: s.User, HostKey: s.HostKey, PrivateKey: s.PrivateKey})
	o.Stall = 2 * time.Second // also to connect in, on a busy machine
	return dial(t, o)
}

func TestHostileServer(t *testing.T) {
	content := strings.Repeat("x", 100<<10)
	file := sftptest.Entry("o", sftptest.Attrs(sftptest.Regular, uint64(len(content))))
	for _, test := range []struct {
		name string
		fake sftptest.Fake
		want string // in the error; "" for none
		gone bool
	}{
		{"as it should be", sftptest.Fake{Files: []sftptest.Named{file}}, "", false},
		{"gives little", sftptest.Fake{Files: []sftptest.Named{file}, Answer: func(typ byte, id uint32, text string, offset uint64) []byte {
			if typ != sftptest.Read || offset >= uint64(len(content)) {
				return nil
			}
			return sftptest.Data(id, content[offset:offset+512])
		}}, "", false},
		{"gives less than it said", sftptest.Fake{Files: []sftptest.Named{sftptest.Entry("o", sftptest.Attrs(sftptest.Regular, 200<<10))}}, "ends before", false},
		{"gives more than asked", sftptest.Fake{Files: []sftptest.Named{file}, Answer: func(typ byte, id uint32, _ string, _ uint64) []byte {
			if typ != sftptest.Read {
				return nil
			}
			return sftptest.Data(id, strings.Repeat("x", 40<<10))
		}}, "does not keep to the SFTP protocol", true},
		{"a size beyond reason", sftptest.Fake{Files: []sftptest.Named{sftptest.Entry("o", sftptest.Attrs(sftptest.Regular, 1<<63))}}, "does not tell", false},
		{"a folder", sftptest.Fake{Files: []sftptest.Named{sftptest.Entry("o", sftptest.Attrs(sftptest.Dir, 0))}}, "not a regular file", false},
		{"a link", sftptest.Fake{Files: []sftptest.Named{sftptest.Entry("o", sftptest.Attrs(sftptest.Link, 0))}}, "not a regular file", false},
		{"no type", sftptest.Fake{Files: []sftptest.Named{sftptest.Entry("o", sftptest.U32(0))}}, "does not tell", false},
		{"refuses", sftptest.Fake{Files: []sftptest.Named{file}, Answer: func(typ byte, id uint32, _ string, _ uint64) []byte {
			if typ != sftptest.Read {
				return nil
			}
			return sftptest.Status(id, 4)
		}}, "failure", false},
		{"is silent", sftptest.Fake{Files: []sftptest.Named{file}, Answer: func(typ byte, id uint32, _ string, _ uint64) []byte {
			if typ != sftptest.Read {
				return nil
			}
			return sftptest.Silence
		}}, "silent", true},
		{"hangs up", sftptest.Fake{Files: []sftptest.Named{file}, Answer: func(typ byte, id uint32, _ string, _ uint64) []byte {
			if typ != sftptest.Read {
				return nil
			}
			return sftptest.HangUp
		}}, "closed the connection", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.fake.Data = map[string]string{"o": content}
			r := hostile(t, &test.fake)
			got, err := blob.ReadAll(t.Context(), r, "o", 1<<20)
			switch {
			case test.want == "" && (err != nil || string(got) != content):
				t.Errorf("got %d bytes, %v", len(got), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want an error with %q", err, test.want)
			case errors.Is(err, blob.ErrGone) != test.gone:
				t.Errorf("%v: gone is %v, want %v", err, !test.gone, test.gone)
			}
		})
	}
}

func TestHostileListing(t *testing.T) {
	entry := func(name string) sftptest.Named { return sftptest.Entry(name, sftptest.Attrs(sftptest.Regular, 1)) }
	for name, files := range map[string][]sftptest.Named{
		"a path":             {entry("../x")},
		"an absolute":        {entry("/x")},
		"nothing":            {entry("")},
		"twice":              {entry("a"), entry("a")},
		"a folder in itself": {sftptest.Entry("a", sftptest.Attrs(sftptest.Dir, 0))},
	} {
		t.Run(name, func(t *testing.T) {
			r := hostile(t, &sftptest.Fake{Files: files})
			errs := 0
			for info, err := range r.List(t.Context(), "") {
				if err == nil {
					t.Errorf("yielded %+v", info)
				} else {
					errs++
				}
			}
			if errs == 0 {
				t.Error("there was no error")
			}
		})
	}
}
