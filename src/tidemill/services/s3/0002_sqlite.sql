-- What a bucket's lifecycle rules say, as GetBucketLifecycleConfiguration answers it; empty: none.
ALTER TABLE s3_bucket ADD COLUMN lifecycle BLOB NOT NULL DEFAULT x'';
