// Package systemd reads unit files: what a host waits for when it starts, and
// what the units that its people wrote need.
//
// Units know the host and not the network: a service that is of no use without a
// directory names none. What they do say is that the host needs names, users,
// the right time or remote files before something on it starts, and that is
// evidence for the host. Units that come with packages come back with these, so
// only those below /etc are components. Order and requirement are different
// things here: what starts after another does so only if both start.
package systemd

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// awaited are the targets that stand for something of the network, and what.
var awaited = map[string]string{
	"network-online.target":  "the network",
	"nss-lookup.target":      "names of hosts",
	"nss-user-lookup.target": "users and groups",
	"remote-fs.target":       "remote files",
	"time-sync.target":       "the right time",
}

// Suffixes of what is a unit.
var suffixes = []string{".service", ".socket", ".target", ".mount", ".automount", ".timer", ".path", ".slice", ".swap", ".device", ".scope"}

// folders are where units lie, the ones that win first.
var folders = []string{"etc/systemd/system/", "run/systemd/system/", "usr/local/lib/systemd/system/", "usr/lib/systemd/system/", "lib/systemd/system/"}

// Knows reports whether a file is of a unit, by its path on the host.
func Knows(name string) bool {
	_, _, ok := locate(name)
	return ok
}

// locate returns where in folders a path is, and what follows there: unit,
// unit.d/x.conf or unit.wants/unit.
func locate(name string) (rank int, rest string, ok bool) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for i, folder := range folders {
		rest, found := strings.CutPrefix(name, folder)
		if !found {
			continue
		}
		dir, base, nested := strings.Cut(rest, "/")
		switch {
		case !nested:
			return i, rest, isUnit(rest)
		case strings.Contains(base, "/"):
			return i, rest, false
		case strings.HasSuffix(dir, ".d"):
			return i, rest, strings.HasSuffix(base, ".conf")
		}
		return i, rest, isUnit(base) && (strings.HasSuffix(dir, ".wants") || strings.HasSuffix(dir, ".requires"))
	}
	return 0, "", false
}

func isUnit(name string) bool { return slices.Contains(suffixes, path.Ext(name)) }

// A unit is what is read of one.
type unit struct {
	place facts.Place
	rank  int                 // of the folder that it is in
	lists map[string][]string // by setting, in lower case
}

// Read returns what the units say of the host of the place. The files have the
// paths that they have there; others are passed over.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	units, err := parse(p, files)
	if err != nil || len(units) == 0 {
		return estate.Facts{}, err
	}
	var d facts.Draft
	waits(&d, p, units)
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if units[name].rank == 0 {
			local(&d, p, name, units[name])
		}
	}
	if knot := knots(order(units)); len(knot) > 0 {
		d.Doubt("these units wait for one another, and systemd drops one of them: %s", strings.Join(knot, ", "))
	}
	return d.Facts()
}

// parse reads the units, each with what other files add to it.
func parse(p facts.Place, files []facts.File) (map[string]*unit, error) {
	units := make(map[string]*unit)
	var added []facts.File
	size := 0
	for _, f := range files {
		rank, rest, ok := locate(f.Path)
		if !ok {
			continue
		}
		if size += len(f.Data); size > facts.MaxBytes {
			return nil, fmt.Errorf("reading %s: %w", f.Path, facts.TooMuch("bytes", facts.MaxBytes))
		}
		if strings.Contains(rest, "/") {
			added = append(added, f)
			continue
		}
		if old := units[rest]; old == nil || rank < old.rank {
			units[rest] = &unit{place: p.At(f), rank: rank, lists: settings(string(f.Data))}
		}
	}
	for _, f := range added {
		_, rest, _ := locate(f.Path)
		dir, base, _ := strings.Cut(rest, "/")
		name := strings.TrimSuffix(dir, path.Ext(dir))
		u := units[name]
		if u == nil {
			continue // of a unit that was not collected
		}
		switch path.Ext(dir) {
		case ".wants":
			u.lists["wants"] = append(u.lists["wants"], base)
		case ".requires":
			u.lists["requires"] = append(u.lists["requires"], base)
		default:
			for key, words := range settings(string(f.Data)) {
				u.lists[key] = append(u.lists[key], words...)
			}
		}
	}
	return units, nil
}

