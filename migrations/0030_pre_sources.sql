-- The schema of `sources`: who was heard when, and what was refused, with its payload and reason. See ADR 0030.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS sources;

-- What each source has sent us, counted.
CREATE TABLE IF NOT EXISTS sources.source (
    tenant text NOT NULL,
    source_id text NOT NULL,
    messages bigint NOT NULL DEFAULT 0,
    refusals bigint NOT NULL DEFAULT 0,
    last_received_at timestamptz NOT NULL,
    CONSTRAINT source_pkey PRIMARY KEY (tenant, source_id)
);
COMMENT ON TABLE sources.source IS 'What each source has sent, counted';
COMMENT ON COLUMN sources.source.tenant IS 'personal: no';
COMMENT ON COLUMN sources.source.source_id IS 'personal: no';

-- The subject is an entity that a source speaks of, or the source itself (urn:haidang:source:…).
CREATE TABLE IF NOT EXISTS sources.freshness (
    tenant text NOT NULL,
    source_id text NOT NULL,
    subject text NOT NULL,
    last_received_at timestamptz NOT NULL,
    last_observed_at timestamptz NOT NULL,
    late_since timestamptz,
    CONSTRAINT freshness_pkey PRIMARY KEY (tenant, source_id, subject)
) WITH (fillfactor = 70);
COMMENT ON TABLE sources.freshness IS 'When each source and each of its entities was last heard, and since when it is late';
COMMENT ON COLUMN sources.freshness.tenant IS 'personal: no';
COMMENT ON COLUMN sources.freshness.source_id IS 'personal: no';
COMMENT ON COLUMN sources.freshness.subject IS 'personal: no';

-- One row for each different payload that was refused for a reason on a day, with a count.
CREATE TABLE IF NOT EXISTS sources.quarantine (
    tenant text NOT NULL,
    quarantine_id uuid NOT NULL,
    source_id text NOT NULL,
    reason text NOT NULL,
    day date NOT NULL,
    digest bytea NOT NULL,
    detail text NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    payload_bytes bigint NOT NULL,
    decoder_version text NOT NULL,
    times bigint NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    replays integer NOT NULL DEFAULT 0,
    replayed_at timestamptz,
    settled_at timestamptz,
    CONSTRAINT quarantine_pkey PRIMARY KEY (tenant, quarantine_id),
    CONSTRAINT quarantine_is_kept_once_a_day UNIQUE (tenant, source_id, reason, day, digest),
    CONSTRAINT quarantine_was_received CHECK (times > 0)
);
COMMENT ON TABLE sources.quarantine IS 'Payloads that were refused, each with its reason';
COMMENT ON COLUMN sources.quarantine.tenant IS 'personal: no';
COMMENT ON COLUMN sources.quarantine.source_id IS 'personal: no';
COMMENT ON COLUMN sources.quarantine.reason IS 'personal: no';
COMMENT ON COLUMN sources.quarantine.digest IS 'personal: no';
COMMENT ON COLUMN sources.quarantine.detail IS
'personal: a fragment of what a device sent by mistake; purpose: to find and mend the fault; basis: public task; kept: 30 days';
COMMENT ON COLUMN sources.quarantine.topic IS 'personal: no';
COMMENT ON COLUMN sources.quarantine.payload IS
'personal: whatever a device sent by mistake; purpose: to find and mend the fault and replay it; basis: public task; kept: 30 days';
COMMENT ON COLUMN sources.quarantine.decoder_version IS 'personal: no';

CREATE INDEX IF NOT EXISTS quarantine_unsettled
ON sources.quarantine (tenant, last_received_at DESC, quarantine_id) WHERE settled_at IS NULL;

-- How often a reason was met on a day, and how much of it was kept: what bounds the table above.
CREATE TABLE IF NOT EXISTS sources.quarantine_tally (
    tenant text NOT NULL,
    source_id text NOT NULL,
    reason text NOT NULL,
    day date NOT NULL,
    times bigint NOT NULL,
    kept bigint NOT NULL DEFAULT 0,
    kept_bytes bigint NOT NULL DEFAULT 0,
    CONSTRAINT quarantine_tally_pkey PRIMARY KEY (tenant, source_id, reason, day)
);
COMMENT ON TABLE sources.quarantine_tally IS 'How often each reason was met on a day, kept or not';
COMMENT ON COLUMN sources.quarantine_tally.tenant IS 'personal: no';
COMMENT ON COLUMN sources.quarantine_tally.source_id IS 'personal: no';
COMMENT ON COLUMN sources.quarantine_tally.reason IS 'personal: no';
