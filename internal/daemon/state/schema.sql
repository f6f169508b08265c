-- The state of a safe. It holds nothing that store and ledger cannot give back.

CREATE TABLE entry (          -- the ledger
  n     INTEGER PRIMARY KEY,  -- from 0
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE hash (           -- of the ledger's tree
  i     INTEGER PRIMARY KEY,  -- index of tlog
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE checkpoint (     -- the newest, signed
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  size  INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE outbox (         -- objects still to be published, in this order
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  name  TEXT NOT NULL UNIQUE,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE run (
  id       TEXT PRIMARY KEY,  -- a UUIDv7, so that ids sort by time
  source   TEXT NOT NULL,
  envelope TEXT NOT NULL,     -- digest of its bytes
  outcome  TEXT NOT NULL CHECK (outcome IN ('', 'complete', 'partial', 'failed'))
) STRICT;
CREATE INDEX run_source ON run (source, id);

CREATE TABLE snapshot (
  run         TEXT PRIMARY KEY REFERENCES run (id),
  description BLOB NOT NULL
) STRICT;
