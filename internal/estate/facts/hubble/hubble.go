// Package hubble reads flows between pods, as Cilium's Hubble exports them: one
// JSON object a line.
//
// A component is a workload; where a flow does not name it, it is known by its
// pods' names. Replies are no requests, and left out. A flow that was dropped
// says that somebody wants what he may not have: it is soft. What a field mask
// has taken out of the flows is not there, and users on the internet are no part
// of an estate.
package hubble

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// ephemeral is the first port that Linux gives to a caller by itself.
const ephemeral = 32768

// A flow has its names in mixed case; encoding/json takes them in any.
type flow struct {
	Time    string `json:"time"`
	Verdict string `json:"verdict"`
	Reason  string `json:"drop_reason_desc"`
	IP      struct {
		Source      string `json:"source"`
		Destination string `json:"destination"`
	} `json:"IP"`
	L4 struct {
		TCP  *ports `json:"TCP"`
		UDP  *ports `json:"UDP"`
		SCTP *ports `json:"SCTP"`
	} `json:"l4"`
	Source      endpoint `json:"source"`
	Destination endpoint `json:"destination"`
	Names       []string `json:"destination_names"`
	Service     *struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"destination_service"`
	IsReply *bool `json:"is_reply"`
	Reply   bool  `json:"reply"` // before is_reply
}

type ports struct {
	Source      uint16 `json:"source_port"`
	Destination uint16 `json:"destination_port"`
	Flags       struct {
		SYN bool `json:"SYN"`
		ACK bool `json:"ACK"`
	} `json:"flags"`
}

type endpoint struct {
	Cluster   string   `json:"cluster_name"`
	Namespace string   `json:"namespace"`
	Labels    []string `json:"labels"`
	Pod       string   `json:"pod_name"`
	Workloads []struct {
		Name string `json:"name"`
	} `json:"workloads"`
}

// Read returns the workloads and who called whom.
func Read(p facts.Place, b []byte) (estate.Facts, error) {
	if len(b) > facts.MaxBytes {
		return estate.Facts{}, facts.TooMuch("bytes", facts.MaxBytes)
	}
	var d facts.Draft
	number, flows := 0, 0
	for line := range bytes.Lines(b) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var event struct {
			Flow *flow `json:"flow"`
			Node any   `json:"node_name"` // of lines that are about a node
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return estate.Facts{}, fmt.Errorf("line %d is no flow as Hubble exports it: %w", number, plain(err))
		}
		if event.Flow != nil {
			flows++
			event.Flow.read(&d, p)
		} else if event.Node == nil {
			return estate.Facts{}, fmt.Errorf("line %d is no flow as Hubble exports it", number)
		}
	}
	if flows == 0 {
		return estate.Facts{}, errors.New("there are no flows as Hubble exports them")
	}
	return d.Facts()
}

// plain returns an error without what it quotes of the line.
func plain(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s is not a %s", wrong.Field, wrong.Type)
	}
	return errors.New("it is not JSON")
}

// read adds what one flow says.
func (f *flow) read(d *facts.Draft, p facts.Place) {
	protocol, l4 := "tcp", f.L4.TCP
	switch {
	case l4 != nil:
	case f.L4.UDP != nil:
		protocol, l4 = "udp", f.L4.UDP
	case f.L4.SCTP != nil:
		protocol, l4 = "sctp", f.L4.SCTP
	default:
		return // ICMP calls no service
	}
	if f.isReply(l4) {
		return
	}
	from, fromName, ok := f.Source.end(p, f.IP.Source, nil)
	if address, err := netip.ParseAddr(string(from.Alias)); !ok || err == nil && !address.IsPrivate() {
		return // a user on the internet
	}
	to, toName, ok := f.Destination.end(p, f.IP.Destination, f.Names)
	if f.Service != nil && f.Service.Name != "" && to.ID == "" {
		to = estate.End{ID: f.Destination.id(p, f.Service.Namespace, f.Service.Name)}
		toName, ok = f.Service.Name, true
	}
	if !ok {
		return
	}
	link := estate.Link{From: from, To: to, Need: estate.Run, Port: estate.Port{Number: l4.Destination, Protocol: protocol}}
	detail := "flows"
	switch verdict := strings.ToUpper(f.Verdict); {
	case verdict == "DROPPED" || verdict == "ERROR":
		link.Need = estate.Soft
		detail = "wanted, and refused: " + strings.ToLower(strings.ReplaceAll(f.Reason, "_", " "))
	case facts.Telemetry(fromName) != "" || facts.Telemetry(toName) != "" || facts.TelemetryPort(link.Port) != "":
		link.Need = estate.Telemetry
	}
	if link.Port.Protocol == "sctp" {
		link.Port = estate.Port{} // a port of the map is of TCP or UDP
	}
	e := p.Evidence(estate.Observed, fromName+" to "+toName, detail)
	e.Count = 1
	if seen, err := time.Parse(time.RFC3339Nano, f.Time); err == nil {
		e.First, e.Last = seen.UTC(), seen.UTC()
	}
	for _, end := range []struct {
		estate.End
		name string
	}{{from, fromName}, {to, toName}} {
		if end.ID != "" {
			d.Component(estate.Component{ID: end.ID, Evidence: []estate.Evidence{p.Evidence(estate.Observed, end.name, "has flows")}})
		}
	}
	link.Evidence = []estate.Evidence{e}
	d.Link(link)
}

// isReply reports whether a flow is one. Where it does not say so, the flags or
// the ports do.
func (f *flow) isReply(l4 *ports) bool {
	switch {
	case f.IsReply != nil:
		return *f.IsReply
	case f.Reply:
		return true
	case l4.Flags.SYN:
		return l4.Flags.ACK
	}
	return l4.Source < ephemeral && l4.Destination >= ephemeral
}

// end returns what an endpoint is: a workload, or else a name or an address. It
// returns false for what is neither.
func (e endpoint) end(p facts.Place, address string, names []string) (end estate.End, name string, ok bool) {
	if name := e.workload(); name != "" {
		return estate.End{ID: e.id(p, e.Namespace, name)}, name, true
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		if alias, ok := estate.NameAlias(name); ok {
			return estate.End{Alias: alias}, string(alias), true
		}
	}
	if a, err := netip.ParseAddr(address); err == nil {
		alias, ok := estate.AddressAlias(a)
		return estate.End{Alias: alias}, string(alias), ok
	}
	return estate.End{}, "", false
}

func (e endpoint) id(p facts.Place, namespace, name string) estate.ID {
	var parts []string
	for _, part := range []string{e.Cluster, namespace, name} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return p.ID(estate.Service, strings.Join(parts, "/"))
}

// suffix is what Kubernetes adds to the name of a workload for each pod: a hash
// and five letters, five letters, or a number. It takes no vowels, so that it
// makes no words.
var suffix = regexp.MustCompile(`^(.+?)(-[bcdfghjklmnpqrstvwxz0-9]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}|-[bcdfghjklmnpqrstvwxz2456789]{5}|-[0-9]{1,4})$`)

// workload returns the name of what a pod is of, or "".
func (e endpoint) workload() string {
	if len(e.Workloads) > 0 && e.Workloads[0].Name != "" {
		return e.Workloads[0].Name
	}
	if match := suffix.FindStringSubmatch(e.Pod); match != nil {
		return match[1]
	}
	return e.Pod
}
