package ui

import (
	"fmt"
	"strings"
)

// A Column of a table.
type Column struct {
	Title string
	Right bool // for numbers
	Cut   bool // may be shortened if the terminal is too narrow
}

// A Table is aligned by spaces alone. It is made row by row and then shown by
// Terminal.Table.
type Table struct {
	columns []Column
	rows    [][]Styled
}

// NewTable makes a table without rows.
func NewTable(columns ...Column) *Table { return &Table{columns: columns} }

// Styled is a text that stands out where the terminal can show it.
type Styled struct {
	text string
	as   style
}

// Strong makes a text stand out.
func Strong(text string) Styled { return Styled{text, bold} }

// Bad is for what a person must look at. The text must say so without colour,
// too.
func Bad(text string) Styled { return Styled{text, red} }

// Row adds a row with one cell for each column: a Styled, or anything that
// fmt.Sprint shows.
func (t *Table) Row(cells ...any) {
	if len(cells) != len(t.columns) {
		panic(fmt.Sprintf("ui: a row of %d cells in a table of %d columns", len(cells), len(t.columns)))
	}
	row := make([]Styled, len(cells))
	for i, c := range cells {
		s, ok := c.(Styled)
		if !ok {
			s.text = fmt.Sprint(c)
		}
		s.text = Clean(s.text)
		row[i] = s
	}
	t.rows = append(t.rows, row)
}

// minColumn is how far a column is shortened at most.
const minColumn = 8

// gap is between two columns.
const gap = "  "

// widths returns the widths of the columns for a terminal of so many columns;
// 0 means that there is room for all.
func (t *Table) widths(available int) []int {
	widths := make([]int, len(t.columns))
	total := len(gap) * (len(t.columns) - 1)
	for i, c := range t.columns {
		widths[i] = width(c.Title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], width(row[i].text))
		}
		total += widths[i]
	}
	if available == 0 {
		return widths
	}
	// One column's width at a time is taken from the widest that may be cut,
	// so that a narrow one stays whole beside a wide one.
	for ; total > available; total-- {
		widest := -1
		for i, c := range t.columns {
			if c.Cut && widths[i] > minColumn && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// Table shows a table as a result. On a terminal, columns are cut to its
// width; where the output goes elsewhere, all is whole.
func (t *Terminal) Table(table *Table) {
	if t.opts.JSON {
		return
	}
	available := 0
	if t.out.columns != nil {
		available = t.out.columns()
	}
	widths := table.widths(available)
	var b strings.Builder
	title := make([]Styled, len(table.columns))
	for i, c := range table.columns {
		title[i] = Strong(c.Title)
	}
	for _, row := range append([][]Styled{title}, table.rows...) {
		var line strings.Builder
		pending := 0 // spaces, which are not written at the end of a line
		for i, cell := range row {
			s := cut(cell.text, widths[i])
			pad := widths[i] - width(s)
			if i > 0 {
				pending += len(gap)
			}
			if table.columns[i].Right {
				pending, pad = pending+pad, 0
			}
			if s != "" {
				line.WriteString(strings.Repeat(" ", pending))
				line.WriteString(t.out.style(cell.as, s, t.opts))
				pending = 0
			}
			pending += pad
		}
		b.WriteString(line.String() + "\n")
	}
	t.result(b.String())
}
