// Package sshdtest runs Debian's OpenSSH server as a private one: on a free
// port of 127.0.0.1, with a host key and a user key of its own, for the user
// who runs it. Tests and the demonstration use it as the real peer.
//
// Each connection gets a process of its own, as under inetd, so there is no
// port to race for and nothing is left behind after Stop. It is no hardened
// set-up: whoever may read the folder can log in.
package sshdtest

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// ErrNotInstalled means that there is no OpenSSH server on this machine.
var ErrNotInstalled = errors.New("the OpenSSH server is not installed (Debian: apt-get install openssh-server)")

const program = "/usr/sbin/sshd"

// Options tunes a Server. The zero value gives read-only SFTP and nothing else.
type Options struct {
	// ForceCommand is what every login gets; "" means "internal-sftp -R".
	ForceCommand string
	// KeyOptions stand before the user's key in authorized_keys, as in
	// restrict,command="...", and no command is forced but by them; "" means
	// "restrict".
	KeyOptions string
	// Config holds further lines for sshd_config.
	Config []string
}

// A Server is a running server.
type Server struct {
	Addr       string // host:port
	User       string // who may log in
	HostKey    string // as in "ssh-ed25519 AAAA..."
	KeyFile    string // the path of the user's private key
	PrivateKey []byte // and what is in it

	config   string
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	running map[*exec.Cmd]net.Conn
	stopped bool
	log     bytes.Buffer
}

// Start starts a server that keeps its keys in dir, which must exist.
func Start(dir string, options Options) (*Server, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, ErrNotInstalled
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("finding out who may log in: %w", err)
	}
	if os.Geteuid() == 0 {
		// Debian makes it when the service starts, which it may never have.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, fmt.Errorf("making the folder that sshd wants: %w", err)
		}
	}
	s := &Server{User: me.Username, running: make(map[*exec.Cmd]net.Conn), config: filepath.Join(dir, "sshd_config")}
	host, _, err := newKey(filepath.Join(dir, "host_key"))
	if err != nil {
		return nil, err
	}
	s.HostKey = host
	s.KeyFile = filepath.Join(dir, "user_key")
	authorized, private, err := newKey(s.KeyFile)
	if err != nil {
		return nil, err
	}
	s.PrivateKey = private
	forced := "ForceCommand " + cmp.Or(options.ForceCommand, "internal-sftp -R")
	if options.KeyOptions != "" {
		forced = "# authorized_keys forces a command"
	}
	keyLine := cmp.Or(options.KeyOptions, "restrict") + " " + authorized + "\n"
	if err := os.WriteFile(filepath.Join(dir, "authorized_keys"), []byte(keyLine), 0o600); err != nil {
		return nil, fmt.Errorf("writing authorized_keys: %w", err)
	}
	lines := append([]string{
		`HostKey "` + filepath.Join(dir, "host_key") + `"`,
		`AuthorizedKeysFile "` + strings.ReplaceAll(filepath.Join(dir, "authorized_keys"), "%", "%%") + `"`,
		"AuthenticationMethods publickey",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin prohibit-password",
		"StrictModes no", // temporary folders are not as strict as homes
		"UsePAM no",
		"PidFile none",
		"PrintMotd no",
		"PrintLastLog no",
		"LogLevel ERROR",
		"Subsystem sftp internal-sftp -R",
		forced,
	}, options.Config...)
	if err := os.WriteFile(s.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("writing sshd_config: %w", err)
	}
	if out, err := exec.Command(program, "-t", "-f", s.config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("sshd does not accept its configuration: %w: %s", err, bytes.TrimSpace(out))
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s.Addr = s.listener.Addr().String()
	s.wg.Go(s.accept)
	return s, nil
}

// newKey writes a new private key to path.
func newKey(path string) (public string, private []byte, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", nil, fmt.Errorf("making a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return "", nil, fmt.Errorf("encoding a key: %w", err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", nil, fmt.Errorf("encoding a key: %w", err)
	}
	private = pem.EncodeToMemory(block)
	if err := os.WriteFile(path, private, 0o600); err != nil {
		return "", nil, fmt.Errorf("writing a key: %w", err)
	}
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(sshPub))), private, nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // Stop closed it
		}
		s.wg.Go(func() { s.serve(conn) })
	}
}

// serve gives conn to a process and waits for its end.
func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		return // the other side sees a closed connection
	}
	cmd := exec.Command(program, "-i", "-e", "-f", s.config)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, (*logger)(s)
	s.mu.Lock()
	err = errors.New("stopped")
	if !s.stopped {
		if err = cmd.Start(); err == nil {
			s.running[cmd] = conn
		}
	}
	s.mu.Unlock()
	f.Close()
	if err != nil {
		return
	}
	conn.Close() // the process has its own descriptor
	_ = cmd.Wait()
	s.mu.Lock()
	delete(s.running, cmd)
	s.mu.Unlock()
}

// logger collects what the processes complain about.
type logger Server

func (l *logger) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(b)
}

// Log returns what the server has complained about so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Stop ends the server and all its connections. It may be called repeatedly.
func (s *Server) Stop() {
	s.listener.Close()
	s.mu.Lock()
	s.stopped = true
	for cmd := range s.running {
		_ = cmd.Process.Kill() // it may have ended by itself
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// TB is what ForTest needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	TempDir() string
	Skip(...any)
	Fatal(...any)
}

// ForTest starts a server that lives as long as the test. Without an OpenSSH
// server on the machine the test is skipped; in CI, where one must be, it fails.
func ForTest(t TB, options Options) *Server {
	t.Helper()
	s, err := Start(t.TempDir(), options)
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}
