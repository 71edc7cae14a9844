-- name: entities_in_cells(tenant, audiences, type_iri, first, last, most)
-- Entities of a type whose middle is in a stretch of cells, so many at most: where they are, and their ids.
SELECT e.entity_id, (center(e.box))[0] AS longitude, (center(e.box))[1] AS latitude
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
 WHERE e.types[1] = :type_iri
   AND context.cell_of(e.box) BETWEEN :first AND :last
   AND e.deleted_at IS NULL
UNION ALL
SELECT e.entity_id, (center(e.box))[0] AS longitude, (center(e.box))[1] AS latitude
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
 WHERE e.types[2] = :type_iri
   AND context.cell_of(e.box) BETWEEN :first AND :last
   AND e.deleted_at IS NULL
 LIMIT :most;

-- name: cells_gathered(tenant, audiences, type_iri, first, span, parts, most)
-- How many entities of a type are in each of some stretches of cells, counted to `most`, and their mean place.
SELECT part.number AS part, gathered.entities, gathered.longitude, gathered.latitude
  FROM generate_series(0, CAST(:parts AS integer) - 1) AS part (number)
 CROSS JOIN LATERAL (
       SELECT count(*) AS entities, avg((center(found.box))[0]) AS longitude, avg((center(found.box))[1]) AS latitude
         FROM (SELECT e.box
                 FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
                WHERE e.types[1] = :type_iri
                  AND context.cell_of(e.box) BETWEEN CAST(:first AS bigint) + part.number * CAST(:span AS bigint)
                                                 AND CAST(:first AS bigint) + (part.number + 1) * CAST(:span AS bigint) - 1
                  AND e.deleted_at IS NULL
               UNION ALL
               SELECT e.box
                 FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
                WHERE e.types[2] = :type_iri
                  AND context.cell_of(e.box) BETWEEN CAST(:first AS bigint) + part.number * CAST(:span AS bigint)
                                                 AND CAST(:first AS bigint) + (part.number + 1) * CAST(:span AS bigint) - 1
                  AND e.deleted_at IS NULL
                LIMIT :most) AS found) AS gathered
 WHERE gathered.entities > 0;
