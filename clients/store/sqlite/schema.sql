-- The tables of a SQLite file: the orchestrator's two, and ours, whose names begin with reconcile_.
-- Columns stand one to a line, and a statement ends with its line: see store_schema.c.

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    plane_id TEXT UNIQUE,
    work_item_id TEXT,
    title TEXT,
    repo TEXT,
    branch TEXT,
    stage TEXT NOT NULL DEFAULT 'created',
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
-- With repo, the stuck ones are put into their fair order without a look at the table.
CREATE INDEX reconcile_tasks_stage ON tasks (stage, updated_at, repo);
CREATE INDEX reconcile_tasks_repo ON tasks (lower(repo), stage);
CREATE INDEX reconcile_tasks_branch ON tasks (branch);
CREATE INDEX reconcile_tasks_work_item ON tasks (lower(work_item_id));

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX reconcile_jobs_one_active ON jobs (task_id) WHERE status IN ('queued', 'running');

CREATE TABLE reconcile_settings (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    overrides TEXT NOT NULL,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE reconcile_ledger (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    pass_id TEXT,
    work_item_id TEXT,
    repo TEXT,
    from_stage TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    side TEXT NOT NULL,
    outcome TEXT NOT NULL,
    agent TEXT,
    reason TEXT,
    evidence TEXT
);
CREATE INDEX reconcile_ledger_task ON reconcile_ledger (task_id, seq);
-- Not in every version of the table.
ALTER TABLE reconcile_ledger ADD COLUMN missed_source TEXT;
ALTER TABLE reconcile_ledger ADD COLUMN missed_event TEXT;
ALTER TABLE reconcile_ledger ADD COLUMN plane_id TEXT;
ALTER TABLE reconcile_ledger ADD COLUMN rested_s INTEGER;
CREATE INDEX reconcile_ledger_at ON reconcile_ledger (at);

-- State-change activities of Plane that were replayed: never twice.
CREATE TABLE reconcile_verdicts (
    id TEXT PRIMARY KEY NOT NULL,
    task_id INTEGER NOT NULL,
    at TEXT NOT NULL
);

CREATE TABLE reconcile_outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_at TEXT
);
CREATE INDEX reconcile_outbox_unsent ON reconcile_outbox (seq) WHERE sent_at IS NULL;
CREATE INDEX reconcile_outbox_sent ON reconcile_outbox (seq) WHERE sent_at IS NOT NULL;
-- Null: Telegram, the only one of earlier versions.
ALTER TABLE reconcile_outbox ADD COLUMN destination TEXT;

CREATE TABLE reconcile_leases (
    name TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    until TEXT NOT NULL
);

-- Events that were sent again, and whose tasks have not been seen to move.
CREATE TABLE reconcile_replays (
    subject TEXT PRIMARY KEY NOT NULL,
    delivery TEXT NOT NULL,
    task_id INTEGER,
    plane_id TEXT,
    from_stage TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    version TEXT,
    tries INTEGER NOT NULL,
    first_at TEXT NOT NULL,
    next_at TEXT NOT NULL,
    given_up INTEGER NOT NULL,
    rested_s INTEGER NOT NULL,
    side TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    evidence TEXT,
    verdict_id TEXT,
    missed_source TEXT,
    missed_event TEXT
);

CREATE TABLE reconcile_passes (
    id TEXT PRIMARY KEY NOT NULL,
    started_us INTEGER NOT NULL,
    report TEXT NOT NULL
);
CREATE INDEX reconcile_passes_started ON reconcile_passes (started_us, id);

-- What a person keeps from leaving its stage. scope: 'task/7', 'repo/acme/app' in lower case, 'stage/review'.
-- An id may be used again: a task's hold counts if one of the other two texts agrees.
CREATE TABLE reconcile_holds (
    scope TEXT PRIMARY KEY NOT NULL,
    plane_id TEXT,
    work_item_id TEXT,
    reason TEXT NOT NULL,
    set_by TEXT,
    since TEXT NOT NULL,
    until TEXT
);

-- Tasks that a person released from quarantine: only ledger rows with a greater seq count for it.
CREATE TABLE reconcile_releases (
    task_id INTEGER PRIMARY KEY,
    ledger_seq INTEGER NOT NULL
);

-- What people changed: settings, holds, releases, webhooks. Written under the settings row's lock.
CREATE TABLE reconcile_history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    from_value TEXT,
    to_value TEXT,
    set_by TEXT,
    reason TEXT,
    until TEXT
);

-- The versions that our tables have had; the greatest is what they are of.
CREATE TABLE reconcile_schema (
    version INTEGER PRIMARY KEY
);
