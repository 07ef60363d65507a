-- name: select_resources
SELECT kind, name, body FROM batch_resource ORDER BY kind, name

-- name: upsert_resource
INSERT INTO batch_resource (kind, name, body) VALUES ($1, $2, $3)
ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body

-- name: delete_resource
DELETE FROM batch_resource WHERE kind = $1 AND name = $2

-- name: select_definitions
SELECT name, revision, body, ended_ms FROM batch_definition ORDER BY name, revision

-- name: upsert_definition
INSERT INTO batch_definition (name, revision, body, ended_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (name, revision) DO UPDATE SET body = excluded.body, ended_ms = excluded.ended_ms

-- name: delete_definition
DELETE FROM batch_definition WHERE name = $1 AND revision = $2

-- name: update_job_body
UPDATE batch_body SET body = $2 WHERE job = $1
