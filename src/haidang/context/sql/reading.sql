-- name: entity_visible(tenant, audiences, entity_id)^
-- One present entity, if this actor may see it.
SELECT entity_id, entity_no, types, scope, CAST(document AS text) AS document,
       created_at, modified_at, deleted_at
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[]))
 WHERE entity_id = :entity_id
   AND deleted_at IS NULL;

-- name: entity_ever_visible(tenant, audiences, entity_id)^
-- One entity, deleted or not: its history can be asked for.
SELECT entity_id, entity_no, types, scope, CAST(document AS text) AS document,
       created_at, modified_at, deleted_at
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[]))
 WHERE entity_id = :entity_id;

-- name: entities_present(tenant, audiences, entity_ids)
-- The present ones of these entities that this actor may see, by their key and in no order.
SELECT entity_id, entity_no, types, scope, CAST(document AS text) AS document,
       created_at, modified_at, deleted_at
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[]))
 WHERE entity_id = ANY(CAST(:entity_ids AS text[]))
   AND deleted_at IS NULL;

-- name: page_of_type(tenant, audiences, type_iri, attributes, most, skip)
-- A page of the present entities of one type, in the order of their numbers: one stretch of an index.
SELECT e.entity_id, e.entity_no, e.types, e.scope, CAST(e.document AS text) AS document,
       e.created_at, e.modified_at, e.deleted_at
  FROM context.entity_of_type AS t
  JOIN context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e ON e.entity_no = t.entity_no
 WHERE t.tenant = :tenant
   AND t.type_no = (SELECT n.name_no FROM context.name AS n WHERE n.tenant = :tenant AND n.iri = :type_iri)
   AND e.deleted_at IS NULL
   AND (CAST(:attributes AS text[]) IS NULL OR e.document ?| CAST(:attributes AS text[]))
 ORDER BY t.entity_no
 LIMIT :most OFFSET :skip;

-- name: count_of_type(tenant, audiences, type_iri, attributes)$
-- How many present entities of one type there are.
SELECT count(*)
  FROM context.entity_of_type AS t
  JOIN context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e ON e.entity_no = t.entity_no
 WHERE t.tenant = :tenant
   AND t.type_no = (SELECT n.name_no FROM context.name AS n WHERE n.tenant = :tenant AND n.iri = :type_iri)
   AND e.deleted_at IS NULL
   AND (CAST(:attributes AS text[]) IS NULL OR e.document ?| CAST(:attributes AS text[]));

-- name: page_of_entities(tenant, audiences, type_groups, entity_ids, id_pattern, attributes, deleted_too, most, skip)
-- A page of entities by any mix of conditions, in the order of their numbers. `type_groups` is a JSON
-- list of lists: one of the groups must be among the entity's types as a whole.
SELECT e.entity_id, e.entity_no, e.types, e.scope, CAST(e.document AS text) AS document,
       e.created_at, e.modified_at, e.deleted_at
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
 WHERE (e.deleted_at IS NULL OR CAST(:deleted_too AS boolean))
   AND (CAST(:entity_ids AS text[]) IS NULL OR e.entity_id = ANY(CAST(:entity_ids AS text[])))
   AND (CAST(:id_pattern AS text) IS NULL OR e.entity_id ~ CAST(:id_pattern AS text))
   AND (CAST(:attributes AS text[]) IS NULL OR e.document ?| CAST(:attributes AS text[]))
   AND (CAST(:type_groups AS text) IS NULL OR EXISTS (
       SELECT 1 FROM jsonb_array_elements(CAST(CAST(:type_groups AS text) AS jsonb)) AS g (types)
        WHERE e.types @> ARRAY(SELECT jsonb_array_elements_text(g.types))))
 ORDER BY e.entity_no
 LIMIT :most OFFSET :skip;

-- name: count_of_entities(tenant, audiences, type_groups, entity_ids, id_pattern, attributes)$
-- How many present entities meet the conditions.
SELECT count(*)
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
 WHERE e.deleted_at IS NULL
   AND (CAST(:entity_ids AS text[]) IS NULL OR e.entity_id = ANY(CAST(:entity_ids AS text[])))
   AND (CAST(:id_pattern AS text) IS NULL OR e.entity_id ~ CAST(:id_pattern AS text))
   AND (CAST(:attributes AS text[]) IS NULL OR e.document ?| CAST(:attributes AS text[]))
   AND (CAST(:type_groups AS text) IS NULL OR EXISTS (
       SELECT 1 FROM jsonb_array_elements(CAST(CAST(:type_groups AS text) AS jsonb)) AS g (types)
        WHERE e.types @> ARRAY(SELECT jsonb_array_elements_text(g.types))));

