package coverage

import (
	"fmt"
	"strings"

	"strongroom/internal/safe"
)

// The accounts of the handbook that a host has for the safe. The one that reads
// files is bound to that, whatever its key says, so dumps have one of their own.
const (
	reader = "strongroom"
	dumper = "strongroom-dump"
)

// A draft is a source that is proposed.
type draft struct {
	recipe
	name  safe.SourceName
	keyOf safe.SourceName // the source whose key it logs in with: itself, or one before it
	into  Reach
	known bool   // whether the safe reads files of the host already, by that
	near  string // what the host may be called if not
}

// write adds the source to a proposal, with what must be done for it on the host
// and on the safe.
func (s draft) write(p *Proposal) {
	p.Source += s.yaml(p)
	switch {
	case s.dump != nil:
		s.makeKey(p)
		p.OnHost = append(p.OnHost, s.script()...)
		p.OnHost = append(p.OnHost, s.account(dumper, "--home-dir / --shell /bin/sh", fmt.Sprintf(`,command="%s"`, s.forced()))...)
		p.OnHost = append(p.OnHost, s.dump.grants...)
	case !s.known && s.keyOf == s.name:
		s.makeKey(p)
		p.OnHost = append(p.OnHost, s.account(reader, "--home-dir /nonexistent --shell /usr/sbin/nologin", "", "    ForceCommand internal-sftp -R")...)
	}
	p.OnSafe = append(p.OnSafe, fmt.Sprintf("strongroom collect %s", s.name))
}

// keyFile is where the key is that is made for the source.
func (s draft) keyFile() string { return fmt.Sprintf("/etc/strongroom/secrets/%s.key", s.keyOf) }

// publicKey is what stands for that key until it is made.
func (s draft) publicKey() string { return "PUBLIC-KEY-OF-" + string(s.keyOf) }

// yaml writes the source's entry of the configuration.
func (s draft) yaml(p *Proposal) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	user, kind, key := reader, "sftp", "file:"+s.keyFile()
	if s.dump != nil {
		user, kind = dumper, "command"
	} else if s.known {
		key = s.into.Key
	}
	line("  %s:", s.name)
	line("    kind: %s", kind)
	if s.known {
		host := s.into.Host
		if s.dump != nil {
			host = dumper + host[strings.LastIndexByte(host, '@'):]
		}
		line("    host: %s", quote(host))
		line("    host_key: [ %s ]", quoteAll(s.into.HostKeys))
	} else {
		p.open("host", "host_key")
		line("    host: # %s@%s", user, s.near)
		line("    host_key: # the line of its /etc/ssh/ssh_host_ed25519_key.pub")
	}
	line("    key: %s", quote(key))
	switch {
	case s.dump != nil:
		line("    name: %s", s.dump.entry)
		if s.dump.ends != "" {
			line("    ends_with: %s", quote(s.dump.ends))
		}
	case len(s.include) > 0:
		line("    include: [ %s ]", quoteAll(s.include))
	default:
		p.open("include")
		line("    include: # the paths of what it keeps")
	}
	if len(s.exclude) > 0 {
		line("    exclude: [ %s ]", quoteAll(s.exclude))
	}
	if s.lenient {
		line("    allow_unreadable: true # what only root may read stays out")
	}
	return b.String()
}

// makeKey adds how the key is made that the source logs in with.
func (s draft) makeKey(p *Proposal) {
	p.open(s.publicKey(), "ADDRESS")
	p.First = append(p.First,
		fmt.Sprintf("ssh-keygen -q -t ed25519 -N '' -C strongroom -f %s", s.keyFile()),
		fmt.Sprintf("cat %s.pub # this is %s; ADDRESS is the one that the safe connects from", s.keyFile(), s.publicKey()))
}

// scriptFile is where the dump's script is on the host. The name is the source's,
// so it has nothing in it that means something to a shell or to sudo.
func (s draft) scriptFile() string { return fmt.Sprintf("/usr/local/sbin/strongroom-%s", s.name) }

// forced is the command that the key runs.
func (s draft) forced() string {
	if s.dump.as == "" {
		return s.scriptFile()
	}
	return fmt.Sprintf("sudo -n -u %s %s", s.dump.as, s.scriptFile())
}

// script returns the commands that put the dump's script on its host, and let the
// account run it.
func (s draft) script() []string {
	all := []string{fmt.Sprintf("%s >%s && chmod 0755 %[2]s", printLines("#!/bin/sh", s.dump.command), s.scriptFile())}
	if s.dump.as != "" {
		rule := "/etc/sudoers.d/strongroom-" + string(s.name)
		all = append(all,
			fmt.Sprintf("%s >%s && chmod 0440 %[2]s && visudo -c", printLines(fmt.Sprintf(`%s ALL=(%s) NOPASSWD: %s ""`, dumper, s.dump.as, s.scriptFile())), rule))
	}
	return all
}

// account returns the commands that make an account, as the handbook has them,
// and let the source's key in, with what else that is restricted to. What is
// there already stays as it is.
func (s draft) account(name, options, restriction string, config ...string) []string {
	keys, settings := fmt.Sprintf("/etc/ssh/%s.keys", name), fmt.Sprintf("/etc/ssh/sshd_config.d/%s.conf", name)
	match := []string{"Match User " + name, "    AuthorizedKeysFile " + keys, "    AuthenticationMethods publickey"}
	match = append(append(match, config...), "    DisableForwarding yes", "    PermitTTY no")
	return []string{
		fmt.Sprintf("id -u %s >/dev/null 2>&1 || useradd --system --password '*' %s %[1]s", name, options),
		fmt.Sprintf("%s >>%s && chmod 0644 %[2]s", printLines(fmt.Sprintf(`restrict,from="ADDRESS"%s %s`, restriction, s.publicKey())), keys),
		fmt.Sprintf("test -e %s || %s >%[1]s", settings, printLines(match...)),
		"sshd -t && systemctl reload ssh",
	}
}

// printLines returns the command that prints lines, whatever is in them.
func printLines(all ...string) string {
	quoted := make([]string, len(all))
	for i, l := range all {
		quoted[i] = shellQuote(l)
	}
	return `printf '%s\n' ` + strings.Join(quoted, " ")
}
