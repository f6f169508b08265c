package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The YAML parser needs time that grows with the square of a mapping's size,
// and stack that grows with depth. A configuration needs five levels.
const (
	maxTokens = 100_000
	maxFlow   = 16 // open brackets and braces
	maxInline = 8  // dashes on one line
)

// A decoder turns the tree of one file into values and collects what is wrong
// with it.
type decoder struct {
	file  string
	lines []string
	errs  Errors
	// hidden holds, by line from 1, the column from which on the line is not
	// shown, as there may be a secret.
	hidden map[int]int
	// What is compared when the whole file has been read.
	refs  []placed  // names of sources
	names []ownName // of components
}

func newDecoder(file string, b []byte) *decoder {
	if len(b) > maxFile {
		b = b[:maxFile]
	}
	text := strings.ReplaceAll(string(b), "\r\n", "\n")
	return &decoder{file: file, lines: strings.Split(text, "\n"), hidden: map[int]int{}}
}

// parse returns the tree of the file, or nil after a failure. What is
// dangerous or surprising in YAML is refused here, before the tree is built.
func (d *decoder) parse(b []byte) *ast.MappingNode {
	if len(b) > maxFile {
		d.failAt(1, 1, "the file is larger than 1 MiB, which no configuration is")
		return nil
	}
	if line, column, ok := notText(b); ok {
		d.failAt(line, column, "expected text in UTF-8, found a control character or an invalid byte")
		return nil
	}
	for i, line := range d.lines {
		// The rest of a key that was pasted would be not YAML, and shown for it.
		if strings.Contains(line, "PRIVATE KEY-----") || strings.Contains(line, "AGE-SECRET-KEY-") {
			d.hidden[i+1] = 1
			d.failAt(i+1, 1, "a private key does not belong here: put it into a file of its own and name that")
			return nil
		}
	}
	tokens := lexer.Tokenize(string(b))
	if len(tokens) > maxTokens {
		d.failAt(1, 1, "the file has more than %d words and marks, which no configuration has", maxTokens)
		return nil
	}
	if d.refuse(tokens); len(d.errs) > 0 {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // mapping reports duplicates, all of them
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			d.fail(syntax.Token, "not valid YAML: %s", strings.ReplaceAll(syntax.Message, "\t", `\t`))
		} else {
			d.failAt(1, 1, "not valid YAML: %v", err)
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		body = cmp.Or(body, ast.Node(doc.Body))
	}
	root, ok := body.(*ast.MappingNode)
	switch {
	case ok:
		return root
	case body == nil:
		d.failAt(1, 1, "the file is empty, expected at least the keys `safe` and `store`")
	default:
		d.fail(body.GetToken(), "expected keys such as `safe` and `store`, found %s", found(body))
	}
	return nil
}

// notText finds the first byte that has no business in a text file.
func notText(b []byte) (line, column int, ok bool) {
	line, column = 1, 1
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1,
			r < ' ' && r != '\n' && r != '\t' && !bytes.HasPrefix(b, []byte("\r\n")),
			0x7f <= r && r < 0xa0:
			return line, column, true
		case r == '\n':
			line, column = line+1, 0
		}
		b, column = b[n:], column+1
	}
	return 0, 0, false
}

// refuse reports the parts of YAML that a configuration does without: each of
// them makes a file mean something else than what it looks like, or costs more
// than its size.
func (d *decoder) refuse(tokens token.Tokens) {
	flow, inline, line, documents := 0, 0, 0, 0
	for i, t := range tokens {
		if t.Position.Line != line {
			line, inline = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.MergeKeyType:
			d.fail(t, "anchors and merges (& and <<) are not taken; write it out")
		case token.AliasType:
			if i > 0 && tokens[i-1].Type == token.AliasType {
				continue // ** is one mistake
			}
			d.fail(t, "YAML takes a value that begins with * for an alias, which is not taken; put a pattern into quotes")
		case token.TagType, token.DirectiveType:
			d.fail(t, "tags and directives (! and %%) are not taken")
		case token.MappingKeyType:
			d.fail(t, "expected a simple key, found `?`")
		case token.DocumentEndType:
			d.fail(t, "expected one document, without an end mark")
		case token.DocumentHeaderType:
			if documents++; documents > 1 {
				d.fail(t, "expected one document, found a second")
			}
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow == maxFlow {
				d.fail(t, "too many brackets inside each other")
			}
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			if inline++; inline == maxInline {
				d.fail(t, "too many lists inside each other")
			}
		}
	}
}

func (d *decoder) fail(at *token.Token, format string, args ...any) {
	d.failAt(at.Position.Line, at.Position.Column, format, args...)
}

