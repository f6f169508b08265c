package web

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// TestPRFNeverArrives: a body with the results of a PRF is refused and recorded
// wherever it comes to, and its content is nowhere.
func TestPRFNeverArrives(t *testing.T) {
	const secret = "c2VjcmV0IG9mIHRoZSBwYXNza2V5"
	v := newVisitedScene(t)
	results := `{"id":"x","clientExtensionResults":{"prf":{"enabled":true,"results":{"first":"` + secret + `"}}}}`
	bodies := map[string]func(right string) string{
		"a whole credential": func(string) string { return results },
		"beside what belongs there": func(right string) string {
			return strings.TrimSuffix(right, "}") + `,"credential":` + results + `}`
		},
		"deep within":   func(string) string { return `{"a":[1,{"b":[` + results + `]}]}` },
		"without a lid": func(string) string { return `{"prf" : { "results":{"first":"` + secret + `"}}}` },
		"cut short":     func(string) string { return results[:len(results)-5] },
	}
	for _, r := range allRoutes {
		if r.limit == 0 {
			continue
		}
		for name, body := range bodies {
			who := maySend(r)
			x := v.forRoute(r.pattern, who)
			x.body = []byte(body(string(x.body)))
			before, refusedBefore := v.list()
			var res *http.Response
			var answer []byte
			if r.session || r.browser {
				b := v.in(who)
				before, refusedBefore = v.list()
				res, answer = b.visit(x.method, x.target, x.body, nil)
			} else {
				if r.roles == nil {
					x.who = ""
				}
				res, answer = v.fire(x)
			}
			calls, refused := v.list()
			if res.StatusCode != 403 || !bytes.Contains(answer, []byte("PRF")) || len(calls) > len(before) {
				t.Errorf("%s with %s: %s %s", r.pattern, name, res.Status, answer)
			}
			if len(refused) != len(refusedBefore)+1 || !strings.HasPrefix(refused[len(refused)-1], "prf: ") {
				t.Errorf("%s with %s: it is not recorded", r.pattern, name)
			}
			if bytes.Contains(answer, []byte(secret)) {
				t.Errorf("%s with %s: the answer has the result itself", r.pattern, name)
			}
			// So that it can be seen whose passkey is to be suspended.
			if named := strings.Contains(refused[len(refused)-1], fmt.Sprintf("what %s sent", who)); named != (r.roles != nil) {
				t.Errorf("%s with %s: the ledger has %q", r.pattern, name, refused[len(refused)-1])
			}
		}
	}
	_, refused := v.list()
	if strings.Contains(v.log.String(), secret) || strings.Contains(strings.Join(refused, " "), secret) {
		t.Error("the log, or the ledger, has the result itself")
	}
}

// TestPRFWithinATextNeverArrives: what was sent has it in one of its texts, as a
// page could that puts together what it sends from more than it should.
func TestPRFWithinATextNeverArrives(t *testing.T) {
	v := newVisitedScene(t)
	within := func(text []byte) []byte {
		return bytes.Replace(text, []byte("{"), []byte(`{"clientExtensionResults":{"prf":{"results":{"first":"c2VjcmV0"}}},`), 1)
	}
	signed := v.team.People["ada"].States(t, v.team.Store, time.Now(), access.Object{Number: 2, Reason: "no"})
	signed.Statement = string(within([]byte(signed.Statement)))
	released := v.release(t, "ada")
	released.Grant = string(within([]byte(released.Grant)))
	for _, tt := range []struct {
		pattern string
		body    []byte
	}{
		{api.Enrol, encode(t, api.Enrolling{Token: theToken, Enrolment: within(v.enrolment())})},
		{api.Object, encode(t, api.Act{Signed: signed})},
		{api.Release, encode(t, api.Released{Release: released})},
	} {
		x := v.forRoute(tt.pattern, "ada")
		b := v.in("ada")
		before, refusedBefore := v.list()
		res, answer := b.visit(x.method, x.target, tt.body, nil)
		calls, refused := v.list()
		if res.StatusCode != 403 || !bytes.Contains(answer, []byte("PRF")) || len(calls) > len(before) {
			t.Errorf("%s: %s %s, after %q", tt.pattern, res.Status, answer, calls[len(before):])
		}
		if len(refused) != len(refusedBefore)+1 || !strings.HasPrefix(refused[len(refused)-1], "prf: ") {
			t.Errorf("%s: recorded is %q", tt.pattern, refused[len(refusedBefore):])
		}
	}
}

