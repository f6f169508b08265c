package sshsig

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxKeyFile bounds a key file. Ours have about 400 bytes.
const maxKeyFile = 64 << 10

// ErrPassphrase means that a passphrase is not that of the key.
var ErrPassphrase = errors.New("the passphrase is wrong")

// LoadSigner returns what signs with the key that path names: an OpenSSH
// private key, or the public key beside it. The private half comes from the
// file; if it has a passphrase, unlock calls try with it, and may do so again
// while that returns ErrPassphrase. If there is only the .pub, or the key is a
// security key, the ssh-agent signs. Neither function is called without need;
// each may be nil if there is nobody to ask. The signer of an agent works as
// long as the agent's connection.
//
// Its errors are for the person who named the path and hold nothing of a
// private key.
func LoadSigner(path string, unlock func(try func(passphrase string) error) error, agent func() (agent.Agent, error)) (ssh.Signer, error) {
	b, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if public, inner := readKeyFile(path + ".pub"); inner == nil {
			b, err = public, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading an SSH key: %w", err)
	}
	if !bytes.HasPrefix(b, []byte("-----BEGIN ")) {
		key, err := ReadPublicKey(b)
		if err != nil {
			return nil, fmt.Errorf("reading an SSH key from %s: %w", path, err)
		}
		return fromAgent(path, key, agent)
	}
	key, err := publicHalf(b)
	if err != nil {
		return nil, fmt.Errorf("reading an SSH key from %s: %w", path, err)
	}
	if key.SSH().Type() == ssh.KeyAlgoSKED25519 {
		return fromAgent(path, key, agent) // the file has no private half: that is in the security key
	}
	signer, err := fromFile(b, unlock)
	if err != nil {
		return nil, fmt.Errorf("reading the SSH key %s: %w", path, err)
	}
	if !bytes.Equal(signer.PublicKey().Marshal(), key.SSH().Marshal()) {
		return nil, fmt.Errorf("reading the SSH key %s: its public half is not that of its private one", path)
	}
	return signer, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("%s has more than %d bytes, which no key has", path, maxKeyFile)
	}
	return b, nil
}

// publicHalf returns the public key of a private key file, which is readable
// without a passphrase: nobody is asked for that of a key that is not taken.
func publicHalf(b []byte) (PublicKey, error) {
	const kind, openssh = "OPENSSH PRIVATE KEY", "openssh-key-v1\x00"
	block, _ := pem.Decode(b)
	if block == nil {
		return PublicKey{}, errors.New("the file is damaged")
	}
	content, ok := bytes.CutPrefix(block.Bytes, []byte(openssh))
	if block.Type != kind || !ok {
		return PublicKey{}, errors.New("it is not in OpenSSH's own format, which ssh-keygen writes")
	}
	var w struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public               []byte
		Private              []byte
	}
	if err := ssh.Unmarshal(content, &w); err != nil || w.Keys != 1 {
		return PublicKey{}, errors.New("the file is damaged")
	}
	key, err := ssh.ParsePublicKey(w.Public)
	if err != nil {
		return PublicKey{}, errors.New("the file is damaged")
	}
	return PublicKeyOf(key)
}

func fromFile(b []byte, unlock func(try func(passphrase string) error) error) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		if err != nil {
			return nil, errors.New("the file is damaged")
		}
		return signer, nil
	}
	if unlock == nil {
		return nil, errors.New("it has a passphrase, and there is nobody to ask for it; load it into an ssh-agent and name its .pub file")
	}
	err = unlock(func(passphrase string) error {
		var err error
		signer, err = ssh.ParsePrivateKeyWithPassphrase(b, []byte(passphrase))
		switch {
		case errors.Is(err, x509.IncorrectPasswordError):
			return ErrPassphrase
		case err != nil:
			return errors.New("the file is damaged")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return signer, nil
}

// fromAgent returns what signs with a key whose private half an agent has.
func fromAgent(path string, key PublicKey, connect func() (agent.Agent, error)) (ssh.Signer, error) {
	if connect == nil {
		return nil, fmt.Errorf("the SSH key %s needs an ssh-agent, and there is none", path)
	}
	a, err := connect()
	if err != nil {
		return nil, fmt.Errorf("the SSH key %s needs an ssh-agent: %w", path, err)
	}
	signers, err := a.Signers()
	if err != nil {
		return nil, fmt.Errorf("asking the ssh-agent for its keys: %w", err)
	}
	want := key.SSH().Marshal()
	for _, s := range signers {
		if bytes.Equal(s.PublicKey().Marshal(), want) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("the ssh-agent does not have the SSH key %s (%s); give it the key with ssh-add", path, key.Fingerprint())
}
