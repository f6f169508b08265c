// Package pattern says what of a tree of files was specified: it matches the
// include and exclude lines of a source against paths, component by component,
// on plain bytes, without touching any file.
//
// A line is an absolute path; the slash before a leading "**" may be left out.
// A component of it may hold "*" (any bytes), "?"
// (one byte) and "[a-z]" or "[!a-z]" (one byte of a set); a component that is
// "**" stands for any number of components, and at the end of a line for at
// least one. A backslash takes the next byte literally. What a line matches it
// takes whole: a folder with everything under it. Excludes win.
//
// Matching never follows symbolic links; the caller walks real folders only.
// The time for one name is bounded by its length times that of the lines that
// are still alive in its folder, whatever the lines are.
package pattern

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// A List is the compiled include and exclude lines of one source. It is
// immutable and may be used concurrently.
type List struct {
	include, exclude []line
}

// line is one parsed line.
type line struct {
	text  string
	parts []part
}

// part is one component of a line.
type part struct {
	any   bool   // "**": any number of components
	glob  string // what a name must match, if there are wildcards
	plain string // the name itself, unescaped, if there are none
}

// Compile parses the lines of a source. At least one include line is needed.
func Compile(include, exclude []string) (*List, error) {
	if len(include) == 0 {
		return nil, errors.New("nothing to include: at least one line is needed")
	}
	var l List
	for _, text := range include {
		parsed, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("include line %.200q: %w", text, err)
		}
		l.include = append(l.include, parsed)
	}
	for _, text := range exclude {
		parsed, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("exclude line %.200q: %w", text, err)
		}
		l.exclude = append(l.exclude, parsed)
	}
	return &l, nil
}

// Check reports whether text may be an include or exclude line.
func Check(text string) error {
	_, err := parse(text)
	return err
}

func parse(text string) (line, error) {
	switch {
	case text == "":
		return line{}, errors.New("is empty")
	case text[0] != '/' && text != "**" && !strings.HasPrefix(text, "**/"):
		return line{}, errors.New("is not an absolute path: it must begin with / or **")
	case len(text) > safe.MaxPath:
		return line{}, fmt.Errorf("has %d bytes, at most %d are possible", len(text), safe.MaxPath)
	case strings.IndexByte(text, 0) >= 0:
		return line{}, errors.New("has a NUL byte")
	}
	trimmed := strings.TrimSuffix(strings.TrimPrefix(text, "/"), "/") // "/etc/erp/" means "/etc/erp"
	if trimmed == "" {
		return line{}, errors.New("stands for the whole machine: list what is wanted, or write /** if that is really meant")
	}
	l := line{text: text}
	for name := range strings.SplitSeq(trimmed, "/") {
		p, err := parsePart(name)
		if err != nil {
			return line{}, err
		}
		if p.any && len(l.parts) > 0 && l.parts[len(l.parts)-1].any {
			continue // "**/**" says no more than "**"
		}
		l.parts = append(l.parts, p)
	}
	// What a line matches it takes whole, so at the end "at least one
	// component, and all under it" is the same as "one component".
	if last := &l.parts[len(l.parts)-1]; last.any {
		*last = part{glob: "*"}
	}
	return l, nil
}

// NamesOne reports whether a line, one that Check accepts, has no wildcards
// and so names a single path.
func NamesOne(text string) bool {
	l, err := parse(text)
	return err == nil && !slices.ContainsFunc(l.parts, func(p part) bool { return p.any || p.glob != "" })
}

func parsePart(name string) (part, error) {
	switch {
	case name == "":
		return part{}, errors.New("has an empty component")
	case name == "." || name == "..":
		return part{}, fmt.Errorf("has the component %q", name)
	case name == "**":
		return part{any: true}, nil
	case strings.Contains(strings.ReplaceAll(name, `\*`, ""), "**"):
		return part{}, fmt.Errorf("has %q within a component: ** stands alone between slashes", "**")
	}
	var plain []byte
	wild := false
	for rest := name; rest != ""; {
		tok, n, err := nextToken(rest)
		if err != nil {
			return part{}, err
		}
		wild = wild || tok.kind != literal
		plain = append(plain, tok.char)
		rest = rest[n:]
	}
	if wild {
		return part{glob: name}, nil
	}
	if len(plain) > safe.MaxName {
		return part{}, fmt.Errorf("has a component of %d bytes, at most %d are possible", len(plain), safe.MaxName)
	}
	if s := string(plain); s == "." || s == ".." {
		return part{}, fmt.Errorf("has the component %q", s)
	}
	return part{plain: string(plain)}, nil
}

func (p part) matches(name string) bool {
	if p.glob != "" {
		return matchGlob(p.glob, name)
	}
	return p.plain == name
}

