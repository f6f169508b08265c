// Package hostconf reads the configuration of a host for the other hosts that it
// names: where it asks for names and logins, what it mounts, which clock it
// follows, and the databases that its programs are told to use.
//
// What a file says is what somebody meant, which may be old: that a server is
// configured does not say that it is there. Of several servers that can stand in
// for one another the first is needed, and the others are soft. Passwords, of
// which such files are full, are never part of what is quoted: that is the name
// of a setting, a host and a port.
package hostconf

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// A format is a kind of file, known by its path on the host.
type format struct {
	patterns []string // as of path.Match, without the leading slash
	read     func(*reader, file)
}

// formats are all of them; the first that matches is taken.
var formats = []format{
	{[]string{"etc/hosts"}, nil},         // read first: it completes names
	{[]string{"etc/nsswitch.conf"}, nil}, // the same: it says which of the others count
	{[]string{"etc/resolv.conf", "run/systemd/resolve/resolv.conf"}, (*reader).resolvConf},
	{[]string{"etc/systemd/resolved.conf", "etc/systemd/resolved.conf.d/*.conf"}, (*reader).resolved},
	{[]string{"etc/krb5.conf", "etc/krb5.conf.d/*"}, (*reader).krb5},
	{[]string{"etc/sssd/sssd.conf", "etc/sssd/conf.d/*.conf"}, (*reader).sssd},
	{[]string{"etc/nslcd.conf"}, (*reader).nslcd},
	{[]string{"etc/ldap/ldap.conf", "etc/openldap/ldap.conf", "etc/ldap.conf", "etc/libnss-ldap.conf"}, (*reader).ldap},
	{[]string{"etc/samba/smb.conf"}, (*reader).samba},
	{[]string{"etc/fstab"}, (*reader).fstab},
	{[]string{"etc/chrony.conf", "etc/chrony/chrony.conf", "etc/chrony/conf.d/*.conf", "etc/chrony/sources.d/*.sources", "etc/chrony.d/*.conf",
		"etc/ntp.conf", "etc/ntpsec/ntp.conf", "etc/ntpsec/ntp.d/*.conf"}, (*reader).ntp},
	{[]string{"etc/systemd/timesyncd.conf", "etc/systemd/timesyncd.conf.d/*.conf"}, (*reader).timesyncd},
	{[]string{"etc/apt/sources.list", "etc/apt/sources.list.d/*"}, (*reader).apt},
	{[]string{"etc/apt/apt.conf", "etc/apt/apt.conf.d/*"}, (*reader).aptProxy},
	{[]string{"etc/yum.repos.d/*.repo", "etc/dnf/dnf.conf", "etc/yum.conf"}, (*reader).yum},
	{[]string{"etc/docker/daemon.json"}, (*reader).docker},
	{[]string{"etc/postgresql/*/*/pg_hba.conf", "var/lib/pgsql/data/pg_hba.conf", "var/lib/pgsql/*/data/pg_hba.conf", "var/lib/postgresql/data/pg_hba.conf"}, (*reader).pgHBA},
	{[]string{"etc/bind/named.conf", "etc/bind/named.conf.*", "etc/named.conf", "etc/named/*.conf"}, (*reader).named},
	{[]string{"etc/puppet/puppet.conf", "etc/puppetlabs/puppet/puppet.conf"}, (*reader).puppet},
	{[]string{"etc/rsyslog.conf", "etc/rsyslog.d/*.conf"}, (*reader).rsyslog},
	{[]string{"etc/systemd/system/*.service", "etc/systemd/system/*.service.d/*.conf", "etc/systemd/system/*.mount"}, (*reader).unit},
	{[]string{"etc/environment", "etc/environment.d/*.conf", "etc/default/*", "etc/sysconfig/*", "etc/profile.d/*.sh"}, (*reader).environment},
}

// formatOf returns the format of a file, and false for one that is not known. A
// file of settings of a program may lie anywhere: it ends in .env.
func formatOf(name string) (format, bool) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for _, f := range formats {
		if slices.ContainsFunc(f.patterns, func(p string) bool { ok, err := path.Match(p, name); return err == nil && ok }) {
			return f, true
		}
	}
	return format{read: (*reader).environment}, strings.HasSuffix(name, ".env")
}

// Knows reports whether a file of a host, by its path there, is one that Read
// can make use of.
func Knows(name string) bool {
	_, ok := formatOf(name)
	return ok
}

// Read returns what the configuration of the host of the place says. The files
// have the paths that they have on the host; those that Read does not know are
// passed over. The more there are, the better is what each says understood:
// resolv.conf completes the short names in the others.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	r := reader{self: p.Host(), hosts: make(map[string]netip.Addr), logins: make(map[string]bool)}
	var known []file
	size := 0
	for _, f := range files {
		format, ok := formatOf(f.Path)
		if !ok {
			continue
		}
		if size += len(f.Data); size > facts.MaxBytes {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", f.Path, facts.TooMuch("bytes", facts.MaxBytes))
		}
		known = append(known, file{p.At(f), string(f.Data), format})
	}
	slices.SortStableFunc(known, func(a, b file) int { return cmp.Compare(a.place.Path, b.place.Path) })
	for _, f := range known {
		r.prepare(f)
	}
	for _, f := range known {
		if f.format.read != nil {
			f.format.read(&r, f)
		}
	}
	return r.Facts()
}

// A file is one that is known.
type file struct {
	place  facts.Place
	text   string
	format format
}

