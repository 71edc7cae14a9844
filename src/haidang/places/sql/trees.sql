-- name: ids_below(unit_ids, day)
-- Every unit of a day under some units, through any level between, in Vietnamese order.
WITH RECURSIVE below AS (
    SELECT u.unit_id
      FROM places.unit AS u
     WHERE u.parent_id = ANY(:unit_ids::text[])
       AND coalesce(u.valid_from, '-infinity'::date) <= :day::date
       AND coalesce(u.valid_to, 'infinity'::date) > :day::date
     UNION
    SELECT u.unit_id
      FROM below
      JOIN places.unit AS u ON u.parent_id = below.unit_id
     WHERE coalesce(u.valid_from, '-infinity'::date) <= :day::date
       AND coalesce(u.valid_to, 'infinity'::date) > :day::date
)
SELECT u.unit_id
  FROM below
  JOIN places.unit AS u USING (unit_id)
 ORDER BY u.name_key, u.kind, u.unit_id;

-- name: links_to_all(unit_ids)
-- What each of some units was made of, one step back, in Vietnamese order.
SELECT l.from_id, l.to_id, l.kind, l.share, l.people_share, l.takes_effect, l.legal_basis, l.verified
  FROM places.link AS l
  JOIN places.unit AS u ON u.unit_id = l.from_id
 WHERE l.to_id = ANY(:unit_ids::text[])
 ORDER BY u.name_key, l.from_id;
