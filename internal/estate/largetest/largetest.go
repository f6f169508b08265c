// Package largetest makes up an estate of thousands of components, for tests and
// benchmarks of what takes long: hosts that tell of their sockets and of their
// configuration, compose projects, a zone of names, and what all of them need.
//
// It is the same each time. It is like a real one in its numbers, and in what
// joins one thing to another; its names mean nothing.
package largetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"strongroom/internal/estate"
)

// A Told is what one source of facts tells.
type Told struct {
	Source string
	Facts  estate.Facts
}

// perHost is how many programs serve on a host.
const perHost = 9

// ports of the programs of a host. Those with a lower number need those with a
// higher one, as a proxy needs what it passes requests to.
var ports = [perHost]uint16{443, 8080, 8081, 9000, 9092, 5672, 6379, 3306, 5432}

// seen is when everything was seen last.
var seen = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

// Applications is how many of the programs are what an application begins with:
// those of App.
const Applications = 20

// App returns the program that the ith application consists of.
func App(i int) estate.ID { return program(i*7, 0) }

// Estate returns an estate with that many components and links, at least a
// thousand and ten times as many, or a few less where chance gives the same
// twice. The first host has the name service, which itself needs a directory
// that needs names; a few programs call back what calls them.
func Estate(components, links int) []Told {
	e := estateOf{hosts: components / (perHost + 1), random: rand.New(rand.NewPCG(1, 2))}
	for i := range e.hosts {
		e.told = append(e.told, Told{Source: fmt.Sprintf("host-%03d", i)})
	}
	for i := range e.hosts {
		e.host(i)
	}
	for i, n := 0, links-e.links; i < n; i++ {
		e.call()
	}
	e.told = append(e.told, e.zone())
	return e.told
}

type estateOf struct {
	hosts  int
	random *rand.Rand
	told   []Told
	links  int
}

func host(i int) estate.ID { return estate.NewID(estate.Host, fmt.Sprintf("rack%02d-%03d", i%20, i)) }

func program(i, nth int) estate.ID {
	kind, name := estate.Service, fmt.Sprintf("rack%02d-%03d/unit-%d", i%20, i, ports[nth])
	if ports[nth] == 5432 || ports[nth] == 3306 {
		kind = estate.Database
	}
	return estate.NewID(kind, name)
}

func address(i int) estate.Alias {
	return estate.Alias(fmt.Sprintf("10.%d.%d.%d", 20+i>>12, i>>6&63, i&63+1))
}

func name(i int) estate.Alias {
	return estate.Alias(fmt.Sprintf("rack%02d-%03d.prod.acme.example", i%20, i))
}

func evidence(basis estate.Basis, source, place, detail string, count int64) []estate.Evidence {
	return []estate.Evidence{{Basis: basis, Source: source, Place: place, Detail: detail, First: seen.AddDate(0, -2, 0), Last: seen, Count: count}}
}

func (e *estateOf) link(i int, l estate.Link) {
	e.told[i].Facts.Links = append(e.told[i].Facts.Links, l)
	e.links++
}

// host tells what a host says of itself.
func (e *estateOf) host(i int) {
	told := &e.told[i]
	machine, _ := estate.MachineAlias(fmt.Sprintf("%032x", i+1))
	told.Facts.Components = append(told.Facts.Components, estate.Component{ID: host(i),
		Aliases: []estate.Alias{address(i), name(i), machine, "172.17.0.1"}, // and the bridge of its containers
		Evidence: append(evidence(estate.Declared, told.Source, "/etc/hostname", string(name(i)), 0),
			evidence(estate.Observed, told.Source, "ip address", string(address(i)), 1)...)})
	for nth, port := range ports {
		c := estate.Component{ID: program(i, nth), Aliases: []estate.Alias{address(i).At(port, "tcp")}, Listens: []estate.Port{{Number: port, Protocol: "tcp"}},
			Evidence: evidence(estate.Observed, told.Source, "ss -tulpn", fmt.Sprintf("unit-%d listens on %s", port, address(i).At(port, "tcp")), 60)}
		switch {
		case i == 0 && nth == 0:
			c.Roles, c.Listens = []estate.Role{estate.DNS}, append(c.Listens, estate.Port{Number: 53, Protocol: "udp"})
		case i == 1 && nth == 0:
			c.Roles, c.Listens = []estate.Role{estate.Directory}, append(c.Listens, estate.Port{Number: 389, Protocol: "tcp"})
		}
		told.Facts.Components = append(told.Facts.Components, c)
		e.link(i, estate.Link{From: estate.End{ID: c.ID}, To: estate.End{ID: host(i)}, Need: estate.Hosting,
			Evidence: evidence(estate.Observed, told.Source, "ps", fmt.Sprintf("unit-%d", port), 60)})
	}
	// As a project of compose has it: what stands in one file starts in its order.
	for nth := range 3 {
		e.link(i, estate.Link{From: estate.End{ID: program(i, nth)}, To: estate.End{ID: program(i, nth+5)}, Need: estate.Start,
			Evidence: evidence(estate.Declared, told.Source, "/srv/app/compose.yaml: line 12", "depends_on", 0)})
	}
	for _, conf := range []struct {
		to    int
		port  uint16
		proto string
		need  estate.Need
		place string
	}{
		{0, 53, "udp", estate.Run, "/etc/resolv.conf: line 1"}, {1, 389, "tcp", estate.Run, "/etc/sssd/sssd.conf: line 7"},
		{2, 123, "udp", estate.Soft, "/etc/chrony/chrony.conf: line 3"}, {3, 514, "udp", estate.Telemetry, "/etc/rsyslog.conf: line 40"},
	} {
		e.link(i, estate.Link{From: estate.End{ID: host(i)}, To: estate.End{Alias: address(conf.to).At(conf.port, conf.proto)}, Need: conf.need,
			Evidence: evidence(estate.Declared, told.Source, conf.place, string(address(conf.to)), 0)})
	}
}

// call has a program of one host be seen to call one of another: one that stands
// below it, or now and then of a few that call each other.
func (e *estateOf) call() {
	from, to := e.random.IntN(e.hosts), e.random.IntN(e.hosts)
	nth := e.random.IntN(perHost - 1)
	below := nth + 1 + e.random.IntN(perHost-1-nth)
	if from < 40 && to < 40 && e.random.IntN(4) == 0 {
		nth, below = below, nth
	}
	to0 := address(to).At(ports[below], "tcp")
	e.link(from, estate.Link{From: estate.End{ID: program(from, nth)}, To: estate.End{Alias: to0}, Need: estate.Run,
		Evidence: evidence(estate.Observed, e.told[from].Source, "ss -tnp", fmt.Sprintf("%s to %s", address(from), to0), 1+int64(e.random.IntN(200)))})
}

// zone tells the names of all hosts once more.
func (e *estateOf) zone() Told {
	told := Told{Source: "zone"}
	for i := range e.hosts {
		told.Facts.Components = append(told.Facts.Components, estate.Component{ID: estate.NewID(estate.Resource, "prod.acme.example/"+string(name(i))),
			Aliases: []estate.Alias{name(i), address(i)}, Evidence: evidence(estate.Declared, told.Source, "prod.acme.example.zone", "A "+string(address(i)), 0)})
	}
	return told
}
