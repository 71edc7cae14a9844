-- name: lock_entities(tenant, entity_ids)
-- The entities of these ids, locked one after the other in id order.
SELECT entity_id, entity_no, types, scope, CAST(document AS text) AS document,
       created_at, modified_at, deleted_at
  FROM context.entity
 WHERE tenant = :tenant
   AND entity_id = ANY(CAST(:entity_ids AS text[]))
 ORDER BY entity_id
   FOR NO KEY UPDATE;

-- name: prepare_flush(tenant, iris, days)
-- Numbers for names, partitions for days.
SELECT name_iri, name_number
  FROM context.prepare_flush(:tenant, CAST(:iris AS text[]), CAST(:days AS date[]));

-- name: insert_entities(tenant, entity_ids, types, scopes, documents, boxes, created_at, modified_at, deleted_at)
-- New entities in id order; one that another writer made first is left out of what is returned.
INSERT INTO context.entity
       (tenant, entity_id, types, scope, document, box, created_at, modified_at, deleted_at)
SELECT :tenant, one.entity_id, string_to_array(one.types, chr(31)), string_to_array(one.scope, chr(31)),
       CAST(one.document AS jsonb), CAST(one.box AS box), one.created_at, one.modified_at, one.deleted_at
  FROM unnest(CAST(:entity_ids AS text[]), CAST(:types AS text[]), CAST(:scopes AS text[]),
              CAST(:documents AS text[]), CAST(:boxes AS text[]), CAST(:created_at AS timestamptz[]),
              CAST(:modified_at AS timestamptz[]), CAST(:deleted_at AS timestamptz[]))
       AS one (entity_id, types, scope, document, box, created_at, modified_at, deleted_at)
 ORDER BY one.entity_id
    ON CONFLICT DO NOTHING
RETURNING entity_id, entity_no;

-- name: update_entities(tenant, entity_nos, types, scopes, documents, moved, boxes, created_at, modified_at, deleted_at)!
-- The new present state of entities that this transaction has locked.
UPDATE context.entity AS e
   SET types = string_to_array(one.types, chr(31)),
       scope = string_to_array(one.scope, chr(31)),
       document = CAST(one.document AS jsonb),
       box = CASE WHEN one.moved THEN CAST(one.box AS box) ELSE e.box END,
       created_at = one.created_at,
       modified_at = one.modified_at,
       deleted_at = one.deleted_at
  FROM unnest(CAST(:entity_nos AS bigint[]), CAST(:types AS text[]), CAST(:scopes AS text[]),
              CAST(:documents AS text[]), CAST(:moved AS boolean[]), CAST(:boxes AS text[]),
              CAST(:created_at AS timestamptz[]), CAST(:modified_at AS timestamptz[]),
              CAST(:deleted_at AS timestamptz[]))
       AS one (entity_no, types, scope, document, moved, box, created_at, modified_at, deleted_at)
 WHERE e.tenant = :tenant
   AND e.entity_no = one.entity_no;

-- name: leave_types(tenant, type_nos, entity_nos)!
-- Entities leave the lists of types that they no longer have.
DELETE FROM context.entity_of_type AS t
 USING unnest(CAST(:type_nos AS integer[]), CAST(:entity_nos AS bigint[])) AS one (type_no, entity_no)
 WHERE t.tenant = :tenant
   AND t.type_no = one.type_no
   AND t.entity_no = one.entity_no;

-- name: enter_types(tenant, type_nos, entity_nos)!
-- Enter entities into the lists of their types.
INSERT INTO context.entity_of_type (tenant, type_no, entity_no)
SELECT :tenant, one.type_no, one.entity_no
  FROM unnest(CAST(:type_nos AS integer[]), CAST(:entity_nos AS bigint[])) AS one (type_no, entity_no)
 ORDER BY one.type_no, one.entity_no
    ON CONFLICT DO NOTHING;

-- name: insert_versions(tenant, entity_nos, learned_at, created_at, deleted, type_nos, scopes, attribute_nos, dataset_nos, moments, observed)!
-- What each entity consists of from now on, as keys of observations.
INSERT INTO context.entity_version
       (tenant, entity_no, learned_at, created_at, deleted, type_nos, scope,
        attribute_nos, dataset_nos, moments, observed)
