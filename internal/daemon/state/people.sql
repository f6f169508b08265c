-- Version 3: people and openings. The versions of the roster, suspensions, key
-- checks and openings can be told again from ledger and store. Proposals,
-- invitations and enrolments cannot: they wait for people, who make them again
-- if they are lost.

CREATE TABLE roster (           -- the versions that came into force
  n    INTEGER PRIMARY KEY,     -- from 1
  link BLOB NOT NULL            -- access.Link in JSON: its bytes, and who agreed
) STRICT;

CREATE TABLE proposal (
  digest TEXT PRIMARY KEY,      -- of the proposed version
  body   BLOB NOT NULL          -- access.Proposal in JSON
) STRICT;

CREATE TABLE invitation (
  person TEXT PRIMARY KEY,
  roles  TEXT NOT NULL,         -- in JSON
  token  TEXT NOT NULL UNIQUE,  -- SHA-256 of the secret, which is nowhere
  until  INTEGER NOT NULL,      -- Unix time
  tries  INTEGER NOT NULL       -- how often its token came with an enrolment that is not as invited
) STRICT;

CREATE TABLE enrolment (        -- those that are in no roster
  person TEXT PRIMARY KEY,
  bytes  BLOB NOT NULL,
  sender TEXT NOT NULL,         -- address
  time   INTEGER NOT NULL
) STRICT;

CREATE TABLE suspension (
  entry  INTEGER PRIMARY KEY,   -- of the ledger
  person TEXT NOT NULL,
  key    TEXT NOT NULL          -- an SSH key; '' for all
) STRICT;

CREATE TABLE key_check (        -- when a role key was proven last
  person TEXT NOT NULL,
  role   TEXT NOT NULL,
  period INTEGER NOT NULL,
  paper  INTEGER NOT NULL,
  time   INTEGER NOT NULL,
  PRIMARY KEY (person, role, period, paper)
) STRICT;

CREATE TABLE opening (
  id        TEXT PRIMARY KEY,   -- a UUIDv7
  state     TEXT NOT NULL CHECK (state IN ('requested', 'open', 'closed', 'refused', 'withdrawn', 'expired')),
  operator  TEXT NOT NULL,
  request   BLOB NOT NULL,      -- ledger.Signed in JSON
  recorded  INTEGER NOT NULL,   -- the ledger's entry of the request
  release   BLOB,               -- the newest, in its exact bytes
  gate      TEXT NOT NULL DEFAULT '',     -- address and port, while it listens
  until     INTEGER NOT NULL,   -- the request is good until then, then the opening
  cause     TEXT NOT NULL DEFAULT '',     -- why it is over
  sessions  INTEGER NOT NULL DEFAULT 0,   -- of what is known of it
  objects   INTEGER NOT NULL DEFAULT 0,
  bytes     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX opening_open ON opening (state) WHERE state = 'open'; -- one at a time

CREATE TABLE act (              -- statements that were used, as long as they could be used again
  digest TEXT PRIMARY KEY,
  time   INTEGER NOT NULL
) STRICT;

CREATE TABLE serving (          -- has a row while a process serves people, or after one crashed
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  since INTEGER NOT NULL
) STRICT;
