// Package netbox reads what stands where, from NetBox: virtual machines on their
// clusters, these on devices, devices in racks, racks on power feeds, feeds on
// panels, panels at sites.
//
// It reads the answers of NetBox's API, one for each kind of object, and a dump
// of its database as its own demonstration data has it. NetBox knows who listens
// and never who calls. Where its chain is broken, such as at a cluster that no
// device is part of, that is a doubt by name: what is not recorded cannot be
// restored in the right order.
package netbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// endpoints of the API by the name of what they list.
var endpoints = map[string]string{
	"virtualization/virtual-machines": "virtualization.virtualmachine",
	"virtualization/clusters":         "virtualization.cluster",
	"virtualization/interfaces":       "virtualization.vminterface",
	"dcim/devices":                    "dcim.device",
	"dcim/device-roles":               "dcim.devicerole",
	"dcim/interfaces":                 "dcim.interface",
	"dcim/racks":                      "dcim.rack",
	"dcim/power-ports":                "dcim.powerport",
	"dcim/power-outlets":              "dcim.poweroutlet",
	"dcim/power-feeds":                "dcim.powerfeed",
	"dcim/power-panels":               "dcim.powerpanel",
	"dcim/sites":                      "dcim.site",
	"ipam/ip-addresses":               "ipam.ipaddress",
	"ipam/services":                   "ipam.service",
	"tenancy/tenants":                 "tenancy.tenant",
}

// Lists are the paths, below api/, of the lists that Read makes use of.
func Lists() []string { return slices.Sorted(maps.Keys(endpoints)) }

// FileOf returns the name of a file by which Read knows that it is a page of a
// list; more may follow it.
func FileOf(list string) string { return strings.ReplaceAll(list, "/", ".") + ".json" }

// A ref is a reference to another object: its number, or an object that begins
// with it.
type ref struct {
	ID      int
	Name    string
	Slug    string
	Address string
}

func (r *ref) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '{':
		type object ref
		return json.Unmarshal(b, (*object)(r))
	case '"': // a word, where other kinds of objects refer to one
		return json.Unmarshal(b, &r.Slug)
	}
	return json.Unmarshal(b, &r.ID)
}

// A choice is a word out of several: itself, or an object with its value.
type choice string

func (c *choice) UnmarshalJSON(b []byte) error {
	var o struct {
		Value string `json:"value"`
	}
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(c))
	case '{':
		err := json.Unmarshal(b, &o)
		*c = choice(o.Value)
		return err
	}
	return nil // a number: the same word is a reference elsewhere
}

// A record is an object of any of the kinds that are read.
type record struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Type    choice `json:"type"`
	Status  choice `json:"status"`
	Site    ref    `json:"site"`
	Rack    ref    `json:"rack"`
	Cluster ref    `json:"cluster"`
	Device  ref    `json:"device"`
	Machine ref    `json:"virtual_machine"`
	Panel   ref    `json:"power_panel"`
	Tenant  ref    `json:"tenant"`
	Role    ref    `json:"role"`
	OldRole ref    `json:"device_role"`
	Slug    string `json:"slug"`
	Cable   ref    `json:"cable"`
	VRF     ref    `json:"vrf"`

	Address  string          `json:"address"`
	DNSName  string          `json:"dns_name"`
	Assigned json.RawMessage `json:"assigned_object_type"` // "dcim.interface", or ["dcim", "interface"]
	On       int             `json:"assigned_object_id"`
	Primary4 ref             `json:"primary_ip4"`
	Primary6 ref             `json:"primary_ip6"`

	Protocol   choice          `json:"protocol"`
	Ports      []uint16        `json:"ports"`
	ParentType json.RawMessage `json:"parent_object_type"`
	ParentID   int             `json:"parent_object_id"`
}

// contentType returns the type that an object refers to, in either form.
func contentType(b json.RawMessage) string {
	var name string
	var parts []string
	if json.Unmarshal(b, &name) == nil {
		return name
	}
	if json.Unmarshal(b, &parts) == nil {
		return strings.Join(parts, ".")
	}
	return ""
}

// Read returns what the files tell. Each is a page of the API, known by its path,
// such as https://netbox.example.com/api/dcim/devices/?limit=500 or what FileOf
// returns, or a dump. The
// Scope of the place is what names of clusters, racks and sites are unique in.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	n := box{place: p, records: make(map[string]map[int]*record), ids: make(map[string]map[int]estate.ID)}
	size := 0
	for _, f := range files {
		if size += len(f.Data); size > facts.MaxBytes {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", f.Path, facts.TooMuch("bytes", facts.MaxBytes))
		}
		if err := n.take(f); err != nil {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", cmp.Or(f.Path, "NetBox"), err)
		}
	}
	n.pages()
	n.name()
	n.addresses()
	n.services()
	n.hosting()
	n.power()
	return n.Facts()
}

