package hostconf

import (
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// hostKeys end the names of settings whose value is a host and nothing else.
// POSTGRES_DB=n8n names no host, whatever is called n8n.
var hostKeys = []string{"_HOST", "_HOSTS", "_HOSTNAME", "_SERVER", "_SERVERS", "_ADDR", "_ADDRESS", "_ENDPOINT", "_BROKERS", "_BROKER"}

// A variable is a setting of a program.
type variable struct {
	line        int
	name, value string
}

// environment reads settings of programs, NAME=value a line.
func (r *reader) environment(f file) {
	var all []variable
	for l := range f.lines("#") {
		name, value, ok := strings.Cut(strings.TrimPrefix(l.text, "export "), "=")
		if name = strings.TrimSpace(name); ok && !strings.ContainsAny(name, " \t$\"'") {
			all = append(all, variable{l.number, name, unquote(strings.TrimSpace(value))})
		}
	}
	r.variables(f, all)
}

// variables adds the hosts that settings name. Of two with one name the last
// counts.
func (r *reader) variables(f file, all []variable) {
	last := make(map[string]variable, len(all))
	for _, v := range all {
		last[v.name] = v
	}
	for _, v := range all {
		if last[v.name] != v || len(facts.Hosts(v.name, "tcp://a.example:1")) == 0 {
			continue // by its name it is a secret, or says who may call
		}
		upper := strings.ToUpper(v.name)
		need := estate.Run
		if strings.HasSuffix(upper, "_PROXY") {
			need = estate.Soft
		}
		targets := inValue(v.value)
		for _, suffix := range hostKeys {
			prefix, ok := strings.CutSuffix(upper, suffix)
			if !ok || len(targets) > 0 {
				continue
			}
			port, _ := strconv.ParseUint(last[prefix+"_PORT"].value, 10, 16) // 0 if there is none
			for word := range strings.FieldsFuncSeq(v.value, func(c rune) bool { return c == ',' || c == ' ' }) {
				targets = append(targets, parseTarget(word, uint16(port)))
			}
		}
		r.needs(f, v.line, need, v.name, "tcp", targets...)
	}
}

// quotedWords cuts a line into words, of which one in quotation marks may have
// blanks.
func quotedWords(s string) []string {
	var all []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		end := strings.IndexAny(s, " \t")
		if q := s[0]; q == '"' || q == '\'' {
			if end = strings.IndexByte(s[1:], q); end >= 0 {
				all = append(all, s[1:1+end])
				s = s[end+2:]
				continue
			}
		}
		if end < 0 {
			end = len(s)
		}
		all = append(all, s[:end])
		s = s[end:]
	}
	return all
}

func unquote(s string) string {
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') {
		if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
			return s[1 : 1+end]
		}
	}
	return s
}

// inValue returns the hosts that a value itself says are hosts: those of a URL,
// of a connection string of PostgreSQL (host=db1 port=5432), of one of Go's
// driver for MySQL (user:password@tcp(db1:3306)/shop), and of one of ODBC
// (Server=db1,1433;Database=shop).
func inValue(value string) []target {
	if _, targets, ok := parseURL(value); ok {
		return targets
	}
	if _, rest, ok := cutLast(value, "@tcp("); ok {
		inner, _, _ := strings.Cut(rest, ")")
		return []target{parseTarget(inner, ports["mysql"])}
	}
	words := make(map[string]string)
	for word := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ' ' || c == ';' }) {
		if key, v, ok := strings.Cut(word, "="); ok {
			words[strings.ToLower(key)] = v
		}
	}
	if words["host"] != "" {
		port, err := strconv.ParseUint(words["port"], 10, 16)
		if err != nil {
			port = uint64(ports["postgres"])
		}
		var all []target
		for host := range strings.SplitSeq(words["host"], ",") {
			all = append(all, target{host, uint16(port)})
		}
		return all
	}
	if server := words["server"]; server != "" {
		server = strings.TrimPrefix(server, "tcp:")
		host, port, _ := strings.Cut(server, ",")
		if port == "" {
			return []target{parseTarget(host, ports["mssql"])}
		}
		return []target{parseTarget(host+":"+port, 0)}
	}
	return nil
}
