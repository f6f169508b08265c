// Package export writes a map in the forms that other programs read: DOT for
// Graphviz, CycloneDX for inventories, CSV for spreadsheets and for the reader
// of facts that takes it back.
//
// Each form has the components and dependencies; what else the map knows, such
// as evidence, is in the map's own JSON. The same map gives the same bytes.
package export

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
)

// A Format is a form of a map.
type Format string

const (
	JSON      Format = "json"
	DOT       Format = "dot"
	CycloneDX Format = "cyclonedx"
	CSV       Format = "csv"
)

// Formats are all of them.
var Formats = []Format{JSON, DOT, CycloneDX, CSV}

// Write writes the map.
func Write(w io.Writer, m *estate.Map, f Format) error {
	switch f {
	case JSON:
		b, err := m.Encode()
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	case DOT:
		return writeDOT(w, m)
	case CycloneDX:
		return writeCycloneDX(w, m)
	case CSV:
		return writeCSV(w, m)
	}
	return fmt.Errorf("%.40q is no form of a map", f)
}

// shapes tell kinds apart in a drawing, and styles needs.
var (
	shapes = map[estate.Kind]string{estate.Application: "doubleoctagon", estate.Database: "cylinder", estate.Host: "box3d", estate.External: "cds", estate.Person: "egg"}
	styles = map[estate.Need]string{
		estate.Start: `[label="start" style=bold]`, estate.Run: `[label="run"]`, estate.Hosting: `[label="hosting" arrowhead=odiamond]`,
		estate.Soft: `[label="soft" style=dashed]`, estate.Telemetry: `[label="telemetry" style=dotted]`, estate.Admin: `[label="admin" style=dotted]`,
	}
)

// writeDOT writes arrows from what needs to what is needed.
func writeDOT(w io.Writer, m *estate.Map) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "digraph estate {\n  rankdir=LR;\n  node [shape=box];\n")
	for _, c := range m.Components {
		fmt.Fprintf(out, "  %s", quoted(string(c.ID)))
		if shape, ok := shapes[c.ID.Kind()]; ok {
			fmt.Fprintf(out, " [shape=%s]", shape)
		}
		fmt.Fprint(out, ";\n")
	}
	for _, d := range m.Dependencies {
		fmt.Fprintf(out, "  %s -> %s %s;\n", quoted(string(d.From)), quoted(string(d.To)), styles[d.Need])
	}
	fmt.Fprint(out, "}\n")
	return out.Flush()
}

// quoted returns a string of DOT, in which a backslash before anything but a
// quotation mark stands for itself; at the end it would take the mark along.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// writeCSV writes a line for each dependency and port: from,to,port,kind.
func writeCSV(w io.Writer, m *estate.Map) error {
	out := csv.NewWriter(w)
	out.Write([]string{"from", "to", "port", "kind"})
	for _, d := range m.Dependencies {
		ports := []string{""}
		if len(d.Ports) > 0 {
			ports = nil
		}
		for _, p := range d.Ports {
			ports = append(ports, p.String())
		}
		for _, port := range ports {
			out.Write([]string{string(d.From), string(d.To), port, string(d.Need)})
		}
	}
	out.Flush()
	return out.Error()
}

// A bom is a bill of materials as CycloneDX 1.6 has it (ECMA-424).
type bom struct {
	Format       string          `json:"bomFormat"`
	SpecVersion  string          `json:"specVersion"`
	Version      int             `json:"version"`
	Components   []bomComponent  `json:"components"`
	Services     []bomService    `json:"services"`
	Dependencies []bomDependency `json:"dependencies"`
}

type bomComponent struct {
	Type       string        `json:"type"`
	Ref        estate.ID     `json:"bom-ref"`
	Name       string        `json:"name"`
	Properties []bomProperty `json:"properties,omitempty"`
}

type bomService struct {
	Ref       estate.ID `json:"bom-ref"`
	Name      string    `json:"name"`
	Endpoints []string  `json:"endpoints,omitempty"`
}

type bomProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type bomDependency struct {
	Ref       estate.ID   `json:"ref"`
	DependsOn []estate.ID `json:"dependsOn,omitempty"`
}

// bomTypes are what CycloneDX calls kinds that are no services.
var bomTypes = map[estate.Kind]string{estate.Application: "application", estate.Host: "device", estate.Cluster: "platform", estate.Storage: "device", estate.Network: "device", estate.Power: "device"}

// writeCycloneDX writes what runs and serves others as services, and the rest as
// components. It has no word for needs that order nothing: they are left out.
func writeCycloneDX(w io.Writer, m *estate.Map) error {
	b := bom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Components: []bomComponent{}, Services: []bomService{}, Dependencies: []bomDependency{}}
	for _, c := range m.Components {
		switch kind := c.ID.Kind(); kind {
		case estate.Service, estate.Database, estate.External:
			s := bomService{Ref: c.ID, Name: c.ID.Name()}
			for _, a := range c.Aliases {
				s.Endpoints = append(s.Endpoints, string(a))
			}
			b.Services = append(b.Services, s)
		default:
			name, ok := bomTypes[kind]
			if !ok {
				name = "data"
			}
			one := bomComponent{Type: name, Ref: c.ID, Name: c.ID.Name()}
			for i, a := range c.Aliases {
				one.Properties = append(one.Properties, bomProperty{"strongroom:alias:" + strconv.Itoa(i+1), string(a)})
			}
			b.Components = append(b.Components, one)
		}
		needs := make(map[estate.ID]bool)
		for _, d := range m.Needs(c.ID) {
			if d.Need.Orders() {
				needs[d.To] = true
			}
		}
		b.Dependencies = append(b.Dependencies, bomDependency{c.ID, slices.Sorted(maps.Keys(needs))})
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(b)
}
