//go:build linux

package command_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source"
	"strongroom/internal/source/command"
	"strongroom/internal/source/sftp/sftptest"
	"strongroom/internal/source/sshclient"
)

// A session is what a hostile server says in.
type session struct {
	ssh.Channel
	conn  net.Conn
	asked *ssh.Request // for the command
}

func (s session) status(n uint32) {
	s.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{n}))
}

func (s session) signal(name string) {
	s.SendRequest("exit-signal", false, ssh.Marshal(struct {
		Signal    string
		Core      bool
		Text, Tag string
	}{Signal: name, Text: "words of the server"}))
}

// hostile starts a server that gives the session for a command to serve, which
// ends it, and returns options that lead to it.
func hostile(t *testing.T, serve func(session)) command.Options {
	t.Helper()
	host := sftptest.Signer(t, sftptest.NewKey(t))
	// It has the connection and the keys, and leaves to us what a session is.
	server := sftptest.StartSessions(t, host, func(channel ssh.Channel, requests <-chan *ssh.Request, conn net.Conn) {
		var wg sync.WaitGroup
		for r := range requests {
			wanted := r.Type == "shell" || r.Type == "exec"
			r.Reply(wanted, nil)
			if wanted {
				wg.Go(func() {
					defer channel.Close()
					serve(session{channel, conn, r})
				})
			}
		}
		wg.Wait()
	})
	return command.Options{
		SSH:  sshclient.Options{Addr: server.Addr, User: server.User, HostKeys: []string{server.HostKey}, Key: server.PrivateKey},
		Name: "dump.sql",
	}
}

func TestHostileServer(t *testing.T) {
	tests := []struct {
		name           string
		serve          func(session)
		content        string
		complaint, err string // parts of them
	}{
		{"honest", func(s session) { io.WriteString(s, "data"); s.CloseWrite(); s.status(0) }, "data", "", ""},
		{"status before the output", func(s session) { s.status(0); io.WriteString(s, "data") }, "data", "", ""},
		{"no status", func(s session) { io.WriteString(s, "data") }, "data", "", "did not tell how"},
		{"no word at all", func(s session) {}, "", "", "did not tell how"},
		{"status that is none", func(s session) { io.WriteString(s, "data"); s.SendRequest("exit-status", false, []byte{0}) }, "data", "", "did not tell how"},
		{"two statuses", func(s session) { io.WriteString(s, "data"); s.status(0); s.status(7); s.status(0) }, "data", "", "exit status 7"},
		{"status and signal", func(s session) { io.WriteString(s, "data"); s.status(0); s.signal("TERM") }, "data", "", "SIGTERM"},
		{"signal with words", func(s session) { io.WriteString(s, "data"); s.signal("\x1b[31mwords of the server") }, "data", "", "of an unknown name"},
		{"signal that is none", func(s session) { io.WriteString(s, "data"); s.SendRequest("exit-signal", false, nil) }, "data", "", "of an unknown name"},
		{"hangs up after the status", func(s session) {
			s.status(0)
			io.WriteString(s, "data")
			time.Sleep(50 * time.Millisecond)
			s.conn.Close()
		}, "data", "", "before it was certain"},
		{"hangs up at once", func(s session) { s.conn.Close() }, "", "", ""},
		{"silent", func(s session) { time.Sleep(3 * time.Second) }, "", "", "gave no output for 500ms"},
		{"silent after the first", func(s session) { io.WriteString(s, "data"); io.Copy(io.Discard, s); time.Sleep(3 * time.Second) }, "data", "", "gave no output for 500ms"},
		{"does not end after its output", func(s session) { io.WriteString(s, "data"); s.CloseWrite(); time.Sleep(3 * time.Second) }, "data", "", "gave no output for 500ms"},
		{"hostile complaint", func(s session) {
			io.WriteString(s, "data")
			io.WriteString(s.Stderr(), strings.Repeat("x", 1<<20)+"\n\n\x1b]0;evil\x07\u202egpj.exe\xff\r\n")
			s.status(0)
		}, "data", "... xx", ""},
		{"complains without end", func(s session) {
			line := strings.Repeat("complaint\n", 3000)
			for {
				if _, err := io.WriteString(s.Stderr(), line); err != nil {
					return
				}
			}
		}, "", "complaint | complaint", "more than 16 MiB to its standard error"},
		{"asks for much", func(s session) {
			for range 1000 {
				s.SendRequest("words of the server", false, []byte("words of the server"))
			}
			s.SendRequest("keepalive@openssh.com", true, nil)
			io.WriteString(s, "data")
			s.status(0)
		}, "data", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := hostile(t, tt.serve)
			if strings.Contains(tt.err, "gave no output") {
				o.Stall = 500 * time.Millisecond
			}
			got := pull(t, o)
			if tt.name == "hangs up at once" { // before or after it agreed to run the command
				if got.err == nil || got.path != "" {
					t.Errorf("outcome %+v", got)
				}
				return
			}
			path := o.Name
			if tt.content == "" {
				path = ""
			}
			got.check(t, path, tt.content, tt.complaint, tt.err)
			if got.err != nil && strings.Contains(got.err.Error(), "words of the server") {
				t.Errorf("an error repeats what the server says: %v", got.err)
			}
			if len(got.complaint) > 1000 || strings.ContainsAny(got.complaint, "\x1b\x07\n\r\u202e") {
				t.Errorf("a complaint is not clean: %.2000q", got.complaint)
			}
		})
	}
}

// TestRefused: a server that runs nothing.
func TestRefused(t *testing.T) {
	server := sftptest.Start(t, sftptest.Signer(t, sftptest.NewKey(t)), func(ssh.Channel, net.Conn) {})
	o := command.Options{
		SSH:  sshclient.Options{Addr: server.Addr, User: server.User, HostKeys: []string{server.HostKey}, Key: server.PrivateKey},
		Name: "dump.sql",
	}
	pull(t, o).check(t, "", "", "", "the host refuses")
}

// TestWhatIsAskedFor: no text goes to the host unless it was configured, and no
// input ever.
func TestWhatIsAskedFor(t *testing.T) {
	for text, want := range map[string]string{"": "shell ", "dump --all": "exec \x00\x00\x00\x0adump --all"} {
		var asked string
		o := hostile(t, func(s session) {
			input, _ := io.ReadAll(s)
			asked = s.asked.Type + " " + string(s.asked.Payload) + string(input)
			io.WriteString(s, "data")
			s.status(0)
		})
		o.Command = text
		pull(t, o).check(t, o.Name, "data", "", "")
		if asked != want {
			t.Errorf("with the command %q the host was asked for %q, want %q", text, asked, want)
		}
	}
}

// TestSlowConsumer: while nobody reads, a command does not stall.
func TestSlowConsumer(t *testing.T) {
	o := hostile(t, func(s session) { io.WriteString(s, strings.Repeat("x", 4<<20)); s.status(0) })
	o.Stall = time.Second
	for item, err := range newSource(t, o).Pull(t.Context(), source.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1200 * time.Millisecond)
		if n, err := io.Copy(io.Discard, item.Content); n != 4<<20 || err != nil {
			t.Errorf("%d bytes, error %v", n, err)
		}
	}
}
