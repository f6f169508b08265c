package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors are the mistakes of one file, ordered by line; never empty.
type Errors []*Error

// An Error is one mistake, and where it is.
type Error struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Problem string // what is wrong and what was expected; one line
	// Excerpt is the line of the file, shortened if it is long, without
	// control characters, and without values that may be secret.
	Excerpt string
	caret   int // where in Excerpt the mistake is, in characters from 0
}

// maxErrors bounds what is reported of a file: beyond that it is not a
// configuration with mistakes, but something else.
const maxErrors = 50

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s\n    %s\n    %s^", e.File, e.Line, e.Column, e.Problem, e.Excerpt, strings.Repeat(" ", e.caret))
}

func (e Errors) Error() string {
	all := make([]string, len(e))
	for i, one := range e {
		all[i] = one.Error()
	}
	return strings.Join(all, "\n")
}

// Unwrap lets errors.As find the first Error.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// excerptWidth is how much of a line is shown, in characters.
const excerptWidth = 100

// excerpt returns what is shown of a line and where in it the column (from 0)
// is. The line ends at hide (from 0) if that is not negative.
func excerpt(line string, column, hide int) (shown string, caret int) {
	runes := []rune(line)
	column = max(0, min(column, len(runes)))
	if hide >= 0 && hide < len(runes) {
		runes = append(runes[:hide:hide], '…')
		column = min(column, hide)
	}
	for i, r := range runes {
		switch {
		case r == '\t':
			runes[i] = ' '
		case !unicode.IsPrint(r):
			runes[i] = utf8.RuneError
		}
	}
	if len(runes) > excerptWidth {
		from := max(0, min(column-excerptWidth/2, len(runes)-excerptWidth))
		to := from + excerptWidth
		cut := slices.Clone(runes[from:to])
		if from > 0 {
			cut[0] = '…'
		}
		if to < len(runes) {
			cut[len(cut)-1] = '…'
		}
		runes, column = cut, column-from
	}
	return string(runes), column
}

// Nearest returns the candidate that a person most likely meant, if any is
// near enough.
func Nearest(word string, candidates []string) (string, bool) {
	best, at := "", len(word)/3+2 // more than this would be another word
	if len(word) > 40 {
		return "", false
	}
	for _, c := range candidates {
		if n := distance(word, c); n < at {
			best, at = c, n
		}
	}
	return best, best != ""
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// quote shows a word of the file as it stands there, unless it is hostile.
func quote(word string) string {
	if len(word) > 40 || !isPlain(word) || strings.Contains(word, "`") {
		return fmt.Sprintf("%.40q", word)
	}
	return "`" + word + "`"
}

// didYouMean completes a complaint about an unknown name.
func didYouMean(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return fmt.Sprintf(", did you mean `%s`?", near)
	}
	return "; known are " + strings.Join(known, ", ")
}
