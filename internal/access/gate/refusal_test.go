package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
)

// An attempt is something that a gate must refuse. It is made with the real
// client, at a gate and at an ordinary SSH server, where it has to succeed: or
// else its failure would show nothing.
type attempt struct {
	try          func(t *testing.T, d door) error
	method, path string // of the event
}

// sftpAttempt runs a command of sftp. "@" stands for the top of the tree, and
// "%" for a local file.
func sftpAttempt(command, method, path string) attempt {
	return attempt{func(t *testing.T, d door) error {
		out, err := d.batch(t, strings.ReplaceAll(command, "%", file(t, bytes.Repeat(content, 2))))
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}, method, path}
}

// overSSH makes an attempt with a connection of our own client.
func overSSH(method string, try func(*ssh.Client) error) attempt {
	return attempt{func(t *testing.T, d door) error {
		private, err := os.ReadFile(d.keyFile)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.ParsePrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		client, err := ssh.Dial("tcp", d.addr, &ssh.ClientConfig{
			User: d.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		return try(client)
	}, method, ""}
}

func inSession(method string, try func(*ssh.Session) error) attempt {
	return overSSH(method, func(client *ssh.Client) error {
		session, err := client.NewSession()
		if err != nil {
			return fmt.Errorf("no session at all: %w", err)
		}
		defer session.Close()
		return try(session)
	})
}

// overSFTP makes an attempt with another program's SFTP. root is what it has to
// put before a path.
func overSFTP(method, path string, try func(c *sftp.Client, root string) error) attempt {
	return attempt{func(t *testing.T, d door) error {
		return overSSH(method, func(conn *ssh.Client) error {
			client, err := sftp.NewClient(conn)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			return try(client, d.root)
		}).try(t, d)
	}, method, path}
}

// tunnel runs ssh with a forwarding to port, and then talks through it.
func tunnel(flag string, talk func(port string) error) func(t *testing.T, d door) error {
	return func(t *testing.T, d door) error {
		port := freePort(t)
		target := ""
		if flag == "-L" {
			target = ":127.0.0.1:" + greeter(t)
		}
		cmd := openSSH(t, d, "ssh", "-N", "-o", "ExitOnForwardFailure=yes", flag, "127.0.0.1:"+port+target, d.host())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		for range 250 {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				conn.Close()
				return talk(port)
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatal("ssh does not listen")
		return nil
	}
}

func hear(port string) error {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	return expectHello(conn)
}

func expectHello(r io.Reader) error {
	hello, err := io.ReadAll(r)
	if string(hello) != "hello\n" {
		return fmt.Errorf("heard %q, %v", hello, err)
	}
	return nil
}

func TestRefusals(t *testing.T) {
	var echo string // set below
	attempts := map[string]attempt{
		"shell": {func(t *testing.T, d door) error {
			cmd := openSSH(t, d, "ssh", "-T", d.host())
			cmd.Stdin = strings.NewReader("echo hello\n")
			out, err := cmd.Output()
			return errors.Join(err, expectHello(bytes.NewReader(out)))
		}, "shell", ""},
		"exec": {func(t *testing.T, d door) error {
			out, err := openSSH(t, d, "ssh", d.host(), "echo hello").Output()
			return errors.Join(err, expectHello(bytes.NewReader(out)))
		}, "exec", "echo hello"},
		"exec of an SFTP server": {func(t *testing.T, d door) error {
			return openSSH(t, d, "ssh", d.host(), "/usr/lib/openssh/sftp-server").Run()
		}, "exec", "sftp-server"},
		"pty":     inSession("pty-req", func(s *ssh.Session) error { return s.RequestPty("xterm", 24, 80, nil) }),
		"env":     inSession("", func(s *ssh.Session) error { return s.Setenv("LC_TEST", "x") }),
		"forward": {tunnel("-L", hear), "direct-tcpip", ""},
		"forward as SOCKS": {tunnel("-D", func(port string) error {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			var p uint16
			fmt.Sscan(echo, &p)
			conn.Write([]byte{5, 1, 0})
			conn.Write([]byte{5, 1, 0, 1, 127, 0, 0, 1, byte(p >> 8), byte(p)})
			if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil {
				return err
			}
			return expectHello(conn)
		}), "direct-tcpip", ""},
		"forward back": overSSH("tcpip-forward", func(c *ssh.Client) error {
			l, err := c.Listen("tcp", "127.0.0.1:0")
			if err == nil {
				l.Close()
			}
			return err
		}),
		"agent": inSession("auth-agent-req@openssh.com", func(s *ssh.Session) error {
			ok, err := s.SendRequest("auth-agent-req@openssh.com", true, nil)
			if err == nil && !ok {
				err = errors.New("refused")
			}
			return err
		}),
		"second channel": overSSH("session", func(c *ssh.Client) error {
			if _, err := c.NewSession(); err != nil {
				return err
			}
			_, err := c.NewSession()
			return err
		}),
		"put over a file": sftpAttempt("put % @/README", "put", "/README"),
		"put a new file":  sftpAttempt("put % @/new", "put", "/new"),
		"put elsewhere":   sftpAttempt("put % @/roster/2.json", "put", "/roster/2.json"),
		"append":          sftpAttempt("reput % @/README", "put", "/README"),
		"remove":          sftpAttempt("rm @/README", "remove", "/README"),
		"rename":          sftpAttempt("rename @/README @/other", "rename", "/README -> "),
		"make a folder":   sftpAttempt("mkdir @/new", "mkdir", "/new"),
		"remove a folder": sftpAttempt("rmdir @/empty", "rmdir", "/empty"),
		"change mode":     sftpAttempt("chmod 777 @/README", "setstat", "/README"),
		"change owner": overSFTP("setstat", "/README", func(c *sftp.Client, root string) error {
			return c.Chown(root+"/README", os.Getuid(), os.Getgid())
		}),
		"change times": overSFTP("setstat", "/README", func(c *sftp.Client, root string) error {
			return c.Chtimes(root+"/README", time.Now(), time.Now())
		}),
		"truncate": overSFTP("setstat", "/README", func(c *sftp.Client, root string) error { return c.Truncate(root+"/README", 0) }),
		"change an open file": overSFTP("setstat", "/README", func(c *sftp.Client, root string) error {
			f, err := c.Open(root + "/README")
			if err != nil {
				return fmt.Errorf("not even opened: %w", err)
			}
			defer f.Close()
			return f.Chmod(0o777)
		}),
		"create and truncate": overSFTP("put", "/README", func(c *sftp.Client, root string) error {
			f, err := c.Create(root + "/README")
			if err == nil {
				f.Close()
			}
			return err
		}),
		"symbolic link": sftpAttempt("ln -s @/README @/link", "symlink", "/link"),
		"hard link": overSFTP("link", "/README -> /link", func(c *sftp.Client, root string) error {
			return c.Link(root+"/README", root+"/link")
		}),
		"rename over": overSFTP("rename", "/README -> /other", func(c *sftp.Client, root string) error {
			return c.PosixRename(root+"/README", root+"/other")
		}),
		"put in a subfolder": sftpAttempt("put % @/roster/more.json", "put", "/roster/more.json"),
	}
	echo = greeter(t)
	files, shell := ordinary(t, "internal-sftp"), ordinary(t, `/bin/sh -c "${SSH_ORIGINAL_COMMAND:-sh}"`)
	for name, a := range attempts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newSite(t).open(t)
			other := files
			if strings.HasPrefix(name, "exec") || name == "shell" {
				other = shell
			}
			other.root = likeGate(t)
			if err := a.try(t, other); err != nil {
				t.Fatalf("at a server that grants it: %v", err)
			}
			if err := a.try(t, g.door()); err == nil {
				t.Error("was granted")
			}
			if a.method != "" {
				g.denied(t, a.method, a.path)
			}
		})
	}
}

