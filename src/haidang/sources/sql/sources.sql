-- name: count_messages(tenant, source_ids, messages, refusals, received_ats)!
-- Add what a batch brought to the counters of its sources.
INSERT INTO sources.source AS counted (tenant, source_id, messages, refusals, last_received_at)
SELECT :tenant, given.source_id, given.messages, given.refusals, given.received_at
  FROM unnest(:source_ids::text[], :messages::bigint[], :refusals::bigint[], :received_ats::timestamptz[])
       AS given (source_id, messages, refusals, received_at)
 ORDER BY given.source_id
    ON CONFLICT ON CONSTRAINT source_pkey DO UPDATE
   SET messages = counted.messages + excluded.messages,
       refusals = counted.refusals + excluded.refusals,
       last_received_at = greatest(counted.last_received_at, excluded.last_received_at);

-- name: mark_heard(tenant, source_id, subjects, received_ats, observed_ats)
-- Note who was heard, and name those that were late until now.
WITH given AS (
    SELECT subject, received_at, observed_at
      FROM unnest(:subjects::text[], :received_ats::timestamptz[], :observed_ats::timestamptz[])
           AS one (subject, received_at, observed_at)
),
late AS MATERIALIZED (
    SELECT heard.subject, heard.late_since
      FROM sources.freshness AS heard
      JOIN given USING (subject)
     WHERE heard.tenant = :tenant
       AND heard.source_id = :source_id
       AND heard.late_since IS NOT NULL
     ORDER BY heard.subject
       FOR UPDATE OF heard
),
noted AS (
    INSERT INTO sources.freshness AS heard
           (tenant, source_id, subject, last_received_at, last_observed_at)
    SELECT :tenant, :source_id, given.subject, given.received_at, given.observed_at
      FROM given
     ORDER BY given.subject
        ON CONFLICT ON CONSTRAINT freshness_pkey DO UPDATE
       SET last_received_at = greatest(heard.last_received_at, excluded.last_received_at),
           last_observed_at = greatest(heard.last_observed_at, excluded.last_observed_at),
           late_since = NULL
)
SELECT late.subject, late.late_since
  FROM late
 ORDER BY late.subject;

-- name: observed_until(tenant, source_id, subjects)
-- The newest moment that a source has told of each of these.
SELECT heard.subject, heard.last_observed_at
  FROM sources.freshness AS heard
 WHERE heard.tenant = :tenant
   AND heard.source_id = :source_id
   AND heard.subject = ANY(:subjects::text[]);

-- name: mark_late(tenant, source_id, heard_before, now)
-- Mark who has not been heard since `heard_before` and was not late yet.
WITH silent AS (
    SELECT heard.subject
      FROM sources.freshness AS heard
     WHERE heard.tenant = :tenant
       AND heard.source_id = :source_id
       AND heard.late_since IS NULL
       AND heard.last_received_at < :heard_before
     ORDER BY heard.subject
       FOR UPDATE SKIP LOCKED
)
UPDATE sources.freshness AS heard
   SET late_since = :now
  FROM silent
 WHERE heard.tenant = :tenant
   AND heard.source_id = :source_id
   AND heard.subject = silent.subject
RETURNING heard.subject, heard.last_received_at, heard.last_observed_at;

-- name: freshness(tenant)
-- When every source and each of its entities was last heard.
SELECT heard.source_id, heard.subject, heard.last_received_at, heard.last_observed_at, heard.late_since
  FROM sources.freshness AS heard
 WHERE heard.tenant = :tenant
 ORDER BY heard.source_id, heard.subject;

-- name: source_counts(tenant)
-- What each source has sent, counted.
SELECT counted.source_id, counted.messages, counted.refusals, counted.last_received_at
  FROM sources.source AS counted
 WHERE counted.tenant = :tenant
 ORDER BY counted.source_id;

-- name: tally_refusals(tenant, source_ids, reasons, days, times)
-- Count refusals by source, reason and day, and say how much of each is kept; the rows stay locked.
INSERT INTO sources.quarantine_tally AS tally (tenant, source_id, reason, day, times)
SELECT :tenant, given.source_id, given.reason, given.day, given.times
  FROM unnest(:source_ids::text[], :reasons::text[], :days::date[], :times::bigint[])
       AS given (source_id, reason, day, times)
 ORDER BY given.source_id, given.reason, given.day
    ON CONFLICT ON CONSTRAINT quarantine_tally_pkey DO UPDATE
   SET times = tally.times + excluded.times
RETURNING tally.source_id, tally.reason, tally.day, tally.kept, tally.kept_bytes;

