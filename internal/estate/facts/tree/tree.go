// Package tree reads YAML and JSON that somebody else wrote into a tree, for
// readers of facts that look for a few keys in it.
//
// It takes everything for hostile. What a file costs is bounded by its size: an
// alias of YAML is a copy, and the copies are counted. It touches nothing but
// the bytes it is given, and knows no types: a number is the text that stands
// there.
//
// It does not promise that what it takes is right: the last of equal keys wins,
// and tags are kept and not acted upon.
package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"

	"strongroom/internal/estate/facts"
)

// Limits beside those of package facts.
const (
	// maxMarks bounds what can be nodes in one document of YAML, whose parser
	// takes up to 500 bytes for each. A great list is better had as JSON.
	maxMarks = 500_000

	maxNodes     = facts.MaxThings // of all documents, with the copies that aliases mean
	maxText      = 2 * facts.MaxBytes
	maxDocuments = 50_000
)

// A Kind is what a node is.
type Kind int

const (
	Null Kind = iota
	Scalar
	List
	Map
)

// A Node is a value and where it stands. All methods take nil for nothing.
type Node struct {
	Kind  Kind
	Text  string  // of a scalar
	Tag   string  // as written, if it is the file's own, such as "!reset"
	Line  int     // from 1
	Items []*Node // of a list
	Keys  []Key   // of a map, each name once
}

// A Key is an entry of a map.
type Key struct {
	Name  string
	Line  int
	Value *Node
}

// Get returns what stands below a path of keys, or nil.
func (n *Node) Get(path ...string) *Node {
	for _, name := range path {
		n = n.key(name)
	}
	return n
}

func (n *Node) key(name string) *Node {
	if n == nil {
		return nil
	}
	for _, k := range n.Keys {
		if k.Name == name {
			return k.Value
		}
	}
	return nil
}

// String returns the text of a scalar, or nothing.
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	return n.Text
}

// List returns the items of a list, or nothing.
func (n *Node) List() []*Node {
	if n == nil {
		return nil
	}
	return n.Items
}

// Map returns the entries of a map, or nothing.
func (n *Node) Map() []Key {
	if n == nil {
		return nil
	}
	return n.Keys
}

// Is reports whether there is such a node.
func (n *Node) Is(k Kind) bool { return n != nil && n.Kind == k }

// Read returns the documents of a file in YAML or JSON. An error has no word of
// the file in it.
func Read(b []byte) ([]*Node, error) {
	if len(b) > facts.MaxBytes {
		return nil, facts.TooMuch("bytes", facts.MaxBytes)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if text := bytes.TrimLeft(b, " \t\r\n"); bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("[")) {
		r := jsonReader{dec: json.NewDecoder(bytes.NewReader(b)), b: b, line: 1}
		r.dec.UseNumber()
		if docs, err := r.read(); err == nil || errors.Is(err, errLimit) {
			return docs, err
		} // else it is YAML that looks like it
	}
	return readYAML(b)
}

// errLimit is in the chain of what is refused for its size or depth.
var errLimit = errors.New("too much")

// A counter counts what a file makes of itself.
type counter struct{ nodes, text int }

// one counts a node at a depth, and the bytes of its text.
func (c *counter) one(depth int, text string) error {
	// A copy of a text costs nothing here, and as much as the text wherever it is
	// looked through.
	if c.text += len(text); c.text > maxText {
		return fmt.Errorf("%w: more than %d bytes, with what aliases repeat", errLimit, maxText)
	}
	if c.nodes++; c.nodes > maxNodes {
		return fmt.Errorf("%w: more than %d values, with what aliases repeat", errLimit, maxNodes)
	}
	if depth > facts.MaxDepth {
		return fmt.Errorf("%w: nested more than %d deep", errLimit, facts.MaxDepth)
	}
	return nil
}

// A builder makes a map whose names are there once.
type builder struct {
	keys  []Key
	index map[string]int
}

// set sets a key; a later one wins, in the place of the first.
func (m *builder) set(k Key) {
	if i, ok := m.index[k.Name]; ok {
		m.keys[i] = k
		return
	}
	if m.index == nil {
		m.index = make(map[string]int)
	}
	m.index[k.Name] = len(m.keys)
	m.keys = append(m.keys, k)
}

// add sets a key that is not there yet.
func (m *builder) add(k Key) {
	if _, ok := m.index[k.Name]; !ok {
		m.set(k)
	}
}

// readYAML reads document by document, so that only one at a time takes the
// memory that the parser needs.
func readYAML(b []byte) (docs []*Node, err error) {
	// The parser is not ours, and a file is no reason to end a collection.
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, errors.New("the YAML cannot be read")
		}
	}()
	var c converter
	line := 0
	for chunk := range chunks(b) {
		if marks(chunk) > maxMarks {
			return nil, fmt.Errorf("%w: more than %d values in one document of YAML; as JSON it can be read", errLimit, maxMarks)
		}
		dec := yaml.NewDecoder(bytes.NewReader(chunk))
		for {
			var doc yaml.Node
			err := dec.Decode(&doc)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("not valid YAML, in the document that begins in line %d", line+1)
			}
			if c.before = line; len(docs) >= maxDocuments {
				return nil, fmt.Errorf("%w: more than %d documents", errLimit, maxDocuments)
			}
			for _, body := range doc.Content {
				n, err := c.node(body, 0)
				if err != nil {
					return nil, err
				}
				docs = append(docs, n)
			}
		}
		line += bytes.Count(chunk, []byte("\n"))
	}
	return docs, nil
}

