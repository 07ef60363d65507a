-- Jobs: what changes is apart from what never does, so that a change of state rewrites little.
CREATE TABLE batch_job (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    share TEXT NOT NULL,
    array_size INTEGER,
    node_count INTEGER,
    created_ms INTEGER NOT NULL,
    state INTEGER NOT NULL,
    started_ms INTEGER,
    stopped_ms INTEGER,
    progress BLOB NOT NULL
);
CREATE INDEX batch_job_queue ON batch_job (queue, state, seq);
CREATE INDEX batch_job_name ON batch_job (queue, LOWER(name), seq);
CREATE INDEX batch_job_definition ON batch_job (queue, definition, seq);
CREATE INDEX batch_job_active ON batch_job (seq) WHERE state < 5;
CREATE INDEX batch_job_stopped ON batch_job (stopped_ms) WHERE state >= 5;

CREATE TABLE batch_body (
    job INTEGER PRIMARY KEY,
    spec BLOB NOT NULL,
    body BLOB NOT NULL
);

-- An array's children that began, and a multi-node job's nodes, under their parent's seq.
CREATE TABLE batch_child (
    job INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    state INTEGER NOT NULL,
    started_ms INTEGER,
    stopped_ms INTEGER,
    progress BLOB NOT NULL,
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;
CREATE INDEX batch_child_state ON batch_child (job, state, idx) WHERE state <> 5;

-- Children that ended (FAILED) without ever having begun, as ranges. With `dependency` the child
-- of the same index of that array is the one that failed.
CREATE TABLE batch_range (
    job INTEGER NOT NULL,
    first_idx INTEGER NOT NULL,
    last_idx INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    dependency TEXT,
    cancelled INTEGER NOT NULL,
    terminated INTEGER NOT NULL,
    PRIMARY KEY (job, first_idx)
) WITHOUT ROWID;

-- What each share of a fair-share queue has had lately: the scheduler's account, over a restart.
CREATE TABLE batch_share (
    queue TEXT NOT NULL,
    share TEXT NOT NULL,
    average_milli REAL NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (queue, share)
) WITHOUT ROWID;
