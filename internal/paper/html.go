package paper

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"rsc.io/qr"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page.html").Parse(pageText))

// A view is a page as its template wants it.
type view struct {
	Page
	Made   string
	Key    string
	Rows   []row
	Typing []string
	Side   int    // of the QR code with its border, in modules
	Path   string // the QR code's black modules, as SVG writes a path
}

// HTML writes the page as one HTML file, which loads nothing and runs nothing.
// It is well-formed XML too.
func (p Page) HTML(w io.Writer) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("printing the page %q: %w", p.Title, err)
	}
	v := view{Page: p, Made: p.made()}
	if p.hasSecret() {
		code, err := p.Secret.Key.code()
		if err != nil {
			return fmt.Errorf("printing the page %q: making the QR code of the key: %w", p.Title, err)
		}
		v.Key, v.Rows, v.Typing = string(p.Secret.Key), p.Secret.Key.rows(), typing
		v.Side, v.Path = code.Size+2*quiet, path(code)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return fmt.Errorf("printing the page %q: %w", p.Title, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// path draws the code's black modules, a bar for each run of them in a row.
func path(code *qr.Code) string {
	var d strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&d, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return d.String()
}
