// Package certificate is the safe's identity towards people's machines: TLS
// with a certificate that is issued by an authority of the safe's own, or that
// stands in files.
//
// An authority of the safe's own needs nobody else, no DNS and no date in a
// calendar. People compare its fingerprint once, on paper. It is confined to
// the names it was made for, as its key is on the safe: whoever has the safe
// can play the safe, and nobody else.
//
// TLS here is 1.3 only, with a key exchange that resists quantum computers
// where the other side has it. What people send is signed by itself; TLS keeps
// it from others' eyes.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
)

var curves = []tls.CurveID{tls.X25519MLKEM768, tls.X25519}

// Server returns the configuration of a server that shows what get returns:
// the GetCertificate of an Auto or of Files.
func Server(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: curves, GetCertificate: get}
}

// Trust returns the configuration of a client that trusts one authority, whose
// certificate it is given in PEM, and nobody else.
func Trust(ca []byte) (*tls.Config, error) {
	authority, err := parseAuthority(ca)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of the safe's authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	return &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: curves, RootCAs: roots}, nil
}

// Files are a certificate and its key in two files, which another program may
// renew. Its methods may be called concurrently.
type Files struct {
	cert, key string
	logger    *slog.Logger

	mu      sync.Mutex // guards the fields below
	current *tls.Certificate
	seen    [2]fs.FileInfo // the files as they were when they were last read
}

// OpenFiles reads a certificate, with those that lead to its authority, and its
// key, both in PEM.
func OpenFiles(cert, key string, logger *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, logger: logger}
	if err := f.reload(); err != nil {
		return nil, fmt.Errorf("reading the safe's certificate: %w", err)
	}
	return f, nil
}

// GetCertificate returns the certificate, read anew if one of the files has
// changed. It is a tls.Config's GetCertificate. While the files do not fit
// each other, as between two steps of a renewal, the last good certificate
// stays; the log says so once for each change.
func (f *Files) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock() // also over reading two small files, which one handshake does for all
	defer f.mu.Unlock()
	if err := f.reload(); err != nil {
		f.logger.Error("the safe's certificate cannot be read anew; the last one stays", "cert", f.cert, "key", f.key, "err", err)
	}
	return f.current, nil
}

// reload reads the files if they are not those that were seen. f.mu must be
// held, or f be new.
func (f *Files) reload() error {
	var found [2]fs.FileInfo
	for i, name := range []string{f.cert, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			reported := f.current != nil && f.seen[i] == nil
			f.seen[i] = nil
			if reported {
				return nil
			}
			return err
		}
		found[i] = info
	}
	if unchanged(f.seen[0], found[0]) && unchanged(f.seen[1], found[1]) {
		return nil
	}
	f.seen = found
	cert, err := readFile(f.cert)
	if err != nil {
		return err
	}
	key, err := readFile(f.key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	f.current = &pair
	return nil
}

func unchanged(before, now fs.FileInfo) bool {
	return before != nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}

// maxFile bounds a file with certificates or a key.
const maxFile = 1 << 20

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New(name + " is larger than 1 MiB")
	}
	return b, err
}
