package pattern

import "errors"

// A token is what one byte of a name has to match, or a star.
type token struct {
	kind    kind
	char    byte   // of a literal
	set     string // between the brackets of a class, without the "!"
	negated bool   // of a class
}

type kind uint8

const (
	literal kind = iota
	star
	single
	class
)

// nextToken reads the first token of a glob that is not empty, and its length.
func nextToken(glob string) (token, int, error) {
	switch glob[0] {
	case '*':
		return token{kind: star}, 1, nil
	case '?':
		return token{kind: single}, 1, nil
	case '\\':
		if len(glob) < 2 {
			return token{}, 0, errors.New("ends a component with a backslash, which must be followed by the byte it protects")
		}
		return token{kind: literal, char: glob[1]}, 2, nil
	case '[':
		return nextClass(glob)
	}
	return token{kind: literal, char: glob[0]}, 1, nil
}

// nextClass reads "[a-z_]" or "[!a-z_]". A "]" right after the opening, and a
// "-" at either end, stand for themselves.
func nextClass(glob string) (token, int, error) {
	t := token{kind: class}
	i := 1
	if i < len(glob) && (glob[i] == '!' || glob[i] == '^') {
		t.negated = true
		i++
	}
	begin := i
	for i < len(glob) && (glob[i] != ']' || i == begin) {
		i++
	}
	if i >= len(glob) {
		return token{}, 0, errors.New(`has "[" without "]"; write "\[" for the byte itself`)
	}
	t.set = glob[begin:i]
	for j := 0; j+2 < len(t.set); j++ {
		if t.set[j+1] == '-' {
			if t.set[j] > t.set[j+2] {
				return token{}, 0, errors.New("has a range in brackets that runs backwards")
			}
			j += 2
		}
	}
	return t, i + 1, nil
}

func (t token) matches(c byte) bool {
	switch t.kind {
	case literal:
		return t.char == c
	case single:
		return true
	}
	for i := 0; i < len(t.set); i++ {
		if i+2 < len(t.set) && t.set[i+1] == '-' {
			if t.set[i] <= c && c <= t.set[i+2] {
				return !t.negated
			}
			i += 2
		} else if t.set[i] == c {
			return !t.negated
		}
	}
	return t.negated
}

// matchGlob reports whether the whole of name matches glob, which parsePart
// has found to be well formed. On a mismatch only the last star is tried
// again, one byte longer: an earlier star can never do better. So the time is
// at most len(glob) * len(name).
func matchGlob(glob, name string) bool {
	g, n := 0, 0
	afterStar, starName := -1, 0 // where to go on when the last star takes one byte more
	for {
		if g < len(glob) {
			t, size, _ := nextToken(glob[g:]) // cannot fail: the glob was parsed before
			switch {
			case t.kind == star:
				g += size
				afterStar, starName = g, n
				continue
			case n < len(name) && t.matches(name[n]):
				g += size
				n++
				continue
			}
		} else if n == len(name) {
			return true
		}
		if afterStar < 0 || starName >= len(name) {
			return false
		}
		starName++
		g, n = afterStar, starName
	}
}
