-- The schema of `context`: the city as it is and was. Tenant in every key, names expanded to IRIs.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS context;

-- Names of attributes, types, datasets and units, each once: observations carry four bytes instead.
CREATE TABLE IF NOT EXISTS context.name (
    tenant text NOT NULL,
    iri text NOT NULL,
    name_no integer GENERATED ALWAYS AS IDENTITY,
    CONSTRAINT name_pkey PRIMARY KEY (tenant, iri),
    CONSTRAINT name_no_is_unique UNIQUE (tenant, name_no)
);
COMMENT ON COLUMN context.name.tenant IS 'personal: no';
COMMENT ON COLUMN context.name.iri IS 'personal: no';

-- An entity as it is now. `document` is the normalized entity with expanded attribute names: each
-- name holds the list of its instances, one a dataset. A deleted entity keeps its row and number.
CREATE TABLE IF NOT EXISTS context.entity (
    tenant text NOT NULL,
    entity_id text NOT NULL,
    entity_no bigint GENERATED ALWAYS AS IDENTITY,
    types text [] NOT NULL,
    scope text [] NOT NULL DEFAULT '{}',
    document jsonb NOT NULL,
    box box,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    expires_at timestamptz,
    CONSTRAINT entity_pkey PRIMARY KEY (tenant, entity_id),
    CONSTRAINT entity_no_is_unique UNIQUE (tenant, entity_no)
) WITH (fillfactor = 70);
COMMENT ON COLUMN context.entity.tenant IS 'personal: no';
COMMENT ON COLUMN context.entity.entity_id IS 'personal: no';
COMMENT ON COLUMN context.entity.types IS 'personal: no';
COMMENT ON COLUMN context.entity.scope IS 'personal: no';
COMMENT ON COLUMN context.entity.document IS 'personal: no';

CREATE INDEX IF NOT EXISTS entity_box ON context.entity USING gist (box);

-- The entities of a type in the order of their numbers: a page of a type reads one stretch of it.
CREATE TABLE IF NOT EXISTS context.entity_of_type (
    tenant text NOT NULL,
    type_no integer NOT NULL,
    entity_no bigint NOT NULL,
    CONSTRAINT entity_of_type_pkey PRIMARY KEY (tenant, type_no, entity_no)
);
COMMENT ON COLUMN context.entity_of_type.tenant IS 'personal: no';

-- What an entity consisted of, from `learned_at` on: which instance of which attribute, named by
-- the key of its observation. One row for each commit that changed the entity's present state.
CREATE TABLE IF NOT EXISTS context.entity_version (
    tenant text NOT NULL,
    entity_no bigint NOT NULL,
    learned_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    deleted boolean NOT NULL,
    type_nos integer [] NOT NULL,
    scope text [] NOT NULL,
    attribute_nos integer [] NOT NULL,
    dataset_nos integer [] NOT NULL,
    moments timestamptz [] NOT NULL,
    observed boolean [] NOT NULL,
    CONSTRAINT entity_version_pkey PRIMARY KEY (tenant, entity_no, learned_at)
);
COMMENT ON COLUMN context.entity_version.tenant IS 'personal: no';
COMMENT ON COLUMN context.entity_version.scope IS 'personal: no';

-- Every value that every attribute had, one row an instance. `observed_at` is the instance's own
-- observedAt (`observed`), or else the moment it was written. A later value for the same moment
-- supersedes: the earlier row stays, with when and why. `number` is the value where the instance is
-- a plain number (`whole`: written without fraction); `document` is the instance where it is more.
CREATE TABLE IF NOT EXISTS context.observation (
    tenant text NOT NULL,
    entity_no bigint NOT NULL,
    observed_at timestamptz NOT NULL,
    learned_at timestamptz NOT NULL,
    superseded_at timestamptz,
    number double precision,
    attribute_no integer NOT NULL,
    dataset_no integer NOT NULL,
    unit_no integer NOT NULL,
    quality text NOT NULL,
    whole boolean NOT NULL,
    observed boolean NOT NULL,
    deleted boolean NOT NULL,
    instance_id uuid NOT NULL,
    superseded_why text,
    document jsonb,
    CONSTRAINT observation_quality_is_known CHECK (quality IN ('valid', 'suspect', 'invalid', 'missing')),
    CONSTRAINT observation_superseded_says_why CHECK (superseded_at IS NULL OR superseded_why IS NOT NULL)
) PARTITION BY RANGE (observed_at);
COMMENT ON COLUMN context.observation.tenant IS 'personal: no';
COMMENT ON COLUMN context.observation.quality IS 'personal: no';
COMMENT ON COLUMN context.observation.superseded_why IS 'personal: no';
COMMENT ON COLUMN context.observation.document IS 'personal: no';

