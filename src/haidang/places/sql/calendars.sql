-- name: calendar_days(since, until, struck)
-- The days of a time that are off or worked otherwise than their weekday says; struck ones when asked.
SELECT one.on_day, one.kind, one.applies_to, one.name, one.legal_basis, one.status, one.note, one.decided_at
  FROM places.calendar_day AS one
 WHERE one.on_day BETWEEN :since AND :until
   AND (one.status <> 'struck' OR :struck::boolean)
 ORDER BY one.on_day, one.kind, one.applies_to;

-- name: hold_calendar_day(on_day, kind, applies_to)^
-- One day, locked while it is decided about.
SELECT one.on_day, one.kind, one.applies_to, one.name, one.legal_basis, one.status, one.note, one.decided_at
  FROM places.calendar_day AS one
 WHERE one.on_day = :on_day
   AND one.kind = :kind
   AND one.applies_to = :applies_to
   FOR UPDATE;

-- name: add_calendar_day(on_day, kind, applies_to, name, legal_basis, status, note, decided_at)$
-- Write a day that was not there; nothing when somebody else has just written it.
INSERT INTO places.calendar_day (on_day, kind, applies_to, name, legal_basis, status, note, decided_at)
VALUES (:on_day, :kind, :applies_to, :name, :legal_basis, :status, :note, :decided_at)
    ON CONFLICT ON CONSTRAINT calendar_day_pkey DO NOTHING
RETURNING on_day;

-- name: keep_calendar_day(on_day, kind, applies_to, name, legal_basis, status, note, decided_at)$
-- Write a day that is there, and locked, as it was decided.
UPDATE places.calendar_day AS kept
   SET name = :name,
       legal_basis = :legal_basis,
       status = :status,
       note = :note,
       decided_at = :decided_at
 WHERE kept.on_day = :on_day
   AND kept.kind = :kind
   AND kept.applies_to = :applies_to
RETURNING kept.on_day;

-- name: note_calendar_decision(on_day, kind, applies_to, former, later, reason, decided_at, decided_by)!
-- Keep who decided what about a day, and why.
INSERT INTO places.calendar_decision
       (on_day, kind, applies_to, former, later, reason, decided_at, decided_by)
VALUES (:on_day, :kind, :applies_to, :former, :later, :reason, :decided_at, :decided_by);

-- name: calendar_decisions(since, until)
-- What was decided about the days of a time, in the order in which it was decided.
SELECT made.on_day, made.kind, made.applies_to, made.former, made.later, made.reason, made.decided_at,
       made.decided_by
  FROM places.calendar_decision AS made
 WHERE made.on_day BETWEEN :since AND :until
 ORDER BY made.decision_id;

-- name: load_calendar_days(on_days, kinds, applies_to, names, legal_bases, statuses, notes)!
-- Write the days of a release; those that an administrator has decided about stay as they are.
INSERT INTO places.calendar_day AS kept (on_day, kind, applies_to, name, legal_basis, status, note)
SELECT given.on_day, given.kind, given.applies_to, given.name, given.legal_basis, given.status, given.note
  FROM unnest(
           :on_days::date[], :kinds::text[], :applies_to::text[], :names::text[], :legal_bases::text[],
           :statuses::text[], :notes::text[]
       ) AS given (on_day, kind, applies_to, name, legal_basis, status, note)
 ORDER BY given.on_day, given.kind, given.applies_to
    ON CONFLICT ON CONSTRAINT calendar_day_pkey
    DO UPDATE SET name = excluded.name,
                  legal_basis = excluded.legal_basis,
                  status = excluded.status,
                  note = excluded.note
 WHERE kept.decided_at IS NULL
   AND (kept.name, kept.legal_basis, kept.status, kept.note)
       IS DISTINCT FROM (excluded.name, excluded.legal_basis, excluded.status, excluded.note);

-- name: drop_calendar_days(on_days, kinds, applies_to)!
-- Take away the days that a release no longer has and that nobody has decided about.
DELETE FROM places.calendar_day AS kept
 WHERE kept.decided_at IS NULL
   AND NOT EXISTS (
       SELECT 1
         FROM unnest(:on_days::date[], :kinds::text[], :applies_to::text[])
              AS given (on_day, kind, applies_to)
        WHERE given.on_day = kept.on_day
          AND given.kind = kept.kind
          AND given.applies_to = kept.applies_to);
