package sockets

import (
	"slices"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// servingUDP are ports of UDP that somebody serves on. A socket of UDP that
// calls looks the same as one that is called, but for its port.
var servingUDP = []uint16{53, 67, 69, 88, 111, 123, 161, 162, 389, 464, 500, 514, 1812, 1813, 2049, 4500, 51820}

// administration are ports that people and programs log in to a host by.
var administration = []uint16{22, 3389, 5900, 5985, 5986}

// needOf returns what the caller needs the called one for.
func needOf(c call) estate.Need {
	switch {
	case c.port.Protocol == "tcp" && slices.Contains(administration, c.port.Number):
		return estate.Admin
	case facts.TelemetryPort(c.port) != "", facts.Telemetry(c.process) != "":
		return estate.Telemetry
	case c.unclear, !c.answered:
		return estate.Soft
	}
	return estate.Run
}

// Roles by the ports that others can reach.
var portRoles = map[estate.Port]estate.Role{
	{Number: 53, Protocol: "tcp"}:   estate.DNS,
	{Number: 53, Protocol: "udp"}:   estate.DNS,
	{Number: 88, Protocol: "tcp"}:   estate.Kerberos,
	{Number: 88, Protocol: "udp"}:   estate.Kerberos,
	{Number: 389, Protocol: "tcp"}:  estate.Directory,
	{Number: 636, Protocol: "tcp"}:  estate.Directory,
	{Number: 3142, Protocol: "tcp"}: estate.Packages, // apt-cacher-ng
	{Number: 9418, Protocol: "tcp"}: estate.Scripts,  // git
}

// Roles by the name of the process that listens, where the port alone says too
// little: every client of ntpd has port 123 open, chronyd only if it serves.
var processRoles = map[string]estate.Role{
	"chronyd":         estate.Time,
	"vault":           estate.Secrets,
	"bao":             estate.Secrets,
	"step-ca":         estate.Authority,
	"apt-cacher-ng":   estate.Packages,
	"gitea":           estate.Scripts,
	"forgejo":         estate.Scripts,
	"git-daemon":      estate.Scripts,
	"vpxd":            estate.Hypervisors,
	"otelcol":         estate.Collector,
	"otelcol-contrib": estate.Collector,
	"prometheus":      estate.Collector,
	"jaeger":          estate.Collector,
	"loki":            estate.Collector,
	"grafana":         estate.Collector,
}

// roles returns the parts that a host plays for those who can reach its ports.
func roles(serves map[estate.Port]string) []estate.Role {
	var all []estate.Role
	tcp := func(number uint16) bool { _, ok := serves[estate.Port{Number: number, Protocol: "tcp"}]; return ok }
	for port, process := range serves {
		if role, ok := portRoles[port]; ok {
			all = append(all, role)
		}
		if role, ok := processRoles[process]; ok {
			all = append(all, role)
		}
	}
	// The global catalogue is what a directory with Kerberos has only there.
	if tcp(88) && tcp(389) && tcp(3268) {
		all = append(all, estate.DomainMaster)
	}
	return all
}
