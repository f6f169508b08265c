package daemon

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/keyring"
	"strongroom/internal/access/signature"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

// KeepKeyring keeps what a keykeeper's passkey has wrapped. The safe can open
// nothing of it.
func (s *Safe) KeepKeyring(ctx context.Context, from netip.Addr, name safe.PersonName, b []byte) error {
	return s.change(ctx, from, "keyring", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		p, err := sit.holder(name, access.Keykeeper)
		if err != nil {
			return err
		}
		return s.keepKeyring(tx, sit, p, b)
	})
}

// keepKeyring keeps the keyring of a person as they stand in the roster, or in
// an enrolment.
func (s *Safe) keepKeyring(tx *state.Tx, sit situation, p access.Person, b []byte) error {
	k, err := keyring.Parse(b)
	if err == nil {
		err = k.Belongs(s.id, p, len(sit.roster.Periods))
	}
	if err != nil {
		return invalid("the keyring: %v", err)
	}
	known, err := tx.View().Keyrings(p.Name)
	if err != nil {
		return err
	}
	for _, earlier := range known {
		if bytes.Equal(earlier, b) {
			return nil // the page did not hear the answer
		}
		before, err := keyring.Parse(earlier)
		if err != nil {
			return fmt.Errorf("reading a keyring of %s: %w", p.Name, err)
		}
		if bytes.Equal(before.Passkey, k.Passkey) && !k.Continues(before) {
			return denyf("a keyring can only be added to: this one lacks something that the last one of the same passkey has, or has something else in its place")
		}
	}
	digest := safe.DigestOf(b)
	if err := tx.Publish(layout.Keyring(p.Name, digest), b); err != nil {
		return err
	}
	n, err := tx.Record(sit.now, ledger.Who(p.Name), ledger.KeyringKept{Person: ledger.Who(p.Name), Digest: digest})
	if err != nil {
		return err
	}
	return tx.SetKeyring(p.Name, k.Passkey, n, b)
}

// Keyring returns a person's newest keyring that a passkey opens which they
// have now, and which is not suspended: api.ErrNotFound if there is none. It is
// for that person alone.
func (s *Safe) Keyring(ctx context.Context, name safe.PersonName) ([]byte, error) {
	v := s.state.View(ctx)
	sit, err := s.situation(v)
	if err != nil {
		return nil, err
	}
	p, ok := sit.roster.Person(name)
	if !ok {
		return nil, api.ErrNotFound
	}
	all, err := v.Keyrings(name)
	if err != nil {
		return nil, err
	}
	err = api.ErrNotFound
	for _, b := range all {
		k, parseErr := keyring.Parse(b)
		if parseErr != nil {
			return nil, fmt.Errorf("reading a keyring of %s: %w", name, parseErr)
		}
		switch {
		case k.Belongs(s.id, p, len(sit.roster.Periods)) != nil:
		case sit.stopsCredential(p, k.Passkey):
			err = deny(access.ErrSuspended)
		default:
			return b, nil
		}
	}
	return nil, err
}

// stopsCredential reports whether the passkey of that id is suspended.
func (sit situation) stopsCredential(p access.Person, id []byte) bool {
	return slices.ContainsFunc(p.Passkeys, func(k access.Passkey) bool {
		return bytes.Equal(k.Key.Credential(), id) && sit.suspended.Stop(p.Name, signature.FromPasskey(k.Key))
	})
}
