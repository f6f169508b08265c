-- Version 9: what people must look at, and how it stood with applications on
-- each day. The findings can be read from the ledger again; the days cannot.

CREATE TABLE finding (
  n       INTEGER PRIMARY KEY,   -- the entry that raised it first
  kind    TEXT NOT NULL,
  subject TEXT NOT NULL,
  last    INTEGER NOT NULL,      -- the entry that raised it last
  count   INTEGER NOT NULL,      -- how many entries have raised it
  ack     INTEGER,               -- the entry that acknowledged it, as long as that counts
  cleared INTEGER                -- the entry that cleared it
) STRICT;
CREATE UNIQUE INDEX finding_live ON finding (kind, subject) WHERE cleared IS NULL;

INSERT INTO finding (n, kind, subject, last, count)
SELECT min(n), entry ->> '$.what.kind', entry ->> '$.what.subject', max(n), count(*)
FROM (SELECT n, CAST(bytes AS TEXT) AS entry FROM entry WHERE CAST(bytes AS TEXT) ->> '$.kind' = 'finding.raised')
GROUP BY 2, 3;

CREATE TABLE standing (
  application TEXT NOT NULL,
  day         INTEGER NOT NULL,  -- since 1970, in UTC
  taken       INTEGER NOT NULL,  -- when it stood so, in seconds since then: the last time of the day
  bytes       BLOB NOT NULL,     -- as the caller writes it
  PRIMARY KEY (application, day)
) STRICT;
