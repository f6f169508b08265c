package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"strongroom/internal/safe/config"
)

// A Sender hands mails to one mail server.
type Sender struct {
	Config config.Mail
	// TLS is what the connection is protected with, if it is; nil means what
	// the system trusts.
	TLS *tls.Config
	// Timeout is how long the server may take for one answer; 0 means 30
	// seconds.
	Timeout time.Duration
	Now     func() time.Time // nil means time.Now
}

// A ServerError says that the mail server could not be reached or would not
// talk: nobody gets a mail now, and trying later is all there is to do.
type ServerError struct {
	Server string
	Err    error
}

func (e *ServerError) Error() string { return fmt.Sprintf("mail server %s: %v", e.Server, e.Err) }
func (e *ServerError) Unwrap() error { return e.Err }

// A LaterError says that the server did not take this mail now: it was busy,
// or the connection broke.
type LaterError struct {
	Recipient string
	Err       error
}

func (e *LaterError) Error() string { return fmt.Sprintf("mail to %s: %v", e.Recipient, e.Err) }
func (e *LaterError) Unwrap() error { return e.Err }

// A RefusedError says that the server will not take this mail: it does not
// know the recipient, or does not like what the mail is.
type RefusedError struct {
	Recipient string
	Err       error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("mail to %s was refused: %v", e.Recipient, e.Err)
}
func (e *RefusedError) Unwrap() error { return e.Err }

// A connection is one to the mail server. It takes mails until one fails.
type connection struct {
	client *gomail.Client
	raw    net.Conn
	unbind func() bool // from the context that would close raw
}

// dial connects to the server, secures the connection and logs in. Its errors
// are of type *ServerError. Cancelling ctx breaks the connection.
func (s *Sender) dial(ctx context.Context) (*connection, error) {
	fail := func(err error) (*connection, error) {
		return nil, &ServerError{Server: s.Config.Server.Addr(), Err: err}
	}
	timeout := s.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	c := &connection{unbind: func() bool { return true }}
	secured := s.TLS.Clone()
	if secured == nil {
		secured = &tls.Config{}
	}
	secured.ServerName = s.Config.Server.Name
	secured.MinVersion = tls.VersionTLS12
	opts := []gomail.Option{
		gomail.WithPort(s.Config.Server.Port),
		gomail.WithTimeout(timeout),
		gomail.WithTLSConfig(secured),
		gomail.WithTLSPolicy(gomail.NoTLS), // also where it is TLS from the first byte on
		gomail.WithoutSMTPUTF8(),           // addresses are ASCII
		// The library leaves a connection open whose greeting failed, and does
		// not look at the context after it.
		gomail.WithDialContextFunc(func(dialing context.Context, network, addr string) (net.Conn, error) {
			dialer := &net.Dialer{}
			dialer.SetMultipathTCP(false) // goes past rules for TCP
			raw, err := dialer.DialContext(dialing, network, addr)
			if err != nil {
				return nil, err
			}
			c.raw = raw
			c.unbind = context.AfterFunc(ctx, func() { raw.Close() }) // the error shows in what is under way
			if s.Config.TLS == config.FullTLS {
				return tls.Client(raw, secured), nil
			}
			return raw, nil
		}),
	}
	if s.Config.TLS == config.StartTLS {
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Config.User != "" {
		password, err := s.Config.Password.Read()
		if err != nil {
			return fail(err)
		}
		opts = append(opts, gomail.WithUsername(s.Config.User), gomail.WithPassword(string(bytes.TrimRight(password, "\r\n"))),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	var err error
	if c.client, err = gomail.NewClient(s.Config.Server.Name, opts...); err != nil {
		return fail(err)
	}
	if err = c.client.DialWithContext(ctx); err != nil {
		c.close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return fail(err)
	}
	return c, nil
}

// close ends the connection, in order if that is quick.
func (c *connection) close() {
	c.unbind()
	if c.raw == nil {
		return
	}
	c.raw.SetDeadline(time.Now().Add(time.Second)) // an error shows in what comes next
	c.client.Close()                               // what counts was answered
	c.raw.Close()                                  // it may be closed already
}

// send hands one mail to the server. Unless it returns nil, which means that
// the server has it, the connection is not to be used again.
func (s *Sender) send(ctx context.Context, c *connection, recipient string, m Message) error {
	msg, err := s.message(recipient, m)
	if err != nil {
		return &RefusedError{Recipient: recipient, Err: err}
	}
	err = c.client.Send(msg)
	if err == nil || msg.IsDelivered() {
		return nil // after the server's 250 nothing else counts
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var failed *gomail.SendError
	if errors.As(err, &failed) && failed.ErrorCode() >= 500 {
		return &RefusedError{Recipient: recipient, Err: err}
	}
	return &LaterError{Recipient: recipient, Err: err}
}

// message makes what goes over the wire.
func (s *Sender) message(recipient string, m Message) (*gomail.Msg, error) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	_, domain, _ := strings.Cut(s.Config.From, "@")
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.FromFormat("Strongroom", s.Config.From); err != nil {
		return nil, err
	}
	if err := msg.To(recipient); err != nil {
		return nil, err
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(messageID(m, recipient, domain))
	msg.SetDateWithValue(now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	// In base64, as a server may break lines differently otherwise.
	err := msg.AttachReader("checkpoint.txt", bytes.NewReader(m.Checkpoint), gomail.WithFileContentType("text/plain; charset=utf-8"))
	return msg, err
}

// Send hands one mail to the server now. Its errors are *ServerError,
// *LaterError, *RefusedError or that of ctx.
func (s *Sender) Send(ctx context.Context, recipient string, m Message) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return s.send(ctx, c, recipient, m)
}

// Probe connects to the server and logs in, and sends nothing. Its errors are
// *ServerError or that of ctx.
func (s *Sender) Probe(ctx context.Context) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	c.close()
	return nil
}
