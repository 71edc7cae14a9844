-- name: insert_named_places(tenant, base_map_id, place_nos, names, names_en, layers, kinds, weights, longitudes, latitudes)!
-- What a map names.
INSERT INTO places.named_place
       (tenant, base_map_id, place_no, name, name_en, layer, kind, weight, longitude, latitude)
SELECT :tenant, CAST(:base_map_id AS uuid), one.place_no, one.name, one.name_en, one.layer, one.kind, one.weight,
       one.longitude, one.latitude
  FROM unnest(CAST(:place_nos AS integer[]), CAST(:names AS text[]), CAST(:names_en AS text[]),
              CAST(:layers AS text[]), CAST(:kinds AS text[]), CAST(:weights AS integer[]),
              CAST(:longitudes AS double precision[]),
              CAST(:latitudes AS double precision[]))
       AS one (place_no, name, name_en, layer, kind, weight, longitude, latitude);

-- name: insert_starts(tenant, base_map_id, starts, words, place_nos)!
-- The words by which they are found; a start that a name has twice counts at its first place.
INSERT INTO places.named_place_start (tenant, base_map_id, start, word, place_no)
SELECT :tenant, CAST(:base_map_id AS uuid), one.start, min(one.word), one.place_no
  FROM unnest(CAST(:starts AS text[]), CAST(:words AS integer[]), CAST(:place_nos AS integer[]))
       AS one (start, word, place_no)
 GROUP BY one.start, one.place_no;

-- name: named_places_beginning(tenant, pattern, longitude, latitude, most)
-- Names of the map in use with a word that begins so: towns before streets, then what begins with it, then
-- the nearer. Of very many, the first thousand by their words are weighed.
WITH begun AS MATERIALIZED (
       SELECT s.base_map_id, s.place_no, min(s.word) AS word
         FROM (SELECT s.base_map_id, s.place_no, s.word
                 FROM places.named_place_start AS s
                 JOIN places.base_map AS m ON m.tenant = s.tenant AND m.base_map_id = s.base_map_id AND m.in_use
                WHERE s.tenant = :tenant
                  AND s.start LIKE CAST(:pattern AS text)
                ORDER BY s.start, s.word, s.place_no
                LIMIT 1000) AS s
        GROUP BY s.base_map_id, s.place_no)
SELECT p.name, p.name_en, p.layer, p.kind, p.longitude, p.latitude
  FROM begun AS b
  JOIN places.named_place AS p
    ON p.tenant = :tenant AND p.base_map_id = b.base_map_id AND p.place_no = b.place_no
 ORDER BY p.weight,
          b.word,
          coalesce((p.longitude - CAST(:longitude AS double precision)) ^ 2
                   + (p.latitude - CAST(:latitude AS double precision)) ^ 2, 0),
          length(p.name),
          p.name,
          p.place_no
 LIMIT :most;
