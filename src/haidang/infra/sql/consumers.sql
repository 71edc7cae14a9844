-- name: register_consumer(consumer, listens_to, from_the_beginning)!
-- A consumer's cursor: made once, where it wants to start; later only what it listens to changes.
INSERT INTO infra.event_consumer (consumer, listens_to, position)
SELECT :consumer, CAST(:listens_to AS text[]),
       CASE WHEN CAST(:from_the_beginning AS boolean) THEN 0 ELSE h.position END
  FROM infra.event_head AS h
    ON CONFLICT (consumer) DO UPDATE SET listens_to = excluded.listens_to
 WHERE infra.event_consumer.listens_to IS DISTINCT FROM excluded.listens_to;

-- name: consumer_outlook(consumer, idle_gap)^
-- Whether there is something to do for a consumer, without locking anything.
SELECT c.held_at IS NOT NULL AS held, c.retry_at,
       h.position - c.position >= CAST(:idle_gap AS bigint)
       OR EXISTS (SELECT FROM (SELECT p.kind
                                 FROM infra.event_position AS p
                                WHERE p.position > c.position
                                ORDER BY p.position
                                LIMIT :idle_gap) AS next
                   WHERE next.kind = ANY (c.listens_to)) AS waiting,
       EXISTS (SELECT FROM infra.event_dead_letter AS d
                WHERE d.consumer = c.consumer AND d.replay_wanted_at IS NOT NULL) AS replay_wanted
  FROM infra.event_consumer AS c CROSS JOIN infra.event_head AS h
 WHERE c.consumer = :consumer;

-- name: claim_consumer(consumer)^
-- The cursor, locked for this transaction; nothing when another process holds it.
SELECT position, held_at IS NOT NULL AS held, attempts, retry_at
  FROM infra.event_consumer
 WHERE consumer = :consumer
   FOR UPDATE SKIP LOCKED;

-- name: advance_consumer(consumer, position, advanced_at)!
-- Everything up to this position is done, in the same transaction.
UPDATE infra.event_consumer
   SET position = :position, advanced_at = :advanced_at, attempts = 0, retry_at = NULL
 WHERE consumer = :consumer;

-- name: record_consumer_failure(consumer, attempts, retry_at, last_error, failed_at)!
-- The event after the cursor failed and will be tried again.
UPDATE infra.event_consumer
   SET attempts = :attempts, retry_at = :retry_at, last_error = :last_error, last_error_at = :failed_at
 WHERE consumer = :consumer;

-- name: hold_consumer(consumer, held_at, held_by, held_reason)$
-- Stop a consumer where it is; its name when there is one that was not held.
UPDATE infra.event_consumer
   SET held_at = :held_at, held_by = :held_by, held_reason = :held_reason, retry_at = NULL
 WHERE consumer = :consumer AND held_at IS NULL
RETURNING consumer;

-- name: resume_consumer(consumer)$
-- Let a consumer try again where it stands; its name when it was held or waiting.
UPDATE infra.event_consumer
   SET held_at = NULL, held_by = NULL, held_reason = NULL, attempts = 0, retry_at = NULL
 WHERE consumer = :consumer AND (held_at IS NOT NULL OR retry_at IS NOT NULL)
RETURNING consumer;

-- name: rewind_consumer(consumer, position)$
-- Put a consumer's cursor at a position at or below the head; its name.
UPDATE infra.event_consumer AS c
   SET position = :position, attempts = 0, retry_at = NULL
  FROM infra.event_head AS h
 WHERE c.consumer = :consumer AND CAST(:position AS bigint) BETWEEN 0 AND h.position
RETURNING c.consumer;

-- name: forget_consumer(consumer)$
-- Delete the cursor of a consumer that no program runs any more; its name.
DELETE FROM infra.event_consumer WHERE consumer = :consumer RETURNING consumer;

-- name: lock_consumer(consumer)^
-- The cursor, locked; waits for the batch that is being handled.
SELECT position, listens_to, attempts, last_error, held_at IS NOT NULL AS held
  FROM infra.event_consumer
 WHERE consumer = :consumer
   FOR UPDATE;

-- name: next_position_of_consumer(consumer)$
-- The position of the event that a consumer stands before.
SELECT p.position
  FROM infra.event_consumer AS c
 CROSS JOIN LATERAL (
       SELECT position
         FROM infra.event_position
        WHERE position > c.position AND kind = ANY (c.listens_to)
        ORDER BY position
        LIMIT 1) AS p
 WHERE c.consumer = :consumer;

