package browsertest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/sshsig"
)

// securityKey plays a FIDO key for SSH, which was touched.
type securityKey struct {
	public  ssh.PublicKey
	private ed25519.PrivateKey
}

func (k securityKey) PublicKey() ssh.PublicKey { return k.public }

func (k securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	fields := []byte{1, 0, 0, 0, 7}
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Rest: fields,
		Blob: ed25519.Sign(k.private, bytes.Join([][]byte{application[:], fields, message[:]}, nil))}, nil
}

// TestOperatorsSignatures has the page verify what Go, and so ssh-keygen, signs.
func TestOperatorsSignatures(t *testing.T) {
	p := kit(t)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	onToken := must(ssh.ParsePublicKey(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, public, "ssh:"})))(t)
	file := must(ssh.NewSignerFromKey(private))(t)
	const namespace, message = "strongroom/v1/act", "a statement\n"
	for name, signer := range map[string]ssh.Signer{"file": file, "security key": securityKey{onToken, private}} {
		t.Run(name, func(t *testing.T) {
			key := must(sshsig.PublicKeyOf(signer.PublicKey()))(t).String()
			signature := must(sshsig.Sign(signer, namespace, []byte(message)))(t).String()
			verifies := func(key, signature, namespace, message string) bool {
				ok, err := Try[bool](p, fmt.Sprintf("m.sshsig.verify(%q, %q, %q, m.base64.utf8(%q))", key, signature, namespace, message))
				return err == nil && ok
			}
			if !verifies(key, signature, namespace, message) {
				t.Fatal("the page does not verify it")
			}
			other := must(sshsig.PublicKeyOf(file.PublicKey()))(t).String()
			if name == "file" {
				other = must(sshsig.PublicKeyOf(onToken))(t).String()
			}
			for what, ok := range map[string]bool{
				"another message":   verifies(key, signature, namespace, "another statement\n"),
				"another namespace": verifies(key, signature, "strongroom/v1/release", message),
				"another key":       verifies(other, signature, namespace, message),
			} {
				if ok {
					t.Errorf("the page verifies %s", what)
				}
			}
			blob := must(base64.StdEncoding.DecodeString(signature))(t)
			altered := Eval[[]int](p, async(`
				const blob = m.base64.fromBase64(%q), good = []
				for (let i = 0; i < blob.length; i++) {
					const b = blob.slice()
					b[i] ^= 1
					if (await m.sshsig.verify(%q, m.base64.toBase64(b), %q, m.base64.utf8(%q)).catch(() => false)) good.push(i)
				}
				for (const b of [blob.slice(0, -1), m.base64.concat(blob, new Uint8Array(1))]) {
					if (await m.sshsig.verify(%[2]q, m.base64.toBase64(b), %[3]q, m.base64.utf8(%[4]q)).catch(() => false)) good.push(b.length)
				}
				return good`, signature, key, namespace, message))
			if len(altered) > 0 {
				t.Errorf("of %d bytes these may be altered: %v", len(blob), altered)
			}
		})
	}
}
