package facts

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
)

// A Mention is a host that a text names as one to be called.
type Mention struct {
	Host string // in lower case
	Port uint16 // 0 if none is named
}

func (m Mention) String() string {
	if m.Port == 0 {
		return m.Host
	}
	return m.Host + ":" + strconv.Itoa(int(m.Port))
}

// Bounds of what is looked for in one value or command: more hosts, or a longer
// one, no setting has.
const (
	maxMentions = 1000
	maxValue    = 1 << 20
)

// Where the value of a setting is cut into what can be a host each.
const separators = " \t\r\n,;|'\"`()[]{}<>&\\"

// hostWords end the names of settings whose value is a host, though it has
// neither a port nor the form of a URL: REDIS_HOST, redisHost, --server.
var hostWords = []string{
	"host", "hosts", "hostname", "hostnames", "hostaddr", "addr", "addrs", "address", "addresses", "server", "servers",
	"endpoint", "endpoints", "url", "urls", "uri", "uris", "broker", "brokers", "proxy", "seeds", "peers", "nameserver", "nameservers", "dsn",
}

// keptWords end the names of settings whose value is kept from others, whatever
// it looks like.
var keptWords = []string{"password", "passwd", "passwords", "pass", "passphrase", "secret", "secrets", "token", "tokens", "key", "keys", "credentials"}

// labelWords end the names of settings whose value looks like a host with a port
// and is none: redis:7.
var labelWords = []string{"image", "images", "tag", "tags", "version"}

// inwardWords stand in the names of settings that say who may call, or by what
// name, and not who is called.
var inwardWords = []string{"allow", "allowed", "trusted", "cors", "csrf", "origin", "origins", "whitelist", "noproxy", "advertised", "virtual"}

// respell joins or replaces words that would mean something else by themselves:
// nginx passes on to a host, and NO_PROXY is no proxy.
var respell = strings.NewReplacer("no_proxy", "noproxy", "proxy_pass", "proxy", "fastcgi_pass", "proxy", "uwsgi_pass", "proxy", "grpc_pass", "proxy")

// words cuts the name of a setting into its words, in lower case.
func words(setting string) []string {
	all := strings.FieldsFunc(respell.Replace(strings.ToLower(setting)), func(r rune) bool { return strings.ContainsRune("_-. :/", r) })
	// REDIS_HOST_1 and SERVER2 are as good as the first.
	for len(all) > 0 {
		last := strings.TrimRight(all[len(all)-1], "0123456789")
		if last != "" {
			all[len(all)-1] = last
			break
		}
		all = all[:len(all)-1]
	}
	return all
}

// ends reports whether the last word is one of a list, or ends with a long one
// of it as in redisHost.
func ends(setting []string, list []string) bool {
	if len(setting) == 0 {
		return false
	}
	last := setting[len(setting)-1]
	return slices.ContainsFunc(list, func(w string) bool { return last == w || len(w) >= 4 && strings.HasSuffix(last, w) })
}

// Hosts returns the hosts that the value of a setting names. A name alone is a
// host only if the setting says so: POSTGRES_HOST=db names one, POSTGRES_DB=db
// does not. With a port or in a URL it is one anywhere, except in settings that
// hold passwords or versions or say who may call. A name that is returned may
// still be none: the caller knows what there is.
func Hosts(setting, value string) []Mention {
	of := words(setting)
	if ends(of, keptWords) || ends(of, labelWords) || slices.ContainsFunc(of, func(w string) bool { return slices.Contains(inwardWords, w) }) {
		return nil
	}
	var found []Mention
	value = value[:min(len(value), maxValue)]
	for field := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		bare := ends(of, hostWords)
		// host=db1 and --url=redis://cache are settings of their own.
		if name, rest, ok := strings.Cut(field, "="); ok && isSetting(name) {
			inner := words(name)
			if ends(inner, keptWords) || ends(inner, labelWords) {
				continue
			}
			field, bare = rest, ends(inner, hostWords)
		}
		if m, ok := host(field, bare); ok && !slices.Contains(found, m) {
			if found = append(found, m); len(found) == maxMentions {
				break
			}
		}
	}
	return found
}

