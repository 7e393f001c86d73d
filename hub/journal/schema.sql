-- The journal: one SQLite file (WAL, synchronous=FULL) that remembers what the hub knows. The hub is the one writer;
-- the dashboard reads it and may insert into `orders` only. All instants are ms since 1970, UTC.

CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Everything that was read, in the order in which it became durable: one row a commit. Pruned once every cursor is an
-- hour past it; the newest row always stays.
CREATE TABLE IF NOT EXISTS batch (
  last INTEGER PRIMARY KEY,             -- readings are numbered one by one: this batch holds first to last
  first INTEGER NOT NULL,
  rx INTEGER NOT NULL,                  -- of the newest of them
  readings TEXT NOT NULL                -- JSON: [[device, quantity, value, ts, rx, quality, detail], ...]; null = forgotten
);

-- The same, a row a reading. value: REAL for gauges and counters, TEXT for states and events; detail: JSON object or NULL.
CREATE VIEW IF NOT EXISTS reading AS
  SELECT batch.first + item.key AS seq,
    json_extract(item.value, '$[0]') AS device, json_extract(item.value, '$[1]') AS quantity,
    json_extract(item.value, '$[3]') AS ts, json_extract(item.value, '$[4]') AS rx,
    json_extract(item.value, '$[2]') AS value, json_extract(item.value, '$[5]') AS quality,
    json_extract(item.value, '$[6]') AS detail
  FROM batch, json_each(batch.readings) AS item WHERE item.type = 'array';

-- The last fresh reading of each series: what the page shows at once, and what the hub starts from. Under heavy load it may
-- be some batches behind: it holds everything up to number meta.latest.
CREATE TABLE IF NOT EXISTS latest (
  device TEXT NOT NULL, quantity TEXT NOT NULL,
  ts INTEGER NOT NULL, rx INTEGER NOT NULL, value NOT NULL, quality TEXT NOT NULL, detail TEXT,
  PRIMARY KEY (device, quantity)
) WITHOUT ROWID;

-- How each device and link is. state: up | down (links), ok | silent | offline | unknown (devices).
CREATE TABLE IF NOT EXISTS health (
  source TEXT PRIMARY KEY,
  kind TEXT NOT NULL,                   -- device | link
  state TEXT NOT NULL,
  since INTEGER NOT NULL,
  last_rx INTEGER,                      -- last good reading
  detail TEXT NOT NULL DEFAULT '',      -- the last fault, in words
  faults INTEGER NOT NULL DEFAULT 0     -- how many faults since the start
) WITHOUT ROWID;

-- Faults by minute and kind, so that a noisy line cannot fill the disk.
CREATE TABLE IF NOT EXISTS fault (
  source TEXT NOT NULL, kind TEXT NOT NULL, minute INTEGER NOT NULL,  -- minute: ms / 60000
  count INTEGER NOT NULL, detail TEXT NOT NULL,
  PRIMARY KEY (source, kind, minute)
) WITHOUT ROWID;

-- Payloads that nobody could read, newest 10,000.
CREATE TABLE IF NOT EXISTS quarantine (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  rx INTEGER NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, payload BLOB NOT NULL
);

-- QoS 1 deliveries made durable, one row a commit, the newest 8,192: a redelivery after a crash is recognised by packet id,
-- digest and DUP flag. JSON: [[link, packet id, digest, DUP], ...].
CREATE TABLE IF NOT EXISTS delivery (id INTEGER PRIMARY KEY, packets TEXT NOT NULL);

-- How far each device has counted its messages, so that a gap is known across a restart and a duplicate is dropped.
CREATE TABLE IF NOT EXISTS sequence (
  device TEXT PRIMARY KEY,
  boot TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  seen INTEGER NOT NULL, owed INTEGER NOT NULL,        -- bit n - 1: the message n before `last` came; may still come
  boot_before TEXT NOT NULL, last_before INTEGER NOT NULL, seen_before INTEGER NOT NULL,  -- the device's run before
  missing INTEGER NOT NULL, repeated INTEGER NOT NULL, late INTEGER NOT NULL              -- since the journal began
) WITHOUT ROWID;

