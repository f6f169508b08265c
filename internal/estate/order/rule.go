package order

import (
	"fmt"
	"slices"

	"strongroom/internal/estate"
)

// A Rule is knowledge of how a knot is opened: X may start without Y in a mode,
// until something is done, proven by a check, undone by an action.
type Rule struct {
	Name    string        `json:"name"`
	From    []Match       `json:"from"`             // X is one of these
	Without []Match       `json:"without"`          // Y is
	Among   []estate.Role `json:"among,omitempty"`  // what the knot has to have somewhere, besides
	Needed  bool          `json:"needed,omitempty"` // Y needs X, too
	Hosted  bool          `json:"hosted,omitempty"` // Y runs on X, directly or not
	Once    bool          `json:"once,omitempty"`   // for one X of a knot only: one that comes first in From
	Mode    string        `json:"mode"`             // how X starts
	Until   string        `json:"until"`            // when that ends
	Check   string        `json:"check"`            // what proves that X works in that mode
	Undo    string        `json:"undo"`             // what ends it
	Source  string        `json:"source,omitempty"` // who knows
}

// A Match is what a rule says of a component. What is empty is not asked for.
type Match struct {
	ID    estate.ID     `json:"id,omitempty"`
	Kinds []estate.Kind `json:"kinds,omitempty"` // one of them
	Roles []estate.Role `json:"roles,omitempty"` // all of them
}

func (m Match) fits(c estate.Component) bool {
	if m.ID != "" && m.ID != c.ID || len(m.Kinds) > 0 && !slices.Contains(m.Kinds, c.ID.Kind()) {
		return false
	}
	for _, r := range m.Roles {
		if !slices.Contains(c.Roles, r) {
			return false
		}
	}
	return true
}

// rank is the place of the first match that fits, or -1.
func rank(list []Match, c estate.Component) int {
	return slices.IndexFunc(list, func(m Match) bool { return m.fits(c) })
}

func (r Rule) check() error {
	switch {
	case r.Name == "":
		return fmt.Errorf("a rule has no name")
	case len(r.From) == 0 || len(r.Without) == 0:
		return fmt.Errorf("rule %q does not say what may start without what", r.Name)
	case r.Mode == "" || r.Until == "" || r.Check == "" || r.Undo == "":
		return fmt.Errorf("rule %q lacks its mode, until when it lasts, what proves it, or what undoes it", r.Name)
	}
	return nil
}

func roles(r ...estate.Role) Match { return Match{Roles: r} }

func kinds(k ...estate.Kind) Match { return Match{Kinds: k} }

// anything is what all components are.
var anything = Match{}

