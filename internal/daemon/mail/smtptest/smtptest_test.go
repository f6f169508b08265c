package smtptest

import "testing"

// Whoever is stopped at once must not wait for a server that begins afterwards.
func TestStopAtOnce(t *testing.T) {
	for range 200 {
		s, err := Start(Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
	}
}
