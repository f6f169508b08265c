-- Version 6: what people's passkeys have wrapped. Each stands in the store, and
-- the ledger says which.

CREATE TABLE keyring (          -- the newest of each passkey
  person  TEXT NOT NULL,
  passkey BLOB NOT NULL,        -- its id
  entry   INTEGER NOT NULL,     -- of the ledger
  bytes   BLOB NOT NULL,
  PRIMARY KEY (person, passkey)
) STRICT;