// BuiltIn returns the rules that are known to hold everywhere, those for one
// product first, those that are a last resort last.
func BuiltIn() []Rule {
	const (
		microsoft = "Microsoft, Active Directory Forest Recovery Guide: perform initial recovery; configure the DNS Server service"
		freeipa   = "FreeIPA, ipactl and the order of services in ipaserver/masters.py"
		practice  = "common practice"
	)
	return []Rule{
		{
			Name:    "ad-first-dc",
			From:    []Match{roles(estate.DomainMaster, estate.DNS), roles(estate.DomainMaster)},
			Without: []Match{roles(estate.DomainMaster), roles(estate.DNS), roles(estate.Directory), roles(estate.Kerberos), roles(estate.Time)},
			Once:    true,
			Mode: "Restore this one writable domain controller first, from a trusted backup, on an isolated network: AD DS non-authoritatively, SYSVOL authoritatively. " +
				"It has the DNS Server role and its own address as its preferred DNS server; the zones come back with the directory. " +
				`So that it does not wait for a partner that cannot come, set HKLM\SYSTEM\CurrentControlSet\Services\NTDS\Parameters, "Repl Perform Initial Synchronizations", to 0. ` +
				"You need the DSRM password and that of a domain administrator.",
			Until: "the other domain controllers are there and replicate",
			Check: "NET SHARE lists SYSVOL and NETLOGON; dcdiag passes Connectivity, Advertising and MachineAccount; the DNS server answers for the SRV records of the domain",
			Undo:  `Set "Repl Perform Initial Synchronizations" back to 1, and make another domain controller its preferred DNS server, with its own address second.`, Source: microsoft,
		},
		{
			Name:    "ad-further-dc",
			From:    []Match{roles(estate.DomainMaster)},
			Without: []Match{roles(estate.DomainMaster)},
			Mode: "Do not restore this domain controller from its backup: clean its metadata from the directory, install it anew, " +
				"and promote it with the first restored domain controller as source of replication and as DNS server.",
			Until: "all domain controllers of the domain are promoted",
			Check: "repadmin /replsum shows no failure; dcdiag /v passes",
			Undo:  "Give it its usual replication partners and DNS servers.", Source: microsoft,
		},
		{
			Name:    "freeipa-directory",
			From:    []Match{roles(estate.Directory)},
			Without: []Match{roles(estate.Kerberos), roles(estate.DNS), roles(estate.Authority)},
			Among:   []estate.Role{estate.Directory, estate.Kerberos, estate.DNS},
			Mode: "Start the directory alone. What needs it on the same machine reaches it by its socket, ldapi, with SASL EXTERNAL: no name, ticket or certificate is needed. " +
				"The names of the other servers are in /etc/hosts.",
			Until: "KDC and DNS server run, in that order; then the web server, then the certificate authority",
			Check: "ldapsearch -H ldapi:// -Y EXTERNAL finds the services' entries below cn=masters",
			Undo:  "Take the names out of /etc/hosts, and start all services with ipactl restart.", Source: freeipa,
		},
		{
			Name:    "freeipa-kdc",
			From:    []Match{roles(estate.Kerberos)},
			Without: []Match{roles(estate.DNS), roles(estate.Authority)},
			Among:   []estate.Role{estate.Directory, estate.Kerberos, estate.DNS},
			Mode:    "Start the KDC after the directory and before DNS: it reaches the directory by ldapi, and krb5.conf names the servers by their addresses in /etc/hosts.",
			Until:   "the DNS server answers for the SRV records of the realm",
			Check:   "kinit gets a ticket on the machine itself",
			Undo:    "Take the names out of /etc/hosts.", Source: freeipa,
		},
		{
			Name:    "directory-names-in-files",
			From:    []Match{roles(estate.Directory)},
			Without: []Match{roles(estate.DNS)},
			Mode: "Start the directory server (slapd) without DNS: the names that it needs, of its replicas and clients, are in /etc/hosts, nsswitch.conf has files before dns, " +
				"and it listens on ldapi and on its address.",
			Until: "the DNS server answers",
			Check: "ldapsearch -H ldapi:/// -Y EXTERNAL -s base finds the root of the directory, and ldapsearch by its address does",
			Undo:  "Take the names out of /etc/hosts and restart the directory server.", Source: practice,
		},
		{
			Name:    "dns-zone-from-file",
			From:    []Match{roles(estate.DNS)},
			Without: []Match{roles(estate.Directory), roles(estate.Kerberos)},
			Mode: "Start the DNS server (BIND) with the zone in a file, written from the last copy in the safe, instead of from the directory; " +
				"log in with a local account.",
			Until: "the directory answers",
			Check: "dig @localhost gets the SOA of each zone, and the addresses of the directory servers",
			Undo:  "Put the zone's configuration back so that it comes from the directory, reload, and compare the SOA.", Source: practice,
		},
		{
			Name:    "time-first",
			From:    []Match{roles(estate.Time)},
			Without: []Match{roles(estate.Kerberos), roles(estate.Directory), roles(estate.DomainMaster), roles(estate.DNS)},
			Mode: "Start the time server before Kerberos, which refuses clocks that differ by more than five minutes: its sources are a receiver or addresses outside, " +
				"without names and without authentication by the domain; log in with a local account.",
			Until: "Kerberos and DNS run",
			Check: "chronyc tracking (or w32tm /query /status) shows a source and an offset below a second",
			Undo:  "Put back the names of its sources, and authentication.", Source: practice,
		},
		{
			Name:    "host-before-manager",
			From:    []Match{kinds(estate.Host, estate.Cluster)},
			Without: []Match{roles(estate.Hypervisors)},
			Mode: "Start the host without its manager, at its own console with its local root account. The manager is a virtual machine: " +
				"start it there, on the host whose disk has it; note which host that is.",
			Until: "the manager runs and has its hosts",
			Check: "the host's own interface lists its virtual machines and its storage",
			Undo:  "Connect the host to its manager; give start order and placement of virtual machines back to that.", Source: practice,
		},
		{
			Name:    "host-before-guests",
			From:    []Match{kinds(estate.Host, estate.Cluster, estate.Storage, estate.Network)},
			Without: []Match{roles(estate.DNS), roles(estate.Directory), roles(estate.Kerberos), roles(estate.DomainMaster), roles(estate.Time), roles(estate.Secrets)},
			Hosted:  true,
			Mode:    "Start it without what runs on it: with a local account from the safe, addresses in place of names, and its clock set by hand.",
			Until:   "the service that runs on it answers",
			Check:   "a login with the local account; its storage and its networks are there",
			Undo:    "Put back names and logins by the directory, and change the password of the local account that was used.", Source: practice,
		},
		{
			Name:    "secrets-unsealed-by-hand",
			From:    []Match{roles(estate.Secrets)},
			Without: []Match{roles(estate.Authority), roles(estate.Directory), roles(estate.DNS), roles(estate.Kerberos), roles(estate.Scripts), roles(estate.Secrets)},
			Mode: "Start the secrets store with its configuration, its last certificate and its storage from the safe, and unseal it by hand. " +
				"The unseal keys are kept outside it: with their holders, or on paper. Log in with a root token made from them.",
			Until: "the services that it takes its certificate, names and logins from run",
			Check: "the store says that it is unsealed, and a known secret can be read",
			Undo:  "Give it a new certificate, put back logins and automatic unsealing, revoke the root token.", Source: practice,
		},
		{
			Name:    "before-secrets",
			From:    []Match{anything},
			Without: []Match{roles(estate.Secrets)},
			Needed:  true,
			Mode:    "Start it with the credentials that the safe holds, put in place by hand, since the secrets store needs it, too.",
			Until:   "the secrets store is unsealed",
			Check:   "it answers a login with these credentials",
			Undo:    "Have it take its credentials from the secrets store again, and change those that were used.", Source: practice,
		},
		{
			Name:    "authority-offline",
			From:    []Match{roles(estate.Authority)},
			Without: []Match{roles(estate.Directory), roles(estate.DNS), roles(estate.Kerberos), roles(estate.Secrets), roles(estate.Scripts)},
			Mode:    "Start the certificate authority offline, at its console, with its key and its database from the safe: it signs requests that are files, and publishes nothing.",
			Until:   "the services that it needs for logins, names and publishing run",
			Check:   "it signs a request, and openssl verify accepts the certificate",
			Undo:    "Put it back online, publish certificates and a new revocation list.", Source: practice,
		},
		{
			Name:    "last-certificate",
			From:    []Match{anything},
			Without: []Match{roles(estate.Authority)},
			Mode:    "Start it with its last certificate and key from the safe; if that has expired, with one that the authority's key signs by hand for a few days.",
			Until:   "the certificate authority runs",
			Check:   "openssl s_client shows the certificate and a complete chain",
			Undo:    "Have it get a new certificate from the authority.", Source: practice,
		},
		{
			Name:    "scripts-from-the-safe",
			From:    []Match{anything},
			Without: []Match{roles(estate.Scripts)},
			Mode:    "Rebuild it with the scripts and the configuration from the safe's snapshot of the repositories, run by hand, since git and CI are not there yet.",
			Until:   "the repositories and CI run",
			Check:   "git rev-parse HEAD of the copy is the revision that the snapshot's description names",
			Undo:    "Run the same scripts once more from CI: they should change nothing.", Source: practice,
		},
		{
			Name:    "packages-from-media",
			From:    []Match{anything},
			Without: []Match{roles(estate.Packages)},
			Mode:    "Install it from the media that the safe holds, whose signatures were checked, in place of the package mirror or registry.",
			Until:   "the mirror or registry runs",
			Check:   "all packages are installed at the versions of the list, from the media",
			Undo:    "Set its sources of packages back to the mirror, and install the updates that have come since.", Source: practice,
		},
		{
			Name:    "names-in-files",
			From:    []Match{anything},
			Without: []Match{roles(estate.DNS)},
			Mode:    "Start it without DNS: the names that it needs are in its /etc/hosts.",
			Until:   "the DNS server answers",
			Check:   "getent hosts finds each of the names",
			Undo:    "Take the names out of /etc/hosts and restart it.", Source: practice,
		},
		{
			Name:    "local-accounts",
			From:    []Match{kinds(estate.Host, estate.Cluster, estate.Storage, estate.Network)},
			Without: []Match{roles(estate.Directory), roles(estate.Kerberos), roles(estate.DomainMaster)},
			Mode:    "Start it without the directory: log in with a local account from the safe, and run its services under local accounts.",
			Until:   "the directory answers",
			Check:   "a login with the local account, and getent passwd finds the accounts of its services",
			Undo:    "Put back logins by the directory, and change the password of the local account that was used.", Source: practice,
		},
	}
}
