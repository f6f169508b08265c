-- Version 5: what is shown of runs and sources at a glance. All of it stands in
-- the ledger and in the descriptions; but there are as many of those as nights,
-- and one can have megabytes.

ALTER TABLE run ADD COLUMN ended      TEXT NOT NULL DEFAULT '';    -- when, as the ledger has it; '' if it has not
ALTER TABLE run ADD COLUMN reason     TEXT NOT NULL DEFAULT '';    -- why it failed, or is partial
-- Of the description of its snapshot. The tier is '' if there is none.
ALTER TABLE run ADD COLUMN tier       TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN started    TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN keep_until TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN entries    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN bytes      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN new_bytes  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN warnings   INTEGER NOT NULL DEFAULT 0;

UPDATE run SET ended = e.entry ->> '$.time', reason = coalesce(e.entry ->> '$.what.reason', '')
FROM (SELECT CAST(bytes AS TEXT) AS entry FROM entry WHERE CAST(bytes AS TEXT) ->> '$.kind' IN ('snapshot.kept', 'run.failed')) AS e
WHERE run.id = e.entry ->> '$.what.run';

UPDATE run SET tier = s.d ->> '$.tier', started = s.d ->> '$.started', keep_until = s.d ->> '$.keep_until',
  entries = s.d ->> '$.entries', bytes = s.d ->> '$.bytes', new_bytes = s.d ->> '$.new_bytes', warnings = s.d ->> '$.warnings'
FROM (SELECT run, CAST(description AS TEXT) AS d FROM snapshot) AS s
WHERE run.id = s.run;

CREATE TABLE source (             -- each that was ever collected
  name      TEXT PRIMARY KEY,
  first     TEXT NOT NULL,        -- its first run
  last      TEXT NOT NULL,        -- its newest run
  newest    TEXT NOT NULL DEFAULT '',   -- its newest run with a snapshot that is described; '' if there is none
  complete  TEXT NOT NULL DEFAULT '',   -- likewise, with a complete one
  snapshots INTEGER NOT NULL DEFAULT 0  -- that are described
) STRICT;

INSERT INTO source (name, first, last, newest, complete, snapshots)
SELECT source, min(id), max(id), coalesce(max(id) FILTER (WHERE tier <> ''), ''),
  coalesce(max(id) FILTER (WHERE tier <> '' AND outcome = 'complete'), ''), count(*) FILTER (WHERE tier <> '')
FROM run GROUP BY source;
