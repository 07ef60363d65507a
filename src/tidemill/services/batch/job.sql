-- name: insert_job
INSERT INTO batch_job (seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: insert_body
INSERT INTO batch_body (job, spec, body) VALUES ($1, $2, $3)

-- name: insert_demand
INSERT INTO batch_demand (consumable, job, quantity) VALUES ($1, $2, $3)

-- name: update_job
UPDATE batch_job
SET state = $2, started_ms = COALESCE($3, started_ms), stopped_ms = $4, progress = $5
WHERE seq = $1

-- name: update_progress
UPDATE batch_job SET progress = $2 WHERE seq = $1

-- name: upsert_child
INSERT INTO batch_child (job, idx, state, started_ms, stopped_ms, progress)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (job, idx) DO UPDATE
SET state = excluded.state,
    started_ms = COALESCE(excluded.started_ms, batch_child.started_ms),
    stopped_ms = excluded.stopped_ms,
    progress = excluded.progress

-- name: insert_range
INSERT INTO batch_range (job, first_idx, last_idx, at_ms, reason, dependency, cancelled, terminated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: select_next_seq
SELECT COALESCE(MAX(seq), 0) + 1 FROM batch_job

-- name: select_active_jobs
SELECT j.seq, j.id, j.array_size, j.created_ms, j.state, j.started_ms, j.progress, b.spec
FROM batch_job j JOIN batch_body b ON b.job = j.seq
WHERE j.state < 5 AND j.seq > $1
ORDER BY j.seq LIMIT $2

-- name: select_active_children
SELECT idx, state, started_ms, progress
FROM batch_child
WHERE job = $1 AND state < 5
ORDER BY idx

-- name: select_nodes
SELECT idx, state, started_ms, progress
FROM batch_child
WHERE job = $1
ORDER BY idx

-- name: select_ended_runs
SELECT MIN(idx), MAX(idx), state
FROM (
    SELECT idx, state, idx - ROW_NUMBER() OVER (PARTITION BY state ORDER BY idx) AS run
    FROM batch_child
    WHERE job = $1 AND state >= 5
) AS ended
GROUP BY state, run
ORDER BY 1

-- name: select_ranges
SELECT first_idx, last_idx, at_ms, reason, dependency, cancelled, terminated
FROM batch_range
WHERE job = $1
ORDER BY first_idx

-- name: select_range_at
SELECT first_idx, last_idx, at_ms, reason, dependency, cancelled, terminated
FROM batch_range
WHERE job = $1 AND first_idx <= $2 AND last_idx >= $2

-- name: select_job
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE id = $1

-- name: select_body
SELECT body FROM batch_body WHERE job = $1

-- name: select_body_of
SELECT b.body FROM batch_body b JOIN batch_job j ON j.seq = b.job WHERE j.id = $1

-- name: select_child
SELECT idx, state, started_ms, stopped_ms, progress
FROM batch_child
WHERE job = $1 AND idx = $2

-- name: select_failed_runs
SELECT MIN(idx), MAX(idx)
FROM (
    SELECT idx, idx - ROW_NUMBER() OVER (ORDER BY idx) AS run
    FROM batch_child
    WHERE job = $1 AND state = 6
) AS failed
GROUP BY run
ORDER BY 1

-- name: select_bodies
SELECT j.id, b.body
FROM batch_job j JOIN batch_body b ON b.job = j.seq
WHERE j.id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: select_oldest_end
SELECT MIN(stopped_ms) FROM batch_job WHERE state >= 5

-- name: select_expired
SELECT seq
FROM batch_job
WHERE state >= 5 AND stopped_ms < $1
ORDER BY stopped_ms LIMIT $2

-- name: select_child_step
SELECT job, idx FROM batch_child WHERE job = $1 ORDER BY idx LIMIT $2

-- name: delete_child
DELETE FROM batch_child WHERE job = $1 AND idx = $2

-- name: delete_ranges
DELETE FROM batch_range WHERE job = $1

-- name: delete_demands
DELETE FROM batch_demand WHERE job = $1

-- name: delete_body
DELETE FROM batch_body WHERE job = $1

-- name: delete_job
DELETE FROM batch_job WHERE seq = $1

-- name: select_shares
SELECT queue, share, average_milli, at_ms FROM batch_share

-- name: delete_shares
DELETE FROM batch_share WHERE at_ms < $1

-- name: upsert_share
INSERT INTO batch_share (queue, share, average_milli, at_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (queue, share) DO UPDATE
SET average_milli = excluded.average_milli, at_ms = excluded.at_ms
