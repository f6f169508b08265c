package coverage_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// mean are words that do something where they are not quoted: in YAML, in a
// shell, in a format, in a pattern of include. None has a blank, as no name on
// the map has one.
var mean = []string{`"`, `'`, `\`, `#`, `: `, `$(:>pwned)`, "`:>pwned`", `';:>pwned;'`, `";:>pwned;"`, `%s`, `%n`, "\n", "&a", "*", "[", "{", "}", "|", ">pwned", "!", "- ", "--help",
	"../..", "/", "${IFS}", "é", "\u202e", "\x7f", "\xff", "ADDRESS", "host: #", "db", "postgres", "a"}

func meanWord(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(5) {
		b.WriteString(mean[r.IntN(len(mean))])
	}
	return b.String()
}

// hostileEstate has what hostile files may have told.
func hostileEstate(r *rand.Rand) estate.Facts {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var f estate.Facts
	for range 1 + r.IntN(4) {
		c := estate.Component{ID: estate.NewID(estate.Kinds[r.IntN(len(estate.Kinds))], meanWord(r)), Software: estate.Software(pick("", "postgresql", "redis", "openldap", "mariadb", "mysql", "mongodb"))}
		if r.IntN(2) == 0 {
			c.Roles = []estate.Role{estate.Roles[r.IntN(len(estate.Roles))]}
		}
		if r.IntN(2) == 0 {
			c.Evidence = []estate.Evidence{{
				Basis: estate.Declared, Source: pick("shop", meanWord(r)), Place: meanWord(r) + pick("", "/"+meanWord(r)) + pick("/compose.yaml", "") + pick(": line 3", ""),
				Detail: pick("services.db", "services."+meanWord(r), "StatefulSet prod/db", "StatefulSet "+meanWord(r)+"/"+meanWord(r)),
			}}
		}
		f.Components = append(f.Components, c)
	}
	return f
}

// Whatever things are called, each proposal is a part of a configuration, makes
// what it says and nothing else, and its commands do nothing that they do not
// show.
func TestHostileNames(t *testing.T) {
	seed := rand.Uint64()
	for i := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, i))
		said := "safe: acme\nstore: /srv/store\nsources:\n  other: { kind: local, include: [ /other ] }\n"
		in := coverage.Input{Map: estate.Draw([]estate.Facts{hostileEstate(r)}, estate.Statements{}), Said: map[estate.ID]config.Component{},
			Sources: map[safe.SourceName]coverage.Source{"other": {}}, Now: now}
		reach := func(estate.ID) (coverage.Reach, bool) {
			return coverage.Reach{Host: "strongroom@h.acme.example:22", HostKeys: []string{hostKey}, Key: "file:/etc/strongroom/secrets/h.key"}, i%2 == 0
		}
		for _, c := range in.Map.Components {
			for _, matter := range append([]config.Matter{""}, config.Matters...) {
				report := coverage.Report{Application: "application/erp", Items: []coverage.Item{{Component: c.ID, Matter: matter, State: coverage.Missing}}}
				p := coverage.Propose(in, report, reach)[0]
				text := fill(said+p.Source+p.Below+":\n"+p.Component, p)
				if p.Below == "applications" { // it is there, with what it is made of
					text += "    consists_of: [ host/x ]\n"
				}
				checkParses(t, text, c.ID, p)
				if matter == "" { // the others have no commands of their own
					checkCommands(t, p)
				}
				if t.Failed() {
					t.Fatalf("seed %d, %d: %q %q\n%s\n%+v", seed, i, c.ID, matter, text, p)
				}
			}
		}
	}
}

func checkParses(t *testing.T, text string, id estate.ID, p coverage.Proposal) {
	t.Helper()
	c, err := config.Parse("strongroom.yaml", []byte(text))
	if err != nil {
		t.Error(err)
		return
	}
	holds := c.Components
	for _, a := range c.Applications {
		holds = append(holds, a.Component)
	}
	if len(holds) != 1 || holds[0].ID != id || len(holds[0].MustHold) == 0 {
		t.Errorf("what must be held is %+v, want something of %q", holds, id)
	}
	if n := strings.Count(p.Source, "kind: "); len(c.Sources) != n+1 {
		t.Errorf("%d sources, want %d besides the one that is there", len(c.Sources)-1, n)
	}
}

