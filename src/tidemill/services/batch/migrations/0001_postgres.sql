-- Jobs: what changes is apart from what never does, so that a change of state rewrites little.
CREATE TABLE batch_job (
    seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    share TEXT NOT NULL,
    array_size INTEGER,
    node_count INTEGER,
    created_ms BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    started_ms BIGINT,
    stopped_ms BIGINT,
    progress BYTEA NOT NULL
);
CREATE INDEX batch_job_queue ON batch_job (queue, state, seq);
CREATE INDEX batch_job_name ON batch_job (queue, LOWER(name), seq);
CREATE INDEX batch_job_definition ON batch_job (queue, definition, seq);
CREATE INDEX batch_job_active ON batch_job (seq) WHERE state < 5;
CREATE INDEX batch_job_stopped ON batch_job (stopped_ms) WHERE state >= 5;

CREATE TABLE batch_body (
    job BIGINT PRIMARY KEY,
    spec BYTEA NOT NULL,
    body BYTEA NOT NULL
);

-- An array's children that began, and a multi-node job's nodes, under their parent's seq.
CREATE TABLE batch_child (
    job BIGINT NOT NULL,
    idx INTEGER NOT NULL,
    state SMALLINT NOT NULL,
    started_ms BIGINT,
    stopped_ms BIGINT,
    progress BYTEA NOT NULL,
    PRIMARY KEY (job, idx)
);
CREATE INDEX batch_child_state ON batch_child (job, state, idx) WHERE state <> 5;

-- Children that ended (FAILED) without ever having begun, as ranges. With `dependency` the child
-- of the same index of that array is the one that failed.
CREATE TABLE batch_range (
    job BIGINT NOT NULL,
    first_idx INTEGER NOT NULL,
    last_idx INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    reason TEXT NOT NULL,
    dependency TEXT,
    cancelled SMALLINT NOT NULL,
    terminated SMALLINT NOT NULL,
    PRIMARY KEY (job, first_idx)
);

-- What each share of a fair-share queue has had lately: the scheduler's account, over a restart.
CREATE TABLE batch_share (
    queue TEXT NOT NULL,
    share TEXT NOT NULL,
    average_milli DOUBLE PRECISION NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (queue, share)
);
