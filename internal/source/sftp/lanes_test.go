//go:build linux

package sftp_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/fartest"
	"strongroom/internal/source"
	"strongroom/internal/source/sftp"
	"strongroom/internal/source/sftp/sftptest"
	"strongroom/internal/source/sftp/sshdtest"
)

// numbers is text of which no two pieces are alike.
func numbers(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%d ", i)
	}
	return b.String()[:size]
}

// A big file is read over all connections, and comes in one piece. What one of
// them says of it counts, too.
func TestBigFileOverSeveralConnections(t *testing.T) {
	data := numbers(8 << 20)
	listed := sftptest.Attrs(modeFile, uint64(len(data)))
	later := append([]byte{}, listed...)
	later[len(later)-1]++
	tests := []struct {
		name   string
		second func(typ byte, id uint32, offset uint64) []byte // of the second connection
		shared bool                                            // it reads part of it
		whole  bool
		want   source.Kind
	}{
		{name: "the same file", second: func(byte, uint32, uint64) []byte { return nil }, shared: true, whole: true},
		{
			name: "another file of this name", shared: true, whole: true, want: source.Changed,
			second: func(typ byte, id uint32, _ uint64) []byte {
				if typ == sftptest.Fstat {
					return sftptest.Attributes(id, later)
				}
				return nil
			},
		},
		{
			name: "a shorter file of this name", shared: true, want: source.Changed,
			second: func(typ byte, id uint32, offset uint64) []byte {
				switch typ {
				case sftptest.Fstat:
					return sftptest.Attributes(id, sftptest.Attrs(modeFile, 100))
				case sftptest.Read:
					return status(id, 1)
				}
				return nil
			},
		},
		{
			name: "a connection that gives little at a time", shared: true, whole: true,
			second: func(typ byte, id uint32, offset uint64) []byte {
				if typ == sftptest.Read {
					return sftptest.Data(id, data[offset:offset+512])
				}
				return nil
			},
		},
		{
			name: "a connection that does not open it", whole: true,
			second: func(typ byte, id uint32, _ uint64) []byte {
				if typ == sftptest.Open {
					return status(id, 4)
				}
				return nil
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var count, read atomic.Int64
			opened := make(chan struct{}) // closed when the second connection was asked to open it
			o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), func(channel ssh.Channel, conn net.Conn) {
				second := count.Add(1) == 2
				f := fake{Files: []named{entry("f", listed)}, Data: map[string]string{"f": data}}
				f.Answer = func(typ byte, id uint32, _ string, offset uint64) []byte {
					if second {
						if typ == sftptest.Open {
							close(opened)
						}
						if typ == sftptest.Read {
							read.Add(1)
						}
						return tt.second(typ, id, offset)
					}
					if typ == sftptest.Read && offset > 0 {
						<-opened
						time.Sleep(time.Millisecond) // until the pull knows that as well
					}
					return nil
				}
				f.Serve(channel, conn)
			})
			o.Connections, o.StallTimeout = 2, time.Minute
			got, problems := pullOne(t, o, "d/f")
			if (string(got) == data) != tt.whole {
				t.Errorf("got %d bytes, of which not all are right: %v", len(got), problems)
			}
			if (read.Load() > 0) != tt.shared {
				t.Errorf("the second connection read %d times", read.Load())
			}
			if want := tt.want; want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || problems[0].Kind != want) {
				t.Errorf("problems %v, want %q", problems, want)
			}
		})
	}
}

// pullOne pulls what o asks for and returns what is in the file at path.
func pullOne(t *testing.T, o sftp.Options, path string) (data []byte, problems []source.Problem) {
	t.Helper()
	s, err := sftp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for item, err := range s.Pull(t.Context(), source.Request{Report: func(p source.Problem) { problems = append(problems, p) }}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Path == path {
			if data, err = io.ReadAll(item.Content); err != nil {
				t.Fatal(err)
			}
		}
	}
	return data, problems
}

// OpenSSH is far away: further connections have several sessions, if it lets them.
func TestFarServer(t *testing.T) {
	for _, most := range []string{"10", "2", "1"} {
		t.Run("MaxSessions "+most, func(t *testing.T) {
			server := sshdtest.ForTest(t, sshdtest.Options{Config: []string{"MaxSessions " + most}})
			path := filepath.Join(t.TempDir(), "big")
			want := make([]byte, 12<<20)
			rand.NewChaCha8([32]byte{1}).Read(want)
			if err := os.WriteFile(path, want, 0o600); err != nil {
				t.Fatal(err)
			}
			past := time.Now().Add(-48 * time.Hour)
			if err := os.Chtimes(path, past, past); err != nil {
				t.Fatal(err)
			}
			o := options(server)
			o.Addr = fartest.ForTest(t, server.Addr, 5*time.Millisecond).Addr
			o.Include, o.Connections = []string{path}, 2
			got, problems := pullOne(t, o, path[1:])
			if !bytes.Equal(got, want) || len(problems) > 0 {
				t.Errorf("got %d bytes, with problems %v", len(got), problems)
			}
		})
	}
}