// checkCommands runs the commands, in a folder of the test that stands for the
// whole machine, with programs that do nothing.
func checkCommands(t *testing.T, p coverage.Proposal) {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"bin", "etc/ssh/sshd_config.d", "etc/sudoers.d", "usr/local/sbin"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"cat", "chmod", "id", "useradd", "sshd", "systemctl", "visudo", "runuser", "mariadb", "mysql", "ssh-keygen", "strongroom", "docker", "kubectl",
		"pg_dumpall", "mariadb-dump", "mysqldump", "mongodump", "redis-cli", "slapcat"} {
		if err := os.WriteFile(filepath.Join(dir, "bin", program), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer("/etc/", dir+"/etc/", "/usr/local/sbin/", dir+"/usr/local/sbin/")
	run := func(line string) {
		cmd := exec.Command("/bin/sh", "-euc", line)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir + "/bin"}
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", line, err, out)
		}
	}
	for _, line := range slices.Concat(p.First, p.OnHost, p.OnSafe) {
		run(here.Replace(line))
	}
	scripts, _ := filepath.Glob(dir + "/usr/local/sbin/*")
	for _, script := range scripts {
		b, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(string(b), "\n"); len(lines) != 3 || lines[0] != "#!/bin/sh" || lines[2] != "" {
			t.Errorf("the script is %q, want one line that does it", b)
		}
		run(string(b))
	}
	if found, _ := filepath.Glob(dir + "/*pwned*"); len(found) > 0 {
		t.Errorf("something else was done")
	}
	for _, folder := range []string{"etc/ssh", "etc/sudoers.d", "usr/local/sbin"} {
		found, _ := filepath.Glob(filepath.Join(dir, folder, "*"))
		for _, file := range found {
			if !strings.Contains(filepath.Base(file), "strongroom") && filepath.Base(file) != "sshd_config.d" {
				t.Errorf("%s was written", file)
			}
		}
	}
}

// What a container is asked goes through docker as it is, whatever its project's
// folder is called.
func TestDumpInAContainer(t *testing.T) {
	folder := `/srv/a'b"$(:>pwned)%s`
	c := estate.Component{ID: "service/h/shop/db", Software: estate.PostgreSQL, Evidence: []estate.Evidence{{
		Basis: estate.Declared, Source: "shop", Place: folder[1:] + "/compose.yaml: line 3", Detail: "services.db",
	}}}
	in := coverage.Input{Map: estate.Draw([]estate.Facts{{Components: []estate.Component{c}}}, estate.Statements{}),
		Sources: map[safe.SourceName]coverage.Source{"shop": {Files: true}}, Now: now}
	p := coverage.Propose(in, coverage.Report{Items: []coverage.Item{{Component: c.ID, State: coverage.Missing}}}, func(estate.ID) (coverage.Reach, bool) { return coverage.Reach{}, false })[0]
	if want := "configuration: [ \"shop\" ]"; !strings.Contains(p.Component, want) || strings.Contains(p.Source, "sftp") {
		t.Errorf("the file is in the source shop already, want that said:\n%s%s", p.Source, p.Component)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "script")
	for _, line := range p.OnHost {
		if before, ok := strings.CutSuffix(line, " && chmod 0755 /usr/local/sbin/strongroom-h-shop-db-dump"); ok {
			before = strings.Replace(before, "/usr/local/sbin/strongroom-h-shop-db-dump", script, 1)
			if out, err := exec.Command("/bin/sh", "-c", before).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", before, err, out)
			}
		}
	}
	cmd := exec.Command("/bin/sh", script)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir}
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("compose\n--project-directory\n%s\nexec\n-T\ndb\nsh\n-c\nexec pg_dumpall --no-role-passwords --no-password --lock-wait-timeout=600000 --username=\"${POSTGRES_USER:-postgres}\"\n", folder)
	if err != nil || string(out) != want {
		t.Errorf("docker was told (%v)\n%s, want\n%s", err, out, want)
	}
	for _, want := range []string{`command="sudo -n -u root /usr/local/sbin/strongroom-h-shop-db-dump"`, `'strongroom-dump ALL=(root) NOPASSWD: /usr/local/sbin/strongroom-h-shop-db-dump ""'`} {
		if !strings.Contains(strings.Join(p.OnHost, "\n"), want) {
			t.Errorf("the host is not told %s:\n%s", want, strings.Join(p.OnHost, "\n"))
		}
	}
}
