// Package csv reads dependencies as a table, which any other tool can write: a
// first line "from,to,port,kind", and below it one dependency a line.
//
//	from,to,port,kind
//	host/erp-app,10.0.0.5,5432,run
//	web1.example.com,host/erp-app,8080/tcp,start
//
// From needs to. Both are a component, such as host/erp-app, or what anybody may
// know it by: an address or a name with a dot. The port may be left empty, and is
// of TCP unless it says otherwise. The kind is a need: start, run, hosting, soft,
// telemetry or admin. Nothing is guessed: one line that is wrong refuses the
// table.
package csv

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

var header = []string{"from", "to", "port", "kind"}

// Read returns the dependencies of the table.
func Read(p facts.Place, b []byte) (estate.Facts, error) {
	if len(b) > facts.MaxBytes {
		return estate.Facts{}, facts.TooMuch("bytes", facts.MaxBytes)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // as spreadsheets begin a file
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord = -1 // counted below, in our words
	r.TrimLeadingSpace = true
	first, err := r.Read()
	if err != nil || !slices.Equal(first, header) {
		return estate.Facts{}, errors.New(`line 1: a table of dependencies begins with "from,to,port,kind"`)
	}
	var d facts.Draft
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return d.Facts()
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			return estate.Facts{}, fmt.Errorf("line %d: %w", wrong.Line, wrong.Err)
		} else if err != nil {
			return estate.Facts{}, err
		}
		line, _ := r.FieldPos(0)
		link, err := parse(fields)
		if err != nil {
			return estate.Facts{}, fmt.Errorf("line %d: %w", line, err)
		}
		link.Evidence = []estate.Evidence{p.Evidence(estate.Declared, fmt.Sprintf("line %d", line), strings.Join(fields, ","))}
		d.Link(link)
	}
}

func parse(fields []string) (l estate.Link, err error) {
	if len(fields) != len(header) {
		return l, fmt.Errorf("there are %d columns, and not the four from, to, port and kind", len(fields))
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	if l.From, err = end(fields[0]); err != nil {
		return l, fmt.Errorf("from: %w", err)
	}
	if l.To, err = end(fields[1]); err != nil {
		return l, fmt.Errorf("to: %w", err)
	}
	if l.From == l.To {
		return l, fmt.Errorf("%s needs itself", fields[0])
	}
	if l.Port, err = port(fields[2]); err != nil {
		return l, err
	}
	if l.Need = estate.Need(fields[3]); !l.Need.Valid() {
		return l, fmt.Errorf("kind: %.40q is none of start, run, hosting, soft, telemetry and admin", fields[3])
	}
	return l, nil
}

// end reads a component or an alias.
func end(s string) (estate.End, error) {
	if strings.Contains(s, "/") {
		id, err := estate.ParseID(s)
		return estate.End{ID: id}, err
	}
	alias, err := estate.ParseAlias(s)
	if err != nil {
		return estate.End{}, fmt.Errorf("%w, nor a component, such as host/db1", err)
	}
	return estate.End{Alias: alias}, nil
}

// port reads 5432, 53/udp, or nothing.
func port(s string) (estate.Port, error) {
	if s == "" {
		return estate.Port{}, nil
	}
	number, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "tcp"
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || protocol != "tcp" && protocol != "udp" {
		return estate.Port{}, fmt.Errorf("port: %.40q is no port, such as 5432 or 53/udp", s)
	}
	return estate.Port{Number: uint16(n), Protocol: protocol}, nil
}
