-- Folders and addresses that are looked at for new sheets on a schedule, and what came of each file. See ADR 0069.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE TABLE IF NOT EXISTS sources.sheet_feed (
    tenant text NOT NULL,
    feed_id uuid NOT NULL,
    name text NOT NULL,
    place text NOT NULL,
    mapping_id uuid NOT NULL,
    every_minutes integer NOT NULL,
    most_refused_percent integer NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    added_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    next_look_at timestamptz NOT NULL,
    looked_at timestamptz,
    brought_at timestamptz,
    etag text,
    last_modified text,
    trouble jsonb,
    CONSTRAINT sheet_feed_pkey PRIMARY KEY (tenant, feed_id),
    CONSTRAINT sheet_feed_looks_within_a_month CHECK (every_minutes BETWEEN 1 AND 44640),
    CONSTRAINT sheet_feed_refuses_a_share CHECK (most_refused_percent BETWEEN 0 AND 100)
);
COMMENT ON TABLE sources.sheet_feed IS 'Folders and addresses that are looked at for new sheets';
COMMENT ON COLUMN sources.sheet_feed.tenant IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed.name IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed.place IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed.changed_by IS
'personal: the name an officer said, unverified; purpose: to know who did it; basis: public task; kept: 400 days';
COMMENT ON COLUMN sources.sheet_feed.etag IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed.last_modified IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed.trouble IS 'personal: no';

CREATE TABLE IF NOT EXISTS sources.sheet_feed_file (
    tenant text NOT NULL,
    feed_id uuid NOT NULL,
    fingerprint text NOT NULL,
    name text NOT NULL,
    outcome text NOT NULL,
    file_id uuid,
    batch_id uuid,
    reason jsonb,
    seen_at timestamptz NOT NULL,
    CONSTRAINT sheet_feed_file_pkey PRIMARY KEY (tenant, feed_id, fingerprint),
    CONSTRAINT sheet_feed_file_outcome_is_known CHECK (outcome IN ('taken', 'waits', 'refused', 'known'))
);
COMMENT ON TABLE sources.sheet_feed_file IS 'What came of each file that a feed brought';
COMMENT ON COLUMN sources.sheet_feed_file.tenant IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed_file.fingerprint IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed_file.name IS
'personal: whatever its sender named the file; purpose: to recognise it; basis: public task; kept: 400 days';
COMMENT ON COLUMN sources.sheet_feed_file.outcome IS 'personal: no';
COMMENT ON COLUMN sources.sheet_feed_file.reason IS 'personal: no';

CREATE INDEX IF NOT EXISTS sheet_feed_file_newest ON sources.sheet_feed_file (tenant, feed_id, seen_at DESC);
