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

-- Which jobs ask for a consumable resource, and for how much of it.
CREATE TABLE batch_demand (
    consumable TEXT NOT NULL,
    job BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    PRIMARY KEY (consumable, job)
);
CREATE INDEX batch_demand_job ON batch_demand (job);
