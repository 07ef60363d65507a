-- What was said about groups; those that only have output are found by it.
CREATE TABLE logs_group (
    name TEXT NOT NULL PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    retention_days INTEGER,
    tags BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Streams that were deleted and whose output retention has not taken away yet.
CREATE TABLE logs_deleted (
    log_group TEXT NOT NULL,
    stream TEXT NOT NULL,
    PRIMARY KEY (log_group, stream)
) STRICT, WITHOUT ROWID;