func (d *decoder) failAt(line, column int, format string, args ...any) {
	d.errs = append(d.errs, &Error{
		File: d.file, Line: max(line, 1), Column: max(column, 1),
		Problem: fmt.Sprintf(format, args...),
	})
}

// expected reports that n is not what its key takes.
func (d *decoder) expected(n ast.Node, want string) {
	d.fail(start(n), "expected %s, found %s", want, found(n))
}

// hide keeps a value that is, or may be, a secret out of all excerpts.
func (d *decoder) hide(n ast.Node) {
	at := start(n).Position
	if old, ok := d.hidden[at.Line]; !ok || at.Column < old {
		d.hidden[at.Line] = at.Column
	}
}

// finish returns what is wrong with the file, or nil.
func (d *decoder) finish() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(d.errs) > maxErrors {
		last := d.errs[maxErrors-1]
		last.Problem += fmt.Sprintf(" (and %d more mistakes after this one)", len(d.errs)-maxErrors)
		d.errs = d.errs[:maxErrors]
	}
	for _, e := range d.errs {
		e.Line = min(e.Line, len(d.lines))
		hide := d.hidden[e.Line] - 1 // -1 if nothing is hidden
		e.Excerpt, e.caret = excerpt(d.lines[e.Line-1], e.Column-1, hide)
	}
	return d.errs
}

// start returns the token at which n begins.
func start(n ast.Node) *token.Token {
	// The token of a mapping without braces is its first colon.
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return n.GetToken()
}

// found says what stands in the file instead of what was expected.
func found(n ast.Node) string {
	switch n := n.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.LiteralNode:
		return "a block of text"
	default:
		return fmt.Sprintf("%.40q", n.GetToken().Value)
	}
}

// A field is one key of a mapping that is read into an S.
type field[S any] struct {
	name     string
	doc      string // for the schema: one sentence
	required bool
	byItself any // the default as it would be written, for the schema; nil if there is none
	schema   schema
	read     func(d *decoder, n ast.Node, into *S)
}

// A form is one way to write a value of type T.
type form[T any] struct {
	schema schema
	// read reports what is wrong with n to d; then its value is not used.
	read func(d *decoder, n ast.Node) (T, bool)
}

// key makes a field of a value of the form f that is kept in S where at says.
func key[S, T any](name, doc string, f form[T], at func(*S) *T) field[S] {
	return field[S]{name: name, doc: doc, schema: f.schema, read: func(d *decoder, n ast.Node, into *S) {
		if v, ok := f.read(d, n); ok {
			*at(into) = v
		}
	}}
}

func (f field[S]) must() field[S] {
	f.required = true
	return f
}

// or notes the default for the schema; the value itself is in the S that is
// read into. A test holds the two together.
func (f field[S]) or(written any) field[S] {
	f.byItself = written
	return f
}

// mapping reads values, the keys and values of title, into a value; what
// lacks is reported at owner. It returns where the value of each known key
// stands.
func mapping[S any](d *decoder, values []*ast.MappingValueNode, title string, owner *token.Token, fields []field[S], into *S) map[string]ast.Node {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	seen := make(map[string]ast.Node, len(values))
	meant := map[string]bool{} // misspelt, so not missing as well
	for _, v := range values {
		key := v.Key.GetToken()
		i := slices.Index(names, key.Value)
		if i < 0 {
			d.hide(v.Value) // a password, perhaps
			d.fail(key, "unknown key %s%s", quote(key.Value), didYouMean(key.Value, names))
			near, _ := Nearest(key.Value, names)
			meant[near] = true
			continue
		}
		fields[i].read(d, v.Value, into)
		seen[key.Value] = v.Value
	}
	for _, f := range fields {
		if _, ok := seen[f.name]; f.required && !ok && !meant[f.name] {
			d.fail(owner, "%s lacks the key `%s`", title, f.name)
		}
	}
	return seen
}

// entries returns the keys and values of a mapping without the duplicates,
// which it reports.
func entries(d *decoder, n ast.Node, title string) ([]*ast.MappingValueNode, bool) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		d.expected(n, "keys and values of "+title)
		return nil, false
	}
	first := make(map[string]int, len(m.Values))
	var values []*ast.MappingValueNode
	for _, v := range m.Values {
		at := v.Key.GetToken()
		if line, ok := first[at.Value]; ok {
			d.hide(v.Value)
			d.fail(at, "the key %s is already in line %d", quote(at.Value), line)
			continue
		}
		first[at.Value] = at.Position.Line
		values = append(values, v)
	}
	return values, true
}