-- name: versions_known_at(tenant, audiences, known_at, type_groups, entity_ids, id_pattern, attributes, most, skip)
-- What each entity was known to consist of at a moment: its newest version of then, if it was not deleted.
SELECT e.entity_id, e.entity_no, v.types, v.scope, v.created_at, v.learned_at,
       v.attribute_nos, v.dataset_nos, v.moments, v.observed
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[])) AS e
 CROSS JOIN LATERAL (
       SELECT w.scope, w.created_at, w.learned_at, w.deleted,
              w.attribute_nos, w.dataset_nos, w.moments, w.observed,
              ARRAY(SELECT n.iri
                      FROM unnest(w.type_nos) WITH ORDINALITY AS k (type_no, place)
                      JOIN context.name AS n ON n.tenant = :tenant AND n.name_no = k.type_no
                     ORDER BY k.place) AS types
         FROM context.entity_version AS w
        WHERE w.tenant = :tenant
          AND w.entity_no = e.entity_no
          AND w.learned_at <= :known_at
        ORDER BY w.learned_at DESC
        LIMIT 1) AS v
 WHERE NOT v.deleted
   AND (CAST(:entity_ids AS text[]) IS NULL OR e.entity_id = ANY(CAST(:entity_ids AS text[])))
   AND (CAST(:id_pattern AS text) IS NULL OR e.entity_id ~ CAST(:id_pattern AS text))
   AND (CAST(:attributes AS text[]) IS NULL OR v.attribute_nos && ARRAY(
       SELECT n.name_no FROM context.name AS n
        WHERE n.tenant = :tenant AND n.iri = ANY(CAST(:attributes AS text[]))))
   AND (CAST(:type_groups AS text) IS NULL OR EXISTS (
       SELECT 1 FROM jsonb_array_elements(CAST(CAST(:type_groups AS text) AS jsonb)) AS g (types)
        WHERE v.types @> ARRAY(SELECT jsonb_array_elements_text(g.types))))
 ORDER BY e.entity_no
 LIMIT :most OFFSET :skip;

-- name: instances_known_at(tenant, places, entity_nos, attribute_nos, dataset_nos, moments, observed, all_moments, known_at)
-- The instances that versions point at, as they were known at a moment; the list of moments prunes partitions.
SELECT one.place, attribute.iri AS attribute, dataset.iri AS dataset, unit.iri AS unit,
       held.observed_at, held.learned_at, held.number, held.whole, held.quality, held.observed,
       CAST(held.document AS text) AS document
  FROM unnest(CAST(:places AS integer[]), CAST(:entity_nos AS bigint[]), CAST(:attribute_nos AS integer[]),
              CAST(:dataset_nos AS integer[]), CAST(:moments AS timestamptz[]), CAST(:observed AS boolean[]))
       WITH ORDINALITY AS one (place, entity_no, attribute_no, dataset_no, moment, observed, rank)
 CROSS JOIN LATERAL (
       SELECT o.observed_at, o.learned_at, o.number, o.whole, o.quality, o.unit_no, o.document, o.observed
         FROM context.observation AS o
        WHERE o.tenant = :tenant
          AND o.entity_no = one.entity_no
          AND o.attribute_no = one.attribute_no
          AND o.observed_at = one.moment
          AND o.observed_at = ANY(CAST(:all_moments AS timestamptz[]))
          AND o.dataset_no = one.dataset_no
          AND o.observed = one.observed
          AND o.learned_at <= :known_at
          AND o.superseded_at IS NULL
       UNION ALL
       SELECT o.observed_at, o.learned_at, o.number, o.whole, o.quality, o.unit_no, o.document, o.observed
         FROM context.observation AS o
        WHERE o.tenant = :tenant
          AND o.entity_no = one.entity_no
          AND o.attribute_no = one.attribute_no
          AND o.observed_at = one.moment
          AND o.observed_at = ANY(CAST(:all_moments AS timestamptz[]))
          AND o.dataset_no = one.dataset_no
          AND o.observed = one.observed
          AND o.learned_at <= :known_at
          AND o.superseded_at > :known_at
        LIMIT 1) AS held
  JOIN context.name AS attribute ON attribute.tenant = :tenant AND attribute.name_no = one.attribute_no
  LEFT JOIN context.name AS dataset ON dataset.tenant = :tenant AND dataset.name_no = one.dataset_no
  LEFT JOIN context.name AS unit ON unit.tenant = :tenant AND unit.name_no = held.unit_no
 ORDER BY one.rank;