// A reader reads the files of one host.
type reader struct {
	facts.Draft
	self   estate.ID
	hosts  map[string]netip.Addr // as /etc/hosts has them
	search []string              // domains that complete a short name
	// nsswitch is whether there was a nsswitch.conf; logins are what it asks for
	// users and groups.
	nsswitch bool
	logins   map[string]bool
	kerberos bool // whether the host is part of a realm, and so needs the right time
}

// prepare takes in what other files are understood by.
func (r *reader) prepare(f file) {
	switch path.Base(f.place.Path) {
	case "hosts":
		for l := range f.lines("#") {
			address, err := netip.ParseAddr(l.fields[0])
			if err != nil {
				continue
			}
			for _, name := range l.fields[1:] {
				if name = strings.ToLower(strings.TrimSuffix(name, ".")); !r.hosts[name].IsValid() {
					r.hosts[name] = address
				}
			}
		}
	case "nsswitch.conf":
		r.nsswitch = true
		for l := range f.lines("#") {
			if l.fields[0] == "passwd:" || l.fields[0] == "group:" {
				for _, service := range l.fields[1:] {
					r.logins[service] = true
				}
			}
		}
	case "resolv.conf":
		for l := range f.lines("#;") {
			if l.fields[0] == "search" || l.fields[0] == "domain" {
				r.search = l.fields[1:]
			}
		}
	case "krb5.conf", "sssd.conf":
		for _, s := range f.settings() {
			r.kerberos = r.kerberos || s.name == "default_realm" || s.name == "krb5_realm" || s.name == "ad_domain" || s.name == "ipa_domain"
		}
	}
}

// A line is one that is not empty and no comment.
type line struct {
	number int
	text   string   // trimmed
	fields []string // at least one
}

// lines yields the lines of a file, without what follows a mark of a comment at
// the beginning of a line or after a blank.
func (f file) lines(marks string) iter.Seq[line] {
	return func(yield func(line) bool) {
		n := 0
		for text := range strings.Lines(f.text) {
			n++
			text = strings.TrimSpace(text)
			for i := range len(text) {
				if strings.IndexByte(marks, text[i]) >= 0 && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
					text = text[:i]
					break
				}
			}
			if fields := strings.Fields(text); len(fields) > 0 && !yield(line{n, strings.TrimSpace(text), fields}) {
				return
			}
		}
	}
}

// A setting is a line "name = value" below a section.
type setting struct {
	line    int
	section string // without brackets, in lower case
	name    string // in lower case
	value   string
}

// settings returns those of a file in the style of INI.
func (f file) settings() []setting {
	var all []setting
	section := ""
	for l := range f.lines("#;") {
		if strings.HasPrefix(l.text, "[") {
			section = strings.ToLower(strings.Trim(l.text, "[]"))
			continue
		}
		if name, value, ok := strings.Cut(l.text, "="); ok {
			all = append(all, setting{l.number, section, strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)})
		}
	}
	return all
}

// end returns what a name in a file of this host means, and false if that is
// the host itself, or no host.
func (r *reader) end(name string) (estate.End, bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	address, err := netip.ParseAddr(name)
	if known, ok := r.hosts[name]; ok && err != nil {
		address, err = known, nil
	}
	if err == nil {
		alias, ok := estate.AddressAlias(address)
		return estate.End{Alias: alias}, ok
	}
	if alias, ok := estate.NameAlias(name); ok {
		return estate.End{Alias: alias}, true
	}
	if !estate.IsHostName(name) || strings.Contains(name, ".") || name == "localhost" {
		return estate.End{}, false
	}
	if len(r.search) > 0 {
		if alias, ok := estate.NameAlias(name + "." + r.search[0]); ok {
			return estate.End{Alias: alias}, true
		}
	}
	return estate.End{ID: estate.NewID(estate.Host, name)}, true
}

// A target is a host that a setting names.
type target struct {
	host string
	port uint16 // 0 if it does not matter
}

func (t target) String() string {
	if t.port == 0 {
		return t.host
	}
	if strings.Contains(t.host, ":") {
		return "[" + t.host + "]:" + strconv.Itoa(int(t.port))
	}
	return t.host + ":" + strconv.Itoa(int(t.port))
}

// parseTarget reads a host with or without a port.
func parseTarget(s string, port uint16) target {
	if address, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return target{address.String(), port}
	}
	if host, number, ok := cutLast(s, ":"); ok {
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			return target{strings.Trim(host, "[]"), uint16(n)}
		}
	}
	return target{s, port}
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// needs adds a link to each of several hosts that can stand in for one another:
// the first is needed so, the others are soft.
func (r *reader) needs(f file, line int, need estate.Need, setting, protocol string, targets ...target) {
	for i, t := range targets {
		end, ok := r.end(t.host)
		if !ok {
			continue
		}
		link := estate.Link{From: estate.End{ID: r.self}, To: end, Need: need}
		if t.port != 0 {
			link.Port = estate.Port{Number: t.port, Protocol: protocol}
		}
		detail := setting + " " + t.String()
		if need.Orders() && (facts.TelemetryPort(link.Port) != "" || facts.Telemetry(t.host) != "" || facts.Telemetry(setting) != "") {
			link.Need = estate.Telemetry
		}
		if i > 0 && link.Need.Orders() {
			link.Need = estate.Soft
			detail += fmt.Sprintf(", which stands in for %s", targets[0])
		}
		if need == estate.Admin {
			link.Port = estate.Port{}
		}
		link.Evidence = []estate.Evidence{f.place.Evidence(estate.Derived, fmt.Sprintf("line %d", line), detail)}
		r.Link(link)
	}
}
