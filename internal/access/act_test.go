package access_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

func acts(t testing.TB) []access.Act {
	id := safe.NewOpeningID(accesstest.Start)
	return []access.Act{
		access.Agree{Number: 3, Digest: safe.Digest{1}, After: 17},
		access.Object{Number: 3, Digest: safe.Digest{1}, Reason: "I know <nobody> of that name"},
		access.Suspend{Person: "bob", Reason: "laptop lost"},
		access.Suspend{Person: "bob", Key: accesstest.NewPerson(t, "bob", access.Auditor).Keys()[0], Reason: "laptop lost"},
		access.Request{Opening: id, NotAfter: accesstest.Start.Add(time.Hour), Snapshots: []safe.RunID{safe.NewRunID(accesstest.Start)}, Hours: 4,
			Reason: "quarterly rehearsal", Address: netip.MustParseAddr("127.0.0.2"), Known: 12},
		access.Refuse{Opening: id, Reason: "on whose order?"},
		access.Withdraw{Opening: id, Reason: "wrong day"},
		access.Close{Opening: id, Reason: "done"},
		access.Suspend{Person: "bob", Key: accesstest.NewPasskeyPerson(t, "bob", access.Auditor).Keys()[0], Reason: "phone lost"},
		access.Rule{Verdict: ledger.Rejected, From: "host/erp", To: "host/backup", Reason: "it <pulls>, & nothing waits"},
		access.Rule{Verdict: ledger.Added, From: "host/erp", To: "service/dns", Need: "start", Reason: "seen at the drill"},
		access.TakeBack{Entry: 17, Reason: "it was wrong"},
	}
}

func TestStatementsComeBack(t *testing.T) {
	team := accesstest.NewTeam(t, fourPeople)
	for _, act := range acts(t) {
		signed := team.People["ada"].States(t, team.Store, accesstest.Start, act)
		s, key, err := team.Roster.Verify(signed)
		if err != nil {
			t.Fatalf("%s: %v", act.Act(), err)
		}
		want := access.Statement{Store: team.Store, Person: "ada", Time: accesstest.Start, Act: act}
		if diff := cmp.Diff(want, s, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(signature.Key.Equal)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", act.Act(), diff)
		}
		if key != team.People["ada"].Keys()[0] {
			t.Errorf("%s is signed with another key, %s", act.Act(), key)
		}
	}
}

// Acts about the map have one spelling, which pages make as well.
func TestSpellingOfActsOnTheMap(t *testing.T) {
	store, err := safe.ParseStoreID("0198a1b2000070008000000000000001")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		act  access.Act
		want string
	}{
		{access.Rule{Verdict: ledger.Rejected, From: "host/erp", To: "host/backup", Reason: "it <pulls>"},
			`"act":"map.rule","person":"ana","time":"2026-11-22T02:00:00Z","what":{"verdict":"rejected","from":"host/erp","to":"host/backup","need":"","reason":"it <pulls>"}}`},
		{access.TakeBack{Entry: 17, Reason: "wrong"},
			`"act":"map.take-back","person":"ana","time":"2026-11-22T02:00:00Z","what":{"entry":17,"reason":"wrong"}}`},
	} {
		b, err := access.Statement{Store: store, Person: "ana", Time: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), Act: tt.act}.Encode()
		if want := `{"v":1,"store":"0198a1b2000070008000000000000001",` + tt.want + "\n"; err != nil || string(b) != want {
			t.Errorf("got %s, %v\nwant %s", b, err, want)
		}
	}
}