// isSetting reports whether a word can be the name of a setting or of a flag.
func isSetting(name string) bool {
	return name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_-.") == ""
}

// host reads one word: a URL, a name with a port, or a name alone if such a one
// is a host here.
func host(field string, bare bool) (Mention, bool) {
	url := false
	if i := strings.Index(field, "://"); i >= 0 {
		field, url = field[i+len("://"):], true
	}
	path := false
	if i := strings.IndexAny(field, "/?#"); i >= 0 {
		field, path = field[:i], true
	}
	if i := strings.LastIndexByte(field, '@'); i >= 0 {
		field = field[i+1:]
	}
	name, port, hasPort := strings.Cut(field, ":")
	var number uint64
	if hasPort {
		var err error
		if number, err = strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return Mention{}, false
		}
	}
	if !estate.IsHostName(name) || !url && !hasPort && (path || !bare) {
		return Mention{}, false
	}
	return Mention{Host: strings.ToLower(name), Port: uint16(number)}, true
}

// callers are programs whose next word is a host, and in some a port after it.
var callers = []string{"nc", "ncat", "netcat", "telnet", "ping", "nslookup", "dig", "host", "hosts", "wait-for", "wait-for-it", "wait-for-it.sh", "wait-for.sh", "ssh"}

// CommandHosts returns the hosts that a command names: in URLs, with a port,
// after a flag such as -h or --host, and where nc, ping and their like take them.
func CommandHosts(command string) []Mention {
	var found []Mention
	add := func(all ...Mention) {
		for _, m := range all {
			if len(found) < maxMentions && !slices.Contains(found, m) {
				found = append(found, m)
			}
		}
	}
	tokens := commandWords(command[:min(len(command), maxValue)])
	calls := false
	for i, t := range tokens {
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch flag := strings.HasPrefix(t, "-"); {
		case t == ";":
			calls = false
		case slices.Contains(callers, path.Base(t)):
			calls = true
		case flag && !strings.Contains(t, "="):
			if name := words(t); t == "-h" || t == "-H" || ends(name, hostWords) {
				add(Hosts("host", next)...)
			}
		case calls && !flag && estate.IsHostName(t):
			port, _ := strconv.ParseUint(next, 10, 16)
			add(Mention{Host: strings.ToLower(t), Port: uint16(port)})
			calls = false
		default:
			add(Hosts("", t)...)
		}
	}
	return found
}

// commandWords cuts a command into words, and marks where another one begins
// with a semicolon.
func commandWords(command string) []string {
	var all []string
	for part := range strings.FieldsFuncSeq(command, func(r rune) bool { return strings.ContainsRune(";|&\n`", r) }) {
		all = append(all, strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(" \t\r'\"()", r) })...)
		all = append(all, ";")
	}
	return all
}

// A TextMention is a host that a line of a configuration names.
type TextMention struct {
	Mention
	Line    int    // from 1
	Setting string // what it is set for, if that can be shown
}

// TextHosts returns the hosts that a file of settings names, whatever its
// format: a line is the name of a setting and its value, or a comment.
func TextHosts(text string) []TextMention {
	var found []TextMention
	line := 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimLeft(strings.TrimSpace(l), "-\"' \t")
		if l == "" || strings.HasPrefix(l, "#") || strings.HasPrefix(l, "//") || strings.HasPrefix(l, ";") || strings.HasPrefix(l, "<!") {
			continue
		}
		l, _, _ = strings.Cut(l, " #")
		end := strings.IndexAny(l, " \t:=\"'")
		if end < 0 {
			end = 0
		}
		setting := l[:end]
		if strings.HasPrefix(l[end:], "://") || strings.HasPrefix(l[end:], ":") && len(l) > end+1 && '0' <= l[end+1] && l[end+1] <= '9' {
			setting = "" // a URL, or a host with a port
		}
		for _, m := range Hosts(setting, strings.TrimLeft(l[len(setting):], ":= \t\"'")) {
			if len(found) == maxMentions {
				return found
			}
			shown := "a line" // whose first word can be a secret
			if ends(words(setting), hostWords) {
				shown = setting
			}
			found = append(found, TextMention{Mention: m, Line: line, Setting: shown})
		}
	}
	return found
}
