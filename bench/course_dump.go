package main

import (
	"bufio"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// dump is a database as text, and the next two nights of it.
func dump(short bool) course {
	data := dataset{name: "dump", what: "a dump of a table as SQL, 2 GB, and two later versions of it", versions: 3}
	size := int64(2e9)
	if short {
		data.name, data.what = "dump-short", "a dump of a table as SQL, 4 MB, and two later versions of it"
		size = 4e6
	}
	data.make = func(dir string, version int) error { return rows(dir, version, size) }
	return course{
		name: "dump", title: "A dump, as it changes",
		data: data, contenders: everyone(), runs: 5, media: bothMedia(short),
		steps: []step{
			{name: "first collection", do: collect},
			{name: "1 % changed in one stretch", do: collect, version: 1},
			{name: "1 % of rows changed, scattered", do: collect, version: 2},
		},
	}
}

// rowLength is about how long a row is; how many there are goes by it.
const rowLength = 132

// rows writes a dump of about that size. In version 1 one per cent of the rows
// are others, all in one stretch; in version 2 also one of each hundred.
func rows(dir string, version int, size int64) error {
	words := slices.Collect(strings.SplitSeq(vocabulary, " "))
	count := size / rowLength
	return write(filepath.Join(dir, "orders.sql"), func(w *bufio.Writer) error {
		var pcg rand.PCG
		r := rand.New(&pcg)
		var row []byte
		for i := range count {
			changed := uint64(0)
			if version >= 1 && i >= count*40/100 && i < count*41/100 {
				changed = 1
			}
			if version >= 2 && scattered(i) {
				changed = 2
			}
			pcg.Seed(uint64(i), changed)
			row = append(row[:0], "INSERT INTO orders VALUES ("...)
			row = strconv.AppendInt(row, i+1, 10)
			row = append(row, ",'2026-"...)
			row = append(row, two(1+r.IntN(12))...)
			row = append(row, '-')
			row = append(row, two(1+r.IntN(28))...)
			row = append(row, "','"...)
			for n := 3 + r.IntN(6); n > 0; n-- {
				row = append(append(row, words[r.IntN(len(words))]...), ' ')
			}
			row = append(row, "',"...)
			row = strconv.AppendInt(row, int64(r.IntN(1_000_000)), 10)
			row = append(row, ",'"...)
			row = strconv.AppendUint(row, r.Uint64(), 16)
			row = strconv.AppendUint(row, r.Uint64(), 16)
			row = append(row, "');\n"...)
			if _, err := w.Write(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// two writes a number with two digits.
func two(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// scattered says whether a row is one of about a hundred, of no pattern.
func scattered(row int64) bool {
	return uint64(row)*0x9e3779b97f4a7c15>>32%100 == 0
}