func TestStatementsRefused(t *testing.T) {
	team := accesstest.NewTeam(t, fourPeople)
	act := access.Withdraw{Opening: safe.NewOpeningID(accesstest.Start), Reason: "wrong day"}
	good := team.People["bob"].States(t, team.Store, accesstest.Start, act)
	edit := func(old, new string) func() error {
		return func() error {
			s := good
			if s.Statement = strings.Replace(s.Statement, old, new, 1); s == good {
				t.Fatalf("%q is not in %s", old, good.Statement)
			}
			_, _, err := team.Roster.Verify(s)
			return err
		}
	}
	for name, verify := range map[string]func() error{
		"another act":     edit("opening.withdraw", "opening.refuse"),
		"another person":  edit(`"bob"`, `"otto"`),
		"nobody":          edit(`"bob"`, `"nobody"`),
		"another reason":  edit("wrong day", "right day"),
		"another time":    edit("2026", "2027"),
		"unknown act":     edit("opening.withdraw", "opening.enter"),
		"unknown field":   edit(`"v":1`, `"v":1,"w":2`),
		"another version": edit(`"v":1`, `"v":2`),
		"blank":           edit(`"v":1`, `"v": 1`),
		"another store": func() error {
			_, _, err := team.Roster.Verify(team.People["bob"].States(t, safe.NewStoreID(), accesstest.Start, act))
			return err
		},
		"no signature": func() error {
			s := good
			s.Signature = ""
			_, _, err := team.Roster.Verify(s)
			return err
		},
		"another namespace": func() error {
			signature, err := sshsig.Sign(team.People["bob"].Signer, "file", []byte(good.Statement))
			if err != nil {
				t.Fatal(err)
			}
			s := good
			s.Signature = signature.String()
			_, _, err = team.Roster.Verify(s)
			return err
		},
	} {
		if verify() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	// Who asks learns nothing about who is in the roster.
	for _, name := range []string{`"otto"`, `"nobody"`} {
		if err := edit(`"bob"`, name)(); !errors.Is(err, access.ErrNotSigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequestRefused(t *testing.T) {
	good := acts(t)[4].(access.Request)
	if err := good.Check(accesstest.Start); err != nil {
		t.Fatal(err)
	}
	run := good.Snapshots[0]
	for name, change := range map[string]func(*access.Request){
		"no id":            func(q *access.Request) { q.Opening = safe.OpeningID{} },
		"no snapshot":      func(q *access.Request) { q.Snapshots = nil },
		"a snapshot twice": func(q *access.Request) { q.Snapshots = []safe.RunID{run, run} },
		"no hours":         func(q *access.Request) { q.Hours = 0 },
		"73 hours":         func(q *access.Request) { q.Hours = 73 },
		"no reason":        func(q *access.Request) { q.Reason = "" },
		"no address":       func(q *access.Request) { q.Address = netip.Addr{} },
		"mapped address":   func(q *access.Request) { q.Address = netip.MustParseAddr("::ffff:127.0.0.2") },
		"over already":     func(q *access.Request) { q.NotAfter = accesstest.Start },
		"for ever":         func(q *access.Request) { q.NotAfter = accesstest.Start.AddDate(1, 0, 0) },
		"negative size":    func(q *access.Request) { q.Known = -1 },
	} {
		q := good
		change(&q)
		if q.Check(accesstest.Start) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Anyone can check an entry of the ledger with ssh-keygen.
func TestOpenSSHVerifiesAnAct(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	team := accesstest.NewTeam(t, fourPeople)
	ada := team.People["ada"]
	signed := ada.States(t, team.Store, accesstest.Start, acts(t)[5])
	signature, err := base64.StdEncoding.DecodeString(signed.Signature)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	allowed, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
	line := append([]byte("ada "), ssh.MarshalAuthorizedKey(ada.Signer.PublicKey())...)
	for path, b := range map[string][]byte{allowed: line, sig: pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: signature})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(keygen, "-Y", "verify", "-f", allowed, "-I", "ada", "-n", access.ActNamespace, "-s", sig)
	cmd.Stdin = strings.NewReader(signed.Statement)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen: %v\n%s", err, out)
	}
}

func FuzzParseStatement(f *testing.F) {
	for _, act := range acts(f) {
		b, err := access.Statement{Store: safe.NewStoreID(), Person: "ada", Time: accesstest.Start, Act: act}.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := access.ParseStatement(b)
		if err != nil {
			return
		}
		if again, err := s.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, which is written %q, %v", b, again, err)
		}
	})
}

// The name of the safe becomes that of a folder, and is shown.
func TestInvitationNamesASafe(t *testing.T) {
	i := access.Invitation{URL: "https://safe.example.com:8443", Safe: "acme-2", Store: safe.NewStoreID(), Person: "ada", Roles: []access.Role{access.Keykeeper}, Token: access.NewToken()}
	if _, err := access.ParseInvitation(i.String()); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "/", "..", "../acme", ".ssh", "-f", "ac\x1b[2Jme", "ac\nme", "Acme", "acme\n"} {
		i.Safe = name
		if _, err := access.ParseInvitation(i.String()); err == nil {
			t.Errorf("a safe of the name %q is taken", name)
		}
	}
}

func FuzzParseInvitation(f *testing.F) {
	i := access.Invitation{URL: "https://safe.example.com:8443", Safe: "acme", Store: safe.NewStoreID(), Person: "ada", Roles: []access.Role{access.Keykeeper}, Token: access.NewToken()}
	f.Add(i.String())
	f.Fuzz(func(t *testing.T, link string) {
		i, err := access.ParseInvitation(link)
		if err != nil {
			return
		}
		if again, err := access.ParseInvitation(i.String()); err != nil || again.Token != i.Token || again.URL != i.URL {
			t.Errorf("%q is read as %+v, and that as %+v, %v", link, i, again, err)
		}
	})
}

func FuzzParseEnrolment(f *testing.F) {
	p := accesstest.NewPerson(f, "ada", access.Keykeeper)
	f.Add(access.Enrolment{Version: 1, Store: safe.NewStoreID(), Time: accesstest.Start, Person: p.Person}.Encode())
	p = accesstest.NewPasskeyPerson(f, "ada", access.Keykeeper)
	f.Add(access.Enrolment{Version: 1, Store: safe.NewStoreID(), Time: accesstest.Start, Person: p.Person, Domain: accesstest.Domain}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := access.ParseEnrolment(b)
		if err == nil && !bytes.Equal(e.Encode(), b) {
			t.Errorf("accepted %q, which is written %q", b, e.Encode())
		}
	})
}
