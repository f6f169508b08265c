package config

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A passkeysDraft is what is written of passkeys. Whether it fits the safe's
// names is seen when these are known.
type passkeysDraft struct {
	domain placed
	pages  []placed
}

// A placed text knows where it is written, for mistakes that show later.
type placed struct {
	text string
	at   *token.Token // nil if it is not written
}

var passkeysFields = []field[passkeysDraft]{
	key("domain", "What passkeys are bound to for good: one of the safe's names or a domain above one; without it the first that is no address.", domainName, func(p *passkeysDraft) *placed { return &p.domain }),
	key("release_pages", "The origins of release pages on other hosts, at the domain or below it.", list("a list of origins such as https://release.acme.example", 0, origin), func(p *passkeysDraft) *[]placed { return &p.pages }),
}

var passkeys = form[passkeysDraft]{object(passkeysFields), func(d *decoder, n ast.Node) (passkeysDraft, bool) {
	var p passkeysDraft
	values, ok := entries(d, n, "passkeys")
	if ok {
		mapping(d, values, "passkeys", start(n), passkeysFields, &p)
	}
	return p, ok
}}

// resolve adds them to where the safe serves. It sees that the domain is one of
// which a browser on a page of the safe takes passkeys, and that the pages on
// other hosts are of the domain, and none of the safe's own.
func (p passkeysDraft) resolve(d *decoder, s *Serve) {
	names := slices.DeleteFunc(slices.Clone(s.Names), isAddress)
	domain := p.domain.text
	switch {
	case p.domain.at == nil && len(names) > 0:
		domain = names[0]
	case p.domain.at == nil || slices.Contains(names, domain):
	case !slices.ContainsFunc(names, func(name string) bool { return isBelow(name, domain) }):
		d.fail(p.domain.at, "expected a name of the safe or a domain above one, or browsers refuse passkeys on its pages, found %q", domain)
	case !strings.Contains(domain, "."):
		d.fail(p.domain.at, "expected a domain of your own, or browsers refuse passkeys for it, found %q", domain)
	}
	s.Passkeys.Domain = domain
	own := s.Origins()
	for _, page := range p.pages {
		host, _, _ := strings.Cut(strings.TrimPrefix(page.text, "https://"), ":")
		switch {
		case domain == "":
			d.fail(page.at, "expected a safe that has a name, as browsers make no passkeys for addresses")
		case host != domain && !isBelow(host, domain):
			d.fail(page.at, "expected a page of %s or of a name below it, as passkeys are bound to that, found %q", quote(domain), page.text)
		case slices.Contains(own, page.text):
			d.fail(page.at, "expected a page on another host, found the safe's own %q", page.text)
		}
		s.Passkeys.ReleasePages = append(s.Passkeys.ReleasePages, page.text)
	}
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// isBelow reports whether name ends in domain, at a dot.
func isBelow(name, domain string) bool { return strings.HasSuffix(name, "."+domain) }

// located makes a form that keeps where its text is written.
func located(f form[string]) form[placed] {
	return form[placed]{f.schema, func(d *decoder, n ast.Node) (placed, bool) {
		s, ok := f.read(d, n)
		return placed{s, start(n)}, ok
	}}
}

var domainName = located(text("a name such as acme.example, in lower case", schema{Pattern: hostNameForm.String(), MaxLength: new(uint64(253))},
	func(s string) (string, error) {
		if !isHostName(s) {
			return "", errForm
		}
		return s, nil
	}))

var originForm = regexp.MustCompile(`^https://([a-z0-9.-]{1,253})(:[1-9][0-9]{0,4})?$`)

// origin takes an origin as browsers spell it, as it is compared with what they
// say.
var origin = located(form[string]{
	schema{Type: "string", Pattern: originForm.String()},
	func(d *decoder, n ast.Node) (string, bool) {
		str, ok := n.(*ast.StringNode)
		if !ok { // within brackets, a URL with a port is a mapping
			d.hide(n)
			d.expected(n, `an origin such as "https://release.acme.example", in quotes`)
			return "", false
		}
		m := originForm.FindStringSubmatch(str.Value)
		switch {
		case m == nil || !isHostName(m[1]):
			d.hide(n) // a password may be in it
			d.fail(n.GetToken(), "expected an origin such as https://release.acme.example, in lower case and with nothing behind it")
			return "", false
		case m[2] == ":443":
			d.fail(n.GetToken(), "expected https://%s without the port, which browsers leave out", m[1])
			return "", false
		}
		return str.Value, true
	},
})
