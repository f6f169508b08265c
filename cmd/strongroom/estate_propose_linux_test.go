package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/estate/estatetest"
)

// closeMisses does what is proposed for what is missing of an application that
// takes all five hosts, exactly as it is printed, and looks whether that closes
// the miss: a dump of a database, the zones of a name server, and the
// configuration of a host.
func (o *overseer) closeMisses(hosts map[string]*estatetest.Host) {
	o.t.Helper()
	config := filepath.Join(o.dir, "strongroom.yaml")
	before, err := os.ReadFile(config)
	if err != nil {
		o.t.Fatal(err)
	}
	write(o.t, config, string(before)+"components:\n  host/web1:\n    label: the phonebook's front\napplications:\n  phonebook:\n    consists_of: [ host/web1 ]\n")
	for _, h := range hosts {
		likeDebian(h)
	}

	for _, name := range []string{"db1", "dns1", "app1"} {
		p := o.proposal(estate.NewID(estate.Host, name))
		if p.Source == "" || p.For.State != coverage.Missing {
			o.t.Fatalf("%s: nothing is proposed to be collected: %+v", name, p)
		}
		o.follow(p, hosts[name])
		for _, item := range o.items() {
			if item.Component == p.For.Component && item.State != coverage.Unproven {
				o.t.Errorf("%s is %s after all that was done: %s", item.Component, item.State, item.Why)
			}
		}
	}

	keys := []string{"--outer-key", "outer.key", "--inner-key", "inner.key"}
	if dump := o.run(append([]string{"cat", "db1-dump", "postgresql.sql"}, keys...)...); !strings.Contains(dump, "grace\t555-0100\n") {
		o.t.Errorf("the dump of db1 has no grace:\n%s", dump)
	}
	for source, want := range map[string]struct{ has, lacks string }{
		"db1-conf":   {"etc/postgresql/pg_hba.conf", "etc/shadow"},
		"dns1-zones": {"etc/bind/db.acme.example", "etc/bind/rndc.key"},
		"app1-conf":  {"etc/default/phonebook", "etc/ssh/ssh_host_ed25519_key"},
	} {
		files := strings.Split(o.run(append([]string{"ls", source}, keys...)...), "\n")
		if !slices.Contains(files, want.has) || slices.Contains(files, want.lacks) {
			o.t.Errorf("%s has %q, want %s and not %s", source, files, want.has, want.lacks)
		}
	}
}

// likeDebian gives a host what Debian's have, and what proposals count on: files
// that only root may read, and a way to tell sshd that its configuration has
// changed, though there is no systemd.
func likeDebian(h *estatetest.Host) {
	h.Write("/usr/local/sbin/systemctl", "#!/bin/sh\ntest \"$*\" = 'reload ssh' && kill -HUP $(cat /run/sshd.pid)\n")
	h.Run("chmod", "0755", "/usr/local/sbin/systemctl")
	h.Write("/etc/pam.d/runuser", "auth sufficient pam_rootok.so\nsession required pam_unix.so\n")
	h.Run("install", "-d", "/etc/ssh/sshd_config.d")
	h.Run("chmod", "0640", "/etc/shadow")
	if h.Name == "dns1" {
		h.Write("/etc/bind/rndc.key", "key \"rndc-key\" { };\n")
		h.Run("chmod", "0640", "/etc/bind/rndc.key")
	}
}

// proposal returns what is proposed for a component.
func (o *overseer) proposal(id estate.ID) coverage.Proposal {
	o.t.Helper()
	for line := range strings.Lines(o.run("coverage", "phonebook", "--propose", "--json")) {
		var p coverage.Proposal
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			o.t.Fatal(err)
		}
		if p.For.Component == id {
			return p
		}
	}
	o.t.Fatalf("nothing is proposed for %s", id)
	return coverage.Proposal{}
}

// items returns how it stands with all that the application takes.
func (o *overseer) items() []coverage.Item {
	o.t.Helper()
	out, complaints, _ := o.try("coverage", "phonebook", "--json") // it fails while anything is missing
	var r coverage.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Items) == 0 {
		o.t.Fatalf("%v\n%s%s", err, out, complaints)
	}
	return r.Items
}

// follow does what a proposal says, as the people would who keep the safe and
// the host. The test's safe has its secrets in its own folder.
func (o *overseer) follow(p coverage.Proposal, h *estatetest.Host) {
	o.t.Helper()
	secrets := filepath.Join(o.dir, "secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		o.t.Fatal(err)
	}
	here := func(text string) string { return strings.ReplaceAll(text, "/etc/strongroom/secrets", secrets) }
	for _, line := range p.First {
		if out, err := o.network.Command("sh", "-c", here(line)).CombinedOutput(); err != nil {
			o.t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	fill := strings.NewReplacer("ADDRESS", "10.77.0.1")
	for _, word := range p.Open {
		switch source, isKey := strings.CutPrefix(word, "PUBLIC-KEY-OF-"); {
		case isKey:
			key, err := os.ReadFile(filepath.Join(secrets, source+".key.pub"))
			if err != nil {
				o.t.Fatal(err)
			}
			fill = strings.NewReplacer("ADDRESS", "10.77.0.1", word, strings.TrimSpace(string(key)))
		case word != "ADDRESS":
			o.t.Errorf("%s is open, and the safe gets into the host already", word)
		}
	}
	for _, line := range p.OnHost {
		h.Run("sh", "-c", fill.Replace(line))
	}

	config := filepath.Join(o.dir, "strongroom.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		o.t.Fatal(err)
	}
	pasted := string(text)
	for below, yaml := range map[string]string{"sources": here(p.Source), p.Below: p.Component} {
		pasted = regexp.MustCompile(`(?m)^`+below+":\n").ReplaceAllLiteralString(pasted, below+":\n"+yaml)
	}
	write(o.t, config, pasted)
	for _, line := range p.OnSafe {
		o.run(strings.Fields(line)[1:]...)
	}
}