-- name: count_repeats(tenant, source_ids, reasons, days, digests, times, received_ats)
-- Count those that are kept already; what comes back is not new. A repeat opens a settled one again.
UPDATE sources.quarantine AS kept
   SET times = kept.times + given.times,
       last_received_at = greatest(kept.last_received_at, given.received_at),
       settled_at = NULL
  FROM unnest(
           :source_ids::text[], :reasons::text[], :days::date[], :digests::bytea[], :times::bigint[],
           :received_ats::timestamptz[]
       ) AS given (source_id, reason, day, digest, times, received_at)
 WHERE kept.tenant = :tenant
   AND kept.source_id = given.source_id
   AND kept.reason = given.reason
   AND kept.day = given.day
   AND kept.digest = given.digest
RETURNING kept.source_id, kept.reason, kept.day, kept.digest;

-- name: keep_refused(tenant, quarantine_ids, source_ids, reasons, days, digests, details, topics, payloads, sizes, decoder_versions, times, first_received_ats, last_received_ats)!
-- Keep payloads that were not kept yet.
INSERT INTO sources.quarantine (
           tenant, quarantine_id, source_id, reason, day, digest, detail, topic, payload, payload_bytes,
           decoder_version, times, first_received_at, last_received_at
       )
SELECT :tenant, given.quarantine_id, given.source_id, given.reason, given.day, given.digest, given.detail,
       given.topic, given.payload, given.payload_bytes, given.decoder_version, given.times,
       given.first_received_at, given.last_received_at
  FROM unnest(
           :quarantine_ids::uuid[], :source_ids::text[], :reasons::text[], :days::date[], :digests::bytea[],
           :details::text[], :topics::text[], :payloads::bytea[], :sizes::bigint[],
           :decoder_versions::text[], :times::bigint[], :first_received_ats::timestamptz[],
           :last_received_ats::timestamptz[]
       ) AS given (
           quarantine_id, source_id, reason, day, digest, detail, topic, payload, payload_bytes,
           decoder_version, times, first_received_at, last_received_at
       );

-- name: count_kept(tenant, source_ids, reasons, days, kept, kept_bytes)!
-- Note how much more of each reason is kept.
UPDATE sources.quarantine_tally AS tally
   SET kept = tally.kept + given.kept,
       kept_bytes = tally.kept_bytes + given.kept_bytes
  FROM unnest(:source_ids::text[], :reasons::text[], :days::date[], :kept::bigint[], :kept_bytes::bigint[])
       AS given (source_id, reason, day, kept, kept_bytes)
 WHERE tally.tenant = :tenant
   AND tally.source_id = given.source_id
   AND tally.reason = given.reason
   AND tally.day = given.day;

-- name: list_quarantine(tenant, source_id, reason, settled, before_at, before_id, payload_most, most)
-- Quarantined messages, newest first, after a place in the list, with so much of each payload.
SELECT kept.quarantine_id, kept.source_id, kept.reason, kept.detail, kept.topic,
       substring(kept.payload FROM 1 FOR CAST(:payload_most AS integer)) AS payload,
       octet_length(kept.payload) AS kept_bytes, kept.payload_bytes, kept.decoder_version, kept.times, kept.first_received_at, kept.last_received_at,
       kept.replays, kept.replayed_at, kept.settled_at
  FROM sources.quarantine AS kept
 WHERE kept.tenant = :tenant
   AND (:source_id::text IS NULL OR kept.source_id = :source_id)
   AND (:reason::text IS NULL OR kept.reason = :reason)
   AND (:settled::boolean OR kept.settled_at IS NULL)
   AND (
       :before_at::timestamptz IS NULL
       OR (kept.last_received_at, kept.quarantine_id) < (:before_at, :before_id::uuid)
   )
 ORDER BY kept.last_received_at DESC, kept.quarantine_id DESC
 LIMIT :most;

-- name: quarantine_tallies(tenant, since)
-- How often each reason was met, by day, and how much of it is kept.
SELECT tally.source_id, tally.reason, tally.day, tally.times, tally.kept, tally.kept_bytes
  FROM sources.quarantine_tally AS tally
 WHERE tally.tenant = :tenant
   AND tally.day >= :since
 ORDER BY tally.day DESC, tally.times DESC, tally.source_id, tally.reason;

-- name: quarantined_message(tenant, quarantine_id)^
-- One quarantined message, to be looked at.
SELECT kept.quarantine_id, kept.source_id, kept.reason, kept.detail, kept.topic, kept.payload,
       octet_length(kept.payload) AS kept_bytes, kept.payload_bytes, kept.decoder_version, kept.times, kept.first_received_at, kept.last_received_at,
       kept.replays, kept.replayed_at, kept.settled_at
  FROM sources.quarantine AS kept
 WHERE kept.tenant = :tenant
   AND kept.quarantine_id = :quarantine_id;