// ordinary starts an ordinary server that allows all that it can.
func ordinary(t *testing.T, command string) door {
	t.Helper()
	s := sshdtest.ForTest(t, sshdtest.Options{ForceCommand: command, Config: []string{"AcceptEnv LC_*"}})
	signer, err := ssh.ParsePrivateKey(s.PrivateKey)
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(s.KeyFile), "authorized_keys"), ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return door{addr: s.Addr, user: s.User, keyFile: s.KeyFile, hostKey: s.HostKey}
}

// likeGate makes a tree like a gate's, in which everything may be done.
func likeGate(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	var err error
	for _, name := range []string{"empty", "roster", "inbox"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(root, name), 0o700))
	}
	if err := errors.Join(err, os.WriteFile(filepath.Join(root, "README"), content, 0o600)); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestLogins(t *testing.T) {
	stranger := newKey(t)
	for name, test := range map[string]struct {
		change func(*door)
		more   []string
		why    string // "" if it is let in
	}{
		"control":       {func(*door) {}, nil, ""},
		"wrong key":     {func(d *door) { d.keyFile = stranger.path }, nil, "too many authentication failures|another key|no login"},
		"wrong user":    {func(d *door) { d.user = "root" }, nil, "another user"},
		"no key":        {func(d *door) { d.keyFile = "none" }, nil, "no login"},
		"password":      {func(*door) {}, []string{"-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "BatchMode=no"}, "no login"},
		"other address": {func(*door) {}, []string{"-o", "BindAddress=127.0.0.2"}, "another address"},
		"old exchange":  {func(*door) {}, []string{"-o", "KexAlgorithms=diffie-hellman-group14-sha256"}, "no common algorithm for key exchange"},
		"old cipher":    {func(*door) {}, []string{"-o", "Ciphers=aes128-ctr"}, "no common algorithm for client to server cipher"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newSite(t).open(t)
			d := g.door()
			test.change(&d)
			// The last of the same option does not count with OpenSSH.
			cmd := openSSH(t, d, "ssh", "-s", d.host(), "sftp")
			cmd.Args = append(append(cmd.Args[:1:1], test.more...), cmd.Args[1:]...)
			cmd.Env = []string{"SSH_ASKPASS=/bin/false", "SSH_ASKPASS_REQUIRE=force"}
			out, err := cmd.CombinedOutput()
			if test.why == "" {
				if err != nil {
					t.Fatalf("was refused: %v: %s", err, out)
				}
				return
			}
			if err == nil {
				t.Fatal("was let in")
			}
			find(t, g, func(e Event) *Refused { return e.Refused }, func(r Refused) bool {
				for why := range strings.SplitSeq(test.why, "|") {
					if strings.Contains(r.Why, why) {
						return true
					}
				}
				return false
			})
		})
	}
}

// TestExchange: who can, agrees on keys that a quantum computer will not find.
func TestExchange(t *testing.T) {
	g := newSite(t).open(t)
	used := g.dial(t).Conn.(ssh.AlgorithmsConnMetadata).Algorithms()
	if used.KeyExchange != ssh.KeyExchangeMLKEM768X25519 || used.HostKey != ssh.KeyAlgoED25519 {
		t.Errorf("agreed on %+v", used)
	}
}

// TestCertificate: a certificate for the right key is not that key.
func TestCertificate(t *testing.T) {
	g := newSite(t).open(t)
	cert := &ssh.Certificate{
		Key: g.operator.signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{g.task.User}, ValidBefore: ssh.CertTimeInfinity,
	}
	if err := cert.SignCert(bytes.NewReader(make([]byte, 1<<10)), newKey(t).signer); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, g.operator.signer)
	if err != nil {
		t.Fatal(err)
	}
	config := g.client(g.task.User, g.operator)
	config.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer)}
	if client, err := ssh.Dial("tcp", g.addr, config); err == nil {
		client.Close()
		t.Error("was let in")
	}
	g.refused(t, "another key")
	g.dial(t) // the control
}

