package forest

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// MaxRows bounds a table.
const MaxRows = 10_000

// columns of a table, which may be in any order. The first line has those that
// have to be there.
var columns = []string{
	"dc", "os", "rodc", "backup",
	"fsmo", "gc", "dns", "server_core", "vm", "accessible", "network_unlock",
}

// required are the first of them.
const required = 4

// Read reads a table as CSV with a line of column names. Properties are "Yes",
// "No" or empty, which means that nobody knows.
func Read(b []byte) ([]Controller, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the names of the columns: %w", err)
	}
	place := make(map[string]int)
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(columns, name) {
			return nil, fmt.Errorf("there is no column %.40q; there are %s", name, strings.Join(columns, ", "))
		}
		if _, twice := place[name]; twice {
			return nil, fmt.Errorf("there are two columns %q", name)
		}
		place[name] = i
	}
	for _, name := range columns[:required] {
		if _, ok := place[name]; !ok {
			return nil, fmt.Errorf("the column %q is missing", name)
		}
	}
	var table []Controller
	seen := make(map[string]bool)
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return table, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the table: %w", err)
		}
		row := row{fields: fields, place: place}
		c := row.controller()
		line, _ := r.FieldPos(0)
		switch {
		case row.err != nil:
			return nil, fmt.Errorf("line %d: %w", line, row.err)
		case c.Name == "":
			return nil, fmt.Errorf("line %d: the domain controller has no name", line)
		case seen[c.Name]:
			return nil, fmt.Errorf("line %d: %.80q is there twice", line, c.Name)
		case len(table) == MaxRows:
			return nil, fmt.Errorf("more than %d domain controllers: this is not read", MaxRows)
		}
		seen[c.Name] = true
		table = append(table, c)
	}
}

// A row keeps its first error.
type row struct {
	fields []string
	place  map[string]int
	err    error
}

func (r *row) controller() Controller {
	c := Controller{
		Name: r.text("dc"), System: r.text("os"), Roles: r.text("fsmo"),
		Catalog: r.is("gc"), ReadOnly: r.is("rodc"), Backup: r.is("backup"), DNS: r.is("dns"),
		Core: r.is("server_core"), Virtual: r.is("vm"), Accessible: r.is("accessible"), NetworkUnlock: r.is("network_unlock"),
	}
	if strings.EqualFold(c.Roles, "none") {
		c.Roles = ""
	}
	return c
}

func (r *row) text(name string) string {
	i, ok := r.place[name]
	if !ok {
		return ""
	}
	return strings.TrimSpace(r.fields[i])
}

func (r *row) is(name string) Is {
	switch word := r.text(name); strings.ToLower(word) {
	case "":
		return Unknown
	case "no":
		return No
	case "yes":
		return Yes
	default:
		r.err = fmt.Errorf("%s is %.40q, and may be Yes, No or empty", name, word)
		return Unknown
	}
}
