package config

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/estate/facts"
	"strongroom/internal/safe"
	"strongroom/internal/safe/keep"
)

// The tables below are all that there is to know about keys: what they are
// called, how their values are written, and where these go.

var configFields = []field[Config]{
	key("safe", "The safe's name, as mails and pages show it.", safeName, func(c *Config) *string { return &c.Safe }).must(),
	key("store", "The folder of the sealed store.", folder, func(c *Config) *string { return &c.Store }).must(),
	key("dir", "The folder for state, keys and memories.", folder, func(c *Config) *string { return &c.Dir }).or(DefaultDir),
	key("state", "The database that holds the state.", state, func(c *Config) *State { return &c.State }).or(SQLite),
	key("keep", "How long snapshots are kept, for sources without their own rules.", rules, func(c *Config) *keep.Rules { return &c.Keep }),
	key("mail", "How the safe tells people what happened; without it no mail is sent.", mail, func(c *Config) **Mail { return &c.Mail }),
	key("serve", "Where people reach the safe; without it nobody does.", serve, func(c *Config) **Serve { return &c.Serve }),
	key("sources", "What is pulled, by name.", sources, func(c *Config) *[]Source { return &c.Sources }),
	key("components", "What people say of the estate's components, by kind and name.", components, func(c *Config) *[]Component { return &c.Components }),
	key("applications", "What the business asks for by name, and what is promised of it.", applications, func(c *Config) *[]Application { return &c.Applications }),
}

var keepFields = []field[keep.Rules]{
	key("daily", "How long every complete snapshot is kept at least.", span, func(r *keep.Rules) *keep.Span { return &r.Daily }).must(),
	key("weekly", "How long the first of a week is kept; without it as long as a daily one.", span, func(r *keep.Rules) *keep.Span { return &r.Weekly }),
	key("monthly", "How long the first of a month is kept; without it as long as a weekly one.", span, func(r *keep.Rules) *keep.Span { return &r.Monthly }),
	key("yearly", "How long the first of a year is kept; without it as long as a monthly one.", span, func(r *keep.Rules) *keep.Span { return &r.Yearly }),
	key("at_least", "How many of the newest complete snapshots never expire.", integer(1, 1000), func(r *keep.Rules) *int { return &r.AtLeast }).or(2),
}

var limitFields = []field[Limits]{
	key("bytes", "The most content that one collection may bring.", size, func(l *Limits) *int64 { return &l.Bytes }),
	key("entries", "The most files and folders that one collection may bring.", count, func(l *Limits) *int64 { return &l.Entries }),
	key("duration", "The longest that one collection may take.", duration, func(l *Limits) *time.Duration { return &l.Duration }),
	key("rate", "The most that is pulled per second.", rate, func(l *Limits) *int64 { return &l.Rate }),
}

// A draft is a source while it is read; its kind decides which parts count.
type draft struct {
	Source
	paths   Paths
	login   Login
	sftp    SFTP
	command Command
	facts   Facts
	api     FactsAPI
}

// commonFields are the keys of every kind.
var commonFields = []field[draft]{
	{name: "kind", doc: "What sort of source it is.", required: true, read: func(*decoder, ast.Node, *draft) {}}, // source has read it
	key("keep", "How long snapshots are kept, instead of the safe's rules.", rules, func(s *draft) *keep.Rules { return &s.Keep }),
	key("refresh", "From which age on stored content is stored anew when it is read again.", duration, func(s *draft) *time.Duration { return &s.Refresh }).or("365d"),
	key("limits", "What one collection may not exceed.", limits, func(s *draft) *Limits { return &s.Limits }),
	key("checkpoint", "How often what was stored is made to survive a crash: that much work may be lost to one, and what does not fill a pack yet.", duration, func(s *draft) *time.Duration { return &s.Checkpoint }).or("60s"),
	key("compression", "How hard to try to make content small.", oneOf(Fastest, Balanced, Better), func(s *draft) *Compression { return &s.Compression }).or(Fastest),
	key("parity", "Whether packs get parity, to repair damage.", yesOrNo, func(s *draft) *bool { return &s.Parity }).or(true),
}

// loginFields are the keys of kinds that connect by SSH.
var loginFields = []field[draft]{
	key("host", "Where to connect to, and as whom.", host, func(s *draft) *Host { return &s.login.Host }).must(),
	key("host_key", "The public key that the host must show, or several.", oneOrMore("a host key or a list of them", hostKey), func(s *draft) *[]ssh.PublicKey { return &s.login.HostKeys }).must(),
	key("key", "Where the private key to log in with is.", secret, func(s *draft) *SecretRef { return &s.login.Key }).must(),
}

