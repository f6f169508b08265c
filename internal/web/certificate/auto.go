package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom/internal/safe"
)

const (
	authorityYears = 20
	// serverDays is the longest that browsers take, and renewDays how long
	// before its end a certificate is replaced.
	serverDays, renewDays = 397, 60
	// early is how much before its making a certificate is good, for machines
	// whose clocks are behind.
	early = 24 * time.Hour
)

// An Auto is a certificate authority of the safe's own and the certificate
// that it last issued. Its methods may be called concurrently.
type Auto struct {
	names     names
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
	now       func() time.Time

	mu      sync.Mutex // guards current
	current *tls.Certificate
}

const (
	authorityFile = "ca.pem"
	keyFile       = "ca.key"
)

// Open opens the certificate authority in a folder, for DNS names and IP
// addresses. If the folder does not exist, it is made, with everything in it
// at once. An authority vouches for the names it was made for and for no
// others: for further ones, the error says what to do. Several processes may
// open the same folder.
func Open(folder string, hosts []string, now func() time.Time) (*Auto, error) {
	names, err := parseNames(hosts)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		// Another process may be faster: then its authority is the one.
		if err := create(folder, names, now()); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("making the safe's certificate authority: %w", err)
		}
	}
	a := &Auto{names: names, now: now}
	if err := a.read(folder); err != nil {
		return nil, fmt.Errorf("opening the safe's certificate authority in %s: %w", folder, err)
	}
	if a.current, err = a.issue(now()); err != nil {
		return nil, fmt.Errorf("opening the safe's certificate authority in %s: %w", folder, err)
	}
	return a, nil
}

// CA returns the authority's certificate in PEM, for those who are to trust
// the safe.
func (a *Auto) CA() []byte { return encode("CERTIFICATE", a.authority.Raw) }

// Fingerprint is how people know the authority: the SHA-256 of its certificate
// in DER, as openssl x509 -fingerprint -sha256 shows it.
func (a *Auto) Fingerprint() safe.Digest { return safe.DigestOf(a.authority.Raw) }

// GetCertificate returns the safe's certificate, issuing a new one in time. It
// is a tls.Config's GetCertificate. The certificate and its key are only in
// memory: who trusts the authority does not remember them.
func (a *Auto) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now.Before(a.current.Leaf.NotBefore) || !now.Before(a.current.Leaf.NotAfter.AddDate(0, 0, -renewDays)) {
		renewed, err := a.issue(now)
		if err != nil {
			return nil, err
		}
		a.current = renewed
	}
	return a.current, nil
}

