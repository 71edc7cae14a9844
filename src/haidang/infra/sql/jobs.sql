-- name: enqueue_job(job, payload, headers, run_at, dedupe_key)$
-- A job in the caller's transaction; its number, or nothing when the same one waits or runs.
WITH queued AS (
       INSERT INTO infra.pgqueuer AS j
              (priority, entrypoint, payload, headers, execute_after, dedupe_key, status)
       VALUES (0, :job, :payload, :headers, coalesce(CAST(:run_at AS timestamptz), now()), :dedupe_key,
               'queued')
           ON CONFLICT (dedupe_key)
              WHERE status = ANY (ARRAY['queued'::infra.pgqueuer_status, 'picked'::infra.pgqueuer_status])
                AND dedupe_key IS NOT NULL
              DO NOTHING
       RETURNING j.id, j.entrypoint, j.priority),
logged AS (
       INSERT INTO infra.pgqueuer_log (job_id, status, entrypoint, priority)
       SELECT id, 'queued', entrypoint, priority FROM queued)
SELECT id FROM queued;

-- name: job_begun(job_id)^
-- How often a job has failed, and how often its worker was lost since it was last queued.
SELECT coalesce((SELECT f.failures FROM infra.job_failure AS f WHERE f.job_id = :job_id), 0) AS failures,
       (SELECT count(*) - 1
          FROM infra.pgqueuer_log AS l
         WHERE l.job_id = :job_id
           AND l.status = 'picked'
           AND l.id > (SELECT coalesce(max(q.id), 0) FROM infra.pgqueuer_log AS q
                        WHERE q.job_id = :job_id AND q.status = 'queued')) AS workers_lost;

-- name: job_failed(job_id, reason, failed_at)!
-- Count a failure and keep its reason.
INSERT INTO infra.job_failure (job_id, failures, reason, failed_at)
VALUES (:job_id, 1, :reason, :failed_at)
    ON CONFLICT (job_id) DO UPDATE
   SET failures = infra.job_failure.failures + 1, reason = excluded.reason, failed_at = excluded.failed_at;

-- name: job_succeeded(job_id)!
-- Forget the failures of a job that was done after all.
DELETE FROM infra.job_failure WHERE job_id = :job_id;

-- name: dead_jobs(tenant, most)
-- Jobs of a tenant that were given up, newest first.
SELECT j.id AS job_id, j.entrypoint AS job, j.payload, j.headers, j.created AS enqueued_at,
       coalesce(f.failures, 0) AS attempts, f.reason, coalesce(f.failed_at, j.updated) AS failed_at
  FROM infra.pgqueuer AS j
  LEFT JOIN infra.job_failure AS f ON f.job_id = j.id
 WHERE j.status = 'failed'
   AND j.headers ->> 'tenant' = :tenant
 ORDER BY j.id DESC
 LIMIT :most;

-- name: requeue_dead_job(job_id, tenant)$
-- Queue a dead job again with all its attempts; its name.
WITH requeued AS (
       UPDATE infra.pgqueuer AS j
          SET status = 'queued', execute_after = now(), updated = now(), attempts = 0,
              queue_manager_id = NULL, slot = NULL
        WHERE j.id = :job_id
          AND j.status = 'failed'
          AND j.headers ->> 'tenant' = :tenant
       RETURNING j.id, j.entrypoint, j.priority),
logged AS (
       INSERT INTO infra.pgqueuer_log (job_id, status, entrypoint, priority)
       SELECT id, 'queued', entrypoint, priority FROM requeued),
forgiven AS (
       UPDATE infra.job_failure AS f SET failures = 0 FROM requeued WHERE f.job_id = requeued.id)
SELECT entrypoint FROM requeued;

-- name: wake_workers(channel, message)$
-- Tell idle workers that there is something to do, after the commit.
SELECT pg_notify(:channel, :message);

-- name: discard_dead_job(job_id, tenant)$
-- Delete a dead job; its name.
WITH discarded AS (
       DELETE FROM infra.pgqueuer AS j
        WHERE j.id = :job_id
          AND j.status = 'failed'
          AND j.headers ->> 'tenant' = :tenant
       RETURNING j.id, j.entrypoint, j.priority),
logged AS (
       INSERT INTO infra.pgqueuer_log (job_id, status, entrypoint, priority)
       SELECT id, 'deleted', entrypoint, priority FROM discarded),
forgotten AS (
       DELETE FROM infra.job_failure AS f USING discarded WHERE f.job_id = discarded.id)
SELECT entrypoint FROM discarded;

-- name: job_states()
-- Every job name in the queue: waiting, of those due, running, dead, and since when the oldest is due.
SELECT j.entrypoint AS job,
       count(*) FILTER (WHERE j.status = 'queued') AS queued,
       count(*) FILTER (WHERE j.status = 'queued' AND j.execute_after <= now()) AS due,
       count(*) FILTER (WHERE j.status = 'picked') AS running,
       count(*) FILTER (WHERE j.status = 'failed') AS dead,
       min(j.execute_after) FILTER (WHERE j.status = 'queued' AND j.execute_after <= now()) AS due_since
  FROM infra.pgqueuer AS j
 GROUP BY j.entrypoint
 ORDER BY j.entrypoint;

-- name: set_timetable(job, every, due_at)!
-- When a scheduled job is due first; a changed timetable counts from now, an unchanged one stays.
INSERT INTO infra.job_timetable (job, every, due_at)
VALUES (:job, :every, :due_at)
    ON CONFLICT (job) DO UPDATE
   SET every = excluded.every, due_at = excluded.due_at
 WHERE infra.job_timetable.every <> excluded.every;

-- name: jobs_due(jobs, now)
-- Scheduled jobs whose time has come, locked; those another process is at are left to it.
SELECT job, due_at
  FROM infra.job_timetable
 WHERE job = ANY (CAST(:jobs AS text[]))
   AND due_at <= :now
 ORDER BY due_at
   FOR UPDATE SKIP LOCKED;

-- name: move_timetable(job, due_at)!
-- The next time of a scheduled job.
UPDATE infra.job_timetable SET due_at = :due_at WHERE job = :job;

-- name: next_due(jobs)$
-- When the next of these scheduled jobs is due.
SELECT min(due_at) FROM infra.job_timetable WHERE job = ANY (CAST(:jobs AS text[]));

-- name: prune_job_log(kept_since, most)$
-- Delete old lines of the queue's log, but not of jobs that are still there; how many.
WITH old AS (
       SELECT l.id
         FROM infra.pgqueuer_log AS l
        WHERE l.created < :kept_since
          AND NOT EXISTS (SELECT FROM infra.pgqueuer AS j WHERE j.id = l.job_id)
        LIMIT :most),
gone AS (
       DELETE FROM infra.pgqueuer_log WHERE id = ANY (ARRAY(SELECT old.id FROM old)) RETURNING id)
SELECT count(*) FROM gone;
