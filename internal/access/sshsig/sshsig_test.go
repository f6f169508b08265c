package sshsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const purpose = "strongroom/v1/test"

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func keyOf(t testing.TB, signer ssh.Signer) PublicKey {
	t.Helper()
	key, err := PublicKeyOf(signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A securityKey plays a FIDO key: it signs the hash of its application, its
// flags, a counter and the hash of the data.
type securityKey struct {
	public      ssh.PublicKey
	private     ed25519.PrivateKey
	application string
	flags       byte
	counter     uint32
}

func newSecurityKey(t testing.TB, application string) *securityKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, public, application}))
	if err != nil {
		t.Fatal(err)
	}
	return &securityKey{public: key, private: private, application: application, flags: userPresent}
}

func (k *securityKey) PublicKey() ssh.PublicKey { return k.public }

func (k *securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	k.counter++
	application, message := sha256.Sum256([]byte(k.application)), sha256.Sum256(data)
	fields := ssh.Marshal(struct {
		Flags   byte
		Counter uint32
	}{k.flags, k.counter})
	signature := ed25519.Sign(k.private, bytes.Join([][]byte{application[:], fields, message[:]}, nil))
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: signature, Rest: fields}, nil
}

func TestSignAndVerify(t *testing.T) {
	other := keyOf(t, newSigner(t))
	for name, signer := range map[string]ssh.Signer{"ed25519": newSigner(t), "security key": newSecurityKey(t, "ssh:")} {
		t.Run(name, func(t *testing.T) {
			key := keyOf(t, signer)
			s, err := Sign(signer, purpose, []byte("a message"))
			if err != nil {
				t.Fatal(err)
			}
			if s.Key() != key || s.Namespace() != purpose {
				t.Errorf("it says to be by %s for %q", s.Key(), s.Namespace())
			}
			tests := []struct {
				name      string
				key       PublicKey
				namespace string
				message   string
				problem   string
			}{
				{"as signed", key, purpose, "a message", ""},
				{"another message", key, purpose, "a Message", "not one of this message"},
				{"no message", key, purpose, "", "not one of this message"},
				{"another namespace", key, "strongroom/v1/other", "a message", `for the purpose "strongroom/v1/test", not`},
				{"another key", other, purpose, "a message", "not with SHA256:"},
				{"no key", PublicKey{}, purpose, "a message", "not with no key"},
			}
			for _, tt := range tests {
				err := s.Verify(tt.key, tt.namespace, []byte(tt.message))
				if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
					t.Errorf("%s: Verify = %v, want %q", tt.name, err, tt.problem)
				}
			}
			again, err := ParseArmored(s.Armored())
			if err != nil || again != s {
				t.Errorf("ParseArmored(Armored) = %+v, %v", again, err)
			}
			if again, err = ParseSignature(s.String()); err != nil || again != s {
				t.Errorf("ParseSignature(String) = %+v, %v", again, err)
			}
		})
	}
	if err := (Signature{}).Verify(PublicKey{}, "", nil); err == nil {
		t.Error("no signature is valid for no key")
	}
}

