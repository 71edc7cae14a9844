-- name: unit_shapes()
-- Every outline with what a map says of its unit, of any time.
SELECT u.unit_id, u.level, u.name, u.full_name, u.valid_from, u.valid_to, o.shape
  FROM places.outline AS o
  JOIN places.unit AS u ON u.unit_id = o.unit_id
 ORDER BY u.level, u.name_key, u.unit_id;