// TestOffersRightKeySignsWithWrong: a key that was only asked about opens
// nothing.
func TestOffersRightKeySignsWithWrong(t *testing.T) {
	g := newSite(t).open(t)
	config := g.client(g.task.User, g.operator)
	config.Auth = []ssh.AuthMethod{ssh.PublicKeys(impostor{g.operator.signer, newKey(t).signer})}
	if client, err := ssh.Dial("tcp", g.addr, config); err == nil {
		client.Close()
		t.Error("was let in")
	}
	g.refused(t, "signature")
	g.dial(t) // the control
}

// An impostor shows a key that it does not have.
type impostor struct{ shown, own ssh.Signer }

func (i impostor) PublicKey() ssh.PublicKey { return i.shown.PublicKey() }
func (i impostor) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return i.own.Sign(rand, data)
}

// TestOtherAddressSeesNothing: not a byte is sent to another address.
func TestOtherAddressSeesNothing(t *testing.T) {
	g := newSite(t).open(t)
	said := func(from string) string {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.Dial("tcp", g.addr)
		if err != nil {
			return "" // reset already
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 100)
		n, _ := conn.Read(b)
		return string(b[:n])
	}
	if got := said("127.0.0.2"); got != "" {
		t.Errorf("another address was told %q", got)
	}
	g.refused(t, "another address")
	if got := said("127.0.0.1"); !strings.HasPrefix(got, "SSH-2.0-strongroom") {
		t.Errorf("the control was told %q", got)
	}
}

