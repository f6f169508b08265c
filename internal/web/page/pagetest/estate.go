package pagetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// acme is what the made-up company depends on: from needs to.
const acme = `
application/erp service/erp-web run
application/erp service/erp-jobs run
application/wiki service/wiki run
application/mail service/postfix run
service/erp-web host/erp-web1 hosting
service/erp-web host/erp-web2 hosting
service/erp-web database/erp run
service/erp-web service/redis soft
service/erp-web external/license.vendor.example start
service/erp-web service/prometheus telemetry
service/erp-jobs host/erp-app hosting
service/erp-jobs database/erp start
service/erp-jobs service/nfs run
service/redis host/erp-app hosting
database/erp host/db1 hosting
service/wiki host/wiki hosting
service/wiki database/wiki run
service/wiki service/ldap run
database/wiki host/db1 hosting
service/postfix host/mail hosting
service/postfix service/ldap run
service/nfs host/files hosting
service/prometheus host/monitor hosting
host/erp-web1 service/dns run
host/erp-web2 service/dns run
host/erp-app service/dns run
host/db1 service/dns run
host/wiki service/dns run
host/mail service/dns run
host/files service/dns run
host/monitor service/dns run
service/dns service/ldap start
service/ldap service/dns start
service/dns service/ntp run
service/ldap service/ntp run
service/ntp host/hypervisor1 hosting
service/dns host/hypervisor1 hosting
service/ldap host/hypervisor2 hosting
host/db1 storage/san start
host/hypervisor1 power/rack-a hosting
host/hypervisor2 power/rack-b hosting
storage/san power/rack-a hosting
person/petra-novak power/rack-a admin
`

func evidenceOf(basis estate.Basis, source, place, detail string, n int64) estate.Evidence {
	return estate.Evidence{Basis: basis, Source: source, Place: place, Detail: detail, First: ago(40 * day), Last: ago(night), Count: n}
}

// Map is the map of the made-up company.
func Map() report.MapPage {
	var arrows []report.MapArrow
	for line := range strings.Lines(strings.TrimSpace(acme)) {
		w := strings.Fields(line)
		arrows = append(arrows, report.MapArrow{From: estate.ID(w[0]), To: estate.ID(w[1]), Need: estate.Need(w[2])})
	}
	m := report.MapPage{
		Safe: "acme", Now: Now, Applications: []string{"erp", "wiki", "mail"}, Arrows: arrows,
		Knots: []report.MapKnot{{
			Number: 1, Components: []estate.ID{"service/dns", "service/ldap"}, Why: "1 of 2 needs is opened by what is known of how such things start",
			Opened: []string{"service/ldap does not wait for service/dns: a directory starts with addresses in /etc/hosts until names are served"},
		}},
		Doubts: []string{"host/erp-app has the address 10.0.4.7, which host/erp-web2 has, too"},
	}
	fillMap(&m, map[estate.ID]int{"service/dns": 1, "service/ldap": 1})
	states := map[estate.ID]coverage.State{
		"storage/san": coverage.Missing, "application/erp": coverage.Missing, "host/files": coverage.Missing, "service/nfs": coverage.Missing,
		"database/wiki": coverage.Stale, "application/wiki": coverage.Stale, "host/wiki": coverage.Unproven, "service/wiki": coverage.Unproven, "application/mail": coverage.Unproven,
		"service/postfix": coverage.Unproven, "power/rack-a": coverage.Waived, "power/rack-b": coverage.Waived,
	}
	for i := range m.Components {
		c := &m.Components[i]
		if len(c.Applications) > 0 && !slices.Contains([]estate.Kind{estate.External, estate.Person}, c.ID.Kind()) {
			c.State = cmp.Or(states[c.ID], coverage.Held)
		}
		switch c.ID {
		case "host/db1":
			c.Label, c.Also = "the database host in Bonn", []string{"infra@acme.example", "10.0.4.5", "db1.acme.example"}
		case "service/ntp":
			c.Bases = []estate.Basis{estate.Stated}
		}
	}
	return m
}

