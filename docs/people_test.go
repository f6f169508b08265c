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

// signatureCommands returns the commands of the format that check what people
// sign: with an SSH key, with a passkey, and what the message of a release is.
func signatureCommands(t *testing.T, programs ...string) (ssh, passkey, release string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	_, section, _ := strings.Cut(Format, "\n## What people sign\n")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 3 {
		t.Fatalf("there are %d blocks of commands, want one for an SSH key, one for a passkey and one for a release", len(blocks))
	}
	return blocks[0][1], blocks[1][1], blocks[2][1]
}

// onEntry puts files into a folder, and runs commands there on entry 7 of the ledger
// and version 2 of the roster.
func onEntry(t *testing.T, files map[string]string, commands string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "-e", "-c", commands)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "store=.", "n=7", "r=2")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPasskeyByHand checks a statement that was signed with a passkey by the
// commands of the format, and sees that they notice an altered one, and the
// passkey of somebody else.
func TestPasskeyByHand(t *testing.T) {
	_, commands, _ := signatureCommands(t, "jq", "openssl", "xxd", "basenc")
	team := accesstest.NewTeam(t, "bob:operator")
	ada := accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper)
	team.Join(t, ada)
	act := access.Withdraw{Opening: safe.NewOpeningID(accesstest.Start), Reason: "not now"}
	for _, tt := range []struct {
		name string
		from accesstest.Somebody
		said string
		good bool
	}{
		{"as it was signed", ada, "not now", true},
		{"an altered statement", ada, "not yet", false},
		{"of nobody in the roster", accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper), "not now", false},
	} {
		signed := tt.from.States(t, team.Store, accesstest.Start, act)
		signed.Statement = strings.Replace(signed.Statement, "not now", tt.said, 1)
		entry, err := json.Marshal(map[string]any{"what": map[string]any{"signed": signed}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := onEntry(t, map[string]string{"ledger/entries/7": string(entry), "roster/2.json": string(team.Roster.Encode())}, commands)
		if (err == nil && strings.Contains(out, "Verified OK")) != tt.good {
			t.Errorf("%s: %v\n%s", tt.name, err, out)
		}
	}
}

// TestSignaturesByHand checks a statement and a release with the commands of
// the format, and sees that they notice an altered one.
func TestSignaturesByHand(t *testing.T) {
	statement, _, message := signatureCommands(t, "jq", "ssh-keygen")
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
		files := map[string]string{"ledger/entries/7": string(entry), "roster/2.json": string(team.Roster.Encode()), "release.json": string(release.Encode())}
		if tt.alter != "" {
			files[tt.alter] = strings.NewReplacer("now", "yet", "a & b", "a & c").Replace(files[tt.alter])
		}
		out, err := onEntry(t, files, statement+message+verify)
		if good := strings.Count(out, "Good "); (err == nil && good == 2) != (tt.alter == "") {
			t.Errorf("%s: %v, %d good signatures\n%s", tt.name, err, good, out)
		}
	}
}
