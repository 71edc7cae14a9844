-- Which release of each pack's facts the entities were made from.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE TABLE IF NOT EXISTS context.facts_release (
    tenant text NOT NULL,
    facts_id text NOT NULL,
    checksum text NOT NULL,
    entity_ids text [] NOT NULL,
    loaded_at timestamptz NOT NULL,
    CONSTRAINT facts_release_pkey PRIMARY KEY (tenant, facts_id)
);
COMMENT ON COLUMN context.facts_release.tenant IS 'personal: no';
COMMENT ON COLUMN context.facts_release.facts_id IS 'personal: no';
COMMENT ON COLUMN context.facts_release.checksum IS 'personal: no';
COMMENT ON COLUMN context.facts_release.entity_ids IS 'personal: no';
