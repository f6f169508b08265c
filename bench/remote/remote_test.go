// Package remote measures how a snapshot is read from far away: through a gate,
// against copying the same packs with OpenSSH's sftp, in one run, by turns, on
// the same data; and from a bucket. It is run by make bench-remote and make
// bench-bucket, and fails nobody's test for being slow.
package remote

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"strongroom/internal/access/remote"
	"strongroom/internal/access/remote/remotetest"
	"strongroom/internal/fartest"
	"strongroom/internal/safe"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/store"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// fillFolder is fill for a store in a folder, with one snapshot.
func fillFolder(b *testing.B, folder string) (*storetest.Store, safe.Snapshot) {
	s, d := fill(b, 0)
	to, err := dir.Create(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close() // what it has is read by others
	copyStore(b, s, to)
	return s, d
}

// A cost is what something took: time, and the processors' time of whoever did
// it, which says more on a machine that does other things too.
type cost struct{ wall, cores time.Duration }

// measure measures what this process does.
func measure(b *testing.B, do func()) cost {
	cores := func() time.Duration {
		var used unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
			b.Fatal(err)
		}
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	began, before := time.Now(), cores()
	do()
	return cost{time.Since(began), cores() - before}
}

// inNewFolder calls do with a folder that is there for so long.
func inNewFolder(b *testing.B, do func(folder string)) {
	folder, err := os.MkdirTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(folder)
	do(folder)
}

// copyPacks copies the packs of a run with sftp, at its best cipher.
func copyPacks(b *testing.B, server *sshdtest.Server, addr string, d safe.Snapshot, to string) cost {
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
	took := cost{time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()} // with ssh, its child
	if got, err := os.ReadDir(filepath.Join(to, "packs")); err != nil || len(got) != len(d.Runs[d.Run].Packs) {
		b.Fatalf("sftp has copied %d of %d packs: %v", len(got), len(d.Runs[d.Run].Packs), err)
	}
	return took
}

// median returns the median of each.
func median(all []cost) cost {
	slices.SortFunc(all, func(a, b cost) int { return cmp.Compare(a.cores, b.cores) })
	cores := all[len(all)/2].cores
	slices.SortFunc(all, func(a, b cost) int { return cmp.Compare(a.wall, b.wall) })
	return cost{all[len(all)/2].wall, cores}
}

// BenchmarkRemote restores, and copies what is restored, over a link that takes
// a time in each direction. What is reported as times-sftp is the ratio of the
// medians: above 1 we are faster. The restore ends with a sync of the target's
// filesystem and makes thousands of files, sftp makes few and syncs nothing, so
// the target should be in memory, as it is with make bench-remote where there is
// /dev/shm: then it is the reading that is compared.
func BenchmarkRemote(b *testing.B) {
	fmt.Println("target:", os.TempDir())
	folder := filepath.Join(b.TempDir(), "store")
	s, d := fillFolder(b, folder)
	server := sshdtest.ForTest(b, sshdtest.Options{ForceCommand: "internal-sftp -R -d " + folder})
	for _, delay := range []time.Duration{0, 20 * time.Millisecond} {
		for _, connections := range []int{2, 4, 6} {
			b.Run(fmt.Sprintf("delay=%v/connections=%d", delay, connections), func(b *testing.B) {
				addr := server.Addr
				if delay > 0 {
					addr = fartest.ForTest(b, addr, delay).Addr
				}
				o := remotetest.Options(b, server)
				o.Addr, o.Connections = addr, connections
				var all, others []cost
				for b.Loop() {
					inNewFolder(b, func(to string) { others = append(others, copyPacks(b, server, addr, d, to)) })
					inNewFolder(b, func(to string) {
						all = append(all, measure(b, func() {
							r, err := remote.Dial(context.Background(), o)
							if err != nil {
								b.Fatal(err)
							}
							open(b, r, s, d, func(s *store.Snapshot) { restoreAll(b, s, to) })
							r.Close()
						}))
					})
				}
				ours, theirs := median(all), median(others)
				b.ReportMetric(0, "ns/op") // of both, which says nothing
				b.ReportMetric(ours.wall.Seconds(), "s-ours")
				b.ReportMetric(theirs.wall.Seconds(), "s-sftp")
				if delay == 0 { // or else ours is with the delaying link's
					b.ReportMetric(ours.cores.Seconds(), "core-s-ours")
					b.ReportMetric(theirs.cores.Seconds(), "core-s-sftp")
				}
				b.ReportMetric(theirs.wall.Seconds()/ours.wall.Seconds(), "times-sftp")
			})
		}
	}
}

// BenchmarkLocal restores and verifies from a folder, to be compared with the
// same of another version.
func BenchmarkLocal(b *testing.B) {
	folder := filepath.Join(b.TempDir(), "store")
	s, d := fillFolder(b, folder)
	r, err := dir.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.Run("restore", func(b *testing.B) {
		b.SetBytes(d.Bytes)
		var all []cost
		for b.Loop() {
			inNewFolder(b, func(to string) {
				all = append(all, measure(b, func() { open(b, r, s, d, func(s *store.Snapshot) { restoreAll(b, s, to) }) }))
			})
		}
		b.ReportMetric(median(all).cores.Seconds(), "core-s")
	})
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(d.Bytes)
		var all []cost
		for b.Loop() {
			all = append(all, measure(b, func() {
				open(b, r, s, d, func(s *store.Snapshot) {
					if _, err := restore.Verify(b.Context(), s, restore.Options{}); err != nil {
						b.Fatal(err)
					}
				})
			}))
		}
		b.ReportMetric(median(all).cores.Seconds(), "core-s")
	})
}
