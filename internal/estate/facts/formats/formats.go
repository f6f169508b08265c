// Package formats knows which reader of facts a file of a source is for, by its
// path, and reads what one collection has shown.
//
// What belongs to a host is read together, and so is each project of compose.
// What a file holds that cannot be read is a doubt: it takes nothing from the
// other files. A file with facts under a name that is not known here is not
// looked at.
package formats

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/backstage"
	"strongroom/internal/estate/facts/compose"
	"strongroom/internal/estate/facts/csv"
	"strongroom/internal/estate/facts/cyclonedx"
	"strongroom/internal/estate/facts/hostconf"
	"strongroom/internal/estate/facts/identity"
	"strongroom/internal/estate/facts/kubernetes"
	"strongroom/internal/estate/facts/sockets"
	"strongroom/internal/estate/facts/systemd"
	"strongroom/internal/estate/facts/terraform"
	"strongroom/internal/estate/facts/zone"
)

// Bounds of what one collection may show.
const (
	MaxFile  = 16 << 20 // bytes of one file
	MaxFiles = 20_000
)

// Wants reports whether a file of that path, which is relative to the root of
// its source, may hold facts.
func Wants(name string) bool {
	if !isNear(name) {
		return false
	}
	return ofHost(name) || composeRank(name) > 0 || zoneName(name) != "" || byItself(name) != nil || isManifest(name)
}

// isNear reports whether a path is worth a closer look. Each of the millions of
// files of a source is asked about, and nearly all of them lie where no facts
// are.
func isNear(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	switch path.Ext(base) {
	case ".env", ".tfstate":
		return true
	case ".yaml", ".yml", ".json", ".csv":
		if composeRank(base) > 0 || byItself(base) != nil || isManifest(name) {
			return true
		}
	}
	top, rest, _ := strings.Cut(name, "/")
	switch top {
	case "etc", "run", "sys", "lib", "proc":
		return true
	case "usr":
		return strings.HasPrefix(rest, "lib/os-release") || strings.HasPrefix(rest, "lib/systemd/") || strings.HasPrefix(rest, "local/lib/systemd/")
	case "var":
		return base == "pg_hba.conf" || zoneName(name) != ""
	}
	return strings.Contains(name, "/proc/net/")
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// ofHost reports whether a file tells of the host that it lies on.
func ofHost(name string) bool {
	return identity.Knows(name) || hostconf.Knows(name) || systemd.Knows(name) || ofKernel(name)
}

// ofKernel reports whether a file is one in which the kernel shows sockets or
// addresses, wherever somebody has put a copy of it.
func ofKernel(name string) bool {
	dir, file := path.Split(name)
	switch file {
	case "tcp", "tcp6", "udp", "udp6", "fib_trie", "route", "if_inet6":
		return strings.HasSuffix("/"+dir, "/proc/net/")
	}
	return false
}

// composeRank returns in which order docker reads a file of a project that lies
// in one folder: 0 if it does not.
func composeRank(name string) int {
	switch base := path.Base(name); base {
	case "compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml":
		return 1
	case "compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml", "docker-compose.override.yml":
		return 2
	case ".env":
		return 3
	}
	return 0
}

var readZone = alone(zone.Read)

// alone makes a reader of one that takes one file.
func alone(read func(facts.Place, []byte) (estate.Facts, error)) reader {
	return func(p facts.Place, files []facts.File) (estate.Facts, error) {
		return read(p.At(files[0]), files[0].Data)
	}
}

// byItself returns the reader of a file that says all that it says by itself,
// wherever it lies; nil for other files.
func byItself(name string) reader {
	switch base := path.Base(name); {
	case strings.HasSuffix(base, ".tfstate"):
		return alone(terraform.Read)
	case base == "catalog-info.yaml", base == "catalog-info.yml":
		return backstage.Read
	case base == "bom.json", strings.HasSuffix(base, ".cdx.json"):
		return alone(cyclonedx.Read)
	case base == "dependencies.csv":
		return alone(csv.Read)
	}
	return nil
}

// manifests are folders in which manifests of Kubernetes lie, by habit: that a
// file is one, its name does not say.
var manifests = []string{"kubernetes", "k8s", "manifests"}

// isManifest reports whether a file may be a manifest of Kubernetes.
func isManifest(name string) bool {
	if !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".yml") {
		return false
	}
	return slices.ContainsFunc(manifests, func(folder string) bool { return strings.Contains("/"+name, "/"+folder+"/") })
}

