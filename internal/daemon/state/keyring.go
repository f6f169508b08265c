package state

import (
	"database/sql"
	"fmt"

	"strongroom/internal/safe"
)

// SetKeyring keeps a keyring, in the place of an earlier one of the same
// passkey. entry is the number of the ledger entry that records it.
func (tx *Tx) SetKeyring(person safe.PersonName, passkey []byte, entry int64, b []byte) error {
	return tx.set("INSERT OR REPLACE INTO keyring (person, passkey, entry, bytes) VALUES (?, ?, ?, ?)", string(person), passkey, entry, b)
}

// Keyrings returns a person's keyrings, the newest first.
func (v View) Keyrings(person safe.PersonName) (all [][]byte, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var b []byte
		err := rows.Scan(&b)
		all = append(all, b)
		return err
	}, "SELECT bytes FROM keyring WHERE person = ? ORDER BY entry DESC", string(person))
	if err != nil {
		return nil, fmt.Errorf("reading the keyrings of %s: %w", person, err)
	}
	return all, nil
}
