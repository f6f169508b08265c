package hostconf

import (
	"strings"

	"strongroom/internal/estate"
)

// This file reads where a host asks for names, tickets and logins.

func (r *reader) resolvConf(f file) {
	var servers []target
	first := 0
	for l := range f.lines("#;") {
		if l.fields[0] == "nameserver" && len(l.fields) > 1 {
			if first == 0 {
				first = l.number
			}
			servers = append(servers, parseTarget(l.fields[1], 53))
		}
	}
	r.needs(f, first, estate.Run, "nameserver", "udp", servers...)
}

func (r *reader) resolved(f file) {
	for _, s := range f.settings() {
		var servers []target
		for _, word := range strings.Fields(s.value) {
			word, _, _ = strings.Cut(word, "#") // the name in its certificate
			word, _, _ = strings.Cut(word, "%") // the interface
			servers = append(servers, parseTarget(word, 53))
		}
		switch {
		case s.section != "resolve":
		case s.name == "dns":
			r.needs(f, s.line, estate.Run, "DNS", "udp", servers...)
		case s.name == "fallbackdns":
			r.needs(f, s.line, estate.Soft, "FallbackDNS", "udp", servers...)
		}
	}
}

// krb5 reads the realm that the host is in. The file names others that nobody
// uses: distributions ship it with the realms of some universities.
func (r *reader) krb5(f file) {
	var (
		realm   string // the default one
		section string
		inside  string // the realm whose braces are open
		lookup  = true
		line0   int
		centers = make(map[string][]target)
		lines   = make(map[string]int)
		admins  = make(map[string][]target)
	)
	for l := range f.lines("#;") {
		name, value, _ := strings.Cut(l.text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case strings.HasPrefix(l.text, "["):
			section, inside = strings.Trim(l.text, "[]"), ""
		case section == "libdefaults" && name == "default_realm":
			realm, line0 = value, l.number
		case section == "libdefaults" && name == "dns_lookup_kdc":
			lookup = strings.EqualFold(value, "true") || strings.EqualFold(value, "yes") || value == "1"
		case section != "realms":
		case strings.HasPrefix(value, "{"):
			inside = name
		case strings.HasPrefix(l.text, "}"):
			inside = ""
		case name == "kdc", name == "master_kdc", name == "primary_kdc":
			centers[inside] = append(centers[inside], kdc(value, 88))
			if lines[inside] == 0 {
				lines[inside] = l.number
			}
		case name == "admin_server":
			admins[inside] = append(admins[inside], kdc(value, 749))
		}
	}
	switch {
	case realm == "":
	case len(centers[realm]) > 0:
		r.needs(f, lines[realm], estate.Run, "kdc", "tcp", centers[realm]...)
	case lookup:
		r.needs(f, line0, estate.Run, "default_realm", "tcp", target{"_kerberos._udp." + realm, 0})
	}
	r.needs(f, line0, estate.Soft, "admin_server", "tcp", admins[realm]...)
}

// kdc reads a server of Kerberos, which may be an address of a proxy.
func kdc(value string, port uint16) target {
	if _, targets, ok := parseURL(value); ok {
		return targets[0]
	}
	return parseTarget(value, port)
}

// sssd reads the servers of each domain. Where there are none they are looked
// up in DNS, by the name of the domain.
func (r *reader) sssd(f file) {
	need := r.login(estate.Run, "sss")
	domains := make(map[string]map[string]setting)
	var order []string
	for _, s := range f.settings() {
		name, ok := strings.CutPrefix(s.section, "domain/")
		if !ok {
			continue
		}
		if domains[name] == nil {
			domains[name] = make(map[string]setting)
			order = append(order, name)
		}
		domains[name][s.name] = s
	}
	for _, name := range order {
		domain := domains[name]
		value := func(key, otherwise string) string {
			if s, ok := domain[key]; ok && s.value != "" {
				return s.value
			}
			return otherwise
		}
		zone := value("dns_discovery_domain", value("ad_domain", value("ipa_domain", name)))
		realm := strings.ToLower(value("krb5_realm", zone))
		for _, list := range []struct {
			key, service string
			port         uint16
			need         estate.Need
		}{
			{"ldap_uri", "_ldap._tcp." + zone, 389, need},
			{"ldap_backup_uri", "_ldap._tcp." + zone, 389, estate.Soft},
			{"krb5_server", "_kerberos._udp." + realm, 88, need},
			{"krb5_backup_server", "_kerberos._udp." + realm, 88, estate.Soft},
			{"ipa_server", "_ldap._tcp." + zone, 389, need},
			{"ipa_backup_server", "_ldap._tcp." + zone, 389, estate.Soft},
			{"ad_server", "_ldap._tcp." + zone, 389, need},
			{"ad_backup_server", "_ldap._tcp." + zone, 389, estate.Soft},
		} {
			s, ok := domain[list.key]
			if !ok {
				provider := domain["id_provider"]
				if list.key != provider.value+"_server" || provider.value != "ad" && provider.value != "ipa" {
					continue
				}
				s = setting{line: provider.line, name: "id_provider", value: "_srv_"}
			}
			r.needs(f, s.line, list.need, s.name, "tcp", servers(s.value, list.port, list.service)...)
		}
	}
}

