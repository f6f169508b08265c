package promise

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite"
)

// A thief has files and every key that stands in any of them. Each key is
// tried on each age file, whatever opens is searched again, and so on until
// nothing more opens.
type thief struct {
	t       *testing.T
	needles map[string][][]byte        // by the name of what is searched for
	keys    map[string]age.Identity    // by their text
	found   map[string]map[string]bool // where, by the name of what was found
	opened  map[string]bool            // what opened, by its place
}

func newThief(t *testing.T, wanted map[string]string) *thief {
	h := &thief{t: t, needles: map[string][][]byte{}, keys: map[string]age.Identity{}, found: map[string]map[string]bool{}, opened: map[string]bool{}}
	for name, what := range wanted {
		h.needles[name] = spellings([]byte(what))
	}
	return h
}

// rob goes through the files, each under the name that the map gives it.
func (h *thief) rob(files map[string]string) {
	h.t.Helper()
	for known := -1; known < len(h.keys); {
		known = len(h.keys)
		for _, place := range slices.Sorted(maps.Keys(files)) {
			content, err := os.ReadFile(files[place])
			if err != nil {
				h.t.Fatal(err)
			}
			h.look(place, content, 0)
			if bytes.HasPrefix(content, []byte("SQLite format 3\x00")) {
				h.dump(place, files[place])
			}
		}
	}
}

const (
	maxDepth = 8
	maxPlain = 64 << 20
)

var (
	privateKey = regexp.MustCompile(`(?i)AGE-SECRET-KEY-(PQ-)?1[A-Z0-9]+`)
	inBase64   = regexp.MustCompile(`[A-Za-z0-9+/_-]{100,}={0,2}`)
	ageMark    = []byte("age-encryption.org/v1\n")
	zstdMark   = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// look searches content, and what can be made of it.
func (h *thief) look(place string, content []byte, depth int) {
	if depth > maxDepth {
		h.t.Errorf("%s is nested too deeply to be searched", place)
		return
	}
	h.search(place, content)
	for i := bytes.Index(content, ageMark); i >= 0; i = next(content, ageMark, i) {
		h.unseal(fmt.Sprintf("%s, opened", place), content[i:], depth)
	}
	for i := bytes.Index(content, zstdMark); i >= 0; i = next(content, zstdMark, i) {
		if whole := h.inflate(fmt.Sprintf("%s, decompressed", place), content[i:], depth); whole {
			break
		}
	}
	if !utf8.Valid(content) {
		return
	}
	for _, text := range inBase64.FindAll(content, -1) {
		text = bytes.TrimRight(text, "=")
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if plain, err := encoding.DecodeString(string(text)); err == nil {
				h.look(place+", from base64", plain, depth+1)
				break
			}
		}
	}
}

func next(content, mark []byte, i int) int {
	j := bytes.Index(content[i+1:], mark)
	if j < 0 {
		return -1
	}
	return i + 1 + j
}

func (h *thief) search(place string, content []byte) {
	for name, needles := range h.needles {
		for _, needle := range needles {
			if bytes.Contains(content, needle) {
				if h.found[name] == nil {
					h.found[name] = map[string]bool{}
				}
				h.found[name][place] = true
				break
			}
		}
	}
	if !bytes.Contains(content, []byte("AGE-SECRET-KEY-")) && !bytes.Contains(content, []byte("age-secret-key-")) {
		return
	}
	for _, text := range privateKey.FindAllString(string(content), -1) {
		text = strings.ToUpper(text)
		if h.keys[text] != nil {
			continue
		}
		if identities, err := age.ParseIdentities(strings.NewReader(text)); err == nil {
			h.keys[text] = identities[0]
		}
	}
}

func (h *thief) unseal(place string, sealed []byte, depth int) {
	for _, key := range h.keys {
		r, err := age.Decrypt(bytes.NewReader(sealed), key)
		if err != nil {
			continue
		}
		plain, _ := io.ReadAll(io.LimitReader(r, maxPlain)) // what comes before an error is loot too
		h.opened[place] = true
		h.look(place, plain, depth+1)
	}
}

// inflate reports whether all that follows was compressed.
func (h *thief) inflate(place string, compressed []byte, depth int) (whole bool) {
	r, err := zstd.NewReader(bytes.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPlain))
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	plain, err := io.ReadAll(io.LimitReader(r, maxPlain)) // what comes before an error is loot too
	if len(plain) > 0 {
		h.look(place, plain, depth+1)
	}
	return err == nil
}

// dump searches every value of a database, since on its pages a value may be
// in pieces. The journal beside it is taken along.
func (h *thief) dump(place, file string) {
	h.t.Helper()
	folder := h.t.TempDir()
	for _, end := range []string{"", "-wal"} {
		content, err := os.ReadFile(file + end)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "db"+end), content, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			h.t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(folder, "db"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	for _, table := range column(h.t, db, "SELECT name FROM sqlite_schema WHERE type = 'table'") {
		for _, name := range column(h.t, db, fmt.Sprintf("SELECT name FROM pragma_table_info('%s')", table)) {
			for _, value := range column(h.t, db, fmt.Sprintf("SELECT CAST(%q AS BLOB) FROM %q", name, table)) {
				h.look(fmt.Sprintf("%s, %s.%s", place, table, name), []byte(value), 1)
			}
		}
	}
}

func column(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value []byte
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		values = append(values, string(value))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// spellings returns ways in which something may stand in a file.
func spellings(what []byte) [][]byte {
	all := [][]byte{what, []byte(hex.EncodeToString(what)), []byte(strings.ToUpper(hex.EncodeToString(what)))}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			// Of the first and last group, some bits belong to what is beside.
			text := encoding.EncodeToString(append(make([]byte, shift), what...))
			all = append(all, []byte(text[4:len(text)-4]))
		}
	}
	units := utf16.Encode([]rune(string(what)))
	var little, big []byte
	for _, unit := range units {
		little, big = binary.LittleEndian.AppendUint16(little, unit), binary.BigEndian.AppendUint16(big, unit)
	}
	all = append(all, little, big)
	for i, spelling := range all {
		// Go is quicker to find what is shorter.
		all[i] = spelling[:min(len(spelling), 60)]
	}
	return all
}
