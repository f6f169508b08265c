package spelling_test

import (
	"strings"
	"testing"

	"strongroom/internal/spelling"
)

type note struct {
	Version int      `json:"v"`
	Text    string   `json:"text"`
	Tags    []string `json:"tags,omitempty"`
}

const wanted = `{"v":1,"text":"a < b & c"}` + "\n"

func TestOf(t *testing.T) {
	got, err := spelling.Of(note{Version: 1, Text: "a < b & c"})
	if err != nil || string(got) != wanted {
		t.Errorf("Of: %q, %v, want %q", got, err, wanted)
	}
}

// What package json takes for the same value is another spelling, and what it
// would pass over is an error.
func TestOneSpelling(t *testing.T) {
	tests := []struct {
		name, text string
		decodes    string // the error of Decode; "" if there is none
	}{
		{"white space", `{"v": 1,"text":"a < b & c"}` + "\n", ""},
		{"without a newline", strings.TrimSpace(wanted), ""},
		{"two newlines", wanted + "\n", ""},
		{"escaped", `{"v":1,"text":"a \u003c b & c"}` + "\n", ""},
		{"a name in capitals", `{"V":1,"text":"a < b & c"}` + "\n", ""},
		{"a field twice", `{"v":2,"v":1,"text":"a < b & c"}` + "\n", ""},
		{"another order", `{"text":"a < b & c","v":1}` + "\n", ""},
		{"an empty list", `{"v":1,"text":"a < b & c","tags":[]}` + "\n", ""},
		{"a null list", `{"v":1,"text":"a < b & c","tags":null}` + "\n", ""},
		{"an unknown field", `{"v":1,"text":"a < b & c","x":0}` + "\n", `unknown field "x"`},
		{"two values", wanted + wanted, "something else follows it"},
		{"a brace behind it", strings.TrimSpace(wanted) + "}\n", "something else follows it"},
		{"cut short", wanted[:len(wanted)-3], "unexpected EOF"},
		{"nothing", "", "EOF"},
	}
	for _, tt := range tests {
		var n note
		err := spelling.Decode([]byte(tt.text), &n)
		if (err == nil) != (tt.decodes == "") || err != nil && !strings.Contains(err.Error(), tt.decodes) {
			t.Errorf("%s: Decode: %v, want %q", tt.name, err, tt.decodes)
		}
		if err == nil && spelling.Is([]byte(tt.text), n) {
			t.Errorf("%s: %q passes for the one spelling", tt.name, tt.text)
		}
	}
	if !spelling.Is([]byte(wanted), note{Version: 1, Text: "a < b & c"}) {
		t.Errorf("Is does not know %q", wanted)
	}
}

func TestParse(t *testing.T) {
	var n note
	if err := spelling.Parse([]byte(wanted), len(wanted), "a note", &n); err != nil || n.Version != 1 {
		t.Errorf("a note as large as may be: %v, %v", n, err)
	}
	err := spelling.Parse([]byte(wanted), len(wanted)-1, "a note", &n)
	if want := "a note of 27 bytes, at most 26 are possible"; err == nil || err.Error() != want {
		t.Errorf("a note that is too large: %v, want %q", err, want)
	}
	err = spelling.Parse([]byte("{}x"), 100, "a note", &n)
	if err == nil || !strings.HasPrefix(err.Error(), "reading a note: ") {
		t.Errorf("a note that is none: %v", err)
	}
}

// A text of values without content would take a hundred times its length.
func TestManyValues(t *testing.T) {
	const many = 100_000
	ids := strings.Repeat(`"019aa7b4-5c00-7000-8000-000000000001",`, many)
	for _, tt := range []struct {
		name, list string
		taken      bool
	}{
		{"ids", ids, true},
		{"some short ones", strings.Repeat("0,", 10_000), true},
		{"nothing but short ones", strings.Repeat("0,", many), false},
		{"empty ones", strings.Repeat("{},", many), false},
	} {
		var list struct {
			All []any `json:"all"`
		}
		text := []byte(`{"all":[` + strings.TrimSuffix(tt.list, ",") + "]}")
		if err := spelling.Parse(text, len(text), "a list", &list); (err == nil) != tt.taken {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