-- name: numbers_of_entities(tenant, audiences, entity_ids)
-- Numbers of the entities of these ids that this actor may see.
SELECT entity_id, entity_no
  FROM context.visible_entity(:tenant, CAST(:audiences AS text[]))
 WHERE entity_id = ANY(CAST(:entity_ids AS text[]));

-- name: numbers_of_names(tenant, iris)
-- Numbers of these names.
SELECT iri, name_no FROM context.name WHERE tenant = :tenant AND iri = ANY(CAST(:iris AS text[]));

-- name: plan_each_call()$
-- Plan what follows in this transaction for its own parameters: a plan for any would take in every day.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: observation_days(earliest, latest)
-- The days that have a partition, between two, oldest first.
WITH partition AS MATERIALIZED (
       SELECT right(c.relname, 8) AS digits
         FROM pg_inherits AS i
         JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = CAST('context.observation' AS regclass))
SELECT to_date(digits, 'YYYYMMDD') AS day
  FROM partition
 WHERE digits BETWEEN to_char(CAST(:earliest AS date), 'YYYYMMDD') AND to_char(CAST(:latest AS date), 'YYYYMMDD')
 ORDER BY day;

-- name: numbers_observed(tenant, entity_nos, attribute_nos, since, upto)
-- Observed values of the default dataset in (since, upto], oldest first: what figures are made of.
SELECT entity_no, attribute_no, observed_at, number, quality,
       CASE WHEN number IS NULL AND quality <> 'missing' THEN CAST(document AS text) END AS document
  FROM context.observation
 WHERE tenant = :tenant
   AND entity_no = ANY(CAST(:entity_nos AS bigint[]))
   AND attribute_no = ANY(CAST(:attribute_nos AS integer[]))
   AND observed_at > :since
   AND observed_at <= :upto
   AND dataset_no = 0
   AND observed
   AND superseded_at IS NULL
 ORDER BY entity_no, attribute_no, observed_at;

-- name: entities_observed(tenant, attribute_nos, since, upto)
-- Present entities with an observation of one of the attributes in (since, upto], in the order of their ids.
SELECT e.entity_id
  FROM context.entity AS e
 WHERE e.tenant = :tenant
   AND e.deleted_at IS NULL
   AND e.entity_no IN (
       SELECT o.entity_no
         FROM context.observation AS o
        WHERE o.tenant = :tenant
          AND o.attribute_no = ANY(CAST(:attribute_nos AS integer[]))
          AND o.observed_at > :since
          AND o.observed_at <= :upto
          AND o.observed
          AND o.superseded_at IS NULL)
 ORDER BY e.entity_id;

-- name: times_observed(tenant, attribute_nos, since, upto)
-- The times at which one of the attributes was observed in (since, upto], each once.
SELECT DISTINCT observed_at
  FROM context.observation
 WHERE tenant = :tenant
   AND attribute_no = ANY(CAST(:attribute_nos AS integer[]))
   AND observed_at > :since
   AND observed_at <= :upto
   AND observed
   AND superseded_at IS NULL;

-- name: numbers_observed_known_at(tenant, entity_nos, attribute_nos, since, upto, known_at)
-- The same as it was known at a moment: rows superseded since then count, rows learned since then do not.
SELECT entity_no, attribute_no, observed_at, number, quality,
       CASE WHEN number IS NULL AND quality <> 'missing' THEN CAST(document AS text) END AS document
  FROM context.observation
 WHERE tenant = :tenant
   AND entity_no = ANY(CAST(:entity_nos AS bigint[]))
   AND attribute_no = ANY(CAST(:attribute_nos AS integer[]))
   AND observed_at > :since
   AND observed_at <= :upto
   AND dataset_no = 0
   AND observed
   AND learned_at <= :known_at
   AND superseded_at IS NULL
