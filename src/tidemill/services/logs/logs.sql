-- name: groups
SELECT name, created_ms, retention_days, tags FROM logs_group ORDER BY name;

-- name: put_group
INSERT INTO logs_group (name, created_ms, retention_days, tags) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET retention_days = excluded.retention_days, tags = excluded.tags;

-- name: delete_group
DELETE FROM logs_group WHERE name = $1;

-- name: deleted_streams
SELECT log_group, stream FROM logs_deleted;

-- name: put_deleted
INSERT INTO logs_deleted (log_group, stream) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: forget_deleted
DELETE FROM logs_deleted WHERE log_group = $1 AND stream = $2;

-- name: forget_deleted_of_group
DELETE FROM logs_deleted WHERE log_group = $1;
