"""The tables of a review store, and what identifies its file.

setting   what the store was told: policy, labels, shares, each under its name
source    the files of rows that were read, so that one that has not changed is not read again
item      a picture or video with its score, whether it is asked for, and with which probability
log       every decision, skip, undo and settlement, in order; a row is never changed and never removed
opinion   what the log says each person thinks of an item now, made with each entry of the log
settled   what the log says a disagreement was settled to
lease     who has which picture in hand, and until when
"""

from __future__ import annotations

APPLICATION = 0x4E535257  # "NSRW", in the file's header where SQLite keeps an application's own number
VERSION = 1  # of the tables; also in the header

TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE source (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, modified REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE item (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL,              -- as the rows name it
  member TEXT NOT NULL DEFAULT '', -- inside an archive; empty: the file itself
  place_on_disk TEXT,              -- where the file was found last, absolute; NULL: nowhere
  kind TEXT NOT NULL,
  score REAL NOT NULL,
  sha256 TEXT,
  bytes INTEGER,
  width INTEGER, height INTEGER,
  format TEXT,
  frame_choice TEXT,
  frames TEXT NOT NULL DEFAULT '[]', -- JSON: [frame, track, seconds, score] of those that score highest
  engine TEXT NOT NULL, model TEXT NOT NULL,
  number REAL NOT NULL,            -- the permanent random number, 0 to 1
  band INTEGER NOT NULL DEFAULT 0,
  queue TEXT NOT NULL DEFAULT '',  -- undecided, audit, calibration; empty: not asked for
  probability REAL NOT NULL DEFAULT 0, -- of being asked for; it never falls
  asked INTEGER NOT NULL DEFAULT 0,
  wanted INTEGER NOT NULL DEFAULT 1,   -- opinions
  given INTEGER NOT NULL DEFAULT 0,
  place REAL NOT NULL DEFAULT 0,   -- order of asking
  look TEXT,                       -- perceptual hash
  leader INTEGER,                  -- the item that is shown in place of this one, as they look alike
  UNIQUE (path, member, sha256)
);
CREATE INDEX item_open ON item (place, queue, leader)
  WHERE asked = 1 AND given < wanted AND place_on_disk IS NOT NULL;
CREATE INDEX item_half ON item (queue)
  WHERE asked = 1 AND given < wanted AND given > 0 AND place_on_disk IS NOT NULL;
CREATE INDEX item_sha256 ON item (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX item_leader ON item (leader) WHERE leader IS NOT NULL;
CREATE INDEX item_cell ON item (queue, band, given);
CREATE TABLE log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,                -- seconds since 1970
  person TEXT NOT NULL,
  holder TEXT NOT NULL,            -- the browser's session
  action TEXT NOT NULL CHECK (action IN ('label', 'skip', 'settle', 'undo')),
  item INTEGER NOT NULL REFERENCES item (id),
  label TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  seconds REAL,                    -- from the picture's being shown to the decision
  batch TEXT NOT NULL,             -- entries that were made, and are undone, together
  undoes INTEGER REFERENCES log (id)
);
CREATE INDEX log_item ON log (item, person);
CREATE INDEX log_undoes ON log (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX log_batch ON log (batch);
CREATE TRIGGER log_keeps BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
CREATE TRIGGER log_stays BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
CREATE TABLE opinion (
  item INTEGER NOT NULL, person TEXT NOT NULL, label TEXT NOT NULL, entry INTEGER NOT NULL,
  PRIMARY KEY (item, person)
) WITHOUT ROWID;
CREATE INDEX opinion_skip ON opinion (person, item) WHERE label = '';
CREATE TABLE settled (item INTEGER PRIMARY KEY, label TEXT NOT NULL, entry INTEGER NOT NULL);
CREATE TABLE lease (item INTEGER PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL);
CREATE INDEX lease_holder ON lease (holder);
"""