// TestMappedAddress: the peer's IPv4 address is the same one where both
// versions are listened for.
func TestMappedAddress(t *testing.T) {
	s := newSite(t)
	s.task.Listen = netip.MustParseAddrPort("[::]:0")
	if l, err := Listen(t.Context(), s.task.Listen); err != nil {
		t.Skip("no IPv6: ", err)
	} else {
		l.Close()
	}
	g := s.open(t)
	_, port, err := net.SplitHostPort(g.addr)
	if err != nil {
		t.Fatal(err)
	}
	g.addr = "[::1]:" + port
	if client, err := g.tryDial(); err == nil {
		client.Close()
		t.Error("another address was let in")
	}
	g.addr = "127.0.0.1:" + port
	g.dial(t)
}

// TestScope: what is not granted is not there, though the store has it.
func TestScope(t *testing.T) {
	s := newSite(t)
	g := s.open(t)
	d := g.door()
	inScope := []string{
		"README", layout.Snapshot(s.run), layout.Run(s.run) + "/inner.age", layout.Pack(s.run, s.pack), layout.Parity(s.run, s.pack),
		layout.Root(s.run, s.root), layout.Copy(layout.Root(s.run, s.root)), layout.Roster(1), "ledger/checkpoint",
	}
	outOfScope := []string{
		layout.Pack(s.run, s.unnamed), layout.Parity(s.run, s.unnamed), layout.Pack(s.other, s.theirs), layout.Root(s.other, s.theirRoot),
		layout.Snapshot(s.other), layout.Envelope(s.run), layout.Envelope(s.other), layout.FormatName, layout.Entry(0),
	}
	local := t.TempDir()
	var commands strings.Builder
	for i, name := range append(slices.Clone(inScope), outOfScope...) {
		fmt.Fprintf(&commands, "-get /%s %s/%d\n", name, local, i)
	}
	out, err := d.batch(t, commands.String())
	if err != nil {
		t.Fatalf("sftp: %v: %s", err, out)
	}
	for i, name := range inScope {
		if b, err := os.ReadFile(filepath.Join(local, strconv.Itoa(i))); !bytes.Equal(b, content) {
			t.Errorf("%s, which is in scope: %q, %v", name, b, err)
		}
	}
	for i, name := range outOfScope {
		if _, err := s.store.Stat(t.Context(), name); err != nil {
			t.Errorf("the control: %v", err)
		}
		if b, err := os.ReadFile(filepath.Join(local, strconv.Itoa(len(inScope)+i))); err == nil {
			t.Errorf("%s, which is not in scope: read %q", name, b)
		}
		if !strings.Contains(out, `File "/`+name+`" not found`) {
			t.Errorf("%s, which is not in scope, seems to be there: %s", name, out)
		}
		if foreign("/" + name) {
			g.denied(t, "stat", name) // sftp looks before it reads
		}
	}
	commands.Reset()
	lists := []struct{ folder, want string }{
		{"/", "README inbox ledger roster runs snapshots"},
		{"/runs", s.run.String()},
		{"/runs/" + s.run.String(), "inner.age packs parity root"},
		{"/runs/" + s.run.String() + "/packs", s.pack.String()}, // and the one that is lost is not shown
		{"/runs/" + s.run.String() + "/root", s.root.String() + " " + s.root.String() + ".2"},
		{"/snapshots", s.run.String() + ".json"},
		{"/inbox", ""},
	}
	for _, list := range lists {
		fmt.Fprintf(&commands, "ls -1 %s\n", list.folder)
	}
	out, err = d.batch(t, commands.String())
	if err != nil {
		t.Fatalf("sftp: %v: %s", err, out)
	}
	var got []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "sftp> ls") {
			got = append(got, "")
			continue
		}
		if strings.HasPrefix(line, "sftp>") {
			continue // the end
		}
		got[len(got)-1] = strings.TrimSpace(got[len(got)-1] + " " + filepath.Base(strings.TrimSpace(line)))
	}
	for i, list := range lists {
		if got[i] != list.want {
			t.Errorf("ls %s: %q, want %q", list.folder, got[i], list.want)
		}
	}
}

