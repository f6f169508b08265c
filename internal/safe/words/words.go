// Package words writes a digest as eight words that two people can compare
// over a telephone, or that one reads from paper and types.
//
// The words are the first 88 bits of the digest, eleven to a word. Eight is a
// balance. Who wants to pass off something else under the words of a given
// thing has to try some 2^88 things. Fifty of today's graphics cards try about
// 2^40 a second and would need nine million years; with seven words it would be
// four thousand, which somebody with a thousand times as many could wait for,
// and a ninth would be one more to read for nothing. (The machines that compute
// SHA-256 faster, by far, are built into Bitcoin's blocks and compute nothing
// else.)
//
// That holds for a given thing. Who makes both things himself, the one that is
// read aloud and the one that is passed off later, needs 2^44 attempts, some
// minutes on one card. So the words are a check between honest people against
// somebody in between, or against a change made later. What must bind its own
// author is signed, over the whole digest.
package words

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"strongroom/internal/safe"
)

// text is the standard's list: the English words of BIP-39, byte for byte as
// published there (bip-0039/english.txt), one to a line, sorted. No two begin
// with the same four letters.
//
//go:embed words.txt
var text string

var list = strings.Fields(text)

const (
	count    = 8  // words for a digest
	wordBits = 11 // bits of a word: there are 2,048
	cut      = 4  // letters that tell a word
)

// Of returns the words of d, in lower case, with one blank between two.
func Of(d safe.Digest) string {
	words := of(d)
	return strings.Join(words[:], " ")
}

func of(d safe.Digest) [count]string {
	var words [count]string
	for i := range words {
		bit := i * wordBits
		at := d[bit/8:]
		three := uint(at[0])<<16 | uint(at[1])<<8 | uint(at[2]) // a word lies within three bytes
		words[i] = list[three>>(24-wordBits-bit%8)%(1<<wordBits)]
	}
	return words
}

// Match reports whether typed are the words of d. Case does not matter, nor
// how many blanks, line breaks or hyphens are between, and of a word its first
// four letters will do.
func Match(typed string, d safe.Digest) bool { return Check(typed, d) == nil }

// Check is Match with an error for people that says which words are wrong. It
// does not say what they should be, so that nobody corrects them from the
// error instead of asking again.
func Check(typed string, d safe.Digest) error {
	fields := strings.FieldsFunc(strings.ToLower(typed), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Hyphen, r)
	})
	for i, field := range fields {
		if !slices.ContainsFunc(list, func(word string) bool { return isFor(field, word) }) {
			return fmt.Errorf("word %d, %.20q, is not a word that is used for this: was it heard or typed wrong?", i+1, field)
		}
	}
	if len(fields) == 0 {
		return fmt.Errorf("there are no words, want %d", count)
	}
	if len(fields) != count {
		return fmt.Errorf("the number of words is %d, want %d", len(fields), count)
	}
	var wrong []string
	for i, word := range of(d) {
		if !isFor(fields[i], word) {
			wrong = append(wrong, fmt.Sprint(i+1))
		}
	}
	switch len(wrong) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("word %s is another one", wrong[0])
	case count:
		return errors.New("all words are others: they belong to something else")
	}
	return fmt.Errorf("words %s are others", strings.Join(wrong, ", "))
}

// isFor reports whether typed stands for word: it is the word, or its
// beginning of at least four letters.
func isFor(typed, word string) bool {
	return typed == word || len(typed) >= cut && strings.HasPrefix(word, typed)
}
