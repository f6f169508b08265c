package hostconf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

var here = facts.Place{Source: "app", Scope: "app1", Seen: time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)}

// read reads files that are given as path, text, path, text.
func read(t *testing.T, pairs ...string) estate.Facts {
	t.Helper()
	var files []facts.File
	for pair := range slices.Chunk(pairs, 2) {
		files = append(files, facts.File{Path: pair[0], Data: []byte(pair[1])})
	}
	f, err := Read(here, files)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// spell writes links as "to port need", one a line.
func spell(f estate.Facts) string {
	var b strings.Builder
	for _, l := range f.Links {
		fmt.Fprintf(&b, "%s%s %s %s\n", l.To.ID, l.To.Alias, l.Port, l.Need)
	}
	return strings.ReplaceAll(b.String(), " 0/ ", " ")
}

const secret = "hunter2"

var search = []string{"/etc/resolv.conf", "search example.com\n"}

// Each has a password in it where the format has one.
var cases = []struct {
	name  string
	files []string
	want  string
}{
	{"names", []string{"etc/resolv.conf", "# made by\nsearch example.com\nnameserver 10.0.0.53\nnameserver 2001:db8::53\nnameserver 127.0.0.1\noptions edns0\n"},
		"10.0.0.53 53/udp run\n2001:db8::53 53/udp soft\n"},
	{"names by itself first", []string{"etc/resolv.conf", "nameserver 127.0.0.1\nnameserver 10.0.0.53\n"}, "10.0.0.53 53/udp soft\n"},
	{"names by resolved", []string{"/etc/systemd/resolved.conf", "[Resolve]\n#DNS=10.0.0.1\nDNS=10.0.0.53#dns1.example.com 10.0.0.54:853%eth0\nFallbackDNS=9.9.9.9\n"},
		"10.0.0.53 53/udp run\n10.0.0.54 853/udp soft\n9.9.9.9 53/udp soft\n"},
	{"only the realm that is used", []string{"/etc/krb5.conf", "[libdefaults]\n\tdefault_realm = EXAMPLE.COM\n[realms]\n\tATHENA.MIT.EDU = {\n\t\tkdc = kerberos.mit.edu\n\t}\n" +
		"\tEXAMPLE.COM = {\n\t\tkdc = kdc1.example.com:88\n\t\tkdc = kdc2.example.com\n\t\tadmin_server = kdc1.example.com\n\t}\n[domain_realm]\n\t.example.com = EXAMPLE.COM\n"},
		"kdc1.example.com 88/tcp run\nkdc1.example.com 749/tcp soft\nkdc2.example.com 88/tcp soft\n"},
	{"a realm in DNS", []string{"/etc/krb5.conf", "[libdefaults]\ndefault_realm = EXAMPLE.COM\n"}, "_kerberos._udp.example.com run\n"},
	{"a realm in no DNS", []string{"/etc/krb5.conf", "[libdefaults]\ndefault_realm = EXAMPLE.COM\ndns_lookup_kdc = false\n"}, ""},
	{"sssd", []string{"/etc/sssd/sssd.conf", "[sssd]\ndomains = example.com\n[domain/example.com]\nid_provider = ldap\nldap_uri = ldaps://ldap1.example.com, ldap://ldap2.example.com\n" +
		"ldap_default_authtok = hunter2\nkrb5_server = _srv_, 10.0.0.88\nkrb5_realm = EXAMPLE.COM\n"},
		"10.0.0.88 88/tcp soft\n_kerberos._udp.example.com run\nldap1.example.com 636/tcp run\nldap2.example.com 389/tcp soft\n"},
	{"sssd of Active Directory", []string{"/etc/sssd/sssd.conf", "[domain/corp.example.com]\nid_provider = ad\n"}, "_ldap._tcp.corp.example.com run\n"},
	{"logins by LDAP", []string{"/etc/nslcd.conf", "uid nslcd\nuri ldap://ldap1.example.com/\nuri ldapi:///\nbindpw hunter2\n", "/etc/nsswitch.conf", "passwd: files ldap\ngroup: files ldap\n"},
		"ldap1.example.com 389/tcp run\n"},
	{"LDAP that no login uses", []string{"/etc/nslcd.conf", "uri ldap://ldap1.example.com/\n", "/etc/nsswitch.conf", "passwd: files systemd\nhosts: files dns\n"},
		"ldap1.example.com 389/tcp soft\n"},
	{"clients of LDAP", []string{"/etc/ldap/ldap.conf", "BASE dc=example\nURI ldap://ldap1.example.com ldaps://ldap2.example.com:1636\n"},
		"ldap1.example.com 389/tcp soft\nldap2.example.com 1636/tcp soft\n"},
	{"samba in a domain", []string{"/etc/samba/smb.conf", "[global]\n  security = ADS\n  realm = CORP.EXAMPLE.COM\n  ; password server = old\n[data]\n  path = /srv\n"},
		"_ldap._tcp.dc._msdcs.corp.example.com run\n"},
	{"samba with LDAP", []string{"/etc/samba/smb.conf", "[global]\nsecurity = user\npassdb backend = ldapsam:\"ldap://ldap1.example.com ldap://ldap2.example.com\"\n"},
		"ldap1.example.com 389/tcp run\nldap2.example.com 389/tcp soft\n"},
	{"mounts", []string{"/etc/fstab", "UUID=1 / ext4 defaults 0 1\nnas1.example.com:/export /srv nfs4 rw,hard 0 0\n[2001:db8::9]:/x /x nfs nofail 0 0\n" +
		"//10.0.0.7/share /mnt/s cifs username=u,password=hunter2 0 0\n/dev/disk/by-path/ip-10.0.0.8:3261-iscsi-iqn.2001:x-lun-0 /db xfs _netdev 0 0\nu@10.0.0.6:/h /h fuse.sshfs noauto 0 0\n"},
		"10.0.0.6 22/tcp run\n10.0.0.7 445/tcp start\n10.0.0.8 3261/tcp start\n2001:db8::9 2049/tcp run\nnas1.example.com 2049/tcp start\n"},
	{"time", []string{"/etc/chrony/chrony.conf", "! old\npool ntp.example.com iburst maxsources 4\nserver 10.0.0.123 key 1\ndriftfile /x\n"},
		"10.0.0.123 123/udp soft\nntp.example.com 123/udp soft\n"},
	{"time in a realm", []string{"/etc/ntp.conf", "server 10.0.0.123\nserver 127.127.1.0\nserver 10.0.0.124\n", "/etc/krb5.conf", "[libdefaults]\ndns_lookup_kdc=no\ndefault_realm=X\n"},
		"10.0.0.123 123/udp run\n10.0.0.124 123/udp soft\n"},
	{"a unit that mounts", []string{"/etc/systemd/system/srv.mount", "[Unit]\nAfter=x\n[Mount]\nWhat=nas1.example.com:/export\nWhere=/srv\nType=nfs\nOptions=rw\n"}, "nas1.example.com 2049/tcp start\n"},
	{"a unit with settings", []string{"/etc/systemd/system/erp.service.d/env.conf", "[Service]\nEnvironment=DB_HOST=db1.example.com \"PQ=host=db2.example.com password=hunter2\" 'X=a b' \"broken\nEnvironment=DEBUG=1\nExecStart=/bin/x\n"},
		"db1.example.com run\ndb2.example.com 5432/tcp run\n"},
	{"time by systemd", []string{"/etc/systemd/timesyncd.conf", "[Time]\nNTP=10.0.0.123\nFallbackNTP=0.debian.pool.ntp.org\n"}, "10.0.0.123 123/udp soft\n"},
	{"packages", []string{"/etc/apt/sources.list", "deb [signed-by=/x] http://u:hunter2@mirror.example.com:8080/debian bookworm main\ndeb-src http://other.example.com/debian x\ndeb cdrom:[Debian]/ x\n",
		"/etc/apt/sources.list.d/x.sources", "Types: deb\nURIs: https://deb.example.net/x file:/y\nSuites: x\n", "/etc/apt/apt.conf.d/90proxy", "Acquire::http::Proxy \"http://cache.example.com:3142\";\n"},
		"cache.example.com 3142/tcp soft\ndeb.example.net 443/tcp soft\nmirror.example.com 8080/tcp soft\n"},
	{"packages of RPM", []string{"/etc/yum.repos.d/x.repo", "[on]\nbaseurl=https://rpm.example.com/$releasever/\n[off]\nbaseurl=https://off.example.com/\nenabled=0\n[v]\nbaseurl=http://$host/\n"}, "rpm.example.com 443/tcp soft\n"},
	{"docker", []string{"/etc/docker/daemon.json", `{"registry-mirrors":["https://mirror.example.com"],"insecure-registries":["registry.example.com:5000","10.0.0.0/8"],"log-opts":{"gelf-address":"udp://log.example.com:12201"},"dns":["10.0.0.53"]}`},
		"10.0.0.53 53/udp run\nlog.example.com 12201/tcp telemetry\nmirror.example.com 443/tcp soft\nregistry.example.com 5000/tcp soft\n"},
	{"users of a database", []string{"/etc/postgresql/15/main/pg_hba.conf", "local all all peer\nhost all all 0.0.0.0/0 ldap ldapserver=\"ldap1.example.com ldap2.example.com\" ldapbinddn=x ldapbindpasswd=hunter2\n" +
		"host x x ::/0 ldap ldapurl=\"ldaps://ldap3.example.com/dc=x\"\nhost y y ::/0 radius radiusservers=\"10.0.0.5\" radiussecrets=\"hunter2\"\n"},
		"10.0.0.5 1812/udp run\nldap1.example.com 389/tcp run\nldap2.example.com 389/tcp soft\nldap3.example.com 636/tcp run\n"},
	{"zones in LDAP", []string{"/etc/bind/named.conf", "options {\n forwarders {\n  10.0.0.1;\n  10.0.0.2 port 53;\n };\n};\ndyndb \"ipa\" \"/x/ldap.so\" {\n uri \"ldap://ldap1.example.com\";\n password \"hunter2\";\n};\n// forwarders { 10.0.0.3; };\nzone \"x\" { type slave; masters { 10.0.0.4; }; };\n"},
		"10.0.0.1 53/udp run\n10.0.0.2 53/udp soft\n10.0.0.4 53/tcp soft\nldap1.example.com 389/tcp run\n"},
	{"zones in LDAP on the same host", []string{"/etc/named.conf", "dyndb \"ipa\" \"/x/ldap.so\" {\n uri \"ldapi://%2fvar%2frun%2fslapd.socket\";\n};\n"}, ""},
	{"managed", []string{"/etc/puppet/puppet.conf", "[main]\nserver = puppet.example.com\n"}, "puppet.example.com admin\n"},
	{"log", []string{"/etc/rsyslog.d/50.conf", "*.* @@log1.example.com:6514;fmt\nauth.* @(z9)10.0.0.14\n*.* :omrelp:log2.example.com:2514\n*.* action(type=\"omfwd\" Target=\"log3.example.com\" port=\"514\")\nkern.* /var/log/kern.log\n"},
		"10.0.0.14 514/udp telemetry\nlog1.example.com 6514/tcp telemetry\nlog2.example.com 2514/tcp telemetry\nlog3.example.com 514/tcp telemetry\n"},
	{"proxies", []string{"/etc/environment", "PATH=/bin\nhttp_proxy=\"http://u:hunter2@proxy.example.com:3128/\"\nno_proxy=localhost,intra.example.com\n"}, "proxy.example.com 3128/tcp soft\n"},
	{"databases of programs", []string{"/srv/erp/production.env", "# DATABASE_URL=postgres://old.example.com/x\nexport DATABASE_URL='postgres://erp:hunter2@db1.example.com/erp?sslmode=require'\n" +
		"POSTGRES_DB=n8n\nPOSTGRES_PASSWORD=hunter2\nREDIS_HOST=redis.example.com\nREDIS_PORT=6380\nHOSTNAME=app1\nSECRET=hunter2\nHOST=0.0.0.0\nMONGO=mongodb://u:hunter2@m1.example.com:27017,m2.example.com:27018/x?replicaSet=r\n" +
		"JDBC=jdbc:postgresql://db2.example.com/erp\nDSN=erp:hunter2@tcp(db3.example.com:3306)/erp\nPQ=\"host=db4.example.com port=5433 user=u password=hunter2\"\nODBC=Server=tcp:db5.example.com,1433;Database=x;Password=hunter2\n" +
		"SLASHED=postgres://u:hunter2/x@db6.example.com/erp\nKAFKA_BROKERS=k1.example.com:9092,k2.example.com:9092\nDATA=/var/lib\nDEBUG=true\n" +
		"CORS_ORIGIN=https://shop.example.com\nALLOWED_HOSTS=a.example.com,b.example.com\nAPI_TOKEN=https://t.example.com\nOTEL_EXPORTER_OTLP_ENDPOINT=http://o.example.com:4317\n"},
		"db1.example.com 5432/tcp run\ndb2.example.com 5432/tcp run\ndb3.example.com 3306/tcp run\ndb4.example.com 5433/tcp run\ndb5.example.com 1433/tcp run\n" +
			"k1.example.com 9092/tcp run\nk2.example.com 9092/tcp soft\nm1.example.com 27017/tcp run\nm2.example.com 27018/tcp soft\no.example.com 4317/tcp telemetry\nredis.example.com 6380/tcp run\n"},
	{"a short name in hosts", []string{"/etc/hosts", "127.0.1.1 app1.example.com app1\n10.0.0.9 db1.other.example db1\n", "/x.env", "DB_HOST=db1\nSELF_HOST=app1\n"}, "10.0.0.9 run\n"},
	{"a short name with a search list", append([]string{"/x.env", "DB_HOST=db1\n"}, search...), "db1.example.com run\n"},
	{"a short name alone", []string{"/x.env", "DB_HOST=db1\nDB2_HOST=localhost\n"}, "host/db1 run\n"},
	{"other files", []string{"/etc/passwd", "root:x:0:0\n", "/etc/shadow", "root:hunter2\n"}, ""},
}

func TestRead(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			f := read(t, tt.files...)
			if diff := cmp.Diff(tt.want, spell(f)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), secret) {
				t.Errorf("a password is in the facts: %s", text)
			}
			for _, l := range f.Links {
				if l.From.ID != "host/app1" {
					t.Errorf("%v begins elsewhere", l)
				}
			}
		})
	}
}

