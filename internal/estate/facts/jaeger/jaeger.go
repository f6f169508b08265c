// Package jaeger reads which services call which, as Jaeger found in traces.
//
// It reads the answers of both of its interfaces, /api/dependencies and
// /api/v3/dependencies, the documents that Jaeger keeps in Elasticsearch, and the
// bare list. A service that sends no traces, such as most databases, is in none of
// them.
package jaeger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// An answer is any of the forms: each has its list elsewhere.
type answer struct {
	Data   []dependency    `json:"data"` // /api/dependencies
	Errors json.RawMessage `json:"errors"`
	document
	Source *document `json:"_source"` // of a document, as Elasticsearch has it
	Hits   *struct {
		Hits []struct {
			Source document `json:"_source"`
		} `json:"hits"`
	} `json:"hits"` // of a search for documents
}

// A document is of one day; /api/v3/dependencies answers in the same form.
type document struct {
	Dependencies []dependency `json:"dependencies"`
}

type dependency struct {
	Parent string `json:"parent"`
	Child  string `json:"child"`
	Count  count  `json:"callCount"`
}

// A count is a number, or a string of digits as version 3 has it.
type count int64

func (c *count) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(bytes.Trim(b, `"`), (*int64)(c))
}

// Read returns the services and who calls whom. The Scope of the place is what
// names of services are unique in.
func Read(p facts.Place, b []byte) (estate.Facts, error) {
	if len(b) > facts.MaxBytes {
		return estate.Facts{}, facts.TooMuch("bytes", facts.MaxBytes)
	}
	all, err := parse(b)
	if err != nil {
		return estate.Facts{}, fmt.Errorf("not dependencies as Jaeger tells them: %w", err)
	}
	var d facts.Draft
	service := func(name string) estate.End {
		id := p.ID(estate.Service, name)
		d.Component(estate.Component{ID: id, Evidence: []estate.Evidence{p.Evidence(estate.Observed, name, "sends traces")}})
		return estate.End{ID: id}
	}
	for _, call := range all {
		if call.Parent == "" || call.Child == "" {
			d.Doubt("a call has a service without a name at one end")
			continue
		}
		e := p.Evidence(estate.Observed, call.Parent+" to "+call.Child, "calls in traces")
		e.Count = max(0, int64(call.Count))
		need := estate.Run
		if facts.Telemetry(call.Parent) != "" || facts.Telemetry(call.Child) != "" {
			need = estate.Telemetry
		}
		d.Link(estate.Link{From: service(call.Parent), To: service(call.Child), Need: need, Evidence: []estate.Evidence{e}})
	}
	return d.Facts()
}

// parse returns the calls in an answer, in a list, or in documents one a line.
func parse(b []byte) ([]dependency, error) {
	var all []dependency
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		err := json.Unmarshal(b, &all)
		return all, err
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	known := false
	for decoder.More() {
		var a answer
		if err := decoder.Decode(&a); err != nil {
			return nil, err
		}
		if e := strings.TrimSpace(string(a.Errors)); e != "" && e != "null" && e != "[]" {
			return nil, errors.New("it is an error of Jaeger")
		}
		calls, ok := a.calls()
		known = known || ok
		all = append(all, calls...)
		if len(all) > facts.MaxThings {
			return nil, facts.TooMuch("calls", facts.MaxThings)
		}
	}
	if !known {
		return nil, errors.New("there is neither data nor dependencies")
	}
	return all, nil
}

// calls returns those of an answer, and false if it is none.
func (a answer) calls() ([]dependency, bool) {
	switch {
	case a.Source != nil:
		return a.Source.Dependencies, true
	case a.Hits != nil:
		var all []dependency
		for _, hit := range a.Hits.Hits {
			all = append(all, hit.Source.Dependencies...)
		}
		return all, true
	case a.Dependencies != nil:
		return a.Dependencies, true
	}
	return a.Data, a.Data != nil
}
