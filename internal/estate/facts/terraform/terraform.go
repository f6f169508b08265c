// Package terraform reads what Terraform made, or is to make, and in which order
// it has to: states of version 4, what terraform show -json prints of a state or
// of a plan, and the graph of terraform graph.
//
// A state has the secrets of an estate in it. Of its attributes nothing is taken
// but the identities of security groups, to join their rules with the instances,
// and these are not in the facts: addresses of resources and arrows between them
// are all there is.
//
// It does not promise who calls whom: a rule that lets one instance in to another
// is the best that Terraform knows of it. A local value that refers to a
// resource, and a graph's arrows that follow from others, are not there.
package terraform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// ErrOld is the error for a state of Terraform before 0.12.
var ErrOld = errors.New("this state is of version 3 or before, of Terraform before 0.12, whose layout is another one: " +
	"terraform apply -refresh-only with a newer Terraform writes it anew as version 4")

// maxMarks bounds how many values a file can have, by what stands between them:
// three bytes of JSON can be a resource, which takes a hundred in memory.
const maxMarks = 3_000_000

// Read returns the facts of one file, whichever of the four it is. Addresses are
// known within the place's scope.
func Read(p facts.Place, b []byte) (estate.Facts, error) {
	if len(b) > facts.MaxBytes {
		return estate.Facts{}, facts.TooMuch("bytes", facts.MaxBytes)
	}
	r := reader{place: p}
	text := bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))
	if bytes.Count(b, []byte(","))+bytes.Count(b, []byte("{")) > maxMarks {
		return estate.Facts{}, facts.TooMuch("values", maxMarks)
	}
	var err error
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		err = r.json(text)
	case bytes.HasPrefix(text, []byte("digraph")):
		err = r.graph(string(text))
	default:
		err = errors.New("this is neither a state of Terraform, nor what terraform show -json or terraform graph prints")
	}
	if err != nil {
		return estate.Facts{}, err
	}
	return r.draft.Facts()
}

// A reader gathers the facts of one file.
type reader struct {
	place facts.Place
	draft facts.Draft
}

// json finds out what a file in JSON is.
func (r *reader) json(b []byte) error {
	var head struct {
		Version       int             `json:"version"`
		Modules       json.RawMessage `json:"modules"`
		FormatVersion string          `json:"format_version"`
		Values        *values         `json:"values"`
		Configuration *configuration  `json:"configuration"`
		Resources     []resource      `json:"resources"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		// The error of the decoder may quote the file.
		return errors.New("this is not valid JSON, or not laid out as Terraform's is")
	}
	switch {
	case head.FormatVersion != "" && head.Configuration != nil:
		return r.plan(head.Configuration)
	case head.FormatVersion != "":
		r.values(head.Values)
		return nil
	case head.Modules != nil, 0 < head.Version && head.Version < 4:
		return ErrOld
	case head.Version == 4:
		r.state(head.Resources)
		return nil
	case head.Version > 4:
		return fmt.Errorf("this state is of version %d, which is newer than what can be read: 4", head.Version)
	}
	return errors.New("this JSON is neither a state of Terraform nor what terraform show -json prints")
}

// kinds are what resources are, where that is more than a part of a platform.
var kinds = map[string]estate.Kind{
	"aws_instance":                    estate.Host,
	"google_compute_instance":         estate.Host,
	"azurerm_virtual_machine":         estate.Host,
	"azurerm_linux_virtual_machine":   estate.Host,
	"azurerm_windows_virtual_machine": estate.Host,
	"openstack_compute_instance_v2":   estate.Host,
	"vsphere_virtual_machine":         estate.Host,
	"libvirt_domain":                  estate.Host,
	"proxmox_vm_qemu":                 estate.Host,
	"hcloud_server":                   estate.Host,
	"digitalocean_droplet":            estate.Host,
	"aws_db_instance":                 estate.Database,
	"aws_rds_cluster":                 estate.Database,
	"google_sql_database_instance":    estate.Database,
	"azurerm_postgresql_server":       estate.Database,
	"azurerm_mssql_server":            estate.Database,
}

// id returns the ID of the resource at an address of the configuration.
func (r *reader) id(address string) estate.ID {
	kind, ok := kinds[typeOf(address)]
	if !ok {
		kind = estate.Resource
	}
	return r.place.ID(kind, address)
}

// typeOf returns the type in an address: the last word but one.
func typeOf(address string) string {
	words := strings.Split(address, ".")
	return words[max(len(words)-2, 0)]
}

func (r *reader) component(address, at string) {
	r.draft.Component(estate.Component{ID: r.id(address), Evidence: []estate.Evidence{r.place.Evidence(estate.Declared, at, address)}})
}

// needs adds that one resource is made after another.
func (r *reader) needs(from, to, at string) {
	r.draft.Link(estate.Link{From: estate.End{ID: r.id(from)}, To: estate.End{ID: r.id(to)}, Need: estate.Start,
		Evidence: []estate.Evidence{r.place.Evidence(estate.Declared, at, from+" -> "+to)}})
}

// withoutIndex takes [0] and ["key"] out of an address: a resource of which
// there are several is one, and its keys may be anything.
func withoutIndex(address string) string {
	var out strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++
		case depth > 0 && c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// isAddress reports whether a text is the address of a resource: modules, data
// or not, a type and a name.
func isAddress(s string) bool {
	words := strings.Split(s, ".")
	for len(words) >= 2 && words[0] == "module" {
		words = words[2:]
	}
	if len(words) > 0 && words[0] == "data" {
		words = words[1:]
	}
	return len(words) == 2 && isName(words[0]) && isName(words[1]) && !slices.Contains(notTypes, words[0])
}

// notTypes begin references that are to no resource.
var notTypes = []string{"var", "local", "path", "each", "count", "self", "terraform", "module", "output", "provider"}

func isName(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
