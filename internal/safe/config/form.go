package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
	"strongroom/internal/safe/keep"
)

// text makes a form of what a parser of strings takes. Want completes
// "expected ...".
func text[T any](want string, s schema, parse func(string) (T, error)) form[T] {
	s.Type = "string"
	return form[T]{s, func(d *decoder, n ast.Node) (v T, ok bool) {
		str, ok := n.(*ast.StringNode)
		if !ok {
			d.expected(n, want)
			return v, false
		}
		v, err := parse(str.Value)
		switch {
		case err != nil && strings.Contains(str.Value, "://"):
			d.hide(n) // a password may be in it
			if err != errURL {
				err = errors.New("found a URL")
			}
			d.fail(n.GetToken(), "expected %s: %v", want, err)
		case err == errForm:
			d.expected(n, want)
		case err != nil:
			d.fail(n.GetToken(), "expected %s: %v", want, err)
		}
		return v, err == nil
	}}
}

// errForm is for a parser that knows nothing to add to what was expected.
var errForm = errors.New("not of the expected form")

// errURL is for buckets and databases, which the documentation mentions.
var errURL = errors.New("a URL is not yet supported by this version")

// oneOf makes a form that takes some words.
func oneOf[T ~string](words ...T) form[T] {
	known := make([]string, len(words))
	enum := make([]any, len(words))
	for i, w := range words {
		known[i], enum[i] = string(w), w
	}
	return text(strings.Join(known, " or "), schema{Enum: enum}, func(s string) (T, error) {
		if !slices.Contains(known, s) {
			return "", fmt.Errorf("unknown value %s%s", quote(s), didYouMean(s, known))
		}
		return T(s), nil
	})
}

var yesOrNo = form[bool]{schema{Type: "boolean"}, func(d *decoder, n ast.Node) (v, ok bool) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		d.expected(n, "true or false")
		return false, false
	}
	return b.Value, true
}}

// integer makes a form of a plain number from least to most.
func integer(least, most int) form[int] {
	want := fmt.Sprintf("a number from %d to %d", least, most)
	return form[int]{schema{Type: "integer", Minimum: number(least), Maximum: number(most)}, func(d *decoder, n ast.Node) (int, bool) {
		if n.Type() == ast.IntegerType {
			// Not the node's value: that would take 0x2 and 1_0, too.
			v, err := strconv.Atoi(n.GetToken().Value)
			if err == nil && least <= v && v <= most {
				return v, true
			}
		}
		d.expected(n, want)
		return 0, false
	}}
}

// list makes a form of a list that has at least that many elements.
func list[T any](want string, least uint64, element form[T]) form[[]T] {
	s := schema{Type: "array", Items: &element.schema}
	if least > 0 {
		s.MinItems = &least
	}
	return form[[]T]{s, func(d *decoder, n ast.Node) (all []T, ok bool) {
		seq, ok := n.(*ast.SequenceNode)
		if !ok || uint64(len(seq.Values)) < least {
			d.expected(n, want)
			return nil, false
		}
		for _, e := range seq.Values {
			v, one := element.read(d, e)
			all, ok = append(all, v), ok && one
		}
		return all, ok
	}}
}

// oneOrMore makes a form that takes a value by itself or a list of them.
func oneOrMore[T any](want string, element form[T]) form[[]T] {
	many := list(want, 1, element)
	return form[[]T]{schema{OneOf: []*schema{&element.schema, &many.schema}}, func(d *decoder, n ast.Node) ([]T, bool) {
		if n.Type() != ast.StringType {
			return many.read(d, n)
		}
		v, ok := element.read(d, n)
		return []T{v}, ok
	}}
}

var safeName = text("a name of lower-case letters, digits and hyphens", schema{Pattern: `^[a-z0-9][a-z0-9-]{0,62}$`},
	func(s string) (string, error) {
		if _, err := safe.ParseSourceName(s); err != nil { // the rules are the same
			return "", errForm
		}
		return s, nil
	})

var folder = text("the absolute path of a folder", schema{Pattern: "^/"}, func(s string) (string, error) {
	switch {
	case strings.Contains(s, "://"):
		return "", errURL
	case !path.IsAbs(s) || !isPlain(s):
		return "", errForm
	}
	return path.Clean(s), nil
})

var state = text("sqlite", schema{Enum: []any{SQLite}}, func(s string) (State, error) {
	switch {
	case strings.Contains(s, "://"):
		return "", errURL
	case s != string(SQLite):
		return "", errForm
	}
	return SQLite, nil
})

var span = text("a span such as 35d, 13w, 24mo or 7y, at most 100 years", schema{Pattern: keep.SpanPattern},
	func(s string) (keep.Span, error) {
		v, err := keep.ParseSpan(s)
		if err != nil {
			return v, errForm
		}
		return v, nil
	})