// settings returns the words of each setting in the section Unit.
func settings(text string) map[string][]string {
	lists := make(map[string][]string)
	section := ""
	var begun strings.Builder // a line that goes on in the next
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if before, ok := strings.CutSuffix(line, `\`); ok {
			begun.WriteString(before)
			begun.WriteByte(' ')
			continue
		}
		if begun.Len() > 0 {
			line = strings.TrimSpace(begun.String() + line)
			begun.Reset()
		}
		if line[0] == '[' {
			section = line
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == "[Unit]" {
			key = strings.ToLower(strings.TrimSpace(key))
			lists[key] = append(lists[key], strings.Fields(value)...)
		}
	}
	return lists
}

// An edge of the order: the first starts after the second, if both start.
type edge struct{ after, before string }

// order returns which units start after which.
func order(units map[string]*unit) []edge {
	edges := make(map[edge]bool)
	for name, u := range units {
		for _, other := range u.lists["after"] {
			edges[edge{name, other}] = true
		}
		for _, other := range u.lists["before"] {
			edges[edge{other, name}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(edges), func(a, b edge) int {
		return strings.Compare(a.after+"\x00"+a.before, b.after+"\x00"+b.before)
	})
}

// knots returns the units that cannot be brought into an order, and those
// between two such groups: what is left when every unit that waits for nothing
// is taken away, and then every one that nothing waits for.
func knots(edges []edge) []string {
	edges = peel(edges, func(e edge) (string, string) { return e.after, e.before })
	edges = peel(edges, func(e edge) (string, string) { return e.before, e.after })
	names := make(map[string]bool)
	for _, e := range edges {
		names[e.after], names[e.before] = true, true
	}
	return slices.Sorted(maps.Keys(names))
}

// peel takes away edges that end in a unit of which none begins, until there are
// no more of these.
func peel(edges []edge, ends func(edge) (begin, end string)) []edge {
	out := make(map[string]int)     // how many edges begin there
	in := make(map[string][]string) // where those begin that end there
	for _, e := range edges {
		begin, end := ends(e)
		out[begin]++
		in[end] = append(in[end], begin)
	}
	var free []string
	for end := range in {
		if out[end] == 0 {
			free = append(free, end)
		}
	}
	gone := make(map[string]bool)
	for len(free) > 0 {
		end := free[len(free)-1]
		free = free[:len(free)-1]
		gone[end] = true
		for _, begin := range in[end] {
			if out[begin]--; out[begin] == 0 {
				free = append(free, begin)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(edges), func(e edge) bool { _, end := ends(e); return gone[end] })
}

// waits says what of the network the host waits for. A unit that is ordered before
// such a target provides it, and does not wait.
func waits(d *facts.Draft, p facts.Place, units map[string]*unit) {
	host := estate.Component{ID: p.Host()}
	for _, target := range slices.Sorted(maps.Keys(awaited)) {
		var who []string
		for name, u := range units {
			if path.Ext(name) == ".service" && slices.Contains(u.lists["after"], target) {
				who = append(who, name)
			}
		}
		if len(who) > 0 {
			slices.Sort(who)
			host.Evidence = append(host.Evidence, p.Evidence(estate.Declared, target,
				fmt.Sprintf("waits for %s: %s", awaited[target], strings.Join(who, ", "))))
		}
	}
	d.Component(host)
}

// local makes a service that the host's people wrote a component, and what it
// needs on the host.
func local(d *facts.Draft, p facts.Place, name string, u *unit) {
	if path.Ext(name) != ".service" {
		return
	}
	service := func(name string) estate.End {
		id := estate.NewID(estate.Service, p.Host().Name()+"/"+strings.TrimSuffix(name, ".service"))
		e := u.place.Evidence(estate.Declared, "", name)
		d.Component(estate.Component{ID: id, Evidence: []estate.Evidence{e}})
		d.Link(estate.Link{From: estate.End{ID: id}, To: estate.End{ID: p.Host()}, Need: estate.Hosting, Evidence: []estate.Evidence{e}})
		return estate.End{ID: id}
	}
	self := service(name)
	said := make(map[string]bool) // a requirement says more than an order
	for _, list := range []struct {
		setting string
		need    estate.Need
	}{
		{"Requires", estate.Start}, {"BindsTo", estate.Start}, {"Requisite", estate.Start},
		{"Wants", estate.Soft}, {"Upholds", estate.Soft}, {"After", estate.Soft},
	} {
		for _, other := range u.lists[strings.ToLower(list.setting)] {
			if path.Ext(other) != ".service" || said[other] {
				continue
			}
			said[other] = true
			d.Link(estate.Link{From: self, To: service(other), Need: list.need,
				Evidence: []estate.Evidence{u.place.Evidence(estate.Declared, "", list.setting+"="+other)}})
		}
	}
}
