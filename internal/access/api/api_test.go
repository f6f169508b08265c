package api_test

import (
	"net/netip"
	"testing"

	"strongroom/internal/access/api"
)

func TestGateAddress(t *testing.T) {
	everywhere, one := netip.MustParseAddrPort("[::]:2222"), netip.MustParseAddrPort("192.0.2.1:2222")
	tests := []struct {
		name    string
		opening api.Opening
		want    string
	}{
		{"closed", api.Opening{GateName: "safe.acme.example"}, ""},
		{"on every address", api.Opening{Gate: everywhere, GateName: "safe.acme.example"}, "safe.acme.example:2222"},
		{"a name that is an address", api.Opening{Gate: everywhere, GateName: "2001:db8::1"}, "[2001:db8::1]:2222"},
		{"without a name", api.Opening{Gate: one}, "192.0.2.1:2222"},
	}
	for _, tt := range tests {
		if got := tt.opening.GateAddress(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
