package words

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/safe"
)

// TestList holds the list to the standard's, by the digest of its file as
// published, and to what the package relies on.
func TestList(t *testing.T) {
	const published = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
	if got := safe.DigestOf([]byte(text)).String(); got != published {
		t.Errorf("the list's digest is %s, want %s", got, published)
	}
	if len(list) != 1<<wordBits || !slices.IsSorted(list) {
		t.Errorf("%d words, sorted %v", len(list), slices.IsSorted(list))
	}
	heads := map[string]string{}
	for _, word := range list {
		head := word[:min(cut, len(word))]
		if other, taken := heads[head]; taken {
			t.Errorf("%s and %s begin alike", word, other)
		}
		heads[head] = word
	}
}

func digest(t testing.TB, begins string) safe.Digest {
	t.Helper()
	b, err := hex.DecodeString(begins)
	if err != nil {
		t.Fatal(err)
	}
	var d safe.Digest
	copy(d[:], b)
	return d
}

// TestOf compares with the test vectors of BIP-39, whose first eight words are
// the first 88 bits of the entropy too.
func TestOf(t *testing.T) {
	for _, tt := range []struct{ begins, want string }{
		{"00000000000000000000000000000000", "abandon abandon abandon abandon abandon abandon abandon abandon"},
		{"7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f", "legal winner thank year wave sausage worth useful"},
		{"80808080808080808080808080808080", "letter advice cage absurd amount doctor acoustic avoid"},
		{"ffffffffffffffffffffffffffffffff", "zoo zoo zoo zoo zoo zoo zoo zoo"},
		{"9e885d952ad362caeb4efe34a8e91bd2", "ozone drill grab fiber curtain grace pudding thank"},
		{"f30f8c1da665478f49b001d94c5fc452", "vessel ladder alter error federal sibling chat ability"},
	} {
		if got := Of(digest(t, tt.begins)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.begins, got, tt.want)
		}
	}
}

// TestEveryBitCounts changes each of the 88 bits, and one more.
func TestEveryBitCounts(t *testing.T) {
	d := safe.DigestOf([]byte("roster"))
	for bit := range count*wordBits + 1 {
		other := d
		other[bit/8] ^= 0x80 >> (bit % 8)
		if same, counts := Match(Of(other), d), bit < count*wordBits; same == counts {
			t.Errorf("bit %d changed: match %v", bit, same)
		}
	}
}

func TestCheck(t *testing.T) {
	d := digest(t, "9e885d952ad362caeb4efe34a8e91bd2")
	for _, tt := range []struct{ typed, want string }{
		{"ozone drill grab fiber curtain grace pudding thank", ""},
		{"  Ozone DRILL\tgrab \n fiber curtain  grace pudding thank\r\n", ""},
		{"ozone-drill-grab-fiber-curtain-grace-pudding-thank", ""},
		{"ozone drill grab - fiber curtain \u2010 grace pudding thank", ""},
		{"ozon dril grab fibe curt grac pudd than", ""},
		{"ozone dril grab fiber curtai grace puddin thank", ""},

		{"", "there are no words, want 8"},
		{" - \n", "there are no words, want 8"},
		{"ozone drill grab fiber curtain grace pudding", "the number of words is 7, want 8"},
		{"ozone drill grab fiber curtain grace pudding thank cruise", "the number of words is 9, want 8"},
		{"ozone drill grad fiber curtain grace pudding thank", `word 3, "grad", is not a word`},
		{"ozone drill gra fiber curtain grace pudding thank", `word 3, "gra", is not a word`},
		{"ozone drills grab fiber curtain grace pudding thank", `word 2, "drills", is not a word`},
		{"ozone, drill, grab, fiber, curtain, grace, pudding, thank", `word 1, "ozone,", is not a word`},
		{"ozone drill grace fiber curtain grace pudding thank", "word 3 is another one"},
		{"drill ozone grab fiber curtain grace pudding thank", "words 1, 2 are others"},
		{"zoo zoo zoo zoo zoo zoo zoo zoo", "all words are others"},
		{strings.Repeat("zoo ", 10_000), "the number of words is 10000"},
	} {
		err := Check(tt.typed, d)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%.80q: %v", tt.typed, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%.80q: got %v, want %q", tt.typed, err, tt.want)
		}
		if Match(tt.typed, d) != (err == nil) {
			t.Errorf("%.80q: Match and Check do not agree", tt.typed)
		}
	}
}

// TestErrorsKeepTheWords types every word wrong, one at a time: what is right
// must not stand in the error.
func TestErrorsKeepTheWords(t *testing.T) {
	d := safe.DigestOf([]byte("roster"))
	right := strings.Fields(Of(d))
	for i, word := range right {
		for _, wrong := range []string{"zebra", "zzzz", ""} {
			typed := slices.Clone(right)
			typed[i] = wrong
			if err := Check(strings.Join(typed, " "), d); err == nil || strings.Contains(err.Error(), word) {
				t.Errorf("%q in place of %q: got %v", wrong, word, err)
			}
		}
	}
}

// FuzzCheck types what matches one digest against another.
func FuzzCheck(f *testing.F) {
	d, other := safe.DigestOf([]byte("roster")), safe.DigestOf([]byte("another"))
	f.Add(Of(d))
	f.Add(strings.ToUpper(strings.ReplaceAll(Of(other), " ", "-")))
	f.Add("\u00a0\xff\u2011")
	f.Fuzz(func(t *testing.T, typed string) {
		if Match(typed, d) && Match(typed, other) {
			t.Errorf("%q matches %q and %q", typed, Of(d), Of(other))
		}
	})
}
