package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A Mail says how the safe sends mails.
type Mail struct {
	Server        Server
	From          string // address
	TLS           MailTLS
	User          string    // "" if the server asks for none
	Password      SecretRef // set if User is
	To            []string  // addresses beyond those of the roster's people
	SubjectPrefix string    // never empty
}

// A Server is where something is reached over the network.
type Server struct {
	Name string // a name or an IP address, without brackets
	Port int
}

// Addr returns name and port for a dialer.
func (s Server) Addr() string { return net.JoinHostPort(s.Name, strconv.Itoa(s.Port)) }

// isLoopback tells whether nothing that is sent to s leaves this host.
func (s Server) isLoopback() bool {
	addr, err := netip.ParseAddr(s.Name)
	return err == nil && addr.IsLoopback() || s.Name == "localhost"
}

// MailTLS says how the way to the mail server is protected.
type MailTLS string

const (
	StartTLS MailTLS = "starttls" // a plain connection that must become TLS before anything is said
	FullTLS  MailTLS = "tls"      // TLS from the first byte on
	NoTLS    MailTLS = "none"
)

var mailFields = []field[Mail]{
	key("server", "The mail server to hand mails to: host:port.", server, func(m *Mail) *Server { return &m.Server }).must(),
	key("from", "The address that mails come from.", address, func(m *Mail) *string { return &m.From }).must(),
	key("tls", "How the way to the server is protected; none is possible on this host only.", oneOf(StartTLS, FullTLS, NoTLS), func(m *Mail) *MailTLS { return &m.TLS }).or(StartTLS),
	key("user", "Whom to log in as.", mailUser, func(m *Mail) *string { return &m.User }),
	key("password", "Where the password to log in with is.", secret, func(m *Mail) *SecretRef { return &m.Password }),
	key("to", "Who is told everything, besides the people of the roster.", list("a list of addresses", 0, address), func(m *Mail) *[]string { return &m.To }),
	key("subject_prefix", "What each subject begins with; without it the safe's name in brackets.", subjectPrefix, func(m *Mail) *string { return &m.SubjectPrefix }),
}

var mail = form[*Mail]{object(mailFields), func(d *decoder, n ast.Node) (*Mail, bool) {
	m := Mail{TLS: StartTLS}
	values, ok := entries(d, n, "mail")
	if !ok {
		return nil, false
	}
	seen := mapping(d, values, "mail", start(n), mailFields, &m)
	if at := seen["tls"]; at != nil && m.TLS == NoTLS && m.Server.Name != "" && !m.Server.isLoopback() {
		d.fail(at.GetToken(), "without TLS everybody on the way to %s can read and change mails, and learns the password: only a server on this host (localhost, 127.0.0.1, [::1]) can be told so", quote(m.Server.Name))
	}
	user, password := seen["user"], seen["password"]
	switch {
	case user != nil && password == nil:
		d.fail(user.GetToken(), "`user` goes with `password`, which is missing")
	case user == nil && password != nil:
		d.fail(password.GetToken(), "`password` goes with `user`, which is missing")
	}
	return &m, true
}}

var (
	serverForm = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):([1-9][0-9]{0,4})$`)
	server     = text("host:port such as mail.acme.example:587", schema{Pattern: serverForm.String()}, parseServer)
)

func parseServer(s string) (Server, error) {
	m := serverForm.FindStringSubmatch(s)
	if m == nil {
		return Server{}, errForm
	}
	name := m[1]
	if inner, ok := strings.CutPrefix(name, "["); ok {
		name = strings.TrimSuffix(inner, "]")
		if _, err := netip.ParseAddr(name); err != nil {
			return Server{}, fmt.Errorf("%.80q: not an IP address in the brackets", s)
		}
	}
	port, err := strconv.ParseUint(m[3], 10, 16)
	if err != nil {
		return Server{}, fmt.Errorf("%.80q: a port is at most 65535", s)
	}
	return Server{Name: name, Port: int(port)}, nil
}

// addressForm takes the addresses that every mail server takes: no quotes, no
// comments, nothing that could end a header or a command.
var addressForm = regexp.MustCompile(`^[A-Za-z0-9_+=~'/-]+(\.[A-Za-z0-9_+=~'/-]+)*@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

var address = text("a mail address such as backup-team@acme.example", schema{Pattern: addressForm.String(), MaxLength: new(uint64(254))},
	func(s string) (string, error) {
		if len(s) > 254 || !addressForm.MatchString(s) {
			return "", errForm
		}
		return s, nil
	})

var mailUser = text("the name of an account", schema{MaxLength: new(uint64(254))}, func(s string) (string, error) {
	if s == "" || len(s) > 254 || !isPlain(s) {
		return "", errForm
	}
	return s, nil
})

var subjectPrefix = text("a short text on one line", schema{MaxLength: new(uint64(60))}, func(s string) (string, error) {
	switch {
	case strings.TrimSpace(s) == "" || !isPlain(s):
		return "", errForm
	case len(s) > 60:
		return "", errors.New("it is longer than 60 bytes")
	}
	return s, nil
})
