package wiretest

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	secret[0], secret[1] = 0xfb, 0xff // base64 has another letter for it in each alphabet
	std, raw := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	keyring := func(b []byte) string { return std([]byte(`{"personal":"` + std(b) + `"}`)) }
	numbers, err := json.Marshal(strings.Split(strings.Trim(fmt.Sprint(secret), "[]"), " "))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, sent string
		want       []string
	}{
		{"nothing", `{"a":"` + std(bytes.Repeat([]byte{7}, 99)) + `"}`, nil},
		{"most of it", hex.EncodeToString(secret[:31]), nil},
		{"as it is", "x" + string(secret) + "y", []string{"as it is"}},
		{"hexadecimal", "x" + hex.EncodeToString(secret), []string{"hexadecimal"}},
		{"base64", `{"first":"` + std(secret) + `"}`, []string{"as it is", "base64"}},
		{"base64url", `{"first":"` + raw(secret) + `"}`, []string{"as it is", "base64"}},
		{"in an address", "GET /?x=" + url.QueryEscape(std(secret)) + " HTTP/1.1", []string{"as it is", "base64"}},
		{"in a path of letters", "/v1/" + raw(secret) + "/", []string{"base64"}},
		{"after one byte", std(append([]byte("x"), secret...)), []string{"as it is", "base64"}},
		{"after two bytes, and before others", raw(append(append([]byte("xy"), secret...), "after"...)), []string{"as it is", "base64"}},
		{"in a keyring", `{"keyring":"` + keyring(secret) + `"}`, []string{"as it is", "base64"}},
		{"as a key in a keyring", `{"keyring":"` + keyring([]byte("AGE-SECRET-KEY-PQ-1"+strings.ToUpper(bech32.EncodeToString(secret))+"QQQQQQ")) + `"}`, []string{"bech32"}},
		{"as text", strings.ReplaceAll(string(numbers), `"`, ""), []string{"numbers"}},
	} {
		if diff := cmp.Diff(tt.want, Find([]byte(tt.sent), secret)); diff != "" {
			t.Errorf("%s (-want +got)\n%s\nin %q", tt.name, diff, tt.sent)
		}
	}
}

func TestKeyOf(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	line := "AGE-SECRET-KEY-PQ-1" + strings.ToUpper(bech32.EncodeToString(secret)) + "QQQQQQ"
	if got, err := KeyOf(line); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("got %x, %v", got, err)
	}
	for _, line := range []string{"", "AGE", "AGE-SECRET-KEY-PQ-1QQQ", "AGE-SECRET-KEY-PQ-1BBBBBBBBBBBBBB"} {
		if got, err := KeyOf(line); err == nil {
			t.Errorf("%q has the key %x", line, got)
		}
	}
}

// TestLine sends through one, as a browser does.
func TestLine(t *testing.T) {
	var from string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from = r.RemoteAddr
		b, _ := io.ReadAll(r.Body) // what came is compared
		fmt.Fprintf(w, "answer to %s", b)
	}))
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	l := Open(t, Options{
		Name: "example.com:8443", To: netip.MustParseAddrPort(server.Listener.Addr().String()), From: netip.MustParseAddr("127.0.0.9"),
		Show: server.TLS, Know: &tls.Config{RootCAs: pool},
		Beside: map[string]netip.AddrPort{"beside.example.com:443": netip.MustParseAddrPort(server.Listener.Addr().String())},
	})
	proxy, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	res, err := client.Post("https://example.com:8443/path", "text/plain", strings.NewReader("a question"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "answer to a question" {
		t.Errorf("answered %q, %v", b, err)
	}
	if !strings.HasPrefix(from, "127.0.0.9:") {
		t.Errorf("the server saw %s", from)
	}
	sent, received := bytes.Join(l.Sent(), nil), bytes.Join(l.Received(), nil)
	if !bytes.HasPrefix(sent, []byte("POST /path HTTP/1.1\r\n")) || !bytes.HasSuffix(sent, []byte("a question")) || !bytes.Contains(received, []byte("answer to a question")) {
		t.Errorf("sent %q and received %q", sent, received)
	}
	if _, err := client.Get("https://elsewhere.example/"); err == nil {
		t.Error("it leads elsewhere, too")
	}
	kept := len(l.Sent())
	res, err = client.Get("https://beside.example.com:443/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "answer to " || len(l.Sent()) != kept {
		t.Errorf("answered %q, %v; %d calls were kept", b, err, len(l.Sent()))
	}
}
