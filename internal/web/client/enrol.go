package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/safe"
)

// Enrol uses an invitation, once, and returns the certificate authority of the
// safe in PEM, which the person's machine trusts from then on; nil if the safe
// has a certificate of a public one.
func Enrol(ctx context.Context, invitation access.Invitation, enrolment []byte, from netip.Addr) ([]byte, error) {
	var ca []byte
	if !invitation.CA.IsZero() {
		var err error
		if ca, err = Pin(ctx, invitation.URL, invitation.CA, from); err != nil {
			return nil, err
		}
	}
	c, err := New(Options{URL: invitation.URL, CA: ca, Store: invitation.Store, From: from})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return ca, c.post(ctx, api.Enrol, "", nil, api.Enrolling{Token: invitation.Token, Enrolment: enrolment}, nil)
}

// Pin connects to a safe and returns its certificate authority in PEM, if that
// has the fingerprint: the SHA-256 of the certificate, which stands in
// invitations and on the pages of paper. It returns an *UnreachableError if
// another one answers.
func Pin(ctx context.Context, url string, fingerprint safe.Digest, from netip.Addr) ([]byte, error) {
	base, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	var ca []byte
	secure := &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: base.Hostname(),
		// VerifyConnection does all that is skipped, with another root.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			ca, err = verify(state, fingerprint)
			return err
		},
	}
	host := net.JoinHostPort(base.Hostname(), base.Port())
	if base.Port() == "" {
		host = net.JoinHostPort(base.Hostname(), "443")
	}
	conn, err := (&tls.Dialer{NetDialer: dialer(from), Config: secure}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, unreachable(base.Host, err)
	}
	return ca, conn.Close()
}

// verify finds the certificate authority among those that the safe presents,
// and sees that it vouches for the one that was used.
func verify(state tls.ConnectionState, fingerprint safe.Digest) ([]byte, error) {
	for _, c := range state.PeerCertificates {
		if !c.IsCA || safe.DigestOf(c.Raw) != fingerprint {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(c)
		if _, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: state.ServerName, Roots: roots}); err != nil {
			return nil, &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), nil
	}
	return nil, &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates,
		Err: fmt.Errorf("its certificate authority has another fingerprint than %s: %w", fingerprint, errOther)}
}

var errOther = errors.New("the link is not for this safe, or somebody stands between")
