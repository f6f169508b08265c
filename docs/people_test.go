package docs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/opening"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
)

// TestWordsOfTheFormat compares the example of a digest in words.
func TestWordsOfTheFormat(t *testing.T) {
	m := regexp.MustCompile("`([0-9a-f]{64})` are \\*([a-z\\s]+)\\*").FindStringSubmatch(Format)
	if m == nil {
		t.Fatal("there is no example")
	}
	var d safe.Digest
	if err := d.UnmarshalText([]byte(m[1])); err != nil {
		t.Fatal(err)
	}
	if !words.Match(m[2], d) {
		t.Errorf("the words of %s are %s, not %s", d, words.Of(d), m[2])
	}
}

// TestSignaturesByHand checks a statement and a release with the commands of
// the format, and sees that they notice an altered one.
func TestSignaturesByHand(t *testing.T) {
	for _, program := range []string{"jq", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	_, section, _ := strings.Cut(Format, "\n## What people sign\n")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 2 {
		t.Fatalf("there are %d blocks of commands, want one for a statement and one for a release", len(blocks))
	}
	team := accesstest.NewTeam(t, "ada:keykeeper bob:operator")
	signed := team.People["bob"].States(t, team.Store, accesstest.Start, access.Withdraw{Opening: safe.NewOpeningID(accesstest.Start), Reason: `"not" now & <here>`})
	release, err := opening.Sign("ada", opening.NewNonce(), []byte(`{"v":1,"reason":"a & b"}`+"\n"), signed, team.People["ada"].Signer)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := json.Marshal(map[string]any{"what": map[string]any{"signed": signed}})
	if err != nil {
		t.Fatal(err)
	}
	const verify = `(echo -----BEGIN SSH SIGNATURE-----
 jq -r .signature release.json | fold -w 70
 echo -----END SSH SIGNATURE-----) >message.sig
ssh-keygen -Y verify -f allowed -I "$(jq -r .keykeeper release.json)" -n strongroom/v1/release -s message.sig <message
`
	for _, tt := range []struct{ name, alter string }{
		{"as it was signed", ""},
		{"an altered statement", "ledger/entries/7"},
		{"an altered release", "release.json"},
	} {
		dir := t.TempDir()
		files := map[string]string{"ledger/entries/7": string(entry), "roster/2.json": string(team.Roster.Encode()), "release.json": string(release.Encode())}
		for name, content := range files {
			if name == tt.alter {
				content = strings.NewReplacer("now", "yet", "a & b", "a & c").Replace(content)
			}
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("bash", "-e", "-c", blocks[0][1]+blocks[1][1]+verify)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "store=.", "n=7", "r=2")
		out, err := cmd.CombinedOutput()
		if good := strings.Count(string(out), "Good "); (err == nil && good == 2) != (tt.alter == "") {
			t.Errorf("%s: %v, %d good signatures\n%s", tt.name, err, good, out)
		}
	}
}
