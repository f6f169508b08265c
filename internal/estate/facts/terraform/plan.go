package terraform

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"strongroom/internal/estate/facts"
)

// configuration is what a plan has of the files that it was made from.
type configuration struct {
	Root module `json:"root_module"`
}

// A module has resources, calls other modules, and gives them values. References
// within it are without its own address.
type module struct {
	Resources []struct {
		Address     string          `json:"address"`
		DependsOn   []string        `json:"depends_on"`
		Expressions json.RawMessage `json:"expressions"`
	} `json:"resources"`
	Calls   map[string]*call `json:"module_calls"`
	Outputs map[string]struct {
		Expression json.RawMessage `json:"expression"`
		DependsOn  []string        `json:"depends_on"`
	} `json:"outputs"`
}

type call struct {
	Expressions map[string]json.RawMessage `json:"expressions"`
	DependsOn   []string                   `json:"depends_on"`
	Module      module                     `json:"module"`
}

// A scope is a module where it is called.
type scope struct {
	module *module
	prefix string // of the addresses in it: "" or "module.a."
	outer  *scope
	call   *call // nil at the root
}

// Bounds of what is followed through modules, which may hand on each other's
// values: how far, and how often in all.
const (
	maxHops    = 20
	maxFollows = 200_000 // or 64 bytes each of expressions that are looked through
	maxBlocks  = 20      // within each other in an expression
)

// A planReader follows references.
type planReader struct {
	*reader
	follows int
}

func (r *reader) plan(c *configuration) error {
	p := planReader{reader: r}
	return p.module(scope{module: &c.Root}, "configuration.root_module", nil)
}

// module reads one module and those that it calls. All its resources wait for
// what its callers wait for, which is given.
func (p *planReader) module(s scope, at string, callers []string) error {
	for i, res := range s.module.Resources {
		address := s.prefix + withoutIndex(res.Address)
		if !isAddress(address) {
			continue
		}
		here := fmt.Sprintf("%s.resources[%d]", at, i)
		p.component(address, here)
		for _, to := range p.resolve(s, res.DependsOn, 0) {
			p.needs(address, to, here+".depends_on")
		}
		for _, to := range p.resolve(s, references(res.Expressions, 0), 0) {
			p.needs(address, to, here+".expressions")
		}
		for _, to := range callers {
			p.needs(address, to, at+", called after it")
		}
		if p.follows > maxFollows {
			return facts.TooMuch("references from module to module", maxFollows)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.module.Calls)) {
		c := s.module.Calls[name]
		if c == nil || !isName(name) {
			continue
		}
		inner := scope{module: &c.Module, prefix: s.prefix + "module." + name + ".", outer: &s, call: c}
		waits := slices.Concat(callers, p.resolve(s, c.DependsOn, 0))
		if p.follows += len(waits) * len(c.Module.Resources); p.follows > maxFollows {
			return facts.TooMuch("references from module to module", maxFollows)
		}
		if err := p.module(inner, at+".module_calls."+name, waits); err != nil {
			return err
		}
	}
	return nil
}

// resolve returns the addresses of the resources that references lead to: in
// this module, through what it was given, and through what others give back.
func (p *planReader) resolve(s scope, refs []string, hops int) []string {
	var found []string
	for _, ref := range refs {
		if p.follows++; p.follows > maxFollows || hops > maxHops {
			return found
		}
		words := strings.Split(withoutIndex(ref), ".")
		switch {
		case len(words) < 2:
		case words[0] == "var":
			if s.call != nil {
				given := s.call.Expressions[words[1]]
				p.follows += len(given) / 64
				found = append(found, p.resolve(*s.outer, references(given, 0), hops+1)...)
			}
		case words[0] == "module":
			if c := s.module.Calls[words[1]]; c != nil {
				found = append(found, p.through(s, words[1], c, words[2:], hops)...)
			}
		default:
			n := 2
			if words[0] == "data" {
				n = 3
			}
			// x.y.attribute and x.y are both there; they are the same resource.
			if address := strings.Join(words[:min(n, len(words))], "."); isAddress(address) {
				found = append(found, s.prefix+address)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// through returns what one output of a module leads to, or all its resources if
// the module as a whole is named.
func (p *planReader) through(s scope, name string, c *call, rest []string, hops int) []string {
	inner := scope{module: &c.Module, prefix: s.prefix + "module." + name + ".", outer: &s, call: c}
	if len(rest) > 0 {
		out, ok := c.Module.Outputs[rest[0]]
		if !ok {
			return nil
		}
		p.follows += len(out.Expression) / 64
		return p.resolve(inner, slices.Concat(references(out.Expression, 0), out.DependsOn), hops+1)
	}
	var all []string
	for _, res := range c.Module.Resources {
		p.follows++
		if address := inner.prefix + withoutIndex(res.Address); isAddress(address) {
			all = append(all, address)
		}
	}
	return all
}

// references returns what an expression refers to, however deep its blocks are.
// Constant values, which may be secrets, are stepped over.
func references(raw json.RawMessage, depth int) []string {
	if depth > maxBlocks || len(raw) == 0 {
		return nil
	}
	var found []string
	switch raw[0] {
	case '{':
		var block map[string]json.RawMessage
		if json.Unmarshal(raw, &block) != nil {
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(block)) {
			switch name {
			case "constant_value":
			case "references":
				var refs []string
				if json.Unmarshal(block[name], &refs) == nil {
					found = append(found, refs...)
				}
			default:
				found = append(found, references(block[name], depth+1)...)
			}
		}
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return nil
		}
		for _, item := range list {
			found = append(found, references(item, depth+1)...)
		}
	}
	return found
}
