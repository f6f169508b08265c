// Package kiali reads the graph of a service mesh, as Kiali draws it from what
// its proxies saw.
//
// A component is a workload, or the service itself where Kiali knows none; its
// name begins with cluster and namespace. Calls from and to what Kiali does not
// know are left out, and so is what a workload says to itself.
package kiali

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// A graph is the answer of /api/namespaces/graph.
type graph struct {
	Elements *struct {
		Nodes []struct {
			Data node `json:"data"`
		} `json:"nodes"`
		Edges []struct {
			Data edge `json:"data"`
		} `json:"edges"`
	} `json:"elements"`
}

type node struct {
	ID        string `json:"id"`
	Type      string `json:"nodeType"`
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Workload  string `json:"workload"`
	App       string `json:"app"`
	Service   string `json:"service"`
	Box       string `json:"isBox"`
	Entry     any    `json:"isServiceEntry"`
}

type edge struct {
	Source  string `json:"source"`
	Target  string `json:"target"`
	Traffic struct {
		Protocol  string `json:"protocol"`
		Responses map[string]struct {
			Hosts map[string]json.RawMessage `json:"hosts"` // by service and port
		} `json:"responses"`
	} `json:"traffic"`
}

// unknown is what Kiali calls what it does not know.
const unknown = "unknown"

// Read returns the workloads and who calls whom. The Scope of the place may be
// empty, since the graph names its clusters.
func Read(p facts.Place, b []byte) (estate.Facts, error) {
	if len(b) > facts.MaxBytes {
		return estate.Facts{}, facts.TooMuch("bytes", facts.MaxBytes)
	}
	var g graph
	err := json.Unmarshal(b, &g)
	if err == nil && g.Elements == nil {
		err = errors.New("it has no elements")
	}
	if err != nil {
		return estate.Facts{}, fmt.Errorf("not a graph as Kiali tells it: %w", err)
	}
	var d facts.Draft
	names := make(map[string]string) // of nodes that are components
	ids := make(map[string]estate.ID)
	for _, n := range g.Elements.Nodes {
		id, name, ok := n.Data.component(p)
		if !ok {
			continue
		}
		ids[n.Data.ID], names[n.Data.ID] = id, name
		d.Component(estate.Component{ID: id, Evidence: []estate.Evidence{p.Evidence(estate.Observed, n.Data.Namespace+"/"+name, "takes part in the mesh")}})
	}
	nameless := 0
	for _, e := range g.Elements.Edges {
		from, to := e.Data.Source, e.Data.Target
		if names[from] == "" || names[to] == "" {
			nameless++
			continue
		}
		link := estate.Link{From: estate.End{ID: ids[from]}, To: estate.End{ID: ids[to]}, Need: estate.Run, Port: e.Data.port()}
		if facts.Telemetry(names[from]) != "" || facts.Telemetry(names[to]) != "" {
			link.Need = estate.Telemetry
		}
		link.Evidence = []estate.Evidence{p.Evidence(estate.Observed, names[from]+" to "+names[to], "calls by "+e.Data.Traffic.Protocol)}
		d.Link(link)
	}
	if nameless > 0 {
		d.Doubt("%d calls are from or to what Kiali does not know", nameless)
	}
	return d.Facts()
}

// component returns what a node is, and false for boxes around others and for
// what Kiali does not know.
func (n node) component(p facts.Place) (id estate.ID, name string, ok bool) {
	kind := estate.Service
	if n.Entry != nil && n.Entry != false {
		kind = estate.External
	}
	for _, name = range []string{n.Workload, n.App, n.Service} {
		if name != "" && name != unknown {
			break
		}
	}
	if n.Box != "" || n.Type == "box" || n.Type == "aggregate" || n.Type == unknown || name == "" || name == unknown {
		return "", "", false
	}
	var parts []string
	for _, part := range []string{n.Cluster, n.Namespace, name} {
		if part != "" && part != unknown {
			parts = append(parts, part)
		}
	}
	return p.ID(kind, strings.Join(parts, "/")), name, true
}

// port returns the port of the service that was called, if it was one alone.
func (e edge) port() estate.Port {
	numbers := make(map[uint16]bool)
	for _, response := range e.Traffic.Responses {
		for host := range response.Hosts {
			if i := strings.LastIndexByte(host, ':'); i >= 0 {
				if n, err := strconv.ParseUint(host[i+1:], 10, 16); err == nil {
					numbers[uint16(n)] = true
				}
			}
		}
	}
	if len(numbers) != 1 {
		return estate.Port{}
	}
	return estate.Port{Number: slices.Collect(maps.Keys(numbers))[0], Protocol: "tcp"}
}
