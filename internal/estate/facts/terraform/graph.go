package terraform

import (
	"errors"
	"fmt"
	"strings"
)

// graph reads what terraform graph prints: nodes and arrows, a line each. What a
// resource is not, such as providers and variables, is left out; Terraform drew
// it together with resources before version 1.7.
func (r *reader) graph(text string) error {
	nodes, lines := 0, 0
	for line := range strings.Lines(text) {
		lines++
		at := fmt.Sprintf("line %d", lines)
		from, rest, ok := quoted(strings.TrimSpace(line))
		if !ok {
			continue
		}
		nodes++
		address, fromIs := resourceNode(from)
		if to, _, ok := quoted(strings.TrimSpace(strings.TrimPrefix(rest, "->"))); strings.HasPrefix(rest, "->") && ok {
			if other, is := resourceNode(to); fromIs && is {
				r.needs(address, other, at)
			}
		} else if fromIs {
			r.component(address, at)
		}
	}
	if nodes == 0 && !strings.Contains(text, "}") {
		return errors.New("this graph is cut off")
	}
	return nil
}

// quoted cuts a text in quotes from the beginning of a line.
func quoted(s string) (text, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				out.WriteByte(s[i])
			}
		case '"':
			return out.String(), strings.TrimSpace(s[i+1:]), true
		default:
			out.WriteByte(s[i])
		}
	}
	return "", "", false
}

// resourceNode returns the address of a node, if it is of a resource: older
// graphs have "[root] aws_instance.web (expand)" for it.
func resourceNode(node string) (string, bool) {
	node = strings.TrimPrefix(node, "[root] ")
	node, _, _ = strings.Cut(node, " (")
	node = withoutIndex(node)
	return node, isAddress(node)
}
