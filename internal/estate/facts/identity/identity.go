// Package identity reads the files by which a host knows itself: its name, the
// number that it was given when it was installed, and its system.
//
// A machine that was made as a copy of another and kept its number is taken for
// the same one: /etc/machine-id promises to be unique, and not everybody who
// copies machines keeps that promise.
package identity

import (
	"fmt"
	"net/netip"
	"path"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// maxFile bounds each of the files, all of which are small.
const maxFile = 1 << 20

// Knows reports whether Read can make use of a file, by its path on the host.
func Knows(name string) bool {
	switch strings.TrimPrefix(path.Clean("/"+name), "/") {
	case "etc/hostname", "etc/machine-id", "sys/class/dmi/id/product_uuid", "etc/os-release", "usr/lib/os-release", "etc/hosts":
		return true
	}
	return false
}

// Read returns the host of the place with what it is known by elsewhere. Files
// that Read does not know are passed over.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	var d facts.Draft
	for _, f := range files {
		if !Knows(f.Path) {
			continue
		}
		if len(f.Data) > maxFile {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", f.Path, facts.TooMuch("bytes", maxFile))
		}
		at, text := p.At(f), string(f.Data)
		host := estate.Component{ID: p.Host()}
		know := func(alias estate.Alias, ok bool) {
			if ok {
				host.Aliases = append(host.Aliases, alias)
				host.Evidence = append(host.Evidence, at.Evidence(estate.Declared, "", string(alias)))
			}
		}
		switch path.Base(f.Path) {
		case "hostname":
			name := strings.TrimSpace(text)
			know(estate.NameAlias(name))
			if short, _, _ := strings.Cut(name, "."); estate.IsHostName(short) && short != p.Host().Name() {
				host.Label = short
			}
		case "machine-id", "product_uuid":
			know(estate.MachineAlias(text))
		case "os-release":
			if system := value(text, "PRETTY_NAME"); system != "" {
				host.Evidence = append(host.Evidence, at.Evidence(estate.Declared, "", system))
			}
		case "hosts":
			know(ownName(text))
		}
		d.Component(host)
	}
	return d.Facts()
}

// value returns a value of a file of NAME="value" lines.
func value(text, name string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

// ownName returns the full name that a host has given itself: the one beside
// 127.0.1.1, which Debian and its kin reserve for that.
func ownName(hosts string) (estate.Alias, bool) {
	own := netip.AddrFrom4([4]byte{127, 0, 1, 1})
	for line := range strings.Lines(hosts) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if address, err := netip.ParseAddr(fields[0]); err == nil && address == own {
			return estate.NameAlias(fields[1])
		}
	}
	return "", false
}
