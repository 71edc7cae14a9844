-- name: insert_base_map(tenant, base_map_id, content_id, archive_bytes, sources, systems, licence, layers, features, tiles, box, built_at, built_by)!
-- A map that was built, not in use yet.
INSERT INTO places.base_map
       (tenant, base_map_id, content_id, archive_bytes, sources, systems, licence, layers, features, tiles, box,
        built_at, built_by)
VALUES (:tenant, :base_map_id, :content_id, :archive_bytes, :sources, :systems, :licence, :layers, :features,
        :tiles, CAST(CAST(:box AS text) AS box), :built_at, :built_by);

-- name: lock_base_maps(tenant)
-- The maps, locked, newest first: who chooses or removes one waits for whoever is doing so.
SELECT base_map_id, content_id, in_use
  FROM places.base_map
 WHERE tenant = :tenant
 ORDER BY built_at DESC, base_map_id
   FOR UPDATE;

-- name: leave_base_maps(tenant)!
-- No map is in use.
UPDATE places.base_map SET in_use = false WHERE tenant = :tenant AND in_use;

-- name: use_base_map(tenant, base_map_id)!
-- Use a map.
UPDATE places.base_map SET in_use = true WHERE tenant = :tenant AND base_map_id = :base_map_id;

-- name: remove_base_map(tenant, base_map_id)!
-- Forget a map and what it names.
DELETE FROM places.base_map WHERE tenant = :tenant AND base_map_id = :base_map_id;

-- name: base_maps(tenant)
-- Every map, newest first.
SELECT base_map_id, content_id, archive_bytes, sources, systems, licence, layers, features, tiles,
       (box[1])[0] AS west, (box[1])[1] AS south, (box[0])[0] AS east, (box[0])[1] AS north, built_at, in_use
  FROM places.base_map
 WHERE tenant = :tenant
 ORDER BY built_at DESC, base_map_id;