// pathFields are the keys of kinds that pull files.
var pathFields = []field[draft]{
	key("include", "What is pulled: absolute paths, * and ** allowed.", list("a list of at least one pattern", 1, pattern), func(s *draft) *[]string { return &s.paths.Include }).must(),
	key("exclude", "What of that is left out.", list("a list of patterns", 0, pattern), func(s *draft) *[]string { return &s.paths.Exclude }),
	key("reread", "How often a file that looks unchanged is read again.", duration, func(s *draft) *time.Duration { return &s.Reread }).or("30d"),
	key("allow_unreadable", "Whether a snapshot is complete although files could not be read, or a path that include names is not there.", yesOrNo, func(s *draft) *bool { return &s.AllowUnreadable }).or(false),
}

// A kind is one sort of source.
type kind struct {
	name   string
	doc    string
	fields []field[draft] // besides the common ones
	spec   func(draft) Spec
}

var kinds = []kind{
	{
		"sftp", "Files and folders of a host, by SFTP.",
		slices.Concat(loginFields, pathFields, []field[draft]{
			key("connections", "How many connections may be open at once.", integer(1, 8), func(s *draft) *int { return &s.sftp.Connections }).or(2),
		}),
		func(s draft) Spec { s.sftp.Login, s.sftp.Paths = s.login, s.paths; return s.sftp },
	},
	{
		"command", "The output of one command of a host, by SSH.",
		slices.Concat(loginFields, []field[draft]{
			key("name", "What the output is called in a snapshot; by itself as the source.", fileName, func(s *draft) *string { return &s.command.Name }),
			key("command", "What is sent to be run, where the host cannot force it by restrict,command=\"...\" in authorized_keys; better left out.", line, func(s *draft) *string { return &s.command.Text }),
			key("ends_with", "How one of the last 5 lines of the output begins if it is whole, such as -- PostgreSQL database dump complete.", line, func(s *draft) *string { return &s.command.EndsWith }),
			key("allow_empty", "Whether no output at all may be a complete snapshot.", yesOrNo, func(s *draft) *bool { return &s.command.AllowEmpty }).or(false),
			key("stall", "How long the command may give no output before it is given up.", duration, func(s *draft) *time.Duration { return &s.command.Stall }).or("10min"),
		}),
		func(s draft) Spec {
			s.command.Login = s.login
			s.command.Name = cmp.Or(s.command.Name, string(s.Source.Name))
			return s.command
		},
	},
	{
		"facts", "What a host is, and whom it talks to, by SFTP: a few small files of /etc and /proc/net, for the map.",
		slices.Concat(loginFields, []field[draft]{
			key("files", "Further files to look at, besides those that every Linux has.", list("a list of absolute paths", 0, plainPath), func(s *draft) *[]string { return &s.facts.Files }),
			key("looks", "How often to look at its connections in one collection, since one look misses what is short.", integer(1, 1000), func(s *draft) *int { return &s.facts.Looks }).or(12),
			key("pause", "How long to wait between two looks.", duration, func(s *draft) *time.Duration { return &s.facts.Pause }).or("10s"),
		}),
		func(s draft) Spec { s.facts.Login = s.login; return s.facts },
	},
	{
		"facts-api", "What an API knows of what depends on what, for the map.",
		[]field[draft]{
			key("url", "The address to ask, such as https://jaeger.acme.example/api/dependencies?lookback=86400000; of NetBox its front page.", webAddress, func(s *draft) **url.URL { return &s.api.URL }).must(),
			key("format", "What answers there.", oneOf(facts.APIs...), func(s *draft) *facts.API { return &s.api.Format }).must(),
			key("token", "Where the token is that the API asks for; only over https, or to this host.", secret, func(s *draft) *SecretRef { return &s.api.Token }),
			key("authorization", "The word before the token; without it Token for NetBox, and Bearer for the others.", scheme, func(s *draft) *string { return &s.api.Scheme }),
			key("ca", "The file of the authority, in PEM, that alone vouches for the API; without it those of the system do.", file, func(s *draft) *string { return &s.api.CA }),
			key("scope", "What names of the API are unique in, such as the name of a cluster; by itself the source's name.", scope, func(s *draft) *string { return &s.api.Scope }),
		},
		func(s draft) Spec {
			s.api.Scope = cmp.Or(s.api.Scope, string(s.Source.Name))
			if s.api.Scheme == "" {
				s.api.Scheme = "Bearer"
				if s.api.Format == facts.NetBox {
					s.api.Scheme = "Token"
				}
			}
			return s.api
		},
	},
	{
		"local", "Files and folders of the safe's own host.",
		pathFields,
		func(s draft) Spec { return Local{s.paths} },
	},
}

// newDraft returns a source that has only its defaults.
func newDraft(name safe.SourceName) draft {
	return draft{
		Source: Source{
			Name:        name,
			Reread:      30 * 24 * time.Hour,
			Refresh:     365 * 24 * time.Hour,
			Checkpoint:  time.Minute,
			Compression: Fastest,
			Parity:      true,
		},
		sftp:    SFTP{Connections: 2},
		command: Command{Stall: 10 * time.Minute},
		facts:   Facts{Looks: 12, Pause: 10 * time.Second},
	}
}

