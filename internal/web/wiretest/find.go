package wiretest

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Find returns in which forms a secret occurs in what was sent: as it is, or as
// a script would write it, also within something that was encoded as a whole,
// several times over. It sees neither what was compressed nor what was
// encrypted.
func Find(sent, secret []byte) (forms []string) {
	if len(secret) < 16 {
		panic("a secret so short occurs by chance")
	}
	all := spellings(secret)
	search(sent, deepest, func(layer []byte) {
		for form, texts := range all {
			if !slices.Contains(forms, form) && slices.ContainsFunc(texts, func(text string) bool { return bytes.Contains(layer, []byte(text)) }) {
				forms = append(forms, form)
			}
		}
	})
	slices.Sort(forms)
	return forms
}

// deepest is how many encodings are taken off. A keyring, which is base64 in
// JSON that is base64 in JSON, needs two.
const deepest = 4

var bech32 = base32.NewEncoding("qpzry9x8gf2tvdw0s3jn54khce6mua7l").WithPadding(base32.NoPadding)

// spellings are the texts that a secret has by form. Their ends are cut where
// they depend on what stands beside the secret.
func spellings(secret []byte) map[string][]string {
	key := bech32.EncodeToString(secret)
	key = key[:len(key)-1]
	all := map[string][]string{
		"as it is":    {string(secret)},
		"hexadecimal": {hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret))},
		"bech32":      {key, strings.ToUpper(key)},
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 { // bytes, which the first letters depend on
			text := encoding.EncodeToString(append(make([]byte, before), secret...))
			text = text[(before*8+5)/6:]
			all["base64"] = append(all["base64"], text[:len(text)-1])
		}
	}
	var list, object []string
	for i, b := range secret {
		list = append(list, fmt.Sprint(b))
		object = append(object, fmt.Sprintf("%q:%d", fmt.Sprint(i), b))
	}
	all["numbers"] = []string{strings.Join(list, ","), strings.Join(object, ",")}
	return all
}

// encoded is what could be base64, in either alphabet.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{22,}`)

// escaped is a byte of an address.
var escaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// search looks at what was sent, and at what is encoded in it.
func search(sent []byte, depth int, look func([]byte)) {
	look(sent)
	if depth == 0 {
		return
	}
	if escaped.Match(sent) {
		search(escaped.ReplaceAllFunc(sent, func(e []byte) []byte {
			b, err := hex.DecodeString(string(e[1:]))
			if err != nil {
				panic(err) // the pattern has two digits
			}
			return b
		}), depth-1, look)
	}
	for _, text := range encoded.FindAll(sent, -1) {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if plain, err := encoding.DecodeString(string(text)); err == nil {
				search(plain, depth-1, look)
			}
		}
	}
}

// KeyOf returns the bytes of a private key that stands in a line of text, as age
// writes one: Find then finds the line, too.
func KeyOf(line string) ([]byte, error) {
	at := strings.LastIndexByte(line, '1')
	const checksum = 6 // letters
	if at < 0 || len(line)-at-1 < checksum {
		return nil, fmt.Errorf("%.20q... is no private key", line)
	}
	key, err := bech32.DecodeString(strings.ToLower(line[at+1 : len(line)-checksum]))
	if err != nil {
		return nil, fmt.Errorf("reading the private key: %w", err)
	}
	return key, nil
}
