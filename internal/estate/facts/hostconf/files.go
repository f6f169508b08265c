package hostconf

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"strongroom/internal/estate"
)

// This file reads what a host mounts, which clock it follows, where its packages
// and its configuration come from, and whom it tells of itself.

// fstab reads what is mounted from other hosts. A host that mounts at boot waits
// for it.
func (r *reader) fstab(f file) {
	for l := range f.lines("#") {
		if len(l.fields) >= 4 {
			r.mount(f, l.number, l.fields[0], l.fields[1], l.fields[2], l.fields[3])
		}
	}
}

// unit reads what a unit of systemd mounts, and what it sets for its program.
func (r *reader) unit(f file) {
	mount := make(map[string]setting)
	var variables []variable
	for _, s := range f.settings() {
		switch {
		case s.section == "mount":
			mount[s.name] = s
		case s.section == "service" && s.name == "environment":
			for _, assignment := range quotedWords(s.value) {
				if name, value, ok := strings.Cut(assignment, "="); ok {
					variables = append(variables, variable{s.line, name, value})
				}
			}
		}
	}
	if what, ok := mount["what"]; ok {
		r.mount(f, what.line, what.value, mount["where"].value, mount["type"].value, mount["options"].value)
	}
	r.variables(f, variables)
}

// mount adds what a device of another host is needed for.
func (r *reader) mount(f file, line int, device, dir, kind, options string) {
	var (
		hosts string
		port  uint16
	)
	switch {
	case strings.HasPrefix(kind, "nfs"):
		hosts, port = beforePath(device), 2049
	case kind == "cifs" || kind == "smb3":
		hosts, _, _ = strings.Cut(strings.TrimPrefix(strings.ReplaceAll(device, `\`, "/"), "//"), "/")
		port = 445
	case kind == "glusterfs":
		hosts, port = beforePath(device), 24007
	case kind == "ceph":
		hosts, port = beforePath(device), 6789
	case kind == "fuse.sshfs" || strings.HasPrefix(device, "sshfs#"):
		hosts = beforePath(strings.TrimPrefix(device, "sshfs#"))
		hosts, port = hosts[strings.LastIndexByte(hosts, '@')+1:], 22
	case strings.HasPrefix(device, "/dev/disk/by-path/ip-"):
		hosts, _, _ = strings.Cut(strings.TrimPrefix(device, "/dev/disk/by-path/ip-"), "-iscsi")
		port = 3260
	default:
		return
	}
	need := estate.Start
	for _, lazy := range []string{",noauto,", ",nofail,", ",x-systemd.automount,"} {
		if strings.Contains(","+options+",", lazy) {
			need = estate.Run
		}
	}
	var all []target
	for host := range strings.SplitSeq(hosts, ",") {
		all = append(all, parseTarget(host, port))
	}
	r.needs(f, line, need, "mounts "+dir+" from", "tcp", all...)
}

// beforePath returns the host of host:/path, and of [2001:db8::1]:/path.
func beforePath(device string) string {
	host, _, ok := strings.Cut(device, ":/")
	if !ok {
		return ""
	}
	return strings.Trim(host, "[]")
}

func (r *reader) ntp(f file) {
	var (
		all  []target
		line int
	)
	for l := range f.lines("#!;%") {
		switch l.fields[0] {
		case "server", "pool", "peer":
			if len(l.fields) < 2 {
				continue
			}
			if line == 0 {
				line = l.number
			}
			all = append(all, parseTarget(l.fields[1], 123))
		case "allow": // chrony serves nobody without
			r.Component(estate.Component{ID: r.self, Roles: []estate.Role{estate.Time},
				Evidence: []estate.Evidence{f.place.Evidence(estate.Declared, fmt.Sprintf("line %d", l.number), "allows others to ask for the time")}})
		}
	}
	r.needs(f, line, r.time(), "server", "udp", all...)
}

func (r *reader) timesyncd(f file) {
	for _, s := range f.settings() {
		if s.section == "time" && s.name == "ntp" {
			r.needs(f, s.line, r.time(), "NTP", "udp", servers(s.value, 123, "")...)
		}
	}
}

// time returns the need for the right time. A host runs a good while without;
// one in a realm of Kerberos is locked out when it is five minutes wrong.
func (r *reader) time() estate.Need {
	if r.kerberos {
		return estate.Run
	}
	return estate.Soft
}

// apt reads sources of packages in both of their forms. A host needs them to be
// installed and patched, not to run.
func (r *reader) apt(f file) {
	for l := range f.lines("#") {
		if l.fields[0] != "deb" && !strings.EqualFold(l.fields[0], "URIs:") {
			continue
		}
		for _, word := range l.fields[1:] {
			if _, targets, ok := parseURL(word); ok {
				r.needs(f, l.number, estate.Soft, "packages from", "tcp", targets...)
			}
		}
	}
}

func (r *reader) aptProxy(f file) {
	for l := range f.lines("#") {
		if !strings.Contains(strings.ToLower(l.text), "proxy") || strings.HasPrefix(l.text, "//") {
			continue
		}
		if _, value, ok := strings.Cut(l.text, `"`); ok {
			if _, targets, ok := parseURL(value); ok {
				r.needs(f, l.number, estate.Soft, "packages through", "tcp", targets...)
			}
		}
	}
}

func (r *reader) yum(f file) {
	all := f.settings()
	disabled := make(map[string]bool)
	for _, s := range all {
		if s.name == "enabled" && (s.value == "0" || strings.EqualFold(s.value, "false")) {
			disabled[s.section] = true
		}
	}
	for _, s := range all {
		if disabled[s.section] {
			continue
		}
		switch s.name {
		case "baseurl", "mirrorlist", "metalink", "proxy":
			if _, targets, ok := parseURL(s.value); ok {
				r.needs(f, s.line, estate.Soft, s.name, "tcp", targets...)
			}
		}
	}
}

func (r *reader) docker(f file) {
	var daemon struct {
		Mirrors  []string          `json:"registry-mirrors"`
		Insecure []string          `json:"insecure-registries"`
		DNS      []string          `json:"dns"`
		Log      map[string]string `json:"log-opts"`
	}
	if err := json.Unmarshal([]byte(f.text), &daemon); err != nil {
		r.Doubt("%s is not read: it is not JSON as docker has it", f.place.Path)
		return
	}
	for _, mirror := range daemon.Mirrors {
		r.needs(f, 1, estate.Soft, "registry-mirrors", "tcp", servers(mirror, 443, "")...)
	}
	for _, registry := range daemon.Insecure {
		if _, err := netip.ParsePrefix(registry); err != nil {
			r.needs(f, 1, estate.Soft, "insecure-registries", "tcp", servers(registry, 443, "")...)
		}
	}
	var resolvers []target
	for _, server := range daemon.DNS {
		resolvers = append(resolvers, parseTarget(server, 53))
	}
	r.needs(f, 1, estate.Run, "dns", "udp", resolvers...)
	for _, name := range []string{"fluentd-address", "gelf-address", "syslog-address", "splunk-url", "loki-url"} {
		if value := daemon.Log[name]; value != "" {
			r.needs(f, 1, estate.Telemetry, name, "tcp", servers(value, 0, "")...)
		}
	}
}

// pgHBA reads who checks the passwords of a database's users.
func (r *reader) pgHBA(f file) {
	for l := range f.lines("#") {
		text := l.text
		for _, key := range []struct {
			name string
			port uint16
		}{{"ldapserver", 389}, {"ldapurl", 389}, {"radiusservers", 1812}} {
			_, rest, ok := strings.Cut(text, key.name+"=")
			if !ok {
				continue
			}
			value, _, _ := strings.Cut(rest, " ")
			if quoted, ok := strings.CutPrefix(rest, `"`); ok {
				value, _, _ = strings.Cut(quoted, `"`)
			}
			protocol := "tcp"
			if key.port == 1812 {
				protocol = "udp"
			}
			r.needs(f, l.number, estate.Run, key.name, protocol, servers(value, key.port, "")...)
		}
	}
}

func (r *reader) puppet(f file) {
	for _, s := range f.settings() {
		if s.name == "server" || s.name == "ca_server" {
			r.needs(f, s.line, estate.Admin, s.name, "tcp", servers(s.value, 0, "")...)
		}
	}
}

// rsyslog reads where the log goes: *.* @@host:port, and
// action(type="omfwd" target="host" port="514").
func (r *reader) rsyslog(f file) {
	for l := range f.lines("#") {
		if _, rest, ok := strings.Cut(strings.ToLower(l.text), `target="`); ok {
			host, _, _ := strings.Cut(rest, `"`)
			r.needs(f, l.number, estate.Telemetry, "log to", "tcp", target{host, 514})
			continue
		}
		last := l.fields[len(l.fields)-1]
		protocol := "udp"
		host, ok := strings.CutPrefix(last, "@")
		if rest, relp := strings.CutPrefix(last, ":omrelp:"); relp {
			host, ok, protocol = rest, true, "tcp"
		}
		if rest, tcp := strings.CutPrefix(host, "@"); ok && tcp {
			host, protocol = rest, "tcp"
		}
		if !ok || len(l.fields) < 2 {
			continue
		}
		if strings.HasPrefix(host, "(") { // options of the connection
			_, host, _ = strings.Cut(host, ")")
		}
		host, _, _ = strings.Cut(host, ";") // the template
		r.needs(f, l.number, estate.Telemetry, "log to", protocol, parseTarget(host, 514))
	}
}
