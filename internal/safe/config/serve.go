package config

import (
	"errors"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A Serve says where people reach the safe.
type Serve struct {
	Listen netip.AddrPort // of the people's API
	Port   int            // that people connect to; that of Listen unless it is written
	Names  []string       // what people connect to: DNS names in lower case, or IP addresses; at least one
	TLS    TLS
	Gate   *Gate // nil if there is none, so that nothing can be opened

	Passkeys Passkeys
}

// URL returns where people's programs reach the safe.
func (s *Serve) URL() string {
	return "https://" + net.JoinHostPort(s.Names[0], strconv.Itoa(s.Port))
}

// Origins are those that browsers find the safe's pages under, as they spell
// them: https://safe.acme.example:8443. They are of the names that its passkeys
// are good for; without one there are no pages.
func (s *Serve) Origins() []string {
	var all []string
	for _, name := range s.Names {
		if domain := s.Passkeys.Domain; domain == "" || name != domain && !isBelow(name, domain) {
			continue
		}
		origin := "https://" + name
		if s.Port != 443 { // which browsers leave out
			origin += ":" + strconv.Itoa(s.Port)
		}
		all = append(all, origin)
	}
	return all
}

// Passkeys say where people use their passkeys.
type Passkeys struct {
	// Domain is what passkeys are bound to for good, the RP ID of WebAuthn: one
	// of the safe's names, or a domain above one. It is empty if people connect
	// to addresses alone, for which browsers make no passkeys.
	Domain string
	// ReleasePages are the origins of release pages on other hosts.
	ReleasePages []string
}

// A TLS says whose certificate the safe shows. The zero TLS is a certificate
// authority of the safe's own.
type TLS struct {
	Cert, Key string // absolute paths of files in PEM; both or neither
}

// IsAuto tells whether the safe makes its certificates itself.
func (t TLS) IsAuto() bool { return t == TLS{} }

// A Gate is where operators read during an opening, over SFTP.
type Gate struct {
	Listen netip.AddrPort
	Name   string // what operators connect to; the first of Names unless it is written
}

// A serveDraft is a Serve while it is read.
type serveDraft struct {
	Serve
	passkeys passkeysDraft
}

var serveFields = []field[serveDraft]{
	key("listen", "The address of the people's API: IP address and port.", listen, func(s *serveDraft) *netip.AddrPort { return &s.Listen }).must(),
	key("port", "The port that people connect to, if something forwards it to that of listen; without it they are the same.", integer(1, 65535), func(s *serveDraft) *int { return &s.Port }),
	key("name", "What people connect to, a name or an IP address, or several; the certificate is for these.", oneOrMore("a name such as safe.acme.example or a list of them", hostName), func(s *serveDraft) *[]string { return &s.Names }).must(),
	key("tls", "Whose certificate people are shown: one by the safe's own authority (auto), or one in files.", tls, func(s *serveDraft) *TLS { return &s.TLS }).or("auto"),
	key("gate", "Where operators read during an opening; without it nothing can be opened.", gate, func(s *serveDraft) **Gate { return &s.Gate }),
	key("passkeys", "Where people use their passkeys.", passkeys, func(s *serveDraft) *passkeysDraft { return &s.passkeys }),
}

var tlsFields = []field[TLS]{
	key("cert", "The file of the certificate and of those that lead to its authority, in PEM.", file, func(t *TLS) *string { return &t.Cert }).must(),
	key("key", "The file of its private key, in PEM.", file, func(t *TLS) *string { return &t.Key }).must(),
}

var gateFields = []field[Gate]{
	key("listen", "The address of the gate: IP address and port.", listen, func(g *Gate) *netip.AddrPort { return &g.Listen }).must(),
	key("name", "What operators connect to; without it the first name of the people's API.", hostName, func(g *Gate) *string { return &g.Name }),
}

var serve = form[*Serve]{object(serveFields), func(d *decoder, n ast.Node) (*Serve, bool) {
	var s serveDraft
	values, ok := entries(d, n, "serve")
	if !ok {
		return nil, false
	}
	seen := mapping(d, values, "serve", start(n), serveFields, &s)
	if s.Port == 0 {
		s.Port = int(s.Listen.Port())
	}
	s.passkeys.resolve(d, &s.Serve)
	if s.Gate == nil {
		return &s.Serve, true
	}
	if s.Gate.Listen.IsValid() && s.Gate.Listen.Port() == s.Listen.Port() {
		d.fail(seen["gate"].GetToken(), "expected another port for the gate than for the people's API, found %d for both", s.Listen.Port())
	}
	if s.Gate.Name == "" && len(s.Names) > 0 {
		s.Gate.Name = s.Names[0]
	}
	return &s.Serve, true
}}

var gate = form[*Gate]{object(gateFields), func(d *decoder, n ast.Node) (*Gate, bool) {
	var g Gate
	values, ok := entries(d, n, "gate")
	if ok {
		mapping(d, values, "gate", start(n), gateFields, &g)
	}
	return &g, ok
}}

var tlsFiles = object(tlsFields)

var tls = form[TLS]{
	schema{OneOf: []*schema{{Type: "string", Enum: []any{"auto"}}, &tlsFiles}},
	func(d *decoder, n ast.Node) (TLS, bool) {
		const want = "auto, or keys and values such as { cert: FILE, key: FILE }"
		var t TLS
		switch n := n.(type) {
		case *ast.StringNode:
			if n.Value == "auto" {
				return t, true
			}
		case *ast.MappingNode:
			values, ok := entries(d, n, "tls")
			if ok {
				mapping(d, values, "tls", start(n), tlsFields, &t)
			}
			return t, ok
		}
		d.expected(n, want)
		return t, false
	},
}

var (
	listenForm = regexp.MustCompile(`^([0-9.]+|\[[0-9a-f:.]+\]):[1-9][0-9]{0,4}$`)
	listen     = text("an IP address and a port such as 0.0.0.0:8443 or [::]:8443", schema{Pattern: listenForm.String()},
		func(s string) (netip.AddrPort, error) {
			a, err := netip.ParseAddrPort(s)
			if err != nil || !listenForm.MatchString(s) {
				return netip.AddrPort{}, errForm
			}
			return a, nil
		})
)

// hostNameForm takes names as certificates have them: no wildcards, no
// underscores, no dot at the end.
var hostNameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

var hostName = text("a name such as safe.acme.example, in lower case, or an IP address", schema{Pattern: `^[a-z0-9:][a-z0-9.:-]*$`, MaxLength: new(uint64(253))},
	func(s string) (string, error) {
		if addr, err := netip.ParseAddr(s); err == nil {
			switch {
			case addr.IsUnspecified() || addr.IsMulticast() || addr.Zone() != "" || addr.Is4In6():
				return "", errors.New("nobody can connect to that address from elsewhere")
			case addr.String() != s:
				return "", errors.New("it is spelled " + addr.String())
			}
			return s, nil
		}
		if !isHostName(s) {
			return "", errForm
		}
		return s, nil
	})

func isHostName(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	return len(s) <= 253 && hostNameForm.MatchString(s) && strings.Trim(last, "0123456789") != "" // 10.0.0.256 is no name
}

var file = text("the absolute path of a file", schema{Pattern: "^/."}, func(s string) (string, error) {
	if clean := path.Clean(s); path.IsAbs(s) && isPlain(s) && clean != "/" {
		return clean, nil
	}
	return "", errForm
})
