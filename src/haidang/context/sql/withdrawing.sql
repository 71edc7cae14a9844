-- name: written_by_commits(tenant, entity_nos, learned_at, first_moments, last_moments)
-- What commits of entities wrote, whether it stands still, and what stood there before (for observed moments).
WITH wrote AS (
    SELECT one.entity_no, o.attribute_no, o.dataset_no, o.observed_at, o.observed, o.deleted, o.learned_at,
           o.superseded_at IS NULL AS standing
      FROM unnest(CAST(:entity_nos AS bigint[]), CAST(:learned_at AS timestamptz[]),
                  CAST(:first_moments AS timestamptz[]), CAST(:last_moments AS timestamptz[]))
           AS one (entity_no, learned_at, first_moment, last_moment)
     CROSS JOIN LATERAL (
           SELECT c.attribute_no, c.dataset_no, c.observed_at, c.observed, c.deleted, c.learned_at, c.superseded_at
             FROM context.observation AS c
            WHERE c.tenant = :tenant
              AND c.entity_no = one.entity_no
              AND c.observed_at BETWEEN one.first_moment AND one.last_moment
              AND c.learned_at = one.learned_at
              AND c.observed
            UNION ALL
           SELECT c.attribute_no, c.dataset_no, c.observed_at, c.observed, c.deleted, c.learned_at, c.superseded_at
             FROM context.observation AS c
            WHERE c.tenant = :tenant
              AND c.entity_no = one.entity_no
              AND c.observed_at BETWEEN one.learned_at AND one.learned_at + interval '1 second'
              AND c.learned_at = one.learned_at
              AND NOT c.observed) AS o
)
SELECT wrote.entity_no, attribute.iri AS attribute, dataset.iri AS dataset, wrote.observed_at, wrote.observed,
       wrote.deleted, wrote.standing, earlier.learned_at AS learned_at, earlier.number, earlier.whole,
       CAST(earlier.document AS text) AS document, earlier.quality, unit.iri AS unit
  FROM wrote
  JOIN context.name AS attribute ON attribute.tenant = :tenant AND attribute.name_no = wrote.attribute_no
  LEFT JOIN context.name AS dataset ON dataset.tenant = :tenant AND dataset.name_no = wrote.dataset_no
  LEFT JOIN LATERAL (
       SELECT e.learned_at, e.number, e.whole, e.document, e.quality, e.unit_no
         FROM context.observation AS e
        WHERE wrote.observed
          AND e.tenant = :tenant
          AND e.entity_no = wrote.entity_no
          AND e.attribute_no = wrote.attribute_no
          AND e.observed_at = wrote.observed_at
          AND e.dataset_no = wrote.dataset_no
          AND e.observed
          AND e.superseded_at = wrote.learned_at
        LIMIT 1) AS earlier ON true
  LEFT JOIN context.name AS unit ON unit.tenant = :tenant AND unit.name_no = earlier.unit_no
 ORDER BY wrote.entity_no, wrote.observed_at;

-- name: newest_of_others(tenant, entity_nos, attributes, datasets, observed, without)
-- The newest value of each of these attributes that stands and was not learned in one of these commits.
SELECT one.place, o.observed_at, o.number, o.whole, CAST(o.document AS text) AS document, o.quality, unit.iri AS unit
  FROM unnest(CAST(:entity_nos AS bigint[]), CAST(:attributes AS text[]), CAST(:datasets AS text[]),
              CAST(:observed AS boolean[]), CAST(:without AS text[]))
       WITH ORDINALITY AS one (entity_no, attribute, dataset, observed, without, place)
  JOIN context.name AS attribute ON attribute.tenant = :tenant AND attribute.iri = one.attribute
  LEFT JOIN context.name AS dataset ON dataset.tenant = :tenant AND dataset.iri = one.dataset
 CROSS JOIN LATERAL (SELECT CAST(one.without AS timestamptz[]) AS learned OFFSET 0) AS own
 CROSS JOIN LATERAL (
       SELECT c.observed_at, c.number, c.whole, c.document, c.quality, c.unit_no, c.deleted
         FROM context.observation AS c
        WHERE c.tenant = :tenant
          AND c.entity_no = one.entity_no
          AND c.attribute_no = attribute.name_no
          AND c.dataset_no = coalesce(dataset.name_no, 0)
          AND c.observed = one.observed
          AND c.superseded_at IS NULL
          AND c.quality <> 'missing'
          AND c.learned_at <> ALL(own.learned)
        ORDER BY c.observed_at DESC
        LIMIT 1) AS o
  LEFT JOIN context.name AS unit ON unit.tenant = :tenant AND unit.name_no = o.unit_no
 WHERE NOT o.deleted;