// fillMap makes the components of arrows, with their layers and the applications
// that need them.
func fillMap(m *report.MapPage, knots map[estate.ID]int) {
	needs := make(map[estate.ID][]report.MapArrow)
	count := make(map[estate.ID]int)
	var all []estate.ID
	for _, a := range m.Arrows {
		needs[a.From] = append(needs[a.From], a)
		count[a.To]++
		all = append(all, a.From, a.To)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	layers := make(map[estate.ID]int)
	together := make(map[int][]estate.ID)
	for id, k := range knots {
		together[k] = append(together[k], id)
	}
	var layer func(id estate.ID) int
	layer = func(id estate.ID) int {
		if layers[id] > 0 {
			return layers[id]
		}
		members := []estate.ID{id}
		if k := knots[id]; k > 0 {
			members = together[k]
		}
		below := 0
		for _, one := range members {
			for _, a := range needs[one] {
				if a.Need.Orders() && !slices.Contains(members, a.To) {
					below = max(below, layer(a.To))
				}
			}
		}
		for _, one := range members {
			layers[one] = below + 1
		}
		return below + 1
	}
	apps := make(map[estate.ID][]string)
	for _, app := range m.Applications {
		seen := make(map[estate.ID]bool)
		for next := []estate.ID{estate.NewID(estate.Application, app)}; len(next) > 0; next = next[1:] {
			if id := next[0]; !seen[id] {
				seen[id] = true
				apps[id] = append(apps[id], app)
				for _, a := range needs[id] {
					if a.Need.Orders() {
						next = append(next, a.To)
					}
				}
			}
		}
	}
	kinds := make(map[estate.Kind]bool)
	for _, id := range all {
		kinds[id.Kind()] = true
		m.Components = append(m.Components, report.MapComponent{
			ID: id, Layer: layer(id), Knot: knots[id], Applications: apps[id], Bases: []estate.Basis{estate.Declared, estate.Observed}, Needs: len(needs[id]), NeededBy: count[id],
		})
	}
	slices.SortStableFunc(m.Components, func(a, b report.MapComponent) int { return cmp.Compare(a.Layer, b.Layer) })
	for _, k := range estate.Kinds {
		if kinds[k] {
			m.Kinds = append(m.Kinds, k)
		}
	}
	m.All = len(m.Components)
}

// LargeMap is a map of that many components with that many dependencies, each of
// a component on one of those before it: for how long a page takes.
func LargeMap(components, dependencies int) report.MapPage {
	m := report.MapPage{Safe: "acme", Now: Now, Applications: []string{"erp", "wiki"}}
	kinds := []estate.Kind{estate.Host, estate.Service, estate.Database, estate.Resource, estate.Service}
	name := func(i int) estate.ID {
		if i >= components-len(m.Applications) {
			return estate.NewID(estate.Application, m.Applications[components-1-i])
		}
		return estate.NewID(kinds[i%len(kinds)], fmt.Sprintf("rack%02d-%05d.prod.acme.example", i%37, i))
	}
	seen := make(map[[2]int]bool)
	state := uint64(1)
	random := func(n int) int { // the same each time
		state = state*6364136223846793005 + 1442695040888963407
		return int(state>>33) % n
	}
	for len(m.Arrows) < dependencies {
		i := len(m.Arrows)%(components-1) + 1
		j := random(i)
		if random(3) > 0 { // most need what many need
			j = random(min(i, 200))
		}
		if seen[[2]int{i, j}] {
			j = random(i)
		}
		if seen[[2]int{i, j}] && i < 2*dependencies/components+2 {
			i = components/2 + random(components/2)
		}
		if !seen[[2]int{i, j}] {
			seen[[2]int{i, j}] = true
			m.Arrows = append(m.Arrows, report.MapArrow{From: name(i), To: name(j), Need: estate.Needs[random(len(estate.Needs))]})
		}
	}
	fillMap(&m, nil)
	for i := range m.Components {
		c := &m.Components[i]
		c.Also = []string{"team-" + string(rune('a'+i%26)) + "@acme.example", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)}
		if random(3) > 0 {
			c.State = coverage.States[random(len(coverage.States))]
		}
	}
	return m
}