-- name: keep_dead_letter(consumer, position, skipped_at, skipped_by, why)$
-- An event a person decided to pass over, whole, with who and why; its number.
INSERT INTO infra.event_dead_letter
       (consumer, position, kind, version, tenant, subject, actor_id, cause, trace_id,
        published_at, payload, attempts, last_error, skipped_at, skipped_by, why)
SELECT c.consumer, p.position, e.kind, e.version, e.tenant, e.subject, e.actor_id, e.cause, e.trace_id,
       e.published_at, e.payload, c.attempts, c.last_error, :skipped_at, :skipped_by, :why
  FROM infra.event_consumer AS c
  JOIN infra.event_position AS p ON p.position = :position
  JOIN infra.event AS e ON e.event_no = p.event_no
 WHERE c.consumer = :consumer
    ON CONFLICT (consumer, position) DO UPDATE
   SET skipped_at = excluded.skipped_at, skipped_by = excluded.skipped_by, why = excluded.why,
       attempts = excluded.attempts, last_error = excluded.last_error,
       replay_wanted_at = NULL, replay_wanted_by = NULL
RETURNING dead_letter_id;

-- name: dead_events(tenant, most)
-- Events of a tenant that were passed over, newest first.
SELECT dead_letter_id, consumer, position, kind, version, tenant, subject, actor_id, cause, trace_id,
       published_at, payload, attempts, last_error, skipped_at, skipped_by, why, replay_wanted_at
  FROM infra.event_dead_letter
 WHERE tenant = :tenant
 ORDER BY dead_letter_id DESC
 LIMIT :most;

-- name: want_replay(dead_letter_id, tenant, wanted_at, wanted_by)$
-- Ask the consumer to handle an event it passed over; the consumer's name.
UPDATE infra.event_dead_letter
   SET replay_wanted_at = :wanted_at, replay_wanted_by = :wanted_by
 WHERE dead_letter_id = :dead_letter_id AND tenant = :tenant
RETURNING consumer;

-- name: wanted_replay(consumer)^
-- The first event that a consumer was asked to handle after all.
SELECT dead_letter_id, position, kind, version, tenant, subject, actor_id, cause, trace_id,
       published_at, payload
  FROM infra.event_dead_letter
 WHERE consumer = :consumer AND replay_wanted_at IS NOT NULL
 ORDER BY position
 LIMIT 1;

-- name: replay_failed(dead_letter_id, last_error)!
-- It failed again: it stays among the dead letters with the new reason.
UPDATE infra.event_dead_letter
   SET attempts = attempts + 1, last_error = :last_error, replay_wanted_at = NULL, replay_wanted_by = NULL
 WHERE dead_letter_id = :dead_letter_id;

-- name: discard_dead_event(dead_letter_id, tenant)$
-- Delete an event passed over; the consumer's name.
DELETE FROM infra.event_dead_letter
 WHERE dead_letter_id = :dead_letter_id AND tenant = :tenant
RETURNING consumer;

-- name: wake_consumers()$
-- As the sequencer does, after the commit.
SELECT pg_notify('haidang_event_positioned', '');

-- name: consumer_states(most)
-- Every consumer with its lag: events it listens to after its cursor, counted up to a most.
SELECT c.consumer, c.listens_to, c.position, c.advanced_at, c.attempts, c.retry_at,
       c.last_error, c.last_error_at, c.held_at, c.held_by, c.held_reason,
       lag.events AS lag, oldest.published_at AS waiting_since,
       (SELECT count(*) FROM infra.event_dead_letter AS d WHERE d.consumer = c.consumer) AS dead_letters
  FROM infra.event_consumer AS c
 CROSS JOIN LATERAL (
       SELECT count(*) AS events
         FROM (SELECT FROM infra.event_position AS p
                WHERE p.position > c.position AND p.kind = ANY (c.listens_to)
                LIMIT :most) AS next) AS lag
  LEFT JOIN LATERAL (
       SELECT (SELECT e.published_at FROM infra.event AS e WHERE e.event_no = p.event_no) AS published_at
         FROM infra.event_position AS p
        WHERE p.position > c.position AND p.kind = ANY (c.listens_to)
        ORDER BY p.position
        LIMIT 1) AS oldest ON true
 ORDER BY c.consumer;