// issue makes a certificate, which never outlasts its authority.
func (a *Auto) issue(now time.Time) (*tls.Certificate, error) {
	from := now.Add(-early)
	until := from.AddDate(0, 0, serverDays)
	if until.After(a.authority.NotAfter) {
		until = a.authority.NotAfter
	}
	if !now.Before(until) {
		return nil, fmt.Errorf("the certificate authority was good until %s only: move its folder away, and give people the new one", until.Format(time.DateOnly))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject:     a.names.subject("safe"),
		NotBefore:   from,
		NotAfter:    until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    a.names.dns,
		IPAddresses: a.names.ips(),

		BasicConstraintsValid: true,
	}, a.authority, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	// The authority is shown, too, so that an invitation's fingerprint finds it.
	return &tls.Certificate{Certificate: [][]byte{der, a.authority.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// create makes the folder of an authority, which appears all at once.
func create(folder string, n names, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	// The authority's key is on the safe, and browsers may be told to trust
	// it: it must be good for nothing but the safe. Kinds of names that the
	// safe does not have are excluded as a whole.
	template := &x509.Certificate{
		Subject:     n.subject("authority"),
		NotBefore:   now.Add(-early),
		NotAfter:    now.AddDate(authorityYears, 0, 0),
		KeyUsage:    x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         n.dns,
		PermittedIPRanges:           n.networks(),
	}
	if len(n.dns) == 0 {
		template.ExcludedDNSDomains = []string{""} // RFC 5280: all of them
	}
	if len(n.addresses) == 0 {
		template.ExcludedIPRanges = []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
			{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	making, err := os.MkdirTemp(filepath.Dir(folder), ".tls-") // of mode 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(making) // after the rename there is nothing to remove
	if err := errors.Join(
		write(filepath.Join(making, authorityFile), encode("CERTIFICATE", der)),
		write(filepath.Join(making, keyFile), encode("PRIVATE KEY", private)),
		syncFolder(making),
	); err != nil {
		return err
	}
	if err := os.Rename(making, folder); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(folder))
}

func write(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// read reads what create wrote.
func (a *Auto) read(folder string) error {
	b, err := readFile(filepath.Join(folder, authorityFile))
	if err != nil {
		return err
	}
	if a.authority, err = parseAuthority(b); err != nil {
		return fmt.Errorf("reading %s: %w", authorityFile, err)
	}
	info, err := os.Stat(filepath.Join(folder, keyFile))
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("the mode %04o of %s lets others than its owner at it: chmod 0400", info.Mode().Perm(), keyFile)
	}
	if b, err = readFile(filepath.Join(folder, keyFile)); err != nil {
		return err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return fmt.Errorf("%s is damaged", keyFile)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("%s is damaged", keyFile)
	}
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(a.authority.PublicKey) {
		return fmt.Errorf("%s is not the key of %s", keyFile, authorityFile)
	}
	a.key = key
	return a.names.within(a.authority)
}

// parseAuthority reads one certificate in PEM, which must be an authority's.
func parseAuthority(b []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want one certificate in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate is damaged: %w", err)
	}
	if !c.BasicConstraintsValid || !c.IsCA {
		return nil, errors.New("the certificate is not that of a certificate authority")
	}
	return c, nil
}

// names are what people connect to.
type names struct {
	first     string
	dns       []string
	addresses []netip.Addr
}

func parseNames(hosts []string) (n names, err error) {
	if len(hosts) == 0 {
		return names{}, errors.New("a certificate needs a name")
	}
	n.first = hosts[0]
	for _, h := range hosts {
		if addr, err := netip.ParseAddr(h); err == nil {
			if addr.Zone() != "" {
				return names{}, fmt.Errorf("address %q: a certificate has no zones", h)
			}
			n.addresses = append(n.addresses, addr.Unmap())
			continue
		}
		if h == "" || strings.HasPrefix(h, ".") || strings.HasSuffix(h, ".") || strings.ContainsAny(h, "*: /") || strings.ToLower(h) != h {
			return names{}, fmt.Errorf("name %q: want a DNS name in lower case or an IP address", h)
		}
		n.dns = append(n.dns, h)
	}
	return n, nil
}

// subject names a certificate for people. A common name has at most 64
// characters; with blanks in it nobody takes it for a DNS name, which the
// authority may not vouch for.
func (n names) subject(of string) pkix.Name {
	return pkix.Name{CommonName: fmt.Sprintf("Strongroom %s %.40s", of, n.first)}
}

func (n names) ips() (all []net.IP) {
	for _, a := range n.addresses {
		all = append(all, a.AsSlice())
	}
	return all
}

func (n names) networks() (all []*net.IPNet) {
	for _, a := range n.addresses {
		all = append(all, &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())})
	}
	return all
}

// within checks that an authority was made for all names.
func (n names) within(authority *x509.Certificate) error {
	var missing []string
	for _, name := range n.dns {
		if !slices.Contains(authority.PermittedDNSDomains, name) {
			missing = append(missing, name)
		}
	}
	for _, a := range n.addresses {
		if !slices.ContainsFunc(authority.PermittedIPRanges, func(r *net.IPNet) bool { return r.Contains(a.AsSlice()) }) {
			missing = append(missing, a.String())
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("it was not made for %s: move the folder away so that a new one is made, and give people that", strings.Join(missing, ", "))
	}
	return nil
}
