CREATE TABLE s3_bucket (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    tags BYTEA NOT NULL
);

-- Keys are UTF-8 bytes, which sort as S3 lists them.
CREATE TABLE s3_object (
    bucket BIGINT NOT NULL,
    key BYTEA NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    modified_ms BIGINT NOT NULL,
    blob BIGINT,
    head BYTEA NOT NULL,
    PRIMARY KEY (bucket, key)
);

-- The bytes of small objects; a row without data stands for a file of that number.
CREATE TABLE s3_blob (
    id BIGINT PRIMARY KEY,
    data BYTEA
);

-- Blobs that nothing refers to any more, to be deleted in small steps.
CREATE TABLE s3_garbage (
    blob BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL
);

CREATE TABLE s3_upload (
    bucket BIGINT NOT NULL,
    key BYTEA NOT NULL,
    id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    head BYTEA NOT NULL,
    PRIMARY KEY (bucket, key, id)
);

CREATE TABLE s3_part (
    upload TEXT NOT NULL,
    number BIGINT NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    modified_ms BIGINT NOT NULL,
    blob BIGINT NOT NULL,
    checksums BYTEA NOT NULL,
    PRIMARY KEY (upload, number)
);