func TestPaths(t *testing.T) {
	s := newSite(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, content, 0o600); err != nil {
		t.Fatal(err)
	}
	client := s.open(t).sftp(t)
	up := strings.Repeat("../", 40)
	for _, path := range []string{
		up + secret[1:], "/" + up + secret[1:], secret, "/" + secret, "//" + secret, "/runs/" + up + secret,
		"/README/", "/README\x00", "/README\x00/../../" + secret, "/" + strings.Repeat("a/", 50_000), strings.Repeat("x", 200_000),
		"/runs/" + s.run.String() + "/../" + s.other.String() + "/packs/" + s.theirs.String(), "/inbox/../../" + secret, "", ".", "/",
		"/runs/" + strings.ToUpper(s.run.String()) + "/inner.age", "/" + layout.Pack(s.run, s.pack) + ".2", "/stage", "/\xff\xfe", "/readme",
	} {
		// "/README/" is another spelling of README, as everywhere.
		f, err := client.Open(path)
		if err != nil {
			continue
		}
		if b, err := io.ReadAll(f); path != "/README/" && err == nil && len(b) > 0 {
			t.Errorf("%.80q was read: %.20q", path, b)
		}
		f.Close()
	}
	for _, path := range []string{"/README", "README", "./README", "/runs/../README", "//README"} {
		f, err := client.Open(path)
		if err != nil {
			t.Errorf("the control: %q: %v", path, err)
			continue
		}
		f.Close()
	}
}

// TestLinksInStore: what was planted in the store's folder leads nowhere.
func TestLinksInStore(t *testing.T) {
	s := newSite(t)
	third := digest("link")
	s.task.Scope[0].Packs = append(s.task.Scope[0].Packs, third, digest("outside"), digest("folder"))
	outside := filepath.Join(t.TempDir(), "outside")
	at := func(name string) string { return filepath.Join(s.path, name) }
	err := errors.Join(
		os.WriteFile(outside, content, 0o600),
		os.Symlink("../../"+s.other.String()+"/packs/"+s.theirs.String(), at(layout.Pack(s.run, third))),
		os.Symlink(outside, at(layout.Pack(s.run, digest("outside")))),
		os.Mkdir(at(layout.Pack(s.run, digest("folder"))), 0o700),
		os.Rename(at(layout.Run(s.run)+"/root"), at(layout.Run(s.run)+"/moved")),
		os.Symlink("moved", at(layout.Run(s.run)+"/root")),
	)
	if err != nil {
		t.Fatal(err)
	}
	g := s.open(t)
	client := g.sftp(t)
	for _, name := range []string{
		layout.Pack(s.run, third), layout.Pack(s.run, digest("outside")), layout.Root(s.run, s.root),
	} {
		if b, err := os.ReadFile(at(name)); err != nil || !bytes.Equal(b, content) {
			t.Errorf("the control: %v", err)
		}
	}
	for _, name := range []string{
		layout.Pack(s.run, third), layout.Pack(s.run, digest("outside")), layout.Pack(s.run, digest("folder")), layout.Root(s.run, s.root),
	} {
		_, err := client.Open("/" + name)
		if err == nil || strings.Contains(err.Error(), s.path) {
			t.Errorf("%s: %v, want an error that does not name the safe's folders", name, err)
		}
		find(t, g, func(e Event) *Failed { return e.Failed }, func(f Failed) bool { return f.Name == name })
	}
	if infos, err := client.ReadDir("/" + layout.Run(s.run) + "/packs"); err != nil || len(infos) != 1 {
		t.Errorf("listed %v, %v; want the one sound pack", infos, err)
	}
	var reader blob.Reader = s.store
	if _, err := reader.Stat(t.Context(), layout.Pack(s.run, s.pack)); err != nil {
		t.Errorf("the control: %v", err)
	}
}