// A box is what NetBox holds, as far as it was read.
type box struct {
	facts.Draft
	place   facts.Place
	records map[string]map[int]*record // by model and number
	counts  map[string]int             // how many the API says there are
	ids     map[string]map[int]estate.ID
}

// take reads one file.
func (n *box) take(f facts.File) error {
	if bytes.HasPrefix(bytes.TrimSpace(f.Data), []byte("[")) {
		return n.dump(f.Data)
	}
	var page struct {
		Count   *int              `json:"count"`
		Results []json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(f.Data, &page); err != nil {
		return fmt.Errorf("not an answer of NetBox: %w", err)
	}
	if page.Count == nil || page.Results == nil {
		return errors.New("not an answer of NetBox: there is no count and no results")
	}
	model := ""
	for list, m := range endpoints {
		if strings.Contains("/"+f.Path+"/", "/"+list+"/") || strings.HasPrefix(path.Base(f.Path), FileOf(list)) {
			model = m
		}
	}
	if model == "" {
		return errors.New("not an answer of NetBox that is made use of: its path tells what it lists, such as /api/dcim/devices/")
	}
	if n.counts == nil {
		n.counts = make(map[string]int)
	}
	n.counts[model] = *page.Count
	for i, result := range page.Results {
		var r record
		if err := json.Unmarshal(result, &r); err != nil {
			return fmt.Errorf("object %d: %w", i, err)
		}
		n.add(model, r.ID, &r)
	}
	return nil
}

// dump reads a list of objects with their models, as Django writes it.
func (n *box) dump(b []byte) error {
	var all []struct {
		Model  string          `json:"model"`
		PK     json.RawMessage `json:"pk"` // a number of all that is read here
		Fields json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("not a dump of NetBox: %w", err)
	}
	known := slices.Collect(maps.Values(endpoints))
	for i, o := range all {
		if o.Model == "" {
			return fmt.Errorf("not a dump of NetBox: object %d has no model", i)
		}
		if !slices.Contains(known, o.Model) {
			continue
		}
		var r record
		if err := errors.Join(json.Unmarshal(o.Fields, &r), json.Unmarshal(o.PK, &r.ID)); err != nil {
			return fmt.Errorf("object %d, a %s: %w", i, o.Model, err)
		}
		n.add(o.Model, r.ID, &r)
	}
	return nil
}

func (n *box) add(model string, id int, r *record) {
	if n.records[model] == nil {
		n.records[model] = make(map[int]*record)
	}
	n.records[model][id] = r
}

// each yields the records of a model in the order of their numbers.
func (n *box) each(model string) func(func(int, *record) bool) {
	return func(yield func(int, *record) bool) {
		for _, id := range slices.Sorted(maps.Keys(n.records[model])) {
			if !yield(id, n.records[model][id]) {
				return
			}
		}
	}
}

// pages doubts a list of which not all pages were read.
func (n *box) pages() {
	for _, model := range slices.Sorted(maps.Keys(n.counts)) {
		if got := len(n.records[model]); got < n.counts[model] {
			n.Doubt("%d of %d objects %s were read: the other pages are missing", got, n.counts[model], model)
		}
	}
}

// evidence is that NetBox has an object.
func (n *box) evidence(model string, id int, detail string) []estate.Evidence {
	return []estate.Evidence{n.place.Evidence(estate.Declared, fmt.Sprintf("%s %d", model, id), detail)}
}

// nameOf returns the name of what a record refers to.
func (n *box) nameOf(model string, r ref) string {
	if known := n.records[model][r.ID]; known != nil {
		return known.Name
	}
	return r.Name
}

// name gives an ID to everything that is a component. A name that two of a kind
// have is completed by its number.
func (n *box) name() {
	for _, kind := range []struct {
		model string
		name  func(id int, r *record) (estate.Kind, string)
	}{
		{"dcim.site", func(_ int, r *record) (estate.Kind, string) { return estate.Power, "site/" + r.Name }},
		{"dcim.powerpanel", func(_ int, r *record) (estate.Kind, string) {
			return estate.Power, "panel/" + n.nameOf("dcim.site", r.Site) + "/" + r.Name
		}},
		{"dcim.powerfeed", func(_ int, r *record) (estate.Kind, string) {
			return estate.Power, "feed/" + n.nameOf("dcim.powerpanel", r.Panel) + "/" + r.Name
		}},
		{"dcim.rack", func(_ int, r *record) (estate.Kind, string) {
			return estate.Power, "rack/" + n.nameOf("dcim.site", r.Site) + "/" + r.Name
		}},
		{"virtualization.cluster", func(_ int, r *record) (estate.Kind, string) { return estate.Cluster, r.Name }},
		{"dcim.device", n.device},
		{"virtualization.virtualmachine", func(_ int, r *record) (estate.Kind, string) { return estate.Host, r.Name }},
	} {
		ids := make(map[int]estate.ID)
		taken := make(map[estate.ID]int)
		for id, r := range n.each(kind.model) {
			ids[id] = n.id(kind.name(id, r))
			taken[ids[id]]++
		}
		n.ids[kind.model] = ids
		for id, r := range n.each(kind.model) {
			if taken[ids[id]] > 1 {
				k, name := kind.name(id, r)
				ids[id] = n.id(k, fmt.Sprintf("%s-%d", name, id))
			}
			c := estate.Component{ID: ids[id], Owner: n.nameOf("tenancy.tenant", r.Tenant), Evidence: n.evidence(kind.model, id, string(r.Status))}
			if alias, ok := estate.NameAlias(r.Name); ok && ids[id].Kind() == estate.Host {
				c.Aliases = []estate.Alias{alias}
			}
			n.Component(c)
		}
	}
}

// id returns the ID for a name. A host is known by its name everywhere.
func (n *box) id(kind estate.Kind, name string) estate.ID {
	if kind == estate.Host {
		return estate.NewID(kind, strings.ToLower(name))
	}
	return n.place.ID(kind, name)
}

// device returns what a device is, by its role, and its name. Many have none.
func (n *box) device(id int, r *record) (estate.Kind, string) {
	role := cmp.Or(r.Role, r.OldRole)
	slug := role.Slug
	if known := n.records["dcim.devicerole"][role.ID]; known != nil {
		slug = known.Slug
	}
	kind := estate.Host
	switch {
	case strings.Contains(slug, "pdu"), strings.Contains(slug, "ups"), strings.Contains(slug, "power"):
		kind = estate.Power
	case strings.Contains(slug, "router"), strings.Contains(slug, "switch"), strings.Contains(slug, "firewall"),
		strings.Contains(slug, "patch"), strings.Contains(slug, "access"):
		kind = estate.Network
	}
	if r.Name == "" {
		return kind, fmt.Sprintf("device-%d", id)
	}
	return kind, r.Name
}

// addresses adds those that a device or a virtual machine has. An address within
// a VRF means another machine in each, and names none.
func (n *box) addresses() {
	for _, model := range []string{"dcim.device", "virtualization.virtualmachine"} {
		for id, r := range n.each(model) {
			for _, primary := range []ref{r.Primary4, r.Primary6} {
				address := primary.Address
				if known := n.records["ipam.ipaddress"][primary.ID]; known != nil {
					if known.VRF.ID != 0 {
						continue
					}
					address = known.Address
				}
				n.address(n.ids[model][id], address, "", n.evidence(model, id, "primary address"))
			}
		}
	}
	for id, r := range n.each("ipam.ipaddress") {
		if r.VRF.ID != 0 {
			continue
		}
		var on estate.ID
		switch contentType(r.Assigned) {
		case "dcim.interface":
			if i := n.records["dcim.interface"][r.On]; i != nil {
				on = n.ids["dcim.device"][i.Device.ID]
			}
		case "virtualization.vminterface":
			if i := n.records["virtualization.vminterface"][r.On]; i != nil {
				on = n.ids["virtualization.virtualmachine"][i.Machine.ID]
			}
		}
		n.address(on, r.Address, r.DNSName, n.evidence("ipam.ipaddress", id, r.Address))
	}
}

func (n *box) address(on estate.ID, address, name string, evidence []estate.Evidence) {
	prefix, err := netip.ParsePrefix(address)
	if on == "" || err != nil {
		return
	}
	c := estate.Component{ID: on, Evidence: evidence}
	if alias, ok := estate.AddressAlias(prefix.Addr()); ok {
		c.Aliases = append(c.Aliases, alias)
	}
	if alias, ok := estate.NameAlias(name); ok {
		c.Aliases = append(c.Aliases, alias)
	}
	n.Component(c)
}

// services adds the ports that something listens on.
func (n *box) services() {
	for id, r := range n.each("ipam.service") {
		on := cmp.Or(n.ids["dcim.device"][r.Device.ID], n.ids["virtualization.virtualmachine"][r.Machine.ID])
		if t := contentType(r.ParentType); t != "" {
			on = n.ids[t][r.ParentID]
		}
		if on == "" || r.Protocol != "tcp" && r.Protocol != "udp" {
			continue
		}
		c := estate.Component{ID: on, Evidence: n.evidence("ipam.service", id, r.Name)}
		for _, number := range r.Ports {
			c.Listens = append(c.Listens, estate.Port{Number: number, Protocol: string(r.Protocol)})
		}
		n.Component(c)
	}
}

// link adds that a component runs on another, and returns false if there is no
// other.
func (n *box) link(from, to estate.ID, need estate.Need, evidence []estate.Evidence) bool {
	if from == "" || to == "" {
		return false
	}
	n.Link(estate.Link{From: estate.End{ID: from}, To: estate.End{ID: to}, Need: need, Evidence: evidence})
	return true
}

// hosting adds what virtual machines run on.
func (n *box) hosting() {
	guests := make(map[int]int)
	hosts := make(map[int]int)
	for id, r := range n.each("virtualization.virtualmachine") {
		self, evidence := n.ids["virtualization.virtualmachine"][id], n.evidence("virtualization.virtualmachine", id, string(r.Status))
		guests[r.Cluster.ID]++
		onCluster := n.link(self, n.ids["virtualization.cluster"][r.Cluster.ID], estate.Hosting, evidence)
		onDevice := n.link(self, n.ids["dcim.device"][r.Device.ID], estate.Hosting, evidence)
		if !onCluster && !onDevice {
			n.Doubt("virtual machine %q is on no cluster and on no device: where it runs is not known", r.Name)
		}
	}
	for id, r := range n.each("dcim.device") {
		if n.link(n.ids["virtualization.cluster"][r.Cluster.ID], n.ids["dcim.device"][id], estate.Hosting, n.evidence("dcim.device", id, "part of the cluster")) {
			hosts[r.Cluster.ID]++
		}
	}
	for id, r := range n.each("virtualization.cluster") {
		if hosts[id] == 0 {
			n.Doubt("cluster %q has no device: what its %d virtual machines run on, and what powers that, is not known", r.Name, guests[id])
		}
	}
}

// power adds the chain from devices to sites.
func (n *box) power() {
	outlets, feeds := make(map[int]int), make(map[int]int) // by cable
	for _, r := range n.each("dcim.poweroutlet") {
		outlets[r.Cable.ID] = r.Device.ID
	}
	fed := make(map[int]bool)
	for id, r := range n.each("dcim.powerfeed") {
		feeds[r.Cable.ID] = id
		feed := n.ids["dcim.powerfeed"][id]
		// The redundant feed stands in for the primary one.
		need := estate.Hosting
		if r.Type == "redundant" {
			need = estate.Soft
		}
		if n.link(n.ids["dcim.rack"][r.Rack.ID], feed, need, n.evidence("dcim.powerfeed", id, string(r.Type))) {
			fed[r.Rack.ID] = true
		}
		if !n.link(feed, n.ids["dcim.powerpanel"][r.Panel.ID], estate.Hosting, n.evidence("dcim.powerfeed", id, "of the panel")) {
			n.Doubt("power feed %q is of no panel", r.Name)
		}
	}
	for id, r := range n.each("dcim.powerpanel") {
		n.link(n.ids["dcim.powerpanel"][id], n.ids["dcim.site"][r.Site.ID], estate.Hosting, n.evidence("dcim.powerpanel", id, "at the site"))
	}
	for id, r := range n.each("dcim.powerport") {
		if r.Cable.ID == 0 {
			continue
		}
		evidence := n.evidence("dcim.powerport", id, "power cable")
		self := n.ids["dcim.device"][r.Device.ID]
		n.link(self, n.ids["dcim.device"][outlets[r.Cable.ID]], estate.Hosting, evidence)
		n.link(self, n.ids["dcim.powerfeed"][feeds[r.Cable.ID]], estate.Hosting, evidence)
	}
	used := make(map[int]bool)
	for id, r := range n.each("dcim.device") {
		evidence := n.evidence("dcim.device", id, string(r.Status))
		if n.link(n.ids["dcim.device"][id], n.ids["dcim.rack"][r.Rack.ID], estate.Hosting, evidence) {
			used[r.Rack.ID] = true
		} else {
			n.link(n.ids["dcim.device"][id], n.ids["dcim.site"][r.Site.ID], estate.Hosting, evidence)
		}
	}
	for id, r := range n.each("dcim.rack") {
		if fed[id] {
			continue
		}
		n.link(n.ids["dcim.rack"][id], n.ids["dcim.site"][r.Site.ID], estate.Hosting, n.evidence("dcim.rack", id, string(r.Status)))
		if used[id] {
			n.Doubt("rack %q at %q has no power feed: what powers its devices is not known", r.Name, n.nameOf("dcim.site", r.Site))
		}
	}
}