// chunks cuts a file before each line that starts a document. Three hyphens at
// the beginning of a line do that wherever they stand, in a block of text too.
// What has only comments and directives is blanked, since it is no document.
func chunks(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		start, empty := 0, true
		flush := func(end int) bool {
			chunk := b[start:end]
			if empty {
				chunk = bytes.Repeat([]byte("\n"), bytes.Count(chunk, []byte("\n")))
			}
			start, empty = end, true
			return yield(chunk)
		}
		for i := 0; i < len(b); {
			end := len(b)
			if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
				end = i + n + 1
			}
			line := bytes.TrimRight(b[i:end], " \t\r\n")
			header := bytes.Equal(line, []byte("---")) || bytes.HasPrefix(line, []byte("--- ")) || bytes.HasPrefix(line, []byte("---\t"))
			if header && i > start && !flush(i) {
				return
			}
			if len(line) > 0 && line[0] != '#' && line[0] != '%' {
				empty = false
			}
			i = end
		}
		flush(len(b))
	}
}

// marks counts the bytes without which YAML has no second node.
func marks(b []byte) int {
	n := 0
	for _, c := range b {
		switch c {
		case '\n', ',', '[', '{', ':', '-', '?':
			n++
		}
	}
	return n
}

// A converter copies the parser's nodes.
type converter struct {
	counter
	before int // lines before the chunk
}

func (c *converter) node(y *yaml.Node, depth int) (*Node, error) {
	if err := c.one(depth, y.Value); err != nil {
		return nil, err
	}
	n := &Node{Line: c.before + y.Line}
	if strings.HasPrefix(y.Tag, "!") && !strings.HasPrefix(y.Tag, "!!") && y.Tag != "!" {
		n.Tag = y.Tag
	}
	switch y.Kind {
	case yaml.AliasNode:
		if y.Alias == nil {
			return n, nil
		}
		// One that holds itself ends at the limits.
		return c.node(y.Alias, depth+1)
	case yaml.ScalarNode:
		if y.ShortTag() != "!!null" && !(n.Tag != "" && y.Value == "null" && plain(y)) {
			n.Kind, n.Text = Scalar, y.Value
		}
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			v, err := c.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, v)
		}
	case yaml.MappingNode:
		n.Kind = Map
		keys, err := c.entries(y, depth)
		if err != nil {
			return nil, err
		}
		n.Keys = keys
	}
	return n, nil
}

// plain reports whether a scalar stands there without quotes.
func plain(y *yaml.Node) bool { return y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 }

// entries returns the keys of a map, and those that << merges into it.
func (c *converter) entries(y *yaml.Node, depth int) ([]Key, error) {
	var m builder
	var merged []*Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		v, err := c.node(y.Content[i+1], depth+1)
		switch {
		case err != nil:
			return nil, err
		case key.Kind != yaml.ScalarNode: // no format that is read here has such keys
		case key.Value == "<<" && plain(key):
			if v.Kind == List {
				merged = append(merged, v.Items...)
			} else {
				merged = append(merged, v)
			}
		default:
			m.set(Key{Name: key.Value, Line: c.before + key.Line, Value: v})
		}
	}
	for _, from := range merged {
		for _, k := range from.Map() {
			m.add(k)
		}
	}
	return m.keys, nil
}

// A jsonReader reads JSON token by token, which needs memory for the result
// alone, and knows in which line it is.
type jsonReader struct {
	counter
	dec    *json.Decoder
	b      []byte
	line   int
	offset int64
}

func (r *jsonReader) read() (docs []*Node, err error) {
	for {
		t, err := r.token()
		if err == io.EOF {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		n, err := r.node(t, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
}

func (r *jsonReader) token() (json.Token, error) {
	t, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	now := r.dec.InputOffset()
	r.line += bytes.Count(r.b[r.offset:now], []byte("\n"))
	r.offset = now
	return t, nil
}

func (r *jsonReader) node(t json.Token, depth int) (*Node, error) {
	if err := r.one(depth, ""); err != nil {
		return nil, err
	}
	n := &Node{Line: r.line}
	switch t := t.(type) {
	case nil:
	case json.Delim:
		if t == '[' {
			n.Kind = List
			return n, r.items(n, depth)
		}
		n.Kind = Map
		return n, r.entries(n, depth)
	default:
		n.Kind, n.Text = Scalar, fmt.Sprint(t)
	}
	return n, nil
}

func (r *jsonReader) items(n *Node, depth int) error {
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		if t == json.Delim(']') {
			return nil
		}
		v, err := r.node(t, depth+1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, v)
	}
}

func (r *jsonReader) entries(n *Node, depth int) error {
	var m builder
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok { // the closing brace: the decoder lets nothing else stand here
			n.Keys = m.keys
			return nil
		}
		line := r.line
		if t, err = r.token(); err != nil {
			return err
		}
		v, err := r.node(t, depth+1)
		if err != nil {
			return err
		}
		m.set(Key{Name: name, Line: line, Value: v})
	}
}
