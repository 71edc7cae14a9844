-- name: all_unit_ids()
-- Every unit of every time: what names in memory are made of, once for each edition.
SELECT u.unit_id
  FROM places.unit AS u
 ORDER BY u.unit_id;
