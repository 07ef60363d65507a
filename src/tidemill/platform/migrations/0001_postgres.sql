-- The events feed: rows behind all cursors are deleted, oldest first.
CREATE TABLE event (
    number BIGINT PRIMARY KEY,
    wall_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BYTEA NOT NULL
);

-- The number of the last event that each subscriber has dealt with.
CREATE TABLE event_cursor (
    subscriber TEXT PRIMARY KEY,
    number BIGINT NOT NULL
);

-- Replies to mutating calls, kept for their senders' retries. `bucket` is the time in units of
-- 2^16 ms: new rows go to one end of the tree and old ones leave from the other.
CREATE TABLE retry_reply (
    bucket BIGINT NOT NULL,
    retry_key TEXT NOT NULL,
    reply BYTEA NOT NULL,
    PRIMARY KEY (bucket, retry_key)
);
