CREATE TABLE s3_bucket (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    tags BLOB NOT NULL
) STRICT;

-- Keys are UTF-8 bytes, which sort as S3 lists them.
CREATE TABLE s3_object (
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    blob INTEGER,
    head BLOB NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

-- The bytes of small objects; a row without data stands for a file of that number.
CREATE TABLE s3_blob (
    id INTEGER PRIMARY KEY,
    data BLOB
) STRICT;

-- Blobs that nothing refers to any more, to be deleted in small steps.
CREATE TABLE s3_garbage (
    blob INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE s3_upload (
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL,
    id TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (bucket, key, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE s3_part (
    upload TEXT NOT NULL,
    number INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    blob INTEGER NOT NULL,
    checksums BLOB NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
