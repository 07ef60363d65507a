-- name: buckets
SELECT id, name, created_ms, tags, lifecycle FROM s3_bucket ORDER BY name;

-- name: put_bucket
INSERT INTO s3_bucket (id, name, created_ms, tags, lifecycle) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET tags = excluded.tags, lifecycle = excluded.lifecycle;

-- name: delete_bucket
DELETE FROM s3_bucket WHERE id = $1;

-- name: discard_object
INSERT INTO s3_garbage (blob, at_ms)
SELECT blob, CAST($3 AS BIGINT) FROM s3_object
WHERE bucket = $1 AND key = $2 AND blob IS NOT NULL;

-- name: discard_expired
INSERT INTO s3_garbage (blob, at_ms)
SELECT blob, CAST($4 AS BIGINT) FROM s3_object
WHERE bucket = $1 AND key = $2 AND modified_ms = $3 AND blob IS NOT NULL;

-- name: delete_expired
DELETE FROM s3_object WHERE bucket = $1 AND key = $2 AND modified_ms = $3;

-- name: put_object
INSERT INTO s3_object (bucket, key, size, etag, modified_ms, blob, head)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (bucket, key) DO UPDATE SET
    size = excluded.size, etag = excluded.etag, modified_ms = excluded.modified_ms,
    blob = excluded.blob, head = excluded.head;

-- name: put_head
UPDATE s3_object SET head = $3 WHERE bucket = $1 AND key = $2;

-- name: delete_object
DELETE FROM s3_object WHERE bucket = $1 AND key = $2;

-- name: put_blob
INSERT INTO s3_blob (id, data) VALUES ($1, $2);

-- name: object
SELECT size, etag, modified_ms, blob, head FROM s3_object WHERE bucket = $1 AND key = $2;

-- name: object_and_data
SELECT o.size, o.etag, o.modified_ms, o.blob, o.head, b.data
FROM s3_object o LEFT JOIN s3_blob b ON b.id = o.blob
WHERE o.bucket = $1 AND o.key = $2;

-- name: objects
SELECT key, size, etag, modified_ms, head FROM s3_object
WHERE bucket = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4;

-- name: any_object
SELECT 1 FROM s3_object WHERE bucket = $1 LIMIT 1;

-- name: discard_bucket_parts
INSERT INTO s3_garbage (blob, at_ms)
SELECT blob, CAST($2 AS BIGINT) FROM s3_part
WHERE upload IN (SELECT id FROM s3_upload WHERE bucket = $1);

-- name: delete_bucket_parts
DELETE FROM s3_part WHERE upload IN (SELECT id FROM s3_upload WHERE bucket = $1);

-- name: delete_bucket_uploads
DELETE FROM s3_upload WHERE bucket = $1;

-- name: put_upload
INSERT INTO s3_upload (bucket, key, id, created_ms, head) VALUES ($1, $2, $3, $4, $5);

-- name: upload
SELECT created_ms, head FROM s3_upload WHERE bucket = $1 AND key = $2 AND id = $3;

-- name: uploads
SELECT key, id, created_ms, head FROM s3_upload
WHERE bucket = $1 AND key >= $2 AND key < $3 AND (key > $4 OR (key = $4 AND id > $5))
ORDER BY key, id LIMIT $6;

-- name: delete_upload
DELETE FROM s3_upload WHERE bucket = $1 AND key = $2 AND id = $3;

-- name: discard_part
INSERT INTO s3_garbage (blob, at_ms)
SELECT blob, CAST($3 AS BIGINT) FROM s3_part WHERE upload = $1 AND number = $2;

-- name: discard_parts
INSERT INTO s3_garbage (blob, at_ms)
SELECT blob, CAST($2 AS BIGINT) FROM s3_part WHERE upload = $1 AND blob <> $3;

-- name: put_part
INSERT INTO s3_part (upload, number, size, etag, modified_ms, blob, checksums)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (upload, number) DO UPDATE SET
    size = excluded.size, etag = excluded.etag, modified_ms = excluded.modified_ms,
    blob = excluded.blob, checksums = excluded.checksums;

-- name: parts
SELECT number, size, etag, modified_ms, blob, checksums FROM s3_part
WHERE upload = $1 AND number > $2 ORDER BY number LIMIT $3;

-- name: delete_parts
DELETE FROM s3_part WHERE upload = $1;

-- name: garbage
SELECT g.blob, CASE WHEN b.data IS NULL THEN 1 ELSE 0 END
FROM s3_garbage g LEFT JOIN s3_blob b ON b.id = g.blob
WHERE g.at_ms <= $1 ORDER BY g.blob LIMIT $2;

-- name: delete_blob
DELETE FROM s3_blob WHERE id = $1;

-- name: delete_garbage
DELETE FROM s3_garbage WHERE blob = $1;

-- name: blobs_between
SELECT id FROM s3_blob WHERE id >= $1 AND id <= $2 AND data IS NULL ORDER BY id;
