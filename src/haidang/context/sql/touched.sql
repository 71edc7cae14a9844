-- name: middles_in_box(tenant, audiences, west, south, east, north)
-- Where the present entities stand whose box meets a box: the middle of each.
SELECT (center(e.box))[0] AS longitude, (center(e.box))[1] AS latitude
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
 WHERE e.box && box(point(:west, :south), point(:east, :north))
   AND e.deleted_at IS NULL;
