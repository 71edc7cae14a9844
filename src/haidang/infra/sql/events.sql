-- name: insert_events(tenant, kinds, versions, subjects, actor_id, cause, trace_id, published_at, payloads)!
-- Envelopes in the order given, in the transaction of the fact.
INSERT INTO infra.event
       (tenant, kind, version, subject, actor_id, cause, trace_id, published_at, payload)
SELECT :tenant, one.kind, one.version, one.subject, :actor_id, :cause, :trace_id,
       coalesce(CAST(:published_at AS timestamptz), clock_timestamp()), one.payload
  FROM unnest(CAST(:kinds AS text[]), CAST(:versions AS integer[]), CAST(:subjects AS text[]),
              CAST(:payloads AS text[]))
       WITH ORDINALITY AS one (kind, version, subject, payload, place)
 ORDER BY one.place;

-- name: assign_positions()$
-- Give every committed event without a position the next ones and wake the consumers of their
-- kinds (of all kinds, if those are too many for a notification); how many.
-- A transaction stands where its last ticket stands, its events together and in order.
WITH taken AS (
       DELETE FROM infra.event_pending
       RETURNING ticket, event_no, transaction_id, kind),
last_of_transaction AS (
       SELECT ticket, event_no, kind, max(ticket) OVER (PARTITION BY transaction_id) AS last_ticket
         FROM taken),
placed AS (
       SELECT event_no, kind, row_number() OVER (ORDER BY last_ticket, ticket) AS place
         FROM last_of_transaction),
total AS (
       SELECT count(*) AS events FROM placed),
head AS (
       UPDATE infra.event_head AS h
          SET position = h.position + total.events
         FROM total
        WHERE total.events > 0
       RETURNING h.position - total.events AS before),
given AS (
       INSERT INTO infra.event_position (position, event_no, kind)
       SELECT head.before + placed.place, placed.event_no, placed.kind
         FROM placed CROSS JOIN head
        ORDER BY placed.place
       RETURNING position)
SELECT count(*),
       CASE WHEN count(*) > 0 THEN pg_notify('haidang_event_positioned', (
            SELECT CASE WHEN length(string_agg(DISTINCT kind, ' ')) < 7000
                        THEN string_agg(DISTINCT kind, ' ') ELSE '' END
              FROM placed)) END
  FROM given;

-- name: try_lock(room, lock)$
-- Take a lock of the session if nobody else has it; whether it was taken.
SELECT pg_try_advisory_lock(:room, :lock);

-- name: unlock(room, lock)$
-- Give a lock of the session back.
SELECT pg_advisory_unlock(:room, :lock);

-- name: head_position()$
-- The last position given so far.
SELECT position FROM infra.event_head;

-- name: events_between(after, upto, kinds, most)
-- Events of these kinds with their envelope, in order of position. The positions are found first:
-- without statistics the planner would rather read the whole log.
WITH next AS MATERIALIZED (
       SELECT p.position, p.event_no
         FROM infra.event_position AS p
        WHERE p.position > :after
          AND p.position <= :upto
          AND p.kind = ANY (CAST(:kinds AS text[]))
        ORDER BY p.position
        LIMIT :most)
SELECT next.position, e.kind, e.version, e.tenant, e.subject, e.actor_id, e.cause, e.trace_id,
       e.published_at, e.payload
  FROM next
 CROSS JOIN LATERAL (
       SELECT kind, version, tenant, subject, actor_id, cause, trace_id, published_at, payload
         FROM infra.event
        WHERE event_no = next.event_no
        LIMIT 1) AS e
 ORDER BY next.position;

-- name: prunable_position(kept_since, most)$
-- The last of the oldest events that every consumer has passed and that are older than what is kept.
WITH oldest AS MATERIALIZED (
       SELECT p.position, p.event_no
         FROM infra.event_position AS p
        WHERE p.position <= (
              SELECT coalesce(min(c.position), 9223372036854775807) FROM infra.event_consumer AS c)
        ORDER BY p.position
        LIMIT :most),
aged AS (
       SELECT oldest.position, e.old
         FROM oldest
        CROSS JOIN LATERAL (
              SELECT published_at < :kept_since AS old
                FROM infra.event
               WHERE event_no = oldest.event_no
               LIMIT 1) AS e)
SELECT coalesce(min(position) FILTER (WHERE NOT old) - 1, max(position)) FROM aged;

-- name: prune_events(upto)$
-- Delete every event at or below a position; how many.
WITH gone AS (
       DELETE FROM infra.event_position WHERE position <= :upto RETURNING event_no),
deleted AS (
       DELETE FROM infra.event
        WHERE event_no = ANY (ARRAY(SELECT gone.event_no FROM gone))
       RETURNING event_no)
SELECT count(*) FROM deleted;

-- name: log_state()^
-- Head, oldest position kept, events waiting for a position.
SELECT h.position AS head,
       (SELECT min(p.position) FROM infra.event_position AS p) AS oldest,
       (SELECT count(*) FROM infra.event_pending) AS pending
  FROM infra.event_head AS h;
