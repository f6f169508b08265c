package compose

import "strings"

// maxValues bounds what putting values into each other takes in one project, in
// bytes read and written: each line of an .env file can double the one before
// it, and many services can name the same file.
const maxValues = 16 << 20

// maxNested is how deep a default may hold another one.
const maxNested = 20

// values are those of an .env file.
type values struct {
	known map[string]string
	lines map[string]int
	outer *values // where names are looked up that are not known here
	spent int     // bytes so far
}

func (v *values) lookup(name string) (string, bool) {
	if s, ok := v.known[name]; ok {
		return s, true
	}
	if v.outer != nil {
		return v.outer.lookup(name)
	}
	return "", false
}

// read adds the values of a file: NAME=VALUE, with quotes that may span lines,
// comments, and values of before in them unless in single quotes.
func (v *values) read(text string) {
	if v.known == nil {
		v.known, v.lines = make(map[string]string), make(map[string]int)
	}
	line := 0
	for text != "" {
		var l string
		l, text, _ = strings.Cut(text, "\n")
		line++
		at := line
		l = strings.TrimPrefix(strings.TrimSpace(l), "export ")
		name, value, ok := strings.Cut(l, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		quote := ""
		if value != "" && (value[0] == '"' || value[0] == '\'') {
			quote, value = value[:1], value[1:]
			whole, _, closed := strings.Cut(value, quote)
			if !closed {
				// The rest of the value is in the lines that follow.
				if more, after, closed := strings.Cut(text, quote); closed {
					whole += "\n" + more
					line += strings.Count(more, "\n") + 1
					_, text, _ = strings.Cut(after, "\n")
				}
			}
			value = whole
		} else if i := strings.Index(value, " #"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		if quote != "'" {
			value = v.expand(value)
		}
		v.known[name], v.lines[name] = value, at
	}
}

// expand puts values into a text: $NAME, ${NAME}, and the forms with a default
// (:- and -), an error (:? and ?) or a replacement (:+ and +). What is not known
// is empty, as it is for docker. Beyond the bound it is empty too, and Read
// refuses the project.
func (v *values) expand(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var out strings.Builder
	v.into(&out, text, 0)
	if v.spent += out.Len(); v.spent > maxValues {
		return ""
	}
	return out.String()
}

func (v *values) into(out *strings.Builder, text string, depth int) {
	for {
		before, after, ok := strings.Cut(text, "$")
		out.WriteString(before)
		if !ok || depth > maxNested || v.spent+out.Len() > maxValues {
			return
		}
		text = after
		switch {
		case strings.HasPrefix(text, "$"):
			out.WriteByte('$')
			text = text[1:]
		case strings.HasPrefix(text, "{"):
			end := v.closing(text)
			if end < 0 {
				out.WriteString("$")
				continue
			}
			v.braced(out, text[1:end], depth)
			text = text[end+1:]
		default:
			n := nameLength(text)
			if n == 0 {
				out.WriteByte('$')
				continue
			}
			s, _ := v.lookup(text[:n])
			out.WriteString(s)
			text = text[n:]
		}
	}
}

// braced puts in what stands between braces.
func (v *values) braced(out *strings.Builder, inner string, depth int) {
	n := nameLength(inner)
	name, op := inner[:n], inner[n:]
	s, ok := v.lookup(name)
	if rest, colon := strings.CutPrefix(op, ":"); colon {
		op, ok = rest, ok && s != ""
	}
	if op == "" {
		out.WriteString(s)
		return
	}
	switch kind, other := op[0], op[1:]; {
	case kind == '+' && ok, kind == '-' && !ok:
		v.into(out, other, depth+1)
	case kind != '+':
		out.WriteString(s)
	}
}

// closing returns where the brace that text begins with is closed, or -1.
func (v *values) closing(text string) int {
	open := 0
	for i := range len(text) {
		v.spent++
		switch text[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// nameLength is how long the name is that a text begins with.
func nameLength(text string) int {
	for i, c := range []byte(text) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(text)
}
