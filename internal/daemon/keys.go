package daemon

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// keys are the safe's own. None of them reads what was stored. They are in
// neither store nor ledger, so they have to be collected like other data.
type keys struct {
	ledger ledger.Key          // signs checkpoints
	memory seal.MemoryIdentity // seals the memories at rest
	secret seal.Secret         // makes tags and cuts of each source
	gate   gateKey             // by which operators know the gate; zero if the safe was made without one
}

// A gateKey is the host key of the gate.
type gateKey struct {
	private []byte // as in a file of OpenSSH
	public  sshsig.PublicKey
}

const (
	ledgerKeyFile = "ledger.key"
	memoryKeyFile = "memory.key"
	secretFile    = "secret"
	gateKeyFile   = "gate.key"
)

// makeKeys makes the keys of a new safe in a folder that must not exist. They
// appear all at once.
func makeKeys(folder string, store safe.StoreID, now time.Time) (keys, error) {
	ledgerKey, private := ledger.GenerateKey(store)
	memoryKey, err := seal.NewMemoryIdentity()
	if err != nil {
		return keys{}, err
	}
	gate, err := newGateKey()
	if err != nil {
		return keys{}, err
	}
	k := keys{ledger: ledgerKey, memory: memoryKey, secret: seal.NewSecret(), gate: gate}
	making, err := os.MkdirTemp(filepath.Dir(folder), ".keys-")
	if err != nil {
		return keys{}, err
	}
	defer os.RemoveAll(making) // after the rename there is nothing to remove
	for name, write := range map[string]func(io.Writer) error{
		ledgerKeyFile: func(w io.Writer) error { _, err := fmt.Fprintln(w, private); return err },
		memoryKeyFile: func(w io.Writer) error { return k.memory.Write(w, now) },
		secretFile:    k.secret.Write,
		gateKeyFile:   func(w io.Writer) error { _, err := w.Write(k.gate.private); return err },
	} {
		if err := writeSecret(filepath.Join(making, name), write); err != nil {
			return keys{}, err
		}
	}
	if err := syncFolder(making); err != nil {
		return keys{}, err
	}
	if err := os.Rename(making, folder); err != nil {
		return keys{}, err
	}
	return k, syncFolder(filepath.Dir(folder))
}

func newGateKey() (gateKey, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return gateKey{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, "strongroom gate")
	if err != nil {
		return gateKey{}, err
	}
	return parseGateKey(pem.EncodeToMemory(block))
}

func parseGateKey(b []byte) (gateKey, error) {
	signer, err := ssh.ParsePrivateKey(b)
	if err != nil {
		return gateKey{}, errors.New("it is not a private key as OpenSSH writes it") // err might quote it
	}
	public, err := sshsig.PublicKeyOf(signer.PublicKey())
	return gateKey{private: b, public: public}, err
}

func writeSecret(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readKeys reads what makeKeys wrote.
func readKeys(folder string) (k keys, err error) {
	if _, err := os.Stat(folder); err != nil {
		return keys{}, err
	}
	err = errors.Join(
		readSecret(filepath.Join(folder, ledgerKeyFile), func(r io.Reader) (err error) {
			b, err := io.ReadAll(r)
			if err == nil {
				k.ledger, err = ledger.ParseKey(string(b))
			}
			return err
		}),
		readSecret(filepath.Join(folder, memoryKeyFile), func(r io.Reader) (err error) {
			k.memory, err = seal.ReadMemoryIdentity(r)
			return err
		}),
		readSecret(filepath.Join(folder, secretFile), func(r io.Reader) (err error) {
			k.secret, err = seal.ReadSecret(r)
			return err
		}),
	)
	// A safe that was made before there were openings has none, and collects
	// all the same.
	gateErr := readSecret(filepath.Join(folder, gateKeyFile), func(r io.Reader) (err error) {
		b, err := io.ReadAll(r)
		if err == nil {
			k.gate, err = parseGateKey(b)
		}
		return err
	})
	if errors.Is(gateErr, os.ErrNotExist) {
		gateErr = nil
	}
	return k, errors.Join(err, gateErr)
}

// maxSecret bounds a key file; the longest has a few kilobytes.
const maxSecret = 64 << 10

// readSecret reads a file that only its owner may be able to read.
func readSecret(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): chmod 0400 it, and consider what they may have done with it", path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return err
	}
	if err := read(bytes.NewReader(b)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