SELECT :tenant, one.entity_no, one.learned_at, one.created_at, one.deleted,
       CAST(one.type_nos AS integer[]), string_to_array(one.scope, chr(31)),
       CAST(one.attribute_nos AS integer[]), CAST(one.dataset_nos AS integer[]),
       CAST(one.moments AS timestamptz[]), CAST(one.observed AS boolean[])
  FROM unnest(CAST(:entity_nos AS bigint[]), CAST(:learned_at AS timestamptz[]),
              CAST(:created_at AS timestamptz[]), CAST(:deleted AS boolean[]), CAST(:type_nos AS text[]),
              CAST(:scopes AS text[]), CAST(:attribute_nos AS text[]), CAST(:dataset_nos AS text[]),
              CAST(:moments AS text[]), CAST(:observed AS text[]))
       AS one (entity_no, learned_at, created_at, deleted, type_nos, scope,
               attribute_nos, dataset_nos, moments, observed)
 ORDER BY one.entity_no;

-- name: present_observations(tenant, entity_nos, attribute_nos, dataset_nos, moments, earliest, latest)
-- What the history holds for these keys (by their place in the lists); the bounds prune the partitions.
SELECT one.place, held.number, held.whole, CAST(held.document AS text) AS document, held.quality,
       held.learned_at, unit.iri AS unit
  FROM unnest(CAST(:entity_nos AS bigint[]), CAST(:attribute_nos AS integer[]),
              CAST(:dataset_nos AS integer[]), CAST(:moments AS timestamptz[]))
       WITH ORDINALITY AS one (entity_no, attribute_no, dataset_no, moment, place)
 CROSS JOIN LATERAL (
       SELECT o.number, o.whole, o.document, o.quality, o.unit_no, o.learned_at
         FROM context.observation AS o
        WHERE o.tenant = :tenant
          AND o.entity_no = one.entity_no
          AND o.attribute_no = one.attribute_no
          AND o.observed_at = one.moment
          AND o.observed_at BETWEEN :earliest AND :latest
          AND o.dataset_no = one.dataset_no
          AND o.observed
          AND o.superseded_at IS NULL
        LIMIT 1) AS held
  LEFT JOIN context.name AS unit
    ON unit.tenant = :tenant AND unit.name_no = held.unit_no;

-- name: supersede_observations(tenant, entity_nos, attribute_nos, dataset_nos, moments, whys, at, earliest, latest)!
-- Later values are known for these keys: the earlier ones stay, with since when they are superseded and why.
UPDATE context.observation AS o
   SET superseded_at = one.at,
       superseded_why = one.why
  FROM unnest(CAST(:entity_nos AS bigint[]), CAST(:attribute_nos AS integer[]),
              CAST(:dataset_nos AS integer[]), CAST(:moments AS timestamptz[]), CAST(:whys AS text[]),
              CAST(:at AS timestamptz[]))
       AS one (entity_no, attribute_no, dataset_no, moment, why, at)
 WHERE o.tenant = :tenant
   AND o.entity_no = one.entity_no
   AND o.attribute_no = one.attribute_no
   AND o.observed_at = one.moment
   AND o.observed_at BETWEEN :earliest AND :latest
   AND o.dataset_no = one.dataset_no
   AND o.observed
   AND o.superseded_at IS NULL;

-- name: insert_observations(tenant, entity_nos, observed_at, learned_at, superseded_at, numbers, attribute_nos, dataset_nos, unit_nos, qualities, whole, observed, deleted, instance_ids, whys, documents)!
-- Rows of the history, sorted as the index has them.
INSERT INTO context.observation
       (tenant, entity_no, observed_at, learned_at, superseded_at, number, attribute_no, dataset_no,
        unit_no, quality, whole, observed, deleted, instance_id, superseded_why, document)
SELECT :tenant, one.entity_no, one.observed_at, one.learned_at, one.superseded_at, one.number,
       one.attribute_no, one.dataset_no, one.unit_no, one.quality, one.whole, one.observed, one.deleted,
       one.instance_id, one.why, CAST(one.document AS jsonb)
  FROM unnest(CAST(:entity_nos AS bigint[]), CAST(:observed_at AS timestamptz[]),
              CAST(:learned_at AS timestamptz[]), CAST(:superseded_at AS timestamptz[]),
              CAST(:numbers AS double precision[]), CAST(:attribute_nos AS integer[]),
              CAST(:dataset_nos AS integer[]), CAST(:unit_nos AS integer[]), CAST(:qualities AS text[]),
              CAST(:whole AS boolean[]), CAST(:observed AS boolean[]), CAST(:deleted AS boolean[]),
              CAST(:instance_ids AS uuid[]), CAST(:whys AS text[]), CAST(:documents AS text[]))
       AS one (entity_no, observed_at, learned_at, superseded_at, number, attribute_no, dataset_no,
               unit_no, quality, whole, observed, deleted, instance_id, why, document)
 ORDER BY one.entity_no, one.attribute_no, one.observed_at;

-- name: ensure_days(days)
-- Partitions for days, ahead of need.
SELECT day, context.ensure_observation_day(day) AS made
  FROM unnest(CAST(:days AS date[])) AS wanted (day);