// zoneName returns the name of the zone that a file holds, as DNS servers are
// usually told to call their files: db.acme.example, acme.example.zone,
// db.192.168.1. It is "" for other files.
func zoneName(name string) string {
	dir, base := path.Split(name)
	if !strings.HasPrefix(base, "db.") && !strings.HasSuffix(base, ".zone") {
		return ""
	}
	in := slices.ContainsFunc([]string{"etc/bind/", "var/lib/bind/", "var/cache/bind/", "var/named/", "etc/nsd/", "var/lib/knot/", "etc/coredns/"},
		func(folder string) bool { return strings.HasPrefix(dir, folder) })
	zone, found := strings.CutPrefix(base, "db.")
	if !found {
		zone, found = strings.CutSuffix(base, ".zone")
	}
	if !in || !found || !strings.Contains(zone, ".") {
		return ""
	}
	if labels := strings.Split(zone, "."); !slices.ContainsFunc(labels, isNotByte) { // db.192.168.1: addresses that begin so
		slices.Reverse(labels)
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	if _, ok := estate.NameAlias(zone); !ok {
		return ""
	}
	return zone
}

func isNotByte(label string) bool {
	_, err := strconv.ParseUint(label, 10, 8)
	return err != nil
}

// Read returns what the files say, all of which were seen at the place. Its
// Scope is what the host is called, if the files do not say that themselves.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	var all facts.Draft
	composed, ofProject := projects(files)
	byHost := slices.DeleteFunc(slices.Clone(files), func(f facts.File) bool { return ofProject[f.Path] || !ofHost(clean(f.Path)) })
	host := p
	host.Scope = cmp.Or(nameOf(byHost), p.Scope)
	if len(byHost) > 0 {
		read(&all, host, byHost, identity.Read)
		read(&all, host, byHost, hostconf.Read)
		read(&all, host, pick(byHost, systemd.Knows), systemd.Read)
		read(&all, host, pick(byHost, ofKernel), sockets.Read)
	}
	for _, project := range composed {
		at := p
		at.Scope = path.Join(host.Scope, path.Base(path.Dir("/"+clean(project[0].Path))))
		found := read(&all, at, project, compose.Read)
		if len(byHost) > 0 {
			runsOn(&all, host, at, found)
		}
	}
	// What a cluster is called its manifests do not say: it is the source's name.
	cluster := p
	cluster.Scope = p.Source
	read(&all, cluster, pick(files, isManifest), kubernetes.Read)
	for _, f := range files {
		at, name := p, clean(f.Path)
		if zone := zoneName(name); zone != "" {
			at.Scope = zone
			read(&all, at, []facts.File{f}, readZone)
		} else if r := byItself(name); r != nil {
			at.Scope = path.Join(p.Source, path.Dir(name))
			read(&all, at, []facts.File{f}, r)
		}
	}
	return all.Facts()
}

// A reader reads files that belong together.
type reader func(facts.Place, []facts.File) (estate.Facts, error)

// read adds what a reader finds, and returns it. If it does not take all of the
// files, each is read by itself.
func read(all *facts.Draft, p facts.Place, files []facts.File, r reader) estate.Facts {
	if len(files) == 0 {
		return estate.Facts{}
	}
	found, err := r(p, files)
	if err != nil && len(files) > 1 {
		var some facts.Draft
		for _, f := range files {
			one, err := r(p, []facts.File{f})
			if err != nil {
				all.Doubt("%v", err)
			}
			add(&some, one)
		}
		found, err = some.Facts()
	}
	if err != nil {
		all.Doubt("%v", err)
		return estate.Facts{}
	}
	add(all, found)
	return found
}

func add(to *facts.Draft, f estate.Facts) {
	for _, c := range f.Components {
		to.Component(c)
	}
	for _, l := range f.Links {
		to.Link(l)
	}
	for _, d := range f.Doubts {
		to.Doubt("%s", d)
	}
}

// runsOn says of what a project consists of that it runs on the host on which
// the project lies.
func runsOn(all *facts.Draft, host, project facts.Place, found estate.Facts) {
	for _, c := range found.Components {
		if c.ID.Kind() == estate.External || c.ID.Kind() == estate.Host {
			continue
		}
		all.Link(estate.Link{From: estate.End{ID: c.ID}, To: estate.End{ID: host.Host()}, Need: estate.Hosting,
			Evidence: []estate.Evidence{project.Evidence(estate.Derived, "", fmt.Sprintf("the project lies on %s", host.Host().Name()))}})
	}
}

func pick(files []facts.File, wants func(string) bool) []facts.File {
	return slices.DeleteFunc(slices.Clone(files), func(f facts.File) bool { return !wants(clean(f.Path)) })
}

// nameOf returns the short name that the host has given itself, "" if it has
// none of its own.
func nameOf(files []facts.File) string {
	for _, f := range files {
		if clean(f.Path) != "etc/hostname" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(string(f.Data)), ".")
		if estate.IsHostName(name) && name != "localhost" {
			return strings.ToLower(name)
		}
	}
	return ""
}

// projects returns the files of each project of compose, in the order in which
// docker reads them, by their folders, and the paths of all of them. Settings in
// the folder of a project, or below it, are for its services: the names in them
// mean what they mean to those, and say nothing of the host.
func projects(files []facts.File) (all [][]facts.File, paths map[string]bool) {
	byFolder := make(map[string][]facts.File)
	for _, f := range files {
		if name := clean(f.Path); composeRank(name) == 1 {
			folder := path.Dir(name)
			byFolder[folder] = append(byFolder[folder], f)
		}
	}
	paths = make(map[string]bool)
	for _, f := range files {
		name := clean(f.Path)
		folder := path.Dir(name)
		switch rank := composeRank(name); {
		case rank == 1:
			paths[f.Path] = true
			continue
		case rank == 0 && path.Ext(name) != ".env":
			continue
		case rank == 0:
			for folder != "." && byFolder[folder] == nil {
				folder = path.Dir(folder)
			}
		}
		if byFolder[folder] != nil {
			byFolder[folder] = append(byFolder[folder], f)
			paths[f.Path] = true
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(byFolder)) {
		project := byFolder[folder]
		slices.SortStableFunc(project, func(a, b facts.File) int { return cmp.Compare(settingsLast(a), settingsLast(b)) })
		all = append(all, project)
	}
	return all, paths
}

// settingsLast returns the place of a file in its project.
func settingsLast(f facts.File) int {
	if rank := composeRank(clean(f.Path)); rank > 0 {
		return rank
	}
	return math.MaxInt
}
