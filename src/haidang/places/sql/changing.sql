-- name: ids_named(names, eve)
-- The units that a draft names, by id or by the code they bear on the eve.
SELECT u.unit_id, u.code
  FROM places.unit AS u
 WHERE u.unit_id = ANY(:names::text[])
    OR (u.code = ANY(:names::text[])
        AND coalesce(u.valid_from, '-infinity'::date) <= :eve::date
        AND coalesce(u.valid_to, 'infinity'::date) > :eve::date)
 ORDER BY u.unit_id;

-- name: ids_below(unit_ids, day)
-- The units of a day right below some.
SELECT u.unit_id, u.parent_id
  FROM places.unit AS u
 WHERE u.parent_id = ANY(:unit_ids::text[])
   AND coalesce(u.valid_from, '-infinity'::date) <= :day::date
   AND coalesce(u.valid_to, 'infinity'::date) > :day::date
 ORDER BY u.name_key, u.unit_id;

-- name: ids_that_bore(level, codes)
-- Every unit of a level that ever bore one of some codes.
SELECT u.unit_id, u.code
  FROM places.unit AS u
 WHERE u.level = :level
   AND u.code = ANY(:codes::text[])
 ORDER BY u.valid_from NULLS FIRST, u.unit_id;

-- name: end_units(unit_ids, day, ended_by)
-- End units that still stand; the ids of those that were ended.
UPDATE places.unit AS u
   SET valid_to = :day,
       ended_by = :ended_by,
       end_origin = 'change'
 WHERE u.unit_id = ANY(:unit_ids::text[])
   AND u.valid_to IS NULL
RETURNING u.unit_id;

-- name: hold_units(unit_ids, change_id)
-- Keep units for one change; those that another one has already are left out of what is returned.
INSERT INTO places.unit_held AS h (unit_id, change_id)
SELECT given.unit_id, :change_id
  FROM unnest(:unit_ids::text[]) AS given (unit_id)
 ORDER BY given.unit_id
    ON CONFLICT ON CONSTRAINT unit_held_pkey DO NOTHING
RETURNING h.unit_id;

-- name: holder(unit_id)^
-- The change that would end a unit.
SELECT c.change_id, c.title, c.takes_effect
  FROM places.unit_held AS h
  JOIN places.unit_change AS c USING (change_id)
 WHERE h.unit_id = :unit_id;

-- name: release_units(change_id)!
-- Let the units of a change go.
DELETE FROM places.unit_held
 WHERE change_id = :change_id;

-- name: add_change(change_id, title, takes_effect, document)!
-- Keep a new draft.
INSERT INTO places.unit_change (change_id, state, title, takes_effect, document)
VALUES (:change_id, 'draft', :title, :takes_effect, :document);

-- name: changes(states, change_id)
-- Changes in some states, or one of them, by their day; those of one day in the order they were drafted.
SELECT c.change_id, c.state, c.document
  FROM places.unit_change AS c
 WHERE c.state = ANY(:states::text[])
   AND (:change_id::text IS NULL OR c.change_id = :change_id::text)
 ORDER BY c.takes_effect, c.change_no;

-- name: lock_change(change_id)^
-- One change, locked until this transaction ends.
SELECT c.change_id, c.state, c.document
  FROM places.unit_change AS c
 WHERE c.change_id = :change_id
   FOR UPDATE;

-- name: due_change_ids(today)
-- The scheduled changes whose day has begun.
SELECT c.change_id
  FROM places.unit_change AS c
 WHERE c.state = 'scheduled'
   AND c.takes_effect <= :today
 ORDER BY c.takes_effect, c.change_no;

-- name: set_change_state(change_id, state)!
-- Move a change on.
UPDATE places.unit_change
   SET state = :state
 WHERE change_id = :change_id;

-- name: note_change_step(change_id, step, done_at, done_by, reason)!
-- Keep what was done with a change, by whom and why.
INSERT INTO places.unit_change_step (change_id, step, done_at, done_by, reason)
VALUES (:change_id, :step, :done_at, :done_by, :reason);

-- name: change_steps(change_ids)
-- What was done with some changes, in the order in which it was done.
SELECT s.change_id, s.step, s.done_at, s.done_by, s.reason
  FROM places.unit_change_step AS s
 WHERE s.change_id = ANY(:change_ids::text[])
 ORDER BY s.step_id;
