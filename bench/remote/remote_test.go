// Package remote measures a restore from far away against copying the same
// packs with OpenSSH's sftp: in one run, by turns, on the same data. It is run
// by make bench-remote, and fails nobody's test for being slow.
package remote

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access/remote"
	"strongroom/internal/access/remote/remotetest"
	"strongroom/internal/safe"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// fill makes a store in a folder: a great file of which nothing can be
// compressed, and 3,000 files that can be, half.
func fill(b *testing.B, folder string) (*storetest.Store, safe.Snapshot) {
	s := storetest.New(b)
	src := rand.NewChaCha8([32]byte{1})
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) string {
		p := make([]byte, n)
		src.Read(p)
		return string(p)
	}
	entries := []storetest.Entry{storetest.File("great", random(160<<20))}
	for i := range 3000 {
		half := r.IntN(40 << 10)
		line := fmt.Sprint("line ", i)
		entries = append(entries, storetest.File(fmt.Sprintf("files/%02d/%04d", i/100, i), random(half)+strings.Repeat(line, half/len(line)+1)))
	}
	d := s.Snapshot(entries...)
	for info, err := range s.Blobs.List(b.Context(), "") {
		if err != nil {
			b.Fatal(err)
		}
		data, err := blob.ReadAll(b.Context(), s.Blobs, info.Name, info.Size)
		if err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(folder, info.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return s, d
}

// restoreAll restores a snapshot and returns how long it took, with opening it.
func restoreAll(b *testing.B, r blob.Reader, s *storetest.Store, d safe.Snapshot) time.Duration {
	to := b.TempDir()
	defer os.RemoveAll(to)
	began := time.Now()
	snapshot, err := store.Open(b.Context(), r, d, s.Identities(r, d))
	if err != nil {
		b.Fatal(err)
	}
	defer snapshot.Close()
	root, err := os.OpenRoot(to)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	report, err := restore.Run(b.Context(), snapshot, root, restore.Options{Owner: restore.NoOwner})
	if err != nil || report.LossCount > 0 {
		b.Fatal(err, report.Losses)
	}
	return time.Since(began)
}

// copyPacks copies the packs of a run with sftp, at its best cipher, and
// returns how long it took.
func copyPacks(b *testing.B, server *sshdtest.Server, addr string, d safe.Snapshot) time.Duration {
	to := b.TempDir()
	defer os.RemoveAll(to)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("sftp", "-q", "-r", "-F", "none", "-i", server.KeyFile, "-P", port, "-c", "aes128-gcm@openssh.com",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes",
		server.User+"@"+host+":"+layout.Run(d.Run)+"/packs", to)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("sftp: %v: %s", err, out)
	}
	took := time.Since(began)
	if got, err := os.ReadDir(filepath.Join(to, "packs")); err != nil || len(got) != len(d.Runs[d.Run].Packs) {
		b.Fatalf("sftp has copied %d of %d packs: %v", len(got), len(d.Runs[d.Run].Packs), err)
	}
	return took
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkRemote restores, and copies what is restored, over a link that takes
// a time in each direction. What is reported as times-sftp is the ratio of the
// medians: above 1 we are faster.
func BenchmarkRemote(b *testing.B) {
	folder := b.TempDir()
	s, d := fill(b, folder)
	server := sshdtest.ForTest(b, sshdtest.Options{ForceCommand: "internal-sftp -R -d " + folder})
	for _, delay := range []time.Duration{0, 20 * time.Millisecond} {
		for _, connections := range []int{2, 4} {
			b.Run(fmt.Sprintf("delay=%v/connections=%d", delay, connections), func(b *testing.B) {
				addr := server.Addr
				if delay > 0 {
					addr = remotetest.NewFar(b, addr, delay).Addr
				}
				o := remotetest.Options(b, server)
				o.Addr, o.Connections = addr, connections
				var ours, theirs []time.Duration
				for b.Loop() {
					theirs = append(theirs, copyPacks(b, server, addr, d))
					began := time.Now()
					r, err := remote.Dial(context.Background(), o)
					if err != nil {
						b.Fatal(err)
					}
					dialling := time.Since(began)
					ours = append(ours, dialling+restoreAll(b, r, s, d))
					r.Close()
				}
				b.ReportMetric(median(ours).Seconds(), "s-ours")
				b.ReportMetric(median(theirs).Seconds(), "s-sftp")
				b.ReportMetric(median(theirs).Seconds()/median(ours).Seconds(), "times-sftp")
			})
		}
	}
}

// BenchmarkLocal restores and verifies from a folder, to be compared with the
// same of another version.
func BenchmarkLocal(b *testing.B) {
	folder := b.TempDir()
	s, d := fill(b, folder)
	r, err := dir.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.Run("restore", func(b *testing.B) {
		b.SetBytes(d.Bytes)
		for b.Loop() {
			restoreAll(b, r, s, d)
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(d.Bytes)
		for b.Loop() {
			snapshot, err := store.Open(b.Context(), r, d, s.Identities(r, d))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := restore.Verify(b.Context(), snapshot, restore.Options{}); err != nil {
				b.Fatal(err)
			}
			snapshot.Close()
		}
	})
}
