package remote_test

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/gate"
	"strongroom/internal/access/remote"
	"strongroom/internal/safe"
	"strongroom/internal/source/sftp/sftptest"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
	"strongroom/internal/store/storetest"
)

// openGate opens the gate for a snapshot of a store, and returns what ends it.
func openGate(t *testing.T, s *storetest.Store, d safe.Snapshot) (remote.Options, func()) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "store")
	objects, err := dir.Create(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { objects.Close() })
	put(t, folder, s)

	host, operator := sftptest.NewKey(t), sftptest.NewKey(t)
	signer := sftptest.Signer(t, operator)
	task := gate.Task{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Peer: netip.MustParseAddr("127.0.0.1"), User: "operator",
		Key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), HostKey: privateFile(t, host),
		Until: time.Now().Add(time.Minute),
		Files: []gate.File{{Name: layout.Snapshot(d.Run), Content: d.Encode()}},
	}
	for run, needs := range d.Runs {
		envelope, err := blob.ReadAll(t.Context(), s.Blobs, layout.Envelope(run), seal.MaxEnvelope)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := seal.OpenOuter(s.Outer, envelope, seal.Want{Store: d.Store, Run: run, Source: d.Source})
		if err != nil {
			t.Fatal(err)
		}
		task.Files = append(task.Files, gate.File{Name: layout.Run(run) + "/inner.age", Content: inner})
		scope := gate.Scope{Run: run, Packs: needs.Packs}
		if run == d.Run {
			scope.Roots = []safe.Digest{d.Root}
		}
		task.Scope = append(task.Scope, scope)
	}
	server, err := gate.New(task, objects, gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := gate.Listen(t.Context(), task.Listen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := server.Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	}()
	stop := func() {
		end()
		<-done
	}
	t.Cleanup(stop)
	return remote.Options{
		Addr: listener.Addr().String(), User: "operator", HostKey: sftptest.Signer(t, host).PublicKey(), Signer: signer,
		From: netip.MustParseAddr("127.0.0.1"), Connections: 4,
	}, stop
}

func privateFile(t *testing.T, key ed25519.PrivateKey) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// TestThroughTheGate restores as an operator does: with what the gate shows
// and the operators' key alone.
func TestThroughTheGate(t *testing.T) {
	t.Parallel()
	s, d := someFiles(t)
	o, stop := openGate(t, s, d)
	r := dial(t, o)

	b, err := blob.ReadAll(t.Context(), r, layout.Snapshot(d.Run), 1<<20)
	if err != nil || string(b) != string(d.Encode()) {
		t.Fatalf("the description at the gate: %q, %v", b, err)
	}
	inner := func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error) {
		file, err := blob.ReadAll(ctx, r, layout.Run(run)+"/inner.age", seal.MaxEnvelope)
		if err != nil {
			return seal.RunIdentity{}, err
		}
		return seal.OpenInner(s.Inner, file, seal.Want{Store: d.Store, Run: run, Source: d.Source})
	}
	snapshot, err := store.Open(t.Context(), r, d, inner)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	near, away := t.TempDir(), t.TempDir()
	if err := restoreFrom(t, s.Blobs, s, d, near); err != nil {
		t.Fatal(err)
	}
	report := runInto(t, snapshot, away)
	if report.LossCount > 0 {
		t.Errorf("lost: %v", report.Losses)
	}
	if diff := cmp.Diff(tree(t, near), tree(t, away)); diff != "" {
		t.Errorf("restored through the gate (-near +gate):\n%s", diff)
	}

	var names []string
	for info, err := range r.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	want := []string{layout.Run(d.Run) + "/inner.age"}
	for _, digest := range d.Runs[d.Run].Packs {
		want = append(want, layout.Pack(d.Run, digest))
	}
	root := layout.Root(d.Run, d.Root)
	want = append(want, root, layout.Copy(root), layout.Snapshot(d.Run))
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names at the gate (-want +got):\n%s", diff)
	}
	if _, err := r.Open(t.Context(), layout.Envelope(d.Run)); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("an object that is not in scope: %v, want ErrNotExist", err)
	}

	stop()
	if _, err := r.Stat(t.Context(), root); !errors.Is(err, remote.ErrCut) {
		t.Errorf("after the opening has ended: %v, want ErrCut", err)
	}
}