// TestMalformedCeremonies sends what is no ceremony.
func TestMalformedCeremonies(t *testing.T) {
	v := newVisitedScene(t)
	right := string(v.signs("dan"))
	nonce := opening.NewNonce()
	text, _ := nonce.MarshalText()
	tests := []struct {
		name, target, body string
		status             int
	}{
		{"no body", "/v1/sign-in", "", 415},
		{"no JSON", "/v1/sign-in", "sign me in", 400},
		{"array", "/v1/sign-in", "[]", 400},
		{"null", "/v1/sign-in", "null", 403},
		{"empty object", "/v1/sign-in", "{}", 403},
		{"unknown field", "/v1/sign-in", strings.TrimSuffix(right, "}") + `,"person":"ada"}`, 400},
		{"twice", "/v1/sign-in", right + right, 400},
		{"deep", "/v1/sign-in", strings.Repeat("[", 30_000), 400},
		{"no nonce", "/v1/sign-in", `{"nonce":"x"}`, 400},
		{"no assertion", "/v1/sign-in", `{"nonce":"` + string(text) + `","assertion":"strongroom-passkey-v1 a b c"}`, 400},
		{"assertion of another kind", "/v1/sign-in", `{"nonce":"` + string(text) + `","assertion":"-----BEGIN SSH SIGNATURE-----"}`, 400},
		{"huge assertion", "/v1/sign-in", `{"nonce":"` + string(text) + `","assertion":"strongroom-passkey-v1 ` + strings.Repeat("A", 20_000) + `"}`, 400},
		{"too large", "/v1/sign-in", right + strings.Repeat(" ", smallBody), 413},
		{"body where none belongs", "/v1/sign-in/begin", "{}", 413},
		{"no token", "/v1/passkeys/begin", "{}", 404},
		{"token that is none", "/v1/passkeys/begin", `{"token":"x"}`, 400},
		{"too large for an invitation", "/v1/passkeys/begin", strings.Repeat(" ", smallBody+1), 413},
		{"body of signing out", "/sign-out", "x", 303},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := v.browser().visit("POST", tt.target, []byte(tt.body), nil)
			if res.StatusCode != tt.status {
				t.Errorf("%s %s, want %d", res.Status, body, tt.status)
			}
			if len(res.Cookies()) > 0 && tt.status != 303 {
				t.Errorf("it has cookies: %v", res.Cookies())
			}
		})
	}
}

// maySend returns somebody who may call a route.
func maySend(r route) safe.PersonName {
	switch {
	case slices.Equal(r.roles, operator):
		return "bob"
	case slices.Equal(r.roles, officer):
		return "cyd"
	}
	return "ada"
}

// TestMalformedBodies sends what is no message to each route that a page may
// call, from a page of somebody who may. None of it reaches the safe.
func TestMalformedBodies(t *testing.T) {
	v := newVisitedScene(t)
	in := map[safe.PersonName]*browser{"ada": v.in("ada"), "cyd": v.in("cyd")}
	tests := []struct {
		name   string
		body   func(right []byte) []byte
		header http.Header
		status int
	}{
		{"no JSON", func([]byte) []byte { return []byte("please") }, nil, 400},
		{"no text", func([]byte) []byte { return []byte("\x00\xff\xfe") }, nil, 400},
		{"array", func([]byte) []byte { return []byte("[]") }, nil, 400},
		{"number", func([]byte) []byte { return []byte("1e999") }, nil, 400},
		{"cut short", func(right []byte) []byte { return right[:len(right)-1] }, nil, 400},
		{"twice", func(right []byte) []byte { return slices.Concat(right, right) }, nil, 400},
		{"unknown field", func(right []byte) []byte { return append(bytes.TrimSuffix(right, []byte("}")), `,"by":"ada"}`...) }, nil, 400},
		{"deep", func([]byte) []byte { return bytes.Repeat([]byte(`{"signed":`), 5_000) }, nil, 400},
		// Which would take far more memory than it has bytes.
		{"many values", func([]byte) []byte { return []byte(`{"inner":[{}` + strings.Repeat(",{}", 20_000) + "]}") }, nil, 400},
		{"as a form", func(right []byte) []byte { return right }, http.Header{"Content-Type": {"text/plain"}}, 415},
		{"compressed", func(right []byte) []byte { return right }, http.Header{"Content-Encoding": {"gzip"}}, 415},
	}
	before, _ := v.list()
	for _, r := range allRoutes {
		if !r.session || r.limit == 0 {
			continue
		}
		who := maySend(r)
		b, x := in[who], v.forRoute(r.pattern, who)
		for _, tt := range tests {
			res, body := b.visit(x.method, x.target, tt.body(bytes.Clone(x.body)), tt.header)
			var p api.Problem
			if err := spelling.Decode(body, &p); err != nil || res.StatusCode != tt.status || p.Error == "" {
				t.Errorf("%s, %s: %s %s", r.pattern, tt.name, res.Status, body)
			}
		}
		if r.slow {
			continue // its limit is 96 MiB, which take long and show nothing more
		}
		res, body := b.visit(x.method, x.target, bytes.Repeat([]byte(" "), int(r.limit)+1), nil)
		if res.StatusCode != 413 {
			t.Errorf("%s, too large: %s %s", r.pattern, res.Status, body)
		}
	}
	// A route without a body takes none.
	for _, r := range allRoutes {
		if !r.session || r.limit > 0 {
			continue
		}
		x := v.forRoute(r.pattern, "ada")
		if res, body := in["ada"].visit(x.method, x.target, []byte("{}"), nil); res.StatusCode != 413 {
			t.Errorf("%s, with a body: %s %s", r.pattern, res.Status, body)
		}
	}
	if after, refused := v.list(); len(after) > len(before) || len(refused) > 0 {
		t.Errorf("they have reached the safe: %q, %q", after[len(before):], refused)
	}
}
