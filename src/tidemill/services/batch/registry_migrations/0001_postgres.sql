-- Queues, compute environments, policies and consumable resources: few, each a small document.
CREATE TABLE batch_resource (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Job definitions by revision; `ended_ms` says when one was deregistered.
CREATE TABLE batch_definition (
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body BYTEA NOT NULL,
    ended_ms BIGINT,
    PRIMARY KEY (name, revision)
);