// Component is one that much depends on.
func Component() report.ComponentPage {
	resolv := evidenceOf(estate.Declared, "erp-app", "/etc/resolv.conf: line 2", "nameserver 10.0.0.2", 0)
	seen := evidenceOf(estate.Observed, "erp-app", "ss", "10.0.4.7 to 10.0.0.2:53/udp", 118)
	c := report.ComponentPage{
		Safe: "acme", Now: Now, ID: "service/dns", Label: "names of acme.example", Owner: "infra@acme.example", Layer: 4, State: coverage.Held,
		Aliases: []string{"10.0.0.2", "dns1.acme.example", "10.0.0.2:53/udp"}, Roles: []string{"dns"}, Listens: []string{"53/tcp", "53/udp"},
		Knot: []estate.ID{"service/ldap"}, Notes: []string{"8 others need it"},
		Steps: []string{
			"layer 4 of the order, install, bootstrap: it starts without service/ldap, with local accounts only",
			"layer 6 of the order, start, verify: all that it needs is there",
		},
		Covers: []report.Cover{{Application: "erp", Items: []coverage.Item{
			{Component: "service/dns", Matter: config.Data, Source: "dns-zones", State: coverage.Held, Why: "the newest snapshot of dns-zones is 5 hours old"},
		}}, {Application: "wiki"}},
		Evidence: []estate.Evidence{evidenceOf(estate.Stated, "the configuration", "line 41", "", 0), evidenceOf(estate.Declared, "dns1", "/etc/systemd/system/named.service", "", 0), seen},
		Merges:   []string{"host/10.0.0.2: they share 10.0.0.2"},
		Needs: []report.Neighbour{
			{ID: "service/ldap", Layer: 4, State: coverage.Held, Need: estate.Start, Ports: []string{"389/tcp"}, Evidence: []estate.Evidence{evidenceOf(estate.Declared, "dns1", "/etc/nsswitch.conf: line 7", "passwd: files ldap", 0)}},
			{ID: "service/ntp", Layer: 3, State: coverage.Held, Need: estate.Run, Ports: []string{"123/udp"}, Evidence: []estate.Evidence{evidenceOf(estate.Stated, "ana", "entry 438 of the ledger", "seen at the drill", 0), evidenceOf(estate.Declared, "dns1", "/etc/chrony/chrony.conf: line 3", "server ntp1", 0)}, Said: []int64{438}},
			{ID: "host/hypervisor1", Layer: 2, State: coverage.Held, Need: estate.Hosting, Evidence: []estate.Evidence{evidenceOf(estate.Declared, "netbox", "virtual-machines/12", "", 0)}},
		},
		Overruled: []report.Overruled{{From: "service/dns", To: "service/prometheus", Need: estate.Run, By: []estate.Evidence{evidenceOf(estate.Stated, "the configuration", "line 44", "it only looks at it", 0)}},
			{From: "host/backup", To: "service/dns", By: []estate.Evidence{evidenceOf(estate.Stated, "ana", "entry 437 of the ledger", "it has a file of hosts", 0)}, Said: []int64{437}}},
		Others: []estate.ID{"host/backup", "host/db1", "host/erp-app", "service/ldap", "service/ntp"},
	}
	for _, id := range []estate.ID{"host/db1", "host/erp-app", "host/erp-web1", "host/erp-web2", "host/files", "host/mail", "host/monitor", "host/wiki"} {
		c.NeededBy = append(c.NeededBy, report.Neighbour{ID: id, Layer: 5, State: coverage.Held, Need: estate.Run, Ports: []string{"53/udp"}, Evidence: []estate.Evidence{resolv, seen}})
	}
	c.NeededBy[4].State, c.NeededBy[7].State, c.NeededBy[6].State = coverage.Missing, coverage.Unproven, ""
	return c
}

func cards() []report.ApplicationCard {
	return []report.ApplicationCard{
		Application().Card,
		{
			Name: "wiki", Held: 9, Needed: 12, States: []report.StateCount{{State: coverage.Stale, N: 1}, {State: coverage.Unproven, N: 2}, {State: coverage.Held, N: 9}},
			Levels: []coverage.Level{{Promise: coverage.RPO, Verdict: coverage.Broken, Why: "in the last 30 days the newest snapshot of wiki was up to 4 days old, and may be 26 hours"}},
		},
		{Name: "mail", Held: 6, Needed: 6, States: []report.StateCount{{State: coverage.Held, N: 6}}},
	}
}

