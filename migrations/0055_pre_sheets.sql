-- Sheets that officers upload: files, agreed mappings, batches, what each batch wrote and refused. See ADR 0063.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE TABLE IF NOT EXISTS sources.sheet_file (
    tenant text NOT NULL,
    file_id uuid NOT NULL,
    content_id text NOT NULL,
    name text NOT NULL,
    size_bytes bigint NOT NULL,
    look jsonb NOT NULL,
    uploaded_at timestamptz NOT NULL,
    uploaded_by text NOT NULL,
    feed_id text,
    CONSTRAINT sheet_file_pkey PRIMARY KEY (tenant, file_id)
);
COMMENT ON TABLE sources.sheet_file IS 'Sheets as they were sent; the content is an object file';
COMMENT ON COLUMN sources.sheet_file.tenant IS 'personal: no';
COMMENT ON COLUMN sources.sheet_file.content_id IS 'personal: no';
COMMENT ON COLUMN sources.sheet_file.name IS
'personal: whatever its sender named the file; purpose: to recognise it; basis: public task; kept: 400 days';
COMMENT ON COLUMN sources.sheet_file.look IS 'personal: no; what the file is and the names of its sheets';
COMMENT ON COLUMN sources.sheet_file.uploaded_by IS
'personal: the name an officer said, unverified; purpose: to know who did it; basis: public task; kept: 400 days';
COMMENT ON COLUMN sources.sheet_file.feed_id IS 'personal: no';

CREATE INDEX IF NOT EXISTS sheet_file_content ON sources.sheet_file (tenant, content_id);

CREATE TABLE IF NOT EXISTS sources.sheet_mapping (
    tenant text NOT NULL,
    mapping_id uuid NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    heading_key text NOT NULL,
    mapping jsonb NOT NULL,
    saved_at timestamptz NOT NULL,
    saved_by text NOT NULL,
    CONSTRAINT sheet_mapping_pkey PRIMARY KEY (tenant, mapping_id, version),
    CONSTRAINT sheet_mapping_version_counts CHECK (version > 0)
);
COMMENT ON TABLE sources.sheet_mapping IS 'How sheets with these headings are read, each version kept';
COMMENT ON COLUMN sources.sheet_mapping.tenant IS 'personal: no';
COMMENT ON COLUMN sources.sheet_mapping.name IS 'personal: no';
COMMENT ON COLUMN sources.sheet_mapping.heading_key IS 'personal: no';
COMMENT ON COLUMN sources.sheet_mapping.mapping IS 'personal: no';
COMMENT ON COLUMN sources.sheet_mapping.saved_by IS
'personal: the name an officer said, unverified; purpose: to know who did it; basis: public task; kept: 400 days';

CREATE INDEX IF NOT EXISTS sheet_mapping_heading ON sources.sheet_mapping (tenant, heading_key, saved_at DESC);

CREATE TABLE IF NOT EXISTS sources.sheet_batch (
    tenant text NOT NULL,
    batch_id uuid NOT NULL,
    file_id uuid NOT NULL,
    mapping_id uuid NOT NULL,
    mapping_version integer NOT NULL,
    choice jsonb NOT NULL,
    last_heading integer NOT NULL,
    mapping jsonb NOT NULL,
    state text NOT NULL,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_taken bigint NOT NULL DEFAULT 0,
    rows_refused bigint NOT NULL DEFAULT 0,
    values_written bigint NOT NULL DEFAULT 0,
    cells_refused bigint NOT NULL DEFAULT 0,
    values_withdrawn bigint NOT NULL DEFAULT 0,
    values_left bigint NOT NULL DEFAULT 0,
    asked_at timestamptz NOT NULL,
    asked_by text NOT NULL,
    ended_at timestamptz,
    undo_asked_at timestamptz,
    undo_asked_by text,
    undone_at timestamptz,
    trouble text,
    CONSTRAINT sheet_batch_pkey PRIMARY KEY (tenant, batch_id),
    CONSTRAINT sheet_batch_state_is_known
    CHECK (state IN ('waiting', 'taking', 'taken', 'failed', 'undoing', 'undone'))
);
COMMENT ON TABLE sources.sheet_batch IS 'Sheets that were taken, each as one batch that can be taken back';
COMMENT ON COLUMN sources.sheet_batch.tenant IS 'personal: no';
COMMENT ON COLUMN sources.sheet_batch.choice IS 'personal: no';
COMMENT ON COLUMN sources.sheet_batch.mapping IS 'personal: no';
COMMENT ON COLUMN sources.sheet_batch.state IS 'personal: no';
COMMENT ON COLUMN sources.sheet_batch.asked_by IS
'personal: the name an officer said, unverified; purpose: to know who did it; basis: public task; kept: 400 days';
COMMENT ON COLUMN sources.sheet_batch.undo_asked_by IS
'personal: the name an officer said, unverified; purpose: to know who did it; basis: public task; kept: 400 days';
COMMENT ON COLUMN sources.sheet_batch.trouble IS 'personal: no';

CREATE INDEX IF NOT EXISTS sheet_batch_newest ON sources.sheet_batch (tenant, asked_at DESC, batch_id);
CREATE INDEX IF NOT EXISTS sheet_batch_of_file ON sources.sheet_batch (tenant, file_id);

-- Which commits of the context a batch made: (entity, learned_at) names one, first and last are its moments.
CREATE TABLE IF NOT EXISTS sources.sheet_commit (
    tenant text NOT NULL,
    batch_id uuid NOT NULL,
    entity_id text NOT NULL,
    learned_at timestamptz NOT NULL,
    first_moment timestamptz NOT NULL,
    last_moment timestamptz NOT NULL,
    created boolean NOT NULL,
    withdrawn_at timestamptz,
    CONSTRAINT sheet_commit_pkey PRIMARY KEY (tenant, batch_id, entity_id, learned_at)
);
COMMENT ON TABLE sources.sheet_commit IS 'What each batch wrote, by the commits of the context';
COMMENT ON COLUMN sources.sheet_commit.tenant IS 'personal: no';
COMMENT ON COLUMN sources.sheet_commit.entity_id IS 'personal: no';

-- Cells that did not enter, up to a bound a batch.
CREATE TABLE IF NOT EXISTS sources.sheet_refusal (
    tenant text NOT NULL,
    batch_id uuid NOT NULL,
    refusal_no bigint NOT NULL,
    row_number bigint NOT NULL,
    column_title text NOT NULL,
    reason text NOT NULL,
    shown text NOT NULL,
    CONSTRAINT sheet_refusal_pkey PRIMARY KEY (tenant, batch_id, refusal_no)
);
COMMENT ON TABLE sources.sheet_refusal IS 'Cells and rows of a batch that did not enter, with the reason';
COMMENT ON COLUMN sources.sheet_refusal.tenant IS 'personal: no';
COMMENT ON COLUMN sources.sheet_refusal.column_title IS 'personal: no';
COMMENT ON COLUMN sources.sheet_refusal.reason IS 'personal: no';
COMMENT ON COLUMN sources.sheet_refusal.shown IS
'personal: a fragment of what a person typed by mistake; purpose: to mend it; basis: public task; kept: 400 days';
