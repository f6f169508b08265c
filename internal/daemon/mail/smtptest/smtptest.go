// Package smtptest is a mail server for tests and for the demo: it speaks
// SMTP, with STARTTLS, TLS and logging in if asked to, keeps each mail as a
// file, and fails as it is told to.
package smtptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Options tunes a Server. The zero value takes mails of anybody without TLS.
type Options struct {
	Addr string // to listen on; "" means a free port of 127.0.0.1
	Dir  string // an existing folder for the mails; "" keeps them in memory only
	// StartTLS offers it, FullTLS wants it from the first byte on.
	StartTLS, FullTLS bool
	User, Password    string // to log in with, if User is set
	// Judge is asked before a mail is taken, once at each Stage, from one
	// goroutine at a time. An error is what the server answers; Cut breaks the
	// connection. Nil takes everything.
	Judge func(stage Stage, from, to string) error
}

// A Stage is a moment of a mail's way at which a server may refuse it.
type Stage string

const (
	AtRecipient Stage = "RCPT"
	AtData      Stage = "DATA"  // after its first bytes
	AtEnd       Stage = "end"   // after its last
	AfterTaken  Stage = "taken" // the mail is kept, its answer not sent yet
)

// ErrCut makes the server break the connection.
var ErrCut = errors.New("the connection is cut")

// Answer is what a server says to refuse: 451 for later, 550 for never.
func Answer(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: text}
}

// A Mail is one that was taken.
type Mail struct {
	From, To string
	TLS      bool
	User     string // who had logged in
	Bytes    []byte
	File     string // "" if it is in memory only
}

// A Server is running. Its methods may be called concurrently.
type Server struct {
	Addr string
	// Certificate is the server's own, in PEM; nobody has signed it.
	Certificate []byte
	// Pool trusts it.
	Pool *x509.CertPool

	opts     Options
	server   *smtp.Server
	listener net.Listener
	wait     sync.WaitGroup

	mu    sync.Mutex // guards the field below, and is held for Judge
	mails []Mail
}

// Start starts a server. Stop ends it.
func Start(opts Options) (*Server, error) {
	s := &Server{opts: opts}
	if s.opts.Addr == "" {
		s.opts.Addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("starting a mail server: %w", err)
	}
	s.Addr = listener.Addr().String()
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	s.server.Domain = "localhost"
	s.server.AllowInsecureAuth = true
	s.server.ErrorLog = log.New(io.Discard, "", 0) // a connection that was cut on purpose
	s.server.ReadTimeout, s.server.WriteTimeout = time.Minute, time.Minute
	if opts.StartTLS || opts.FullTLS {
		conf, err := s.certify()
		if err != nil {
			listener.Close() // nothing was accepted
			return nil, fmt.Errorf("starting a mail server: %w", err)
		}
		if opts.FullTLS {
			listener = tls.NewListener(listener, conf)
		} else {
			s.server.TLSConfig = conf
		}
	}
	s.listener = listener
	s.wait.Go(func() { s.server.Serve(listener) }) // it ends with an error by design
	return s, nil
}

// Stop ends the server and all its connections. It may be called again.
func (s *Server) Stop() {
	s.server.Close()   // the second time with an error
	s.listener.Close() // which the server does not know of if it was stopped before it began
	s.wait.Wait()
}

// Mails returns what was taken until now, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// certify makes a certificate for this host.
func (s *Server) certify() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	s.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.Pool = x509.NewCertPool()
	s.Pool.AppendCertsFromPEM(s.Certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}

// A session is one connection.
type session struct {
	server   *Server
	conn     *smtp.Conn
	user     string
	from, to string
}

func (s *session) AuthMechanisms() []string {
	if s.server.opts.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.opts.User || password != s.server.opts.Password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.opts.User != "" && s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.judge(AtRecipient)
}

func (s *session) Data(r io.Reader) error {
	first := make([]byte, 16)
	n, err := io.ReadFull(r, first)
	if err != nil {
		return err
	}
	if err := s.judge(AtData); err != nil {
		return err
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.judge(AtEnd); err != nil {
		return err
	}
	if err := s.keep(append(first[:n], rest...)); err != nil {
		return err
	}
	return s.judge(AfterTaken)
}

func (s *session) keep(b []byte) error {
	_, secured := s.conn.TLSConnectionState()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	m := Mail{From: s.from, To: s.to, TLS: secured, User: s.user, Bytes: b}
	if s.server.opts.Dir != "" {
		m.File = filepath.Join(s.server.opts.Dir, fmt.Sprintf("%03d-%s.eml", len(s.server.mails)+1, filepath.Base(s.to)))
		if err := os.WriteFile(m.File, b, 0o644); err != nil {
			return err
		}
	}
	s.server.mails = append(s.server.mails, m)
	return nil
}

func (s *session) judge(stage Stage) error {
	if s.server.opts.Judge == nil {
		return nil
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	err := s.server.opts.Judge(stage, s.from, s.to)
	if errors.Is(err, ErrCut) {
		s.conn.Conn().Close() // the client learns of it
	}
	return err
}

func (s *session) Reset()        { s.from, s.to = "", "" }
func (s *session) Logout() error { return nil }
