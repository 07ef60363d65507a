-- name: select_described
SELECT j.seq, j.id, j.queue, j.name, j.definition, j.share, j.array_size, j.node_count,
    j.created_ms, j.state, j.started_ms, j.stopped_ms, j.progress, b.body
FROM batch_job j JOIN batch_body b ON b.job = j.seq
WHERE j.id = $1

-- name: select_in_state
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND state = $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_named
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND LOWER(name) = $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_named_alike
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND SUBSTR(LOWER(name), 1, LENGTH($2)) = $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_defined
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND definition = $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_defined_alike
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND SUBSTR(definition, 1, LENGTH($2)) = $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_created_before
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND created_ms < $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_created_after
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND created_ms > $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_shared
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND share = $2 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_shared_in_state
SELECT seq, id, queue, name, definition, share, array_size, node_count,
    created_ms, state, started_ms, stopped_ms, progress
FROM batch_job
WHERE queue = $1 AND share = $2 AND state = $5 AND seq < $3
ORDER BY seq DESC LIMIT $4

-- name: select_children_in_state
SELECT idx, state, started_ms, stopped_ms, progress
FROM batch_child
WHERE job = $1 AND state = $2 AND idx > $3
ORDER BY idx LIMIT $4

-- name: select_nodes_shown
SELECT idx, state, started_ms, stopped_ms, progress
FROM batch_child
WHERE job = $1
ORDER BY idx

-- name: select_demanding
SELECT j.seq, j.id, j.queue, j.name, j.definition, j.share, j.array_size, j.node_count,
    j.created_ms, j.state, j.started_ms, j.stopped_ms, j.progress, d.quantity, b.body
FROM batch_demand d JOIN batch_job j ON j.seq = d.job JOIN batch_body b ON b.job = d.job
WHERE d.consumable = $1 AND d.job < $2
ORDER BY d.job DESC LIMIT $3

-- name: select_created
SELECT created_ms FROM batch_job WHERE id = $1
