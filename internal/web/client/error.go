package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// A ProblemError is a safe's no.
type ProblemError struct {
	Status int    // of HTTP
	Text   string // for people
	Remedy string // for people; often empty
}

func (e *ProblemError) Error() string { return e.Text }

// A ClockError means that this machine's clock and the safe's are too far
// apart for a signature to be good.
type ClockError struct{ Here, Safe time.Time }

func (e *ClockError) Error() string {
	off, which := e.Here.Sub(e.Safe), "ahead of"
	if off < 0 {
		off, which = -off, "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s that of the safe, which says %s: set the one that is wrong",
		off.Round(time.Second), which, e.Safe.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// An UnreachableError means that there was no answer of a safe. What was sent
// may have been done.
type UnreachableError struct {
	Host  string
	Cause error

	broken bool // a connection could not be made, or broke
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the safe at %s cannot be reached: %s", e.Host, explain(e.Cause))
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// unreachable tells what became of a connection. That a person has stopped the
// program is no matter of the safe.
func unreachable(host string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var network net.Error
	var certificate *tls.CertificateVerificationError
	slow := errors.As(err, &network) && network.Timeout()
	return &UnreachableError{Host: host, Cause: err, broken: !slow && !errors.As(err, &certificate)}
}

// explain says in words what a person can do something about.
func explain(err error) string {
	var certificate *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var name *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &certificate):
		return fmt.Sprintf("what answers there is not the safe that this machine knows (%v)", certificate.Err)
	case errors.As(err, &header), errors.Is(err, http.ErrSchemeMismatch):
		return "what answers there does not speak HTTPS"
	case errors.As(err, &name):
		return fmt.Sprintf("no address is known for the name %s", name.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; does \"strongroom serve\" run?"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have the address that it is to come from"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no network leads there"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "it does not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was cut off"
	default:
		return err.Error()
	}
}
