package wire

import (
	"encoding/binary"
	"testing"
)

// Limits are kept to, but for those that are absurd.
func TestParseLimits(t *testing.T) {
	tests := []struct {
		name                       string
		packet, read, write, opens uint64
		want                       limits
	}{
		{"OpenSSH", 262144, 261120, 261120, 1019, limits{261120, 1019}},
		{"nothing is limited", 0, 0, 0, 0, limits{0, 0}},
		{"small reads", 34000, 16384, 16384, 64, limits{16384, 64}},
		{"packets that hold less than a read", 34000, 65536, 65536, 100, limits{32976, 100}},
		{"more than we take", 1 << 40, 1 << 40, 1 << 40, 1 << 40, limits{maxPacket - 1024, 1 << 20}},
		{"next to nothing", 1, 1, 1, 1, limits{4096, 1}},
	}
	for _, tt := range tests {
		var b []byte
		for _, n := range []uint64{tt.packet, tt.read, tt.write, tt.opens} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		if got, err := parseLimits(b); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
		if _, err := parseLimits(b[:31]); err == nil {
			t.Errorf("%s: cut short, and taken", tt.name)
		}
	}
}