-- name: hold_for_replay(tenant, quarantine_id)^
-- One quarantined message, locked while it is replayed.
SELECT kept.quarantine_id, kept.source_id, kept.reason, kept.detail, kept.topic, kept.payload,
       octet_length(kept.payload) AS kept_bytes, kept.payload_bytes, kept.decoder_version, kept.times, kept.first_received_at, kept.last_received_at,
       kept.replays, kept.replayed_at, kept.settled_at
  FROM sources.quarantine AS kept
 WHERE kept.tenant = :tenant
   AND kept.quarantine_id = :quarantine_id
   FOR UPDATE;

-- name: note_replay(tenant, quarantine_id, now, settled, detail)!
-- Note that a message was replayed, and whether its reason is gone.
UPDATE sources.quarantine
   SET replays = replays + 1,
       replayed_at = :now,
       settled_at = CASE WHEN :settled THEN :now::timestamptz END,
       detail = :detail
 WHERE tenant = :tenant
   AND quarantine_id = :quarantine_id;

-- name: note_tried(tenant, quarantine_id, now)!
-- Note that a message was taken up and could not be judged.
UPDATE sources.quarantine
   SET replayed_at = :now
 WHERE tenant = :tenant
   AND quarantine_id = :quarantine_id;

-- name: unsettled_ids(tenant, source_id, reason, asked_at)
-- Every message that still waits in quarantine, oldest first; those of a moment were there and not tried since.
SELECT kept.quarantine_id
  FROM sources.quarantine AS kept
 WHERE kept.tenant = :tenant
   AND kept.settled_at IS NULL
   AND (:source_id::text IS NULL OR kept.source_id = :source_id)
   AND (:reason::text IS NULL OR kept.reason = :reason)
   AND (
       :asked_at::timestamptz IS NULL
       OR (kept.first_received_at <= :asked_at AND (kept.replayed_at IS NULL OR kept.replayed_at < :asked_at))
   )
 ORDER BY kept.first_received_at, kept.quarantine_id;

-- name: forget_quarantined(tenant, received_before)!
-- Delete what was last received before a moment, settled or not.
DELETE FROM sources.quarantine
 WHERE tenant = :tenant
   AND last_received_at < :received_before;

-- name: forget_tallies(tenant, before_day)!
-- Delete counts of days that are long past.
DELETE FROM sources.quarantine_tally
 WHERE tenant = :tenant
   AND day < :before_day;

-- name: count_unsettled(tenant, source_id, reason)$
-- How many messages wait in quarantine.
SELECT count(*)
  FROM sources.quarantine AS kept
 WHERE kept.tenant = :tenant
   AND kept.settled_at IS NULL
   AND (:source_id::text IS NULL OR kept.source_id = :source_id)
   AND (:reason::text IS NULL OR kept.reason = :reason);

-- name: begin_replay(tenant, replay_id, quarantine_id, source_id, reason, asked_by, asked_at, messages)!
-- Note that somebody wants messages judged again.
INSERT INTO sources.replay (tenant, replay_id, quarantine_id, source_id, reason, asked_by, asked_at, messages)
VALUES (:tenant, :replay_id, :quarantine_id, :source_id, :reason, :asked_by, :asked_at, :messages);

-- name: count_replayed(tenant, replay_id, settled, still_refused, failed)!
-- Note what came of some messages of a replay.
UPDATE sources.replay
   SET settled = settled + :settled,
       still_refused = still_refused + :still_refused,
       failed = failed + :failed
 WHERE tenant = :tenant
   AND replay_id = :replay_id;

-- name: end_replay(tenant, replay_id, now)!
-- Note that a replay came to its end.
UPDATE sources.replay
   SET ended_at = :now
 WHERE tenant = :tenant
   AND replay_id = :replay_id
   AND ended_at IS NULL;

-- name: replay(tenant, replay_id)^
-- One replay, as far as it has come.
SELECT r.replay_id, r.quarantine_id, r.source_id, r.reason, r.asked_by, r.asked_at, r.messages, r.settled,
       r.still_refused, r.failed, r.ended_at
  FROM sources.replay AS r
 WHERE r.tenant = :tenant
   AND r.replay_id = :replay_id;

-- name: newest_replays(tenant, quarantine_id, most)
-- The newest replays: of one message, or of any.
SELECT r.replay_id, r.quarantine_id, r.source_id, r.reason, r.asked_by, r.asked_at, r.messages, r.settled,
       r.still_refused, r.failed, r.ended_at
  FROM sources.replay AS r
 WHERE r.tenant = :tenant
   AND (:quarantine_id::uuid IS NULL OR r.quarantine_id = :quarantine_id)
 ORDER BY r.asked_at DESC, r.replay_id
 LIMIT :most;

-- name: forget_replays(tenant, asked_before)!
-- Delete what was noted of replays that are long past.
DELETE FROM sources.replay
 WHERE tenant = :tenant
   AND asked_at < :asked_before;