// quantity matches a whole number above 0 and what follows it.
var quantity = regexp.MustCompile(`^([1-9][0-9]{0,17})([a-zA-Z]*)$`)

// scaled reads a number with one of the units; the largest result is most.
func scaled(s string, units map[string]int64, most int64) (int64, error) {
	m := quantity.FindStringSubmatch(s)
	if m == nil {
		return 0, errForm
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit, ok := units[m[2]]
	if err != nil || !ok {
		return 0, errForm
	}
	if n > most/unit {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return n * unit, nil
}

var (
	sizeUnits = map[string]int64{
		"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50,
	}
	countUnits    = map[string]int64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
	durationUnits = map[string]int64{
		"s": int64(time.Second), "min": int64(time.Minute), "h": int64(time.Hour), "d": 24 * int64(time.Hour), "w": 7 * 24 * int64(time.Hour),
	}
)

const sizePattern = `[1-9][0-9]{0,17}(B|[kMGTP]B|[KMGTP]iB)`

var size = text("a size such as 500MB or 2TB", schema{Pattern: "^" + sizePattern + "$"},
	func(s string) (int64, error) { return scaled(s, sizeUnits, math.MaxInt64) })

var rate = text("a rate such as 50MB/s", schema{Pattern: "^" + sizePattern + "/s$"},
	func(s string) (int64, error) {
		s, ok := strings.CutSuffix(s, "/s")
		if !ok {
			return 0, errForm
		}
		return scaled(s, sizeUnits, math.MaxInt64)
	})

// tenYears bounds durations, which are counted in hours, not by the calendar.
const tenYears = 87_600 * time.Hour

var duration = text("a duration such as 90s, 30min, 8h, 30d or 4w", schema{Pattern: `^[1-9][0-9]{0,17}(s|min|h|d|w)$`},
	func(s string) (time.Duration, error) {
		n, err := scaled(s, durationUnits, int64(tenYears))
		return time.Duration(n), err
	})

// count takes 10M, which YAML reads as a string, and 10000000, which it reads
// as a number.
var count = form[int64]{
	schema{OneOf: []*schema{
		{Type: "integer", Minimum: number(1)},
		{Type: "string", Pattern: `^[1-9][0-9]{0,17}[kMG]?$`},
	}},
	func(d *decoder, n ast.Node) (int64, bool) {
		if t := n.Type(); t == ast.StringType || t == ast.IntegerType {
			if v, err := scaled(n.GetToken().Value, countUnits, math.MaxInt64); err == nil {
				return v, true
			}
		}
		d.expected(n, "a number above 0 such as 5000, 200k or 10M")
		return 0, false
	},
}

// pattern takes what may be a line of include and exclude at all. Which
// wildcards there are and what they mean is the business of the source.
var pattern = text("a pattern that begins with / or **", schema{Pattern: `^(/|\*\*)`, MaxLength: new(uint64(safe.MaxPath))},
	func(s string) (string, error) {
		switch {
		case !path.IsAbs(s) && !strings.HasPrefix(s, "**"):
			return "", errForm
		case len(s) > safe.MaxPath:
			return "", fmt.Errorf("it has %d bytes, at most %d are possible", len(s), safe.MaxPath)
		case !isPlain(s):
			return "", errors.New("it has a control character")
		case slices.Contains(strings.Split(s, "/"), ".."):
			return "", errors.New("it has the component \"..\"")
		}
		return s, nil
	})

// plainPath takes the absolute path of one file.
var plainPath = text("the absolute path of a file", schema{Pattern: "^/", MaxLength: new(uint64(safe.MaxPath))},
	func(s string) (string, error) {
		if !path.IsAbs(s) || path.Clean(s) != s || safe.CheckPath(s[1:]) != nil || !isPlain(s) {
			return "", errForm
		}
		return s, nil
	})

// fileName takes the name of one entry, in no folder.
var fileName = text("the name of a file, without /", schema{Pattern: `^[^/]+$`, MaxLength: new(uint64(safe.MaxName))},
	func(s string) (string, error) {
		if safe.CheckPath(s) != nil || strings.Contains(s, "/") || !isPlain(s) {
			return "", errForm
		}
		return s, nil
	})

// maxLine is more than a line of text needs, and fits into a packet.
const maxLine = 4096

// line takes text that begins and ends with something to be seen.
var line = text("a line of text", schema{MinLength: new(uint64(1)), MaxLength: new(uint64(maxLine))},
	func(s string) (string, error) {
		switch {
		case len(s) > maxLine:
			return "", fmt.Errorf("it has %d bytes, at most %d are possible", len(s), maxLine)
		case s == "" || strings.TrimSpace(s) != s || !isPlain(s):
			return "", errForm
		}
		return s, nil
	})

var (
	hostForm = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.\\+$-]{0,63})@(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(:([1-9][0-9]{0,4}))?$`)
	host     = text("user@host or user@host:port", schema{Pattern: hostForm.String()}, parseHost)
)

func parseHost(s string) (Host, error) {
	if !strings.Contains(s, "@") {
		return Host{}, fmt.Errorf("%.80q lacks the user", s)
	}
	m := hostForm.FindStringSubmatch(s)
	if m == nil {
		if strings.Count(s, ":") > 1 && !strings.Contains(s, "[") {
			return Host{}, fmt.Errorf("%.80q: an IPv6 address goes into brackets", s)
		}
		return Host{}, errForm
	}
	h := Host{User: m[1], Name: m[2], Port: 22}
	if inner, ok := strings.CutPrefix(h.Name, "["); ok {
		h.Name = strings.TrimSuffix(inner, "]")
		if _, err := netip.ParseAddr(h.Name); err != nil {
			return Host{}, fmt.Errorf("%.80q: not an IP address in the brackets", s)
		}
	}
	if m[5] != "" {
		port, err := strconv.Atoi(m[5])
		if err != nil || port > math.MaxUint16 {
			return Host{}, fmt.Errorf("%.80q: a port is at most %d", s, math.MaxUint16)
		}
		h.Port = port
	}
	return h, nil
}

// hostKeyTypes are the keys that can be pinned. Certificates cannot, and DSA
// is broken.
var hostKeyTypes = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA,
}

var hostKey = text("a host key such as \"ssh-ed25519 AAAA...\", a line of /etc/ssh/ssh_host_*_key.pub",
	schema{Pattern: `^(ssh|ecdsa)-[a-z0-9-]+ [A-Za-z0-9+/=]+`},
	func(s string) (ssh.PublicKey, error) {
		name, _, _ := strings.Cut(s, " ")
		if !slices.Contains(hostKeyTypes, name) {
			return nil, fmt.Errorf("%.40q is not a kind of key that is taken: %s", name, strings.Join(hostKeyTypes, ", "))
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
		if err != nil || key.Type() != name {
			return nil, errors.New("the key is damaged")
		}
		return key, nil
	})

var secret = form[SecretRef]{
	schema{Type: "string", Pattern: `^(file:/|credential:[A-Za-z0-9_])`},
	func(d *decoder, n ast.Node) (SecretRef, bool) {
		d.hide(n)
		str, ok := n.(*ast.StringNode)
		if !ok {
			d.fail(start(n), "expected file: with an absolute path or credential: with a name")
			return SecretRef{}, false
		}
		ref, err := parseSecretRef(str.Value)
		if err != nil {
			d.fail(n.GetToken(), "%v", err)
		}
		return ref, err == nil
	},
}

// maxWebAddress bounds a URL; no server takes longer ones.
const maxWebAddress = 2048

// webAddress takes that of an API. It is never shown when it is wrong, as there may
// be a password in it.
var webAddress = form[*url.URL]{
	schema{Type: "string", Pattern: `^https?://[^/@ ]+(/[^ ]*)?$`, MaxLength: new(uint64(maxWebAddress))},
	func(d *decoder, n ast.Node) (*url.URL, bool) {
		fail := func(format string, args ...any) (*url.URL, bool) {
			d.hide(n)
			d.fail(start(n), "expected an address such as https://jaeger.acme.example/api/dependencies"+format, args...)
			return nil, false
		}
		str, ok := n.(*ast.StringNode)
		if !ok {
			return fail("")
		}
		u, err := url.Parse(str.Value)
		switch {
		case err != nil, len(str.Value) > maxWebAddress, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", u.Fragment != "":
			return fail("")
		case u.User != nil:
			return fail(", without a user or a password: `token` says where a token is")
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return fail(", with a port from 1 to 65535")
			}
		}
		return u, true
	},
}

// isOverheard reports whether what is sent to an address can be read on its way.
func isOverheard(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	here := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	return u.Scheme == "http" && !here
}

var schemeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,39}$`)

// scheme takes the first word of the header Authorization.
var scheme = text("a word such as Bearer", schema{Pattern: schemeForm.String()}, func(s string) (string, error) {
	if !schemeForm.MatchString(s) {
		return "", errForm
	}
	return s, nil
})

// maxScope leaves room for names in it.
const maxScope = 100

// scope takes what names are unique in.
var scope = text("a name without blanks such as prod", schema{Pattern: `^[^ /]([^ ]*[^ /])?$`, MaxLength: new(uint64(maxScope))},
	func(s string) (string, error) {
		if _, err := estate.ParseID(string(estate.Service) + "/" + s); err != nil || len(s) > maxScope {
			return "", errForm
		}
		return s, nil
	})

// isPlain reports whether s can be the name of something on one line.
func isPlain(s string) bool { return !strings.ContainsFunc(s, unicode.IsControl) }