CREATE UNIQUE INDEX IF NOT EXISTS observation_present
ON context.observation (tenant, entity_no, attribute_no, observed_at, dataset_no, observed)
WHERE superseded_at IS NULL;

CREATE INDEX IF NOT EXISTS observation_superseded
ON context.observation (tenant, entity_no, attribute_no, observed_at)
WHERE superseded_at IS NOT NULL;

-- Makes the partition of a day (UTC) when it is missing; says whether it did. There is no default
-- partition to move rows out of. ATTACH, unlike CREATE ... PARTITION OF, lets readers and writers go on.
CREATE OR REPLACE FUNCTION context.ensure_observation_day(wanted date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := 'observation_' || to_char(wanted, 'YYYYMMDD');
BEGIN
    IF to_regclass('context.' || partition_name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(1751214436, 20);
    IF to_regclass('context.' || partition_name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'CREATE TABLE context.%I (LIKE context.observation INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)',
        partition_name);
    EXECUTE format(
        'ALTER TABLE context.observation ATTACH PARTITION context.%I FOR VALUES FROM (%L) TO (%L)',
        partition_name,
        wanted::text || ' 00:00:00+00',
        (wanted + 1)::text || ' 00:00:00+00');
    RETURN true;
END
$$;

-- What one flush needs before it writes: numbers for its names and partitions for its days.
CREATE OR REPLACE FUNCTION context.prepare_flush(asked_tenant text, asked_iris text [], days date [])
RETURNS TABLE (name_iri text, name_number integer) LANGUAGE plpgsql AS $$
DECLARE
    day date;
BEGIN
    IF EXISTS (
        SELECT 1 FROM unnest(asked_iris) AS a (one)
         WHERE NOT EXISTS (SELECT 1 FROM context.name AS n WHERE n.tenant = asked_tenant AND n.iri = a.one)
    ) THEN
        INSERT INTO context.name (tenant, iri)
        SELECT asked_tenant, a.one FROM unnest(asked_iris) AS a (one)
         WHERE NOT EXISTS (SELECT 1 FROM context.name AS n WHERE n.tenant = asked_tenant AND n.iri = a.one)
         ORDER BY a.one
        ON CONFLICT DO NOTHING;
    END IF;
    FOREACH day IN ARRAY days LOOP
        PERFORM context.ensure_observation_day(day);
    END LOOP;
    RETURN QUERY
    SELECT n.iri, n.name_no FROM context.name AS n WHERE n.tenant = asked_tenant AND n.iri = ANY(asked_iris);
END
$$;

-- Types that packs declare for fewer than everybody. Empty: everything in the context is public.
CREATE TABLE IF NOT EXISTS context.restricted_type (
    type_iri text NOT NULL,
    audience text NOT NULL,
    CONSTRAINT restricted_type_pkey PRIMARY KEY (type_iri),
    CONSTRAINT restricted_type_audience_is_known
    CHECK (audience IN ('public', 'signed-in', 'officer', 'administrator', 'machine'))
);
COMMENT ON COLUMN context.restricted_type.type_iri IS 'personal: no';
COMMENT ON COLUMN context.restricted_type.audience IS 'personal: no';

-- The one way to read entities: whoever lists or opens one goes through here, so that who may see
-- what is a join. The planner inlines it. Deleted entities are in it; present readings leave them out.
CREATE OR REPLACE FUNCTION context.visible_entity(asked_tenant text, asked_audiences text [])
RETURNS TABLE (
    tenant text, entity_id text, entity_no bigint, types text [], scope text [], document jsonb, box box,
    created_at timestamptz, modified_at timestamptz, deleted_at timestamptz, expires_at timestamptz
) LANGUAGE sql STABLE AS $$
SELECT e.tenant, e.entity_id, e.entity_no, e.types, e.scope, e.document, e.box,
       e.created_at, e.modified_at, e.deleted_at, e.expires_at
  FROM context.entity AS e
 WHERE e.tenant = asked_tenant
   AND NOT EXISTS (
       SELECT 1 FROM context.restricted_type AS r
        WHERE r.type_iri = ANY(e.types) AND r.audience <> ALL(asked_audiences))
$$;