// config reads the whole file.
func (d *decoder) config(root *ast.MappingNode, c *Config) {
	values, _ := entries(d, root, "the configuration")
	seen := mapping(d, values, "the configuration", start(root), configFields, c)
	if c.Store != "" && within(c.Store, c.Dir) {
		d.fail(seen["store"].GetToken(), "expected a folder that does not contain `dir`, which is %.80q", c.Dir)
	}
	if c.Mail != nil && c.Mail.SubjectPrefix == "" {
		c.Mail.SubjectPrefix = "[" + c.Safe + "]"
	}
	for i := range c.Sources {
		if c.Sources[i].Keep == (keep.Rules{}) {
			c.Sources[i].Keep = c.Keep
		}
	}
	d.estate(c)
}

// within reports whether the folder inner is outer or in it.
func within(outer, inner string) bool {
	return outer == inner || strings.HasPrefix(inner, strings.TrimSuffix(outer, "/")+"/")
}

// rules reads a keep, which is always whole: a rule that is not written does
// not exist.
var rules = form[keep.Rules]{object(keepFields), func(d *decoder, n ast.Node) (keep.Rules, bool) {
	r := keep.Rules{AtLeast: keep.Default().AtLeast}
	values, ok := entries(d, n, "keep")
	if !ok {
		return r, false
	}
	before := len(d.errs)
	seen := mapping(d, values, "keep", start(n), keepFields, &r)
	// A rule that keeps shorter than a smaller one would never apply. A month
	// of 31 days is the first to be counted, so that 31d is not more than 1mo.
	january := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	least, of := r.Daily, "daily"
	for _, rule := range []struct {
		name string
		keep.Span
	}{{"weekly", r.Weekly}, {"monthly", r.Monthly}, {"yearly", r.Yearly}} {
		switch {
		case rule.IsZero():
		case rule.After(january).Before(least.After(january)):
			d.fail(seen[rule.name].GetToken(), "expected at least %s, which is what `%s` says, found %q", least, of, rule.Span)
		default:
			least, of = rule.Span, rule.name
		}
	}
	return r, len(d.errs) == before
}}

var limits = form[Limits]{object(limitFields), func(d *decoder, n ast.Node) (Limits, bool) {
	var l Limits
	values, ok := entries(d, n, "limits")
	if ok {
		mapping(d, values, "limits", start(n), limitFields, &l)
	}
	return l, ok
}}

var sources = form[[]Source]{schema{}, func(d *decoder, n ast.Node) ([]Source, bool) {
	values, ok := entries(d, n, "sources")
	var all []Source
	for _, v := range values {
		at := v.Key.GetToken()
		name, err := safe.ParseSourceName(at.Value)
		if err != nil {
			d.fail(at, "expected the name of a source, lower-case letters, digits and hyphens, found %.80q", at.Value)
		}
		if s, ok := source(d, name, v); ok {
			all = append(all, s)
		}
	}
	return all, ok
}}

// source reads one source. If its kind is not known, its keys are compared
// with those of all kinds, and none is missed.
func source(d *decoder, name safe.SourceName, n *ast.MappingValueNode) (Source, bool) {
	title := "source `" + string(name) + "`"
	values, ok := entries(d, n.Value, title)
	if !ok {
		return Source{}, false
	}
	s := newDraft(name)
	k, ok := kindOf(d, values)
	if ok {
		mapping(d, values, title, n.Key.GetToken(), slices.Concat(commonFields, k.fields), &s)
		s.Spec = k.spec(s)
		if s.api.URL != nil && !s.api.Token.IsZero() && isOverheard(s.api.URL) {
			d.fail(n.Key.GetToken(), "expected https:// in `url`, since `token` would be sent for everybody on the way to read")
		}
		return s.Source, true
	}
	fields := slices.Clone(commonFields)
	for _, k := range kinds {
		for _, f := range k.fields {
			f.required = false
			if !slices.ContainsFunc(fields, func(known field[draft]) bool { return known.name == f.name }) {
				fields = append(fields, f)
			}
		}
	}
	mapping(d, values, title, n.Key.GetToken(), fields, &s)
	return Source{}, false
}

// kindOf finds out a source's kind. An unknown one is reported here, a missing
// one is not.
func kindOf(d *decoder, values []*ast.MappingValueNode) (kind, bool) {
	i := slices.IndexFunc(values, func(v *ast.MappingValueNode) bool { return v.Key.GetToken().Value == "kind" })
	if i < 0 {
		return kind{}, false
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	word, ok := values[i].Value.(*ast.StringNode)
	if !ok {
		d.expected(values[i].Value, strings.Join(names, " or "))
		return kind{}, false
	}
	i = slices.Index(names, word.Value)
	if i < 0 {
		d.fail(word.GetToken(), "unknown kind %s%s", quote(word.Value), didYouMean(word.Value, names))
		return kind{}, false
	}
	return kinds[i], true
}
