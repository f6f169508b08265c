package terraform

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// A resource is one of a state of version 4.
type resource struct {
	Module    string `json:"module"`
	Mode      string `json:"mode"`
	Type      string `json:"type"`
	Name      string `json:"name"`
	Instances []struct {
		Attributes   json.RawMessage `json:"attributes"`
		Dependencies []string        `json:"dependencies"`
	} `json:"instances"`
}

func (s resource) address() string {
	words := []string{withoutIndex(s.Module), s.Type, s.Name}
	if s.Mode == "data" {
		words = []string{withoutIndex(s.Module), "data", s.Type, s.Name}
	}
	return strings.TrimPrefix(strings.Join(words, "."), ".")
}

// state reads the resources of a state, whose dependencies are addresses
// without an index.
func (r *reader) state(all []resource) {
	groups := security{members: make(map[string][]string), address: make(map[string]string)}
	for i, s := range all {
		address := s.address()
		if !isAddress(address) {
			r.draft.Doubt("resources[%d] has no address", i)
			continue
		}
		at := fmt.Sprintf("resources[%d]", i)
		r.component(address, at)
		for j, instance := range s.Instances {
			for _, to := range instance.Dependencies {
				if to = withoutIndex(to); isAddress(to) {
					r.needs(address, to, fmt.Sprintf("%s.instances[%d].dependencies", at, j))
				}
			}
			groups.add(s, address, fmt.Sprintf("%s.instances[%d]", at, j), instance.Attributes, instance.Dependencies)
		}
	}
	r.permissions(&groups)
}

// security is what a state says of security groups: who is in one, and from
// which ones others let in.
type security struct {
	address map[string]string   // of a group, by its identity
	members map[string][]string // instances, by the address of the group
	rules   []rule
}

// A rule lets the members of one group in to those of another; both are
// identities.
type rule struct {
	from, to string
	port     estate.Port
	at       string
}

// A securityRule is what is taken from a rule, be it within its group or a
// resource of its own. All of it may be missing or of another type.
type securityRule struct {
	Type           any   `json:"type"`
	Protocol       any   `json:"protocol"`
	FromPort       any   `json:"from_port"`
	ToPort         any   `json:"to_port"`
	SecurityGroups []any `json:"security_groups"`
	Group          any   `json:"security_group_id"`
	Source         any   `json:"source_security_group_id"`
}

// port returns the one port that a rule is for.
func (s securityRule) port() estate.Port {
	from, ok := s.FromPort.(float64)
	protocol, _ := s.Protocol.(string)
	if !ok || s.ToPort != s.FromPort || from < 1 || from > 65535 || protocol != "tcp" && protocol != "udp" {
		return estate.Port{}
	}
	return estate.Port{Number: uint16(from), Protocol: protocol}
}

// add takes what matters of one instance of a resource.
func (g *security) add(s resource, address, at string, attributes json.RawMessage, dependencies []string) {
	switch s.Type {
	case "aws_instance":
		for _, to := range dependencies {
			if to = withoutIndex(to); typeOf(to) == "aws_security_group" && !slices.Contains(g.members[to], address) {
				g.members[to] = append(g.members[to], address)
			}
		}
	case "aws_security_group":
		var group struct {
			ID      any            `json:"id"`
			Ingress []securityRule `json:"ingress"`
			Egress  []securityRule `json:"egress"`
		}
		if json.Unmarshal(attributes, &group) != nil {
			return // of another provider's making
		}
		id, _ := group.ID.(string)
		if id == "" {
			return
		}
		g.address[id] = address
		for _, in := range group.Ingress {
			for _, other := range in.SecurityGroups {
				from, _ := other.(string)
				g.rules = append(g.rules, rule{from, id, in.port(), at + ".attributes.ingress"})
			}
		}
		for _, out := range group.Egress {
			for _, other := range out.SecurityGroups {
				to, _ := other.(string)
				g.rules = append(g.rules, rule{id, to, out.port(), at + ".attributes.egress"})
			}
		}
	case "aws_security_group_rule":
		var s securityRule
		if json.Unmarshal(attributes, &s) != nil {
			return
		}
		to, _ := s.Group.(string)
		from, _ := s.Source.(string)
		if s.Type == "egress" {
			from, to = to, from
		}
		g.rules = append(g.rules, rule{from, to, s.port(), at})
	}
}

// maxPairs bounds how many pairs of instances rules are followed to: beyond
// that, everybody may call everybody, which says nothing.
const maxPairs = 50_000

// permissions joins the rules with the instances: who is let in to another one
// calls it, as far as Terraform can know. A group that lets itself in says
// nothing of who calls whom.
func (r *reader) permissions(g *security) {
	// A rule that is a resource of its own is in the group's attributes too, and
	// may have its port only there.
	type pair struct{ from, to string }
	named := make(map[pair]bool)
	for _, rule := range g.rules {
		if rule.port != (estate.Port{}) {
			named[pair{rule.from, rule.to}] = true
		}
	}
	pairs := 0
	for _, rule := range g.rules {
		from, to := g.address[rule.from], g.address[rule.to]
		if from == "" || to == "" || from == to || rule.port == (estate.Port{}) && named[pair{rule.from, rule.to}] {
			continue
		}
		for _, caller := range g.members[from] {
			for _, called := range g.members[to] {
				if pairs++; pairs > maxPairs {
					r.draft.Doubt("security groups let in more than %d pairs of instances to each other: those after them were left out", maxPairs)
					return
				}
				need := estate.Run
				if facts.TelemetryPort(rule.port) != "" {
					need = estate.Telemetry
				}
				r.draft.Link(estate.Link{From: estate.End{ID: r.id(caller)}, To: estate.End{ID: r.id(called)}, Need: need, Port: rule.port,
					Evidence: []estate.Evidence{r.place.Evidence(estate.Derived, rule.at, from+" is let in to "+to)}})
			}
		}
	}
}

// values are the state that terraform show -json prints.
type values struct {
	Root valuesModule `json:"root_module"`
}

type valuesModule struct {
	Resources []struct {
		Address   string   `json:"address"`
		DependsOn []string `json:"depends_on"`
	} `json:"resources"`
	Children []valuesModule `json:"child_modules"`
}

func (r *reader) values(v *values) {
	if v != nil {
		r.valuesModule(&v.Root, "values.root_module")
	}
}

func (r *reader) valuesModule(m *valuesModule, at string) {
	for i, s := range m.Resources {
		address := withoutIndex(s.Address)
		if !isAddress(address) {
			continue
		}
		here := fmt.Sprintf("%s.resources[%d]", at, i)
		r.component(address, here)
		for _, to := range s.DependsOn {
			if to = withoutIndex(to); isAddress(to) {
				r.needs(address, to, here+".depends_on")
			}
		}
	}
	for i := range m.Children {
		r.valuesModule(&m.Children[i], fmt.Sprintf("%s.child_modules[%d]", at, i))
	}
}