// A Place is what the lines have to say about one folder and what is in it.
// The zero Place is not valid; begin with List.Root. A Place is immutable.
type Place struct {
	list *List
	// include and exclude hold where in the lines this folder is: the parts
	// that a name in it has to match next. Ascending, without duplicates.
	include, exclude []state
	taken            []int // include lines that took this folder, and so all under it
}

// state is a position in one line.
type state struct{ line, part int }

// Root returns the Place of the folder "/".
func (l *List) Root() *Place {
	p := &Place{list: l}
	for i := range l.include {
		p.include = reach(p.include, l.include, state{i, 0})
	}
	for i := range l.exclude {
		p.exclude = reach(p.exclude, l.exclude, state{i, 0})
	}
	return p
}

// reach adds s and, because "**" may stand for nothing, what follows it.
func reach(states []state, lines []line, s state) []state {
	states = append(states, s)
	if lines[s.line].parts[s.part].any {
		s.part++ // exists and is not "**": parse sees to that
		states = append(states, s)
	}
	return states
}

// Names returns the only names that the lines can match in this folder, in
// bytewise order, each once. If all is true any name may match, and the folder
// must be listed to know.
func (p *Place) Names() (names []string, all bool) {
	if len(p.taken) > 0 {
		return nil, true
	}
	for _, s := range p.include {
		part := p.list.include[s.line].parts[s.part]
		if part.any || part.glob != "" {
			return nil, true
		}
		names = append(names, part.plain)
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// A Verdict is what the lines say about one name in a folder.
type Verdict struct {
	// Excluded: neither the entry nor, if it is a folder, anything in it is
	// wanted. All other fields but the lines are then zero.
	Excluded bool
	// Included: the entry itself is wanted.
	Included bool
	// Beneath is the Place of the entry if it is a folder; nil if nothing
	// in it can be wanted.
	Beneath *Place
	// Named: a line has further components after this name, and names this
	// one without "**". If the entry is a symbolic link, that line leads
	// through it.
	Named bool

	lines []int // what included or excluded the entry
}

// Match says what the lines have to say about name, an entry of the folder.
func (p *Place) Match(name string) Verdict {
	if len(p.include) == 0 && len(p.exclude) == 0 { // the usual case: deep in a folder that was taken
		return Verdict{Included: len(p.taken) > 0, Beneath: p, lines: p.taken}
	}
	exclude, hits, _ := advance(p.list.exclude, p.exclude, nil, name)
	if len(hits) > 0 {
		return Verdict{Excluded: true, lines: hits}
	}
	include, taken, named := advance(p.list.include, p.include, p.taken, name)
	v := Verdict{Included: len(taken) > 0, Named: named, lines: taken}
	if len(taken) > 0 || len(include) > 0 {
		v.Beneath = &Place{list: p.list, include: include, exclude: exclude, taken: taken}
	}
	return v
}

// advance moves states over one name. It returns the states beneath, the lines
// that are matched to their end (those in taken were so before), and whether a
// part other than "**" led on.
func advance(lines []line, states []state, taken []int, name string) (next []state, done []int, named bool) {
	done = taken
	for _, s := range states {
		part := lines[s.line].parts[s.part]
		switch {
		case part.any:
			next = reach(next, lines, s)
		case !part.matches(name):
		case s.part == len(lines[s.line].parts)-1:
			if !slices.Contains(done, s.line) {
				done = append(slices.Clip(done), s.line)
			}
		default:
			next = reach(next, lines, state{s.line, s.part + 1})
			named = true
		}
	}
	// A line that took a folder needs no further looking at beneath it.
	next = slices.DeleteFunc(next, func(s state) bool { return slices.Contains(done, s.line) })
	slices.SortFunc(next, func(a, b state) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.part, b.part)) })
	return slices.Compact(next), done, named
}

// A Tally counts how often each line of a List applied. It is not safe for
// concurrent use.
type Tally struct {
	list             *List
	include, exclude []int64
}

// NewTally returns a Tally of l with nothing counted.
func (l *List) NewTally() *Tally {
	return &Tally{list: l, include: make([]int64, len(l.include)), exclude: make([]int64, len(l.exclude))}
}

// Count adds one entry with the given verdict to every line that included or
// excluded it. An excluded folder is one entry: nobody looks into it.
func (t *Tally) Count(v Verdict) {
	counts := t.include
	if v.Excluded {
		counts = t.exclude
	}
	for _, i := range v.lines {
		counts[i]++
	}
}

// Matches returns the counts, include lines first, in the order given to Compile.
func (t *Tally) Matches() []source.Match {
	var m []source.Match
	for i, l := range t.list.include {
		m = append(m, source.Match{Pattern: l.text, Entries: t.include[i]})
	}
	for i, l := range t.list.exclude {
		m = append(m, source.Match{Pattern: l.text, Exclude: true, Entries: t.exclude[i]})
	}
	return m
}