// Application is one of which something is in each state.
func Application() report.ApplicationPage {
	a := report.ApplicationPage{Safe: "acme", Now: Now, Outside: []estate.ID{"external/license.vendor.example"}}
	add := func(state coverage.State, id estate.ID, matter config.Matter, source safe.SourceName, why string) *coverage.Item {
		a.Items = append(a.Items, coverage.Item{Component: id, Matter: matter, Source: source, State: state, Why: why})
		return &a.Items[len(a.Items)-1]
	}
	add(coverage.Missing, "database/erp", config.Certificates, "", "the configuration says that it is missing")
	add(coverage.Missing, "storage/san", "", "", "nobody has said what it takes to rebuild it")
	add(coverage.Stale, "service/nfs", config.Data, "nfs-export", "the newest snapshot of nfs-export is 4 days old, and may be 26 hours")
	add(coverage.Unproven, "host/erp-web1", config.Configuration, "erp-files", "no snapshot of erp-files was ever restored and found to be right")
	w := add(coverage.Waived, "database/erp", config.Secrets, "", "ada has waived it until 2026-12-31: on paper in the vault (the configuration says that it is missing)")
	w.Without, w.Until = coverage.Missing, time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	add(coverage.Held, "database/erp", config.Data, "erp-db", "the newest snapshot of erp-db is 5 hours old")
	add(coverage.Held, "database/erp", config.Configuration, "erp-files", "the newest snapshot of erp-files is 5 hours old")
	add(coverage.Held, "database/erp", config.People, "", "ada, olga know how it is brought back")
	add(coverage.Held, "service/dns", config.Data, "dns-zones", "the newest snapshot of dns-zones is 5 hours old")
	add(coverage.Held, "service/ldap", config.Data, "directory", "the newest snapshot of directory is 5 hours old")
	levels := []coverage.Level{
		{Promise: coverage.RPO, Verdict: coverage.Broken, Why: "in the last 30 days the newest snapshot of nfs-export was up to 4 days old, and may be 26 hours"},
		{Promise: coverage.Window, Verdict: coverage.Kept, Why: "collecting erp-db took up to 6 minutes, and may take 60 minutes"},
		{Promise: coverage.Retention, Verdict: coverage.Kept, Why: "snapshots are kept for 7y or longer"},
		{Promise: coverage.RTO, Verdict: coverage.Unknown, Why: "no rehearsal of the whole was measured"},
		{Promise: coverage.Rehearsed, Verdict: coverage.Broken, Why: "erp-files was never rehearsed"},
	}
	a.Card = report.CardOf(coverage.Report{Application: "application/erp", Items: a.Items, Levels: levels})
	a.History = history(a.Card)
	a.Proposals = []coverage.Proposal{
		{
			For: a.Items[1], Says: "Collect the configuration of storage/san as source san-conf.",
			Source:    "  san-conf:\n    kind: sftp\n    host: # strongroom@san.acme.example\n    host_key: # the line of its /etc/ssh/ssh_host_ed25519_key.pub\n    key: \"file:/etc/strongroom/secrets/san-conf.key\"\n    include: # the paths of what it keeps\n",
			Component: "  \"storage/san\":\n    must_hold:\n      configuration: [ \"san-conf\" ]\n", Below: "components",
			First:  []string{"ssh-keygen -q -t ed25519 -N '' -C strongroom -f /etc/strongroom/secrets/san-conf.key"},
			OnHost: []string{`printf '%s\n' 'restrict,from="ADDRESS" PUBLIC-KEY-OF-san-conf' >>/etc/ssh/strongroom.keys && chmod 0644 /etc/ssh/strongroom.keys`},
			OnSafe: []string{"strongroom collect san-conf"},
			Open:   []string{"host", "host_key", "include", "PUBLIC-KEY-OF-san-conf", "ADDRESS"},
		},
		{For: a.Items[2], Says: "Collect it. If only a part is kept, the warnings say what lacks; if it was not collected at all: does the timer run?", OnSafe: []string{"strongroom collect nfs-export", "systemctl list-timers 'strongroom*'"}},
		{For: a.Items[3], Says: "Restore it, see whether it is right, and say so with a record: ask for an opening.", OnSafe: []string{"strongroom opening request --snapshot erp-files --reason 'rehearsal of erp'"}},
	}
	return a
}

// history is of four months, after which it stood as on the card.
func history(card report.ApplicationCard) (days []report.Standing) {
	const all = 124
	for i := range all {
		day := report.Standing{Taken: ago((all-1)*day - time.Duration(i)*day + night)}
		add := func(state coverage.State, n int) {
			if n > 0 {
				day.States = append(day.States, report.StateCount{State: state, N: n})
			}
		}
		switch {
		case i < 20:
			add(coverage.Missing, 6)
			add(coverage.Held, 1)
		case i < 75:
			add(coverage.Missing, 4)
			add(coverage.Unproven, 1+i/40)
			add(coverage.Held, 3+i/30)
		case i < 110:
			add(coverage.Missing, 1)
			add(coverage.Unproven, 1)
			add(coverage.Held, 8)
		default:
			day.States = card.States
		}
		for _, l := range card.Levels {
			standing := report.LevelStanding{Promise: l.Promise, Verdict: l.Verdict}
			if l.Promise == coverage.RPO && i < all-4 {
				standing.Verdict = coverage.Kept
			}
			day.Levels = append(day.Levels, standing)
		}
		days = append(days, day)
	}
	return days
}

// LargeApplication is one that needs more than its page has room for, and of
// which the history has only begun.
func LargeApplication() report.ApplicationPage {
	a := Application()
	a.MoreComponents, a.MoreOutside, a.MoreProposals = 3812, 40, 1954
	a.History = a.History[len(a.History)-1:]
	return a
}