func TestEvidence(t *testing.T) {
	f := read(t, "/x.env", "\nDATABASE_URL=postgres://erp:hunter2@db1.example.com/erp\n")
	want := estate.Evidence{Basis: estate.Derived, Source: "app", Place: "/x.env: line 2", Detail: "DATABASE_URL db1.example.com:5432", First: here.Seen, Last: here.Seen}
	if diff := cmp.Diff([]estate.Evidence{want}, f.Links[0].Evidence); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestServesTime(t *testing.T) {
	f := read(t, "/etc/chrony/chrony.conf", "server 10.0.0.1\nallow 10.0.0.0/8\n")
	if len(f.Components) != 1 || !slices.Equal(f.Components[0].Roles, []estate.Role{estate.Time}) {
		t.Errorf("components %+v, want the host that serves time", f.Components)
	}
}

func TestNotJSON(t *testing.T) {
	f := read(t, "/etc/docker/daemon.json", "{", "/etc/fstab", "a.example.com:/x /x nfs rw\n")
	if len(f.Doubts) != 1 || len(f.Links) != 1 {
		t.Errorf("want a doubt about one file and a link of the other, got %+v", f)
	}
}

func TestKnows(t *testing.T) {
	for name, want := range map[string]bool{
		"/etc/resolv.conf": true, "etc/resolv.conf": true, "/etc/default/erp": true, "/opt/erp/.env": true,
		"/etc/passwd": false, "/home/u/etc/resolv.conf": false, "": false, "/etc/../etc/fstab": true,
	} {
		if got := Knows(name); got != want {
			t.Errorf("Knows(%q) = %v, want %v", name, got, want)
		}
	}
}

// Whatever a file holds: facts are the same twice, and a password that is where
// such a file has one is not in them.
func FuzzRead(f *testing.F) {
	for i, tt := range cases {
		f.Add(i%len(formats), tt.files[1])
	}
	f.Fuzz(func(t *testing.T, n int, text string) {
		format := formats[uint(n)%uint(len(formats))]
		files := []facts.File{
			{Path: strings.ReplaceAll(format.patterns[0], "*", "x"), Data: []byte(text)},
			{Path: "/etc/resolv.conf", Data: []byte("search example.com\n")},
			{Path: "x.env", Data: []byte(text)},
		}
		got, err := Read(here, files)
		if err != nil {
			return
		}
		again, err := Read(here, files)
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
		for _, l := range got.Links {
			if l.From == l.To || len(l.Evidence) == 0 || !l.Need.Valid() || l.To == (estate.End{}) {
				t.Errorf("a link that is none: %v", l)
			}
		}
	})
}