// login returns the need for a service of logins: it is soft if the host has a
// nsswitch.conf that asks for none of these.
func (r *reader) login(need estate.Need, services ...string) estate.Need {
	if !r.nsswitch {
		return need
	}
	for _, s := range services {
		if r.logins[s] {
			return estate.Run
		}
	}
	return estate.Soft
}

// servers reads a list of names, URLs, and words that mean to ask DNS for the
// service.
func servers(list string, port uint16, service string) []target {
	var all []target
	for word := range strings.FieldsFuncSeq(list, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }) {
		switch _, targets, ok := parseURL(word); {
		case ok:
			all = append(all, targets...)
		case strings.Contains(word, "://"): // of a socket, or one that is not understood
		case strings.EqualFold(word, "_srv_"), strings.EqualFold(word, "DNS"):
			all = append(all, target{strings.ToLower(service), 0})
		default:
			all = append(all, parseTarget(word, port))
		}
	}
	return all
}

func (r *reader) nslcd(f file) {
	zone := ""
	if len(r.search) > 0 {
		zone = r.search[0]
	}
	var (
		all  []target
		line int
	)
	for l := range f.lines("#") {
		if l.fields[0] != "uri" {
			continue
		}
		if line == 0 {
			line = l.number
		}
		for _, word := range l.fields[1:] {
			if domain, ok := strings.CutPrefix(word, "DNS:"); ok {
				all = append(all, target{"_ldap._tcp." + domain, 0})
				continue
			}
			all = append(all, servers(word, 389, "_ldap._tcp."+zone)...)
		}
	}
	r.needs(f, line, r.login(estate.Run, "ldap"), "uri", "tcp", all...)
}

// ldap reads the defaults of LDAP's own clients. They matter to the host only if
// its logins come from there.
func (r *reader) ldap(f file) {
	for l := range f.lines("#") {
		if name := strings.ToLower(l.fields[0]); name == "uri" || name == "host" {
			r.needs(f, l.number, r.login(estate.Soft, "ldap"), name, "tcp", servers(strings.Join(l.fields[1:], " "), 389, "")...)
		}
	}
}

func (r *reader) samba(f file) {
	global := make(map[string]setting)
	for _, s := range f.settings() {
		if s.section == "global" || s.section == "" {
			global[strings.Join(strings.Fields(s.name), " ")] = s
		}
	}
	security, realm, servers0 := global["security"], global["realm"], global["password server"]
	if strings.EqualFold(security.value, "ads") || strings.EqualFold(security.value, "domain") {
		if servers0.value == "" || servers0.value == "*" {
			if realm.value != "" {
				r.needs(f, realm.line, estate.Run, "security = ads, realm", "tcp", target{"_ldap._tcp.dc._msdcs." + strings.ToLower(realm.value), 0})
			}
		} else {
			r.needs(f, servers0.line, estate.Run, "password server", "tcp", servers(strings.ReplaceAll(servers0.value, "*", ""), 389, "")...)
		}
	}
	if s := global["passdb backend"]; strings.HasPrefix(s.value, "ldapsam:") {
		r.needs(f, s.line, estate.Run, "passdb backend", "tcp", servers(strings.Trim(strings.TrimPrefix(s.value, "ldapsam:"), `"`), 389, "")...)
	}
}

// named reads where a server of DNS has its zones and its answers from.
func (r *reader) named(f file) {
	var (
		block string // what the innermost braces belong to, if it is of interest
		first int
		all   []target
	)
	for l := range f.lines("#") {
		text := l.text
		if strings.HasPrefix(text, "//") {
			continue
		}
		text, _, _ = strings.Cut(text, " //")
		for _, mark := range []string{"{", "}", ";"} {
			text = strings.ReplaceAll(text, mark, " "+mark+" ")
		}
		for _, word := range strings.Fields(text) {
			word = strings.Trim(word, `"'`)
			switch {
			case word == "forwarders", word == "masters", word == "primaries":
				block, first, all = word, l.number, nil
			case word == "}":
				if block == "forwarders" {
					r.needs(f, first, estate.Run, block, "udp", all...)
				} else if block != "" { // a secondary keeps a copy of what it has from there
					r.needs(f, first, estate.Soft, block, "tcp", all...)
				}
				block = ""
			case block != "" && (strings.Contains(word, ":") || strings.Contains(word, ".")):
				all = append(all, parseTarget(word, 53))
			case strings.HasPrefix(word, "ldap://"), strings.HasPrefix(word, "ldaps://"):
				if _, targets, ok := parseURL(word); ok {
					r.needs(f, l.number, estate.Run, "zones in", "tcp", targets...)
				}
			}
		}
	}
}