// TestAlteredBit turns one bit of each byte of a signature: none may be taken.
func TestAlteredBit(t *testing.T) {
	for name, signer := range map[string]ssh.Signer{"ed25519": newSigner(t), "security key": newSecurityKey(t, "ssh:x")} {
		s, err := Sign(signer, purpose, []byte("a message"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(s.blob) {
			blob := []byte(s.blob)
			blob[i] ^= 1 << (i % 8)
			altered, err := parse(blob)
			if err != nil {
				continue
			}
			if err := altered.Verify(s.key, purpose, []byte("a message")); err == nil {
				t.Errorf("%s: with bit %d of byte %d turned it is valid", name, i%8, i)
			}
		}
	}
}

func TestUserPresence(t *testing.T) {
	key := newSecurityKey(t, "ssh:")
	s, err := Sign(key, purpose, nil)
	if err != nil {
		t.Fatal(err)
	}
	key.flags = 0x04 // a PIN, and no touch
	if _, err := Sign(key, purpose, nil); err == nil || !strings.Contains(err.Error(), "not touched") {
		t.Errorf("Sign without a touch = %v", err)
	}
	// What another program makes with such a key is not read, either.
	made, err := key.Sign(nil, signed(purpose, nil))
	if err != nil {
		t.Fatal(err)
	}
	blob := append([]byte(magic), ssh.Marshal(envelope{1, key.public.Marshal(), purpose, "", hashAlgorithm, ssh.Marshal(made)})...)
	if _, err := parse(blob); err == nil || !strings.Contains(err.Error(), "not touched") {
		t.Errorf("parse without a touch = %v", err)
	}
	// The flags are signed: one that is added afterwards does not help.
	made.Rest[0] |= userPresent
	blob = append([]byte(magic), ssh.Marshal(envelope{1, key.public.Marshal(), purpose, "", hashAlgorithm, ssh.Marshal(made)})...)
	forged, err := parse(blob)
	if err != nil {
		t.Fatal(err)
	}
	if forged.Verify(s.Key(), purpose, nil) == nil {
		t.Error("a flag that was added afterwards is taken")
	}
}

func TestParseRefuses(t *testing.T) {
	signer, sk := newSigner(t), newSecurityKey(t, "ssh:")
	good := func() envelope {
		made, err := signer.Sign(nil, signed(purpose, nil))
		if err != nil {
			t.Fatal(err)
		}
		return envelope{1, signer.PublicKey().Marshal(), purpose, "", hashAlgorithm, ssh.Marshal(made)}
	}
	inner := func(format string, blob, rest []byte) []byte {
		return ssh.Marshal(&ssh.Signature{Format: format, Blob: blob, Rest: rest})
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := ssh.NewPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	tests := []struct {
		name    string
		edit    func(*envelope)
		problem string
	}{
		{"as it is", func(*envelope) {}, ""},
		{"version 0", func(e *envelope) { e.Version = 0 }, "version 0"},
		{"version 2", func(e *envelope) { e.Version = 2 }, "version 2"},
		{"no namespace", func(e *envelope) { e.Namespace = "" }, "namespace of 0 bytes"},
		{"long namespace", func(e *envelope) { e.Namespace = strings.Repeat("n", maxNamespace+1) }, "namespace of 129 bytes"},
		{"longest namespace", func(e *envelope) { e.Namespace = strings.Repeat("n", maxNamespace) }, ""},
		{"reserved", func(e *envelope) { e.Reserved = "x" }, "reserved"},
		{"sha256", func(e *envelope) { e.HashAlgorithm = "sha256" }, `"sha256", want sha512`},
		{"sha1", func(e *envelope) { e.HashAlgorithm = "sha1" }, `"sha1", want sha512`},
		{"no key", func(e *envelope) { e.PublicKey = nil }, "public key"},
		{"rest behind the key", func(e *envelope) { e.PublicKey = append(e.PublicKey, 0) }, "public key"},
		{"RSA", func(e *envelope) { e.PublicKey = rsaPublic.Marshal() }, "kind ssh-rsa: want ssh-ed25519"},
		{"key of a web site", func(e *envelope) { e.PublicKey = newSecurityKey(t, "example.com").public.Marshal() }, `"example.com": want one that was made for SSH`},
		{"huge application", func(e *envelope) {
			e.PublicKey = newSecurityKey(t, "ssh:"+strings.Repeat("a", maxKeyText)).public.Marshal()
		}, "at most 512"},
		{"no signature", func(e *envelope) { e.Signature = nil }, "last field"},
		{"other kind", func(e *envelope) { e.Signature = inner("ssh-rsa", sig, nil) }, `"ssh-rsa" is by a key of the kind ssh-ed25519`},
		{"kinds mixed", func(e *envelope) { e.Signature = inner(ssh.KeyAlgoSKED25519, sig, []byte{1, 0, 0, 0, 0}) }, "is by a key of the kind ssh-ed25519"},
		{"short", func(e *envelope) { e.Signature = inner(ssh.KeyAlgoED25519, sig[:63], nil) }, "has 63 bytes"},
		{"long", func(e *envelope) { e.Signature = inner(ssh.KeyAlgoED25519, append(sig, 0), nil) }, "has 65 bytes"},
		{"rest behind the signature", func(e *envelope) { e.Signature = inner(ssh.KeyAlgoED25519, sig, []byte{0}) }, "more or less behind it"},
		{"security key without counter", func(e *envelope) {
			e.PublicKey, e.Signature = sk.public.Marshal(), inner(ssh.KeyAlgoSKED25519, sig, []byte{1})
		}, "more or less behind it"},
		{"security key with more", func(e *envelope) {
			e.PublicKey, e.Signature = sk.public.Marshal(), inner(ssh.KeyAlgoSKED25519, sig, []byte{1, 0, 0, 0, 0, 0})
		}, "more or less behind it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := good()
			tt.edit(&e)
			_, err := parse(append([]byte(magic), ssh.Marshal(e)...))
			if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
				t.Errorf("parse = %v, want %q", err, tt.problem)
			}
		})
	}
	whole := append([]byte(magic), ssh.Marshal(good())...)
	for n := range whole {
		if _, err := parse(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are taken", n, len(whole))
		}
	}
	for _, b := range [][]byte{append(bytes.Clone(whole), 0), append([]byte("SSHSIH"), whole[6:]...)} {
		if _, err := parse(b); err == nil {
			t.Errorf("%.20q... of %d bytes is taken", b, len(b))
		}
	}
}

func TestParseRefusesOtherSpellings(t *testing.T) {
	s, err := Sign(newSigner(t), purpose, []byte("a message"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(s.Armored())
	body := strings.TrimSuffix(strings.TrimPrefix(text, begin), end)
	for name, other := range map[string]string{
		"no line break at the end": strings.TrimSuffix(text, "\n"),
		"another line behind":      text + "\n",
		"something behind":         text + "x",
		"something before":         "x\n" + text,
		"twice":                    text + text,
		"carriage returns":         strings.ReplaceAll(text, "\n", "\r\n"),
		"one long line":            begin + strings.ReplaceAll(body, "\n", "") + "\n" + end,
		"an empty line":            begin + "\n" + body + end,
		"a space":                  begin + " " + body + end,
		"a header":                 begin + "Comment: x\n\n" + body + end,
		"other armor":              strings.ReplaceAll(text, "SSH", "PGP"),
		"no armor":                 body,
		"nothing in it":            begin + end,
		"nothing":                  "",
		"too long":                 begin + strings.Repeat("A", MaxText) + end,
	} {
		if _, err := ParseArmored([]byte(other)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := ParseArmored([]byte(text)); err != nil {
		t.Errorf("the right spelling: %v", err)
	}
	line := s.String()
	for _, other := range []string{"", line + "\n", line[:70] + "\n" + line[70:], line + "=", line + "AAAA", line[:len(line)-4], strings.Repeat("A", MaxText+1), text} {
		if _, err := ParseSignature(other); err == nil {
			t.Errorf("ParseSignature takes %q", other)
		}
	}
}

func TestJSON(t *testing.T) {
	signer := newSigner(t)
	s, err := Sign(signer, purpose, nil)
	if err != nil {
		t.Fatal(err)
	}
	type record struct {
		Key       PublicKey `json:"key"`
		Signature Signature `json:"signature"`
	}
	want := record{keyOf(t, signer), s}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got record
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Errorf("%s gives %+v, %v", b, got, err)
	}
	if _, err := json.Marshal(record{}); err == nil {
		t.Error("a missing key was written")
	}
	if _, err := json.Marshal(record{Key: want.Key}); err == nil {
		t.Error("a missing signature was written")
	}
	for _, b := range []string{`{"key":""}`, `{"key":"` + want.Key.String() + ` comment"}`, `{"signature":""}`} {
		if err := json.Unmarshal([]byte(b), &got); err == nil {
			t.Errorf("%s was read", b)
		}
	}
}

func TestPublicKey(t *testing.T) {
	const text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILVoLUx+Rg87QzJrU37o4mtJoa/AWO3T+c+SG4UaUIoW"
	key, err := ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := key.String(); got != text {
		t.Errorf("String = %q", got)
	}
	if same, err := ReadPublicKey([]byte("  " + text + " ana@laptop, of 2024\n")); err != nil || same != key {
		t.Errorf("the line of a .pub file = %v, %v", same, err)
	}
	if (PublicKey{}).IsZero() != true || key.IsZero() {
		t.Error("IsZero is wrong")
	}
	for _, s := range []string{
		"", text + " ana", text + "\n", " " + text, strings.Replace(text, " ", "  ", 1), text[:len(text)-1], text + "A",
		strings.Replace(text, "ssh-ed25519", "ssh-rsa", 1), `restrict ` + text, text + "\n" + text,
		text + strings.Repeat(" ", maxKeyText),
	} {
		if k, err := ParsePublicKey(s); err == nil {
			t.Errorf("ParsePublicKey(%q) = %v", s, k)
		}
	}
	for _, s := range []string{"", "restrict " + text, text + "\n" + text, "# a comment", "ssh-rsa AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----"} {
		if k, err := ReadPublicKey([]byte(s)); err == nil {
			t.Errorf("ReadPublicKey(%q) = %v", s, k)
		}
	}
}

// A desk is a folder with the keys of a person, made by ssh-keygen.
type desk struct {
	t   *testing.T
	dir string
}

func newDesk(t *testing.T) desk {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	return desk{t, t.TempDir()}
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d desk) write(name string, content []byte) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), content, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d desk) read(name string) []byte {
	d.t.Helper()
	b, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d desk) keygen(stdin []byte, args ...string) (string, error) {
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir, cmd.Stdin = d.dir, bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d desk) must(stdin []byte, args ...string) string {
	d.t.Helper()
	out, err := d.keygen(stdin, args...)
	if err != nil {
		d.t.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
	return out
}

func TestOpenSSHSignsForUs(t *testing.T) {
	d := newDesk(t)
	d.must(nil, "-q", "-t", "ed25519", "-N", "", "-C", "ana@laptop", "-f", "key")
	key, err := ReadPublicKey(d.read("key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if out := d.must(nil, "-l", "-f", "key.pub"); !strings.Contains(out, key.Fingerprint()+" ") {
		t.Errorf("Fingerprint = %s, ssh-keygen says %s", key.Fingerprint(), out)
	}
	message := []byte("a message\nof two lines\n")
	d.write("message", message)
	d.must(nil, "-q", "-Y", "sign", "-f", "key", "-n", purpose, "message")
	s, err := ParseArmored(d.read("message.sig"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(key, purpose, message); err != nil {
		t.Error(err)
	}
	if s.Verify(key, purpose, message[1:]) == nil || s.Verify(key, "file", message) == nil {
		t.Error("another message or purpose is taken")
	}
	// Ed25519 gives the same signature again: ours is theirs, byte for byte.
	signer, err := LoadSigner(d.path("key"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Sign(signer, purpose, message)
	if err != nil || !bytes.Equal(ours.Armored(), d.read("message.sig")) {
		t.Errorf("we write %s, %v\nssh-keygen writes %s", ours.Armored(), err, d.read("message.sig"))
	}
}

func TestOpenSSHVerifiesOurs(t *testing.T) {
	d := newDesk(t)
	for name, signer := range map[string]ssh.Signer{"ed25519": newSigner(t), "security key": newSecurityKey(t, "ssh:strongroom")} {
		message := []byte("a message")
		s, err := Sign(signer, purpose, message)
		if err != nil {
			t.Fatal(err)
		}
		d.write("signature", s.Armored())
		d.write("signers", fmt.Appendf(nil, "ana %s\n", s.Key()))
		verify := func(namespace, message string) error {
			out, err := d.keygen([]byte(message), "-Y", "verify", "-f", "signers", "-I", "ana", "-n", namespace, "-s", "signature")
			if err != nil {
				return errors.New(out)
			}
			return nil
		}
		if err := verify(purpose, "a message"); err != nil {
			t.Errorf("%s: ssh-keygen says %v", name, err)
		}
		if verify(purpose, "a Message") == nil || verify("file", "a message") == nil {
			t.Errorf("%s: ssh-keygen takes another message or purpose", name)
		}
	}
}

// serveAgent plays an ssh-agent that has these signers, behind a connection.
func serveAgent(t *testing.T, signers ...ssh.Signer) func() (agent.Agent, error) {
	t.Helper()
	return func() (agent.Agent, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close() })
		go agent.ServeAgent(fakeAgent{signers: signers}, theirs) // ends with the connection
		return agent.NewClient(ours), nil
	}
}

type fakeAgent struct {
	agent.Agent
	signers []ssh.Signer
}

func (a fakeAgent) List() (keys []*agent.Key, err error) {
	for _, s := range a.signers {
		keys = append(keys, &agent.Key{Format: s.PublicKey().Type(), Blob: s.PublicKey().Marshal()})
	}
	return keys, nil
}

func (a fakeAgent) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	for _, s := range a.signers {
		if bytes.Equal(s.PublicKey().Marshal(), key.Marshal()) {
			return s.Sign(rand.Reader, data)
		}
	}
	return nil, errors.New("no such key")
}

// securityKeyFile returns the file that ssh-keygen writes for a security key:
// its private half is a handle.
func securityKeyFile(k *securityKey) []byte {
	private := ssh.Marshal(struct {
		Check1, Check2 uint32
		Type           string
		Key            []byte
		Application    string
		Flags          byte
		Handle         []byte
		Reserved       string
		Comment        string
	}{7, 7, ssh.KeyAlgoSKED25519, k.private.Public().(ed25519.PublicKey), k.application, 1, make([]byte, 64), "", "ana"})
	for i := byte(1); len(private)%8 != 0; i++ {
		private = append(private, i)
	}
	content := append([]byte("openssh-key-v1\x00"), ssh.Marshal(struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public, Private      []byte
	}{"none", "none", "", 1, k.public.Marshal(), private})...)
	return fmt.Appendf(nil, "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n", base64.StdEncoding.EncodeToString(content))
}

func TestLoadSigner(t *testing.T) {
	d := newDesk(t)
	d.must(nil, "-q", "-t", "ed25519", "-N", "", "-f", "plain")
	d.must(nil, "-q", "-t", "ed25519", "-N", "open sesame", "-f", "locked")
	d.must(nil, "-q", "-t", "rsa", "-b", "2048", "-N", "open sesame", "-f", "rsa")
	d.must(nil, "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", "pem")
	touched, remote, stranger := newSecurityKey(t, "ssh:"), newSigner(t), newSigner(t)
	d.write("touched", securityKeyFile(touched))
	d.write("remote.pub", []byte(keyOf(t, remote).String()+" ana@laptop\n"))
	d.write("stranger.pub", []byte(keyOf(t, stranger).String()+"\n"))
	d.write("text", []byte("hello\n"))
	d.write("huge", make([]byte, maxKeyFile+1))
	block := bytes.Split(d.read("plain"), []byte("\n"))
	block[2][0] ^= 1 // in the kind of the public key
	d.write("damaged", bytes.Join(block, []byte("\n")))
	d.write("cut", append(bytes.Join(append(block[:2:2], block[len(block)-2]), []byte("\n")), '\n'))

	type try = func(passphrase string) error
	says := func(texts ...string) func(try) error {
		return func(try try) (err error) {
			for _, text := range texts {
				if err = try(text); !errors.Is(err, ErrPassphrase) {
					return err
				}
			}
			return err
		}
	}
	unasked := func(try) error { t.Error("a passphrase was asked for"); return errors.New("asked") }
	nobody := func(try) error { return errors.New("no terminal") }
	running := serveAgent(t, newSigner(t), touched, remote)
	unneeded := func() (agent.Agent, error) { t.Error("the agent was asked"); return nil, nil }
	stopped := func() (agent.Agent, error) { return nil, errors.New("SSH_AUTH_SOCK is not set") }

	tests := []struct {
		file    string
		unlock  func(try) error
		agent   func() (agent.Agent, error)
		problem string
	}{
		{"plain", unasked, unneeded, ""},
		{"locked", says("open sesame"), unneeded, ""},
		{"locked", says("sesame"), unneeded, "the passphrase is wrong"},
		{"locked", says("sesame", "open sesame"), unneeded, ""},
		{"locked", nobody, unneeded, "no terminal"},
		{"locked", nil, nil, "nobody to ask for it"},
		{"locked.pub", unasked, running, "the ssh-agent does not have the SSH key"},
		{"touched", unasked, running, ""},
		{"touched", unasked, stopped, "needs an ssh-agent: SSH_AUTH_SOCK is not set"},
		{"touched", nil, nil, "needs an ssh-agent, and there is none"},
		{"remote.pub", unasked, running, ""},
		{"remote", unasked, running, ""}, // only its .pub is there
		{"stranger", unasked, running, "give it the key with ssh-add"},
		{"rsa", unasked, unneeded, "kind ssh-rsa: want ssh-ed25519"},
		{"rsa.pub", unasked, unneeded, "kind ssh-rsa: want ssh-ed25519"},
		{"pem", unasked, unneeded, "not in OpenSSH's own format"},
		{"text", unasked, unneeded, "want one line such as"},
		{"damaged", unasked, unneeded, "the file is damaged"},
		{"cut", unasked, unneeded, "the file is damaged"},
		{"huge", unasked, unneeded, "which no key has"},
		{"nothing", unasked, unneeded, "no such file"},
		{".", unasked, unneeded, "directory"},
	}
	for _, tt := range tests {
		t.Run(tt.file+" "+tt.problem, func(t *testing.T) {
			signer, err := LoadSigner(d.path(tt.file), tt.unlock, tt.agent)
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("LoadSigner = %v, want %q", err, tt.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Sign(signer, purpose, []byte("a message")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSignChecksWhatComesBack: an agent that signs something else is noticed
// before the signature is sent.
func TestSignChecksWhatComesBack(t *testing.T) {
	s := lyingSigner{newSigner(t)}
	if _, err := Sign(s, purpose, []byte("a message")); err == nil || !strings.Contains(err.Error(), "what came back is not valid") {
		t.Errorf("Sign = %v", err)
	}
	if _, err := Sign(newSigner(t), "", nil); err == nil {
		t.Error("a signature without a namespace was made")
	}
}

type lyingSigner struct{ ssh.Signer }

func (s lyingSigner) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return s.Signer.Sign(r, append(data, 'x'))
}

func FuzzParse(f *testing.F) {
	for _, signer := range []ssh.Signer{newSigner(f), newSecurityKey(f, "ssh:")} {
		s, err := Sign(signer, purpose, []byte("a message"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Armored(), []byte(s.blob))
	}
	f.Fuzz(func(t *testing.T, armored, blob []byte) {
		if s, err := ParseArmored(armored); err == nil && !bytes.Equal(s.Armored(), armored) {
			t.Errorf("%q is written as %q", armored, s.Armored())
		}
		s, err := parse(blob)
		if err != nil {
			return
		}
		if again, err := ParseArmored(s.Armored()); err != nil || again != s || again.blob != string(blob) {
			t.Errorf("%x comes back as %+v, %v", blob, again, err)
		}
		if again, err := ParseSignature(s.String()); err != nil || again != s {
			t.Errorf("%x comes back as %+v, %v", blob, again, err)
		}
		s.Verify(s.Key(), s.Namespace(), []byte("a message")) // must not panic
		if s.Verify(s.Key(), s.Namespace()+"x", nil) == nil {
			t.Error("valid for another namespace")
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	f.Add(keyOf(f, newSigner(f)).String())
	f.Add(keyOf(f, newSecurityKey(f, "ssh:")).String())
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParsePublicKey(s); err == nil && (k.String() != s || k.Fingerprint() == "") {
			t.Errorf("%q is written as %q", s, k)
		}
		if k, err := ReadPublicKey([]byte(s)); err == nil {
			if again, err := ParsePublicKey(k.String()); err != nil || again != k {
				t.Errorf("%q gives %q, which gives %q, %v", s, k, again, err)
			}
		}
	})
}