-- The state of each alarm that has ever left normal: key = rule, source and, where the rule says so, the value.
CREATE TABLE IF NOT EXISTS alarm (
  key TEXT PRIMARY KEY,
  rule TEXT NOT NULL, source TEXT NOT NULL, zone TEXT NOT NULL, severity TEXT NOT NULL,
  filter TEXT NOT NULL, since INTEGER NOT NULL, last INTEGER NOT NULL,  -- machine 1
  state TEXT NOT NULL,                                                  -- machine 2
  shelved_until INTEGER, one_shot INTEGER NOT NULL DEFAULT 0,           -- machine 3
  suppressed TEXT NOT NULL DEFAULT '[]', out_of_service INTEGER NOT NULL DEFAULT 0,
  occurrence INTEGER NOT NULL, activations INTEGER NOT NULL, announced INTEGER NOT NULL,
  value, quantity TEXT NOT NULL DEFAULT '', "limit" REAL,
  raised INTEGER, cleared INTEGER, acked INTEGER, acked_by TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- What an alarm's rule remembers beyond readings: what was counted, which order is under way. Its own text (JSON).
CREATE TABLE IF NOT EXISTS inner (key TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

-- One row an occurrence: what the alarm list and the history show. closed: '' while open, else why it ended.
CREATE TABLE IF NOT EXISTS occurrence (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL, occurrence INTEGER NOT NULL,
  rule TEXT NOT NULL, source TEXT NOT NULL, zone TEXT NOT NULL, severity TEXT NOT NULL,
  quantity TEXT NOT NULL, value, peak, "limit" REAL,
  raised INTEGER NOT NULL, cleared INTEGER, acked INTEGER, acked_by TEXT NOT NULL DEFAULT '',
  closed TEXT NOT NULL DEFAULT '', ended INTEGER, activations INTEGER NOT NULL DEFAULT 1,
  UNIQUE (key, occurrence)
);
CREATE INDEX IF NOT EXISTS occurrence_open ON occurrence (closed, severity);
CREATE INDEX IF NOT EXISTS occurrence_raised ON occurrence (raised);

-- Every change of an alarm, and every word that people said about it: its timeline.
CREATE TABLE IF NOT EXISTS flip (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  key TEXT NOT NULL, occurrence INTEGER NOT NULL,
  event TEXT NOT NULL,                  -- raised, cleared, acked, reactivated, withdrawn, closed, comment, rejected, called ...
  before TEXT NOT NULL, after TEXT NOT NULL,
  actor TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '', value
);
CREATE INDEX IF NOT EXISTS flip_of ON flip (key, occurrence);

-- What still has to be said, and what became of it. person: '' = whoever the voice reaches, else one person on duty.
-- status: pending | sending | accepted | unconfirmed (went out, nothing tells what came of it) | folded (said within
-- another announcement) | failed | dropped (a call that nobody needs any more)
CREATE TABLE IF NOT EXISTS outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  flip INTEGER NOT NULL, voice TEXT NOT NULL, kind TEXT NOT NULL,   -- kind: raised | cleared | reminder
  status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,
  next_try INTEGER NOT NULL, detail TEXT NOT NULL DEFAULT '', done INTEGER,
  person TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',        -- JSON {zh, en}: why this person is told
  UNIQUE (flip, voice, person)
);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (status, next_try);
CREATE INDEX IF NOT EXISTS outbox_of ON outbox (voice, status);
CREATE INDEX IF NOT EXISTS outbox_called ON outbox (status, person) WHERE person <> '';

-- How each voice does: its last try, last success and last live test. failing: since when nothing gets through.
CREATE TABLE IF NOT EXISTS voice (
  id TEXT PRIMARY KEY,
  tried INTEGER, succeeded INTEGER, failing INTEGER,
  detail TEXT NOT NULL DEFAULT '',      -- what the other side said last
  tested INTEGER, passed INTEGER        -- passed: 1 when the last live test was accepted
) WITHOUT ROWID;

-- What people (and sirens) want done. The dashboard's only way in. kind: command | ack | reset | shelve | unshelve | comment | list-add | list-remove | test-voice |
-- limit | limit-clear (target: rule or rule/zone, command: key or key=value) | mute | unmute (target: zone) |
-- drill | drill-end (target: zone, command: short or withheld) | verdict (command: a word of hub.alarms.people.VERDICTS) |
-- out-of-service | in-service (target: alarm key or device id) |
-- calibrate | calibrated | calibrate-stop | exchanged (target: device; command of calibrated: level, reading, days)
CREATE TABLE IF NOT EXISTS orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  token TEXT NOT NULL UNIQUE,           -- idempotency: the same token is one order
  kind TEXT NOT NULL,
  target TEXT NOT NULL,                 -- device id; alarm key; list name; rule; zone
  command TEXT NOT NULL DEFAULT '', seconds REAL,
  occurrence INTEGER,                   -- ack and comment carry the occurrence they speak of
  text TEXT NOT NULL DEFAULT '',        -- reason, comment, or list entry
  actor TEXT NOT NULL,
  issued INTEGER NOT NULL, expires INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'requested',  -- requested | sent | confirmed | unconfirmed | refused | failed | expired | unknown | done
  sent INTEGER, ended INTEGER, outcome TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS orders_open ON orders (state);
CREATE INDEX IF NOT EXISTS orders_target ON orders (target, id);

-- Lists that rules look things up in, as the registered dog chips (list "dogs").
CREATE TABLE IF NOT EXISTS entry (list TEXT NOT NULL, id TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', PRIMARY KEY (list, id)) WITHOUT ROWID;

-- How far each reader behind the journal has come (history, district ...).
CREATE TABLE IF NOT EXISTS cursor (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;

-- What was taken out of `batch` because the journal's budget was nearly used, and no history had taken it (hub/journal/thinning.py).
CREATE TABLE IF NOT EXISTS thinned (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL, step_s INTEGER NOT NULL,         -- one reading of a series in so many seconds was left
  first INTEGER NOT NULL, last INTEGER NOT NULL,        -- numbers of the readings that were gone through
  since INTEGER NOT NULL, until INTEGER NOT NULL,       -- when they had been received
  readings INTEGER NOT NULL                             -- how many of them were taken out
);

-- Duty: who is called for an alarm that nobody has acknowledged (hub/duty/escalate.py). policy: JSON, as it was at the start.
CREATE INDEX IF NOT EXISTS alarm_standing ON alarm (state) WHERE state <> 'normal';
CREATE TABLE IF NOT EXISTS escalation (
  key TEXT NOT NULL, occurrence INTEGER NOT NULL, severity TEXT NOT NULL, policy TEXT NOT NULL,
  state TEXT NOT NULL,                  -- idle | calling | exhausted | acked
  run INTEGER NOT NULL, turn INTEGER NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL,
  due_at INTEGER,                       -- NULL: no timer
  PRIMARY KEY (key, occurrence)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS escalation_running ON escalation (state) WHERE state <> 'idle';

-- Incidents (hub/duty/incident.py): at most one open an alarm.
CREATE TABLE IF NOT EXISTS incident (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL, occurrence INTEGER NOT NULL, severity TEXT NOT NULL,
  opened INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL,
  supervision INTEGER NOT NULL DEFAULT 0, assignee TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
  due_at INTEGER, activations INTEGER NOT NULL DEFAULT 1, over INTEGER NOT NULL DEFAULT 0, follows INTEGER
);
CREATE UNIQUE INDEX IF NOT EXISTS incident_open ON incident (key) WHERE state NOT IN ('archived', 'void');
CREATE TABLE IF NOT EXISTS incident_log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  incident INTEGER NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL, state TEXT NOT NULL,
  actor TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS incident_log_of ON incident_log (incident);

-- Limits of rules as people set them while the hub runs: the newest row of a rule, zone and key counts, the others are its
-- history. zone: '' = all zones; value, before: a number or a word; value NULL = taken back, as in the site file again.
CREATE TABLE IF NOT EXISTS rule_limit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  rule TEXT NOT NULL, zone TEXT NOT NULL, key TEXT NOT NULL, value, before,
  actor TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS rule_limit_of ON rule_limit (rule, zone, key, id);

-- Zones whose P3 and P4 announcements are withheld for a while. A row holds while at <= now < until and ended is NULL.
CREATE TABLE IF NOT EXISTS mute (
  zone TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL,
  actor TEXT NOT NULL, reason TEXT NOT NULL,
  ended INTEGER, ended_by TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (zone, at)
) WITHOUT ROWID;

-- Tests of zones (hub/care/drill.py). state: running | passed | failed | ended (by a person) | begun (to be tested since).
-- ended NULL: what it catches is marked as a test. expected: JSON [key, ...]; caught: JSON [[key, occurrence, at], ...].
CREATE TABLE IF NOT EXISTS drill (
  zone TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL,
  siren TEXT NOT NULL, actor TEXT NOT NULL, note TEXT NOT NULL, state TEXT NOT NULL,
  expected TEXT NOT NULL DEFAULT '[]', caught TEXT NOT NULL DEFAULT '[]',
  ended INTEGER, ended_by TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (zone, at)
) WITHOUT ROWID;

-- Heads of the office's audit trail, kept here so that a trail whose end was cut off or that was written anew is found out.
CREATE TABLE IF NOT EXISTS audit_anchor (number INTEGER PRIMARY KEY, hash TEXT NOT NULL, at INTEGER NOT NULL);

-- What was taken out of service for maintenance: an alarm (its key) or a whole device (its id). ended NULL: it still is.
CREATE TABLE IF NOT EXISTS service (
  target TEXT NOT NULL, at INTEGER NOT NULL,
  actor TEXT NOT NULL, reason TEXT NOT NULL,
  ended INTEGER, ended_by TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (target, at)
) WITHOUT ROWID;

-- What was done to devices (hub/care/upkeep.py). kind: calibration (of a noise meter, from at to ended; NULL: still, until
-- `until` at most; level, reading: dB of the calibrator and of the meter before it was set) | exchange (of the device).
CREATE TABLE IF NOT EXISTS upkeep (
  device TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
  actor TEXT NOT NULL, note TEXT NOT NULL,
  until INTEGER NOT NULL, level REAL, reading REAL, valid_until INTEGER,
  ended INTEGER, ended_by TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (device, at)
) WITHOUT ROWID;
