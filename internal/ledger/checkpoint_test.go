package ledger_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
)

// The checkpoint of the ledger that has the golden entries, in their order.
// Anything that changes it breaks the checkpoints in old mails.
const goldenCheckpoint = `strongroom/000102030405060708090a0b0c0d0e0f
14
TK9gJWnf0aEpJ6/WJWfdtn69+nXNRd29a1piRvpTToE=

— strongroom/000102030405060708090a0b0c0d0e0f KxGNa1yL8wm1cB2W4UhzTK6luzOrQg2FBNapNkL0jAVnY45VCiLX122POhA2vyn5X+tz8k3Bn27FdnFoleUlQFXerQA=
`

func goldenLog(t testing.TB) (*ledgertest.Log, ledger.Head) {
	t.Helper()
	log := new(ledgertest.Log)
	var head ledger.Head
	for _, g := range goldens(t) {
		var err error
		if head, err = log.Append(testTime, g.what); err != nil {
			t.Fatal(err)
		}
	}
	return log, head
}

func TestGoldenCheckpoint(t *testing.T) {
	key := testKey(t)
	_, head := goldenLog(t)
	b, err := key.Sign(head)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenCheckpoint, string(b)); diff != "" {
		t.Errorf("checkpoint differs (-want +got):\n%s", diff)
	}
	got, err := ledger.ParseCheckpoint([]byte(goldenCheckpoint), key.Public())
	if err != nil {
		t.Fatal(err)
	}
	want := ledger.Checkpoint{Store: testStore(t), Head: head}
	if got != want {
		t.Errorf("ParseCheckpoint = %v, want %v", got, want)
	}
}

// signText signs any text as the ledger's key would.
func signText(t testing.TB, text string) []byte {
	t.Helper()
	signer, err := note.NewSigner(testPrivate)
	if err != nil {
		t.Fatal(err)
	}
	b, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseCheckpointRefusesWhatIsSignedButNotOne(t *testing.T) {
	const (
		origin = "strongroom/000102030405060708090a0b0c0d0e0f\n"
		root   = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	)
	if _, err := ledger.ParseCheckpoint(signText(t, origin+"7\n"+root), testKey(t).Public()); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text string }{
		{"nothing", "\n"},
		{"no root", origin + "7\n"},
		{"a fourth line", origin + "7\n" + root + "more\n"},
		{"an empty fourth line", origin + "7\n" + root + "\n"},
		{"other origin", "sum.golang.org\n7\n" + root},
		{"other store", "strongroom/ff0102030405060708090a0b0c0d0e0f\n7\n" + root},
		{"capitals in the store", strings.ToUpper(origin) + "7\n" + root},
		{"negative size", origin + "-7\n" + root},
		{"size with plus", origin + "+7\n" + root},
		{"size with zero", origin + "07\n" + root},
		{"size for which tlog does not end", origin + "9223372036854775807\n" + root},
		{"size over 64 bits", origin + "18446744073709551616\n" + root},
		{"short root", origin + "7\nAAAA\n"},
		{"root with stray bits", origin + "7\n" + strings.Replace(root, "A=", "B=", 1)},
		{"empty log with a root", origin + "0\n" + root},
		{"carriage return", origin + "7\r\n" + root},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b []byte
			if strings.Contains(tt.text, "\r") {
				b = []byte(strings.ReplaceAll(goldenCheckpoint, "\n14\n", "\n14\r\n"))
			} else {
				b = signText(t, tt.text)
			}
			if c, err := ledger.ParseCheckpoint(b, testKey(t).Public()); err == nil {
				t.Errorf("%q is accepted as %v", tt.text, c)
			}
		})
	}
}

func TestParseCheckpointSignatures(t *testing.T) {
	good := []byte(goldenCheckpoint)
	key := testKey(t).Public()
	successor, _ := ledger.GenerateKey(testStore(t))
	neighbour, _ := ledger.GenerateKey(safe.NewStoreID())

	edit := func(old, new string) []byte {
		t.Helper()
		if !strings.Contains(goldenCheckpoint, old) {
			t.Fatalf("%q is not in the checkpoint", old)
		}
		return []byte(strings.Replace(goldenCheckpoint, old, new, 1))
	}
	// A witness' cosignature: another name, a type of signature that the
	// program does not know, longer than ours.
	witness := "— witness.example/w1 " + base64.StdEncoding.EncodeToString(make([]byte, 4+8+2420)) + "\n"
	tests := []struct {
		name       string
		checkpoint []byte
		keys       []ledger.PublicKey
		want       error
	}{
		{"its key", good, []ledger.PublicKey{key}, nil},
		{"one of several keys", good, []ledger.PublicKey{successor.Public(), key, neighbour.Public()}, nil},
		{"a key given twice", good, []ledger.PublicKey{key, key}, nil},
		{"witness before", edit("— strongroom", witness+"— strongroom"), []ledger.PublicKey{key}, nil},
		{"witness after", append(good[:len(good):len(good)], witness...), []ledger.PublicKey{key}, nil},
		{"no key", good, nil, ledger.ErrNotSigned},
		{"another key of the store", good, []ledger.PublicKey{successor.Public()}, ledger.ErrNotSigned},
		{"key of another store", good, []ledger.PublicKey{neighbour.Public()}, ledger.ErrNotSigned},
		{"other size", edit("\n14\n", "\n15\n"), []ledger.PublicKey{key}, ledger.ErrNotSigned},
		{"witness only", []byte(goldenCheckpoint[:strings.Index(goldenCheckpoint, "—")] + witness), []ledger.PublicKey{key}, ledger.ErrNotSigned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ledger.ParseCheckpoint(tt.checkpoint, tt.keys...); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}

	if _, err := ledger.ParseCheckpoint([]byte(goldenCheckpoint+strings.Repeat(witness, 30)), key); err == nil || errors.Is(err, ledger.ErrNotSigned) {
		t.Errorf("a checkpoint that is too long: %v", err)
	}
	// A note of one store signed by the key of another, of which both are known.
	b := signText(t, strings.Replace(goldenCheckpoint[:strings.Index(goldenCheckpoint, "\n\n")+1], testStore(t).String(), neighbour.Public().Store().String(), 1))
	if _, err := ledger.ParseCheckpoint(b, key, neighbour.Public()); !errors.Is(err, ledger.ErrNotSigned) {
		t.Errorf("signed by the key of another store: error %v, want ErrNotSigned", err)
	}
}

// FuzzParseCheckpoint reads its input both as a checkpoint and as the signed
// part of one.
func FuzzParseCheckpoint(f *testing.F) {
	f.Add(goldenCheckpoint)
	f.Add(goldenCheckpoint[:strings.Index(goldenCheckpoint, "\n\n")+1])
	f.Add("strongroom/000102030405060708090a0b0c0d0e0f\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	f.Fuzz(func(t *testing.T, s string) {
		key := testKey(t)
		inputs := [][]byte{[]byte(s)}
		if strings.HasSuffix(s, "\n") {
			inputs = append(inputs, signText(t, s))
		}
		for _, b := range inputs {
			c, err := ledger.ParseCheckpoint(b, key.Public())
			if err != nil {
				continue
			}
			again, err := key.Sign(c.Head)
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(string(again), "\n\n")
			if !strings.HasPrefix(string(b), text+"\n\n") {
				t.Errorf("%q is accepted and spelled %q", b, again)
			}
		}
	})
}