UNION ALL
SELECT entity_no, attribute_no, observed_at, number, quality,
       CASE WHEN number IS NULL AND quality <> 'missing' THEN CAST(document AS text) END AS document
  FROM context.observation
 WHERE tenant = :tenant
   AND entity_no = ANY(CAST(:entity_nos AS bigint[]))
   AND attribute_no = ANY(CAST(:attribute_nos AS integer[]))
   AND observed_at > :since
   AND observed_at <= :upto
   AND dataset_no = 0
   AND observed
   AND learned_at <= :known_at
   AND superseded_at > :known_at
 ORDER BY entity_no, attribute_no, observed_at;

-- name: evolution_newest_first(tenant, entity_nos, attribute_nos, known_at, since, upto, observed_only, learned_since, learned_upto, deleted_too, last_n, most)
-- Instances of attributes through time within [since, upto), newest moment first, as known at a moment;
-- the newest `last_n` of each series where that is given.
WITH known AS (
       SELECT o.entity_no, o.attribute_no, o.dataset_no, o.unit_no, o.observed_at, o.learned_at, o.number,
              o.whole, o.quality, o.observed, o.deleted, o.instance_id, o.document
         FROM context.observation AS o
        WHERE o.tenant = :tenant
          AND o.entity_no = ANY(CAST(:entity_nos AS bigint[]))
          AND (CAST(:attribute_nos AS integer[]) IS NULL OR o.attribute_no = ANY(CAST(:attribute_nos AS integer[])))
          AND o.observed_at >= :since
          AND o.observed_at < :upto
          AND o.learned_at <= :known_at
          AND o.superseded_at IS NULL
       UNION ALL
       SELECT o.entity_no, o.attribute_no, o.dataset_no, o.unit_no, o.observed_at, o.learned_at, o.number,
              o.whole, o.quality, o.observed, o.deleted, o.instance_id, o.document
         FROM context.observation AS o
        WHERE o.tenant = :tenant
          AND o.entity_no = ANY(CAST(:entity_nos AS bigint[]))
          AND (CAST(:attribute_nos AS integer[]) IS NULL OR o.attribute_no = ANY(CAST(:attribute_nos AS integer[])))
          AND o.observed_at >= :since
          AND o.observed_at < :upto
          AND o.learned_at <= :known_at
          AND o.superseded_at > :known_at),
numbered AS (
       SELECT k.*,
              row_number() OVER (
                  PARTITION BY k.entity_no, k.attribute_no, k.dataset_no ORDER BY k.observed_at DESC) AS place
         FROM known AS k
        WHERE (k.observed OR NOT CAST(:observed_only AS boolean))
          AND (CAST(:deleted_too AS boolean) OR NOT k.deleted)
          AND k.learned_at >= :learned_since
          AND k.learned_at < :learned_upto)
SELECT k.entity_no, attribute.iri AS attribute, dataset.iri AS dataset, unit.iri AS unit,
       k.observed_at, k.learned_at, k.number, k.whole, k.quality, k.observed, k.deleted, k.instance_id,
       CAST(k.document AS text) AS document
  FROM numbered AS k
  JOIN context.name AS attribute ON attribute.tenant = :tenant AND attribute.name_no = k.attribute_no
  LEFT JOIN context.name AS dataset ON dataset.tenant = :tenant AND dataset.name_no = k.dataset_no
  LEFT JOIN context.name AS unit ON unit.tenant = :tenant AND unit.name_no = k.unit_no
 WHERE CAST(:last_n AS integer) IS NULL OR k.place <= CAST(:last_n AS integer)
 ORDER BY k.observed_at DESC
 LIMIT :most;

-- name: restrict_types(type_iris, audiences)!
-- Types that packs declare for fewer than everybody.
INSERT INTO context.restricted_type (type_iri, audience)
SELECT one.type_iri, one.audience
  FROM unnest(CAST(:type_iris AS text[]), CAST(:audiences AS text[])) AS one (type_iri, audience)
    ON CONFLICT (type_iri) DO UPDATE SET audience = excluded.audience;

-- name: release_types(type_iris)!
-- Types that no pack restricts any longer.
DELETE FROM context.restricted_type WHERE type_iri <> ALL(CAST(:type_iris AS text[]));
