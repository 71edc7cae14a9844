-- The schema of `infra`: what every room stands on.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS infra;

CREATE TABLE IF NOT EXISTS infra.province_setting (
    tenant text NOT NULL,
    name text NOT NULL,
    value jsonb NOT NULL,
    modified_at timestamptz NOT NULL,
    modified_by text NOT NULL,
    CONSTRAINT province_setting_pkey PRIMARY KEY (tenant, name)
);

COMMENT ON TABLE infra.province_setting IS 'What a province has decided about itself.';
COMMENT ON COLUMN infra.province_setting.tenant IS 'personal: no';
COMMENT ON COLUMN infra.province_setting.name IS 'personal: no';
COMMENT ON COLUMN infra.province_setting.value IS 'personal: no';
COMMENT ON COLUMN infra.province_setting.modified_by IS
'personal: pseudonymous id of who changed it; purpose: accountability; basis: public duty; kept: while the setting stands';

CREATE TABLE IF NOT EXISTS infra.province_setting_change (
    change_id bigint GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL,
    name text NOT NULL,
    former jsonb,
    value jsonb,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    CONSTRAINT province_setting_change_pkey PRIMARY KEY (tenant, change_id)
);

COMMENT ON TABLE infra.province_setting_change IS 'Who changed a setting of the province, when, from what to what.';
COMMENT ON COLUMN infra.province_setting_change.tenant IS 'personal: no';
COMMENT ON COLUMN infra.province_setting_change.name IS 'personal: no';
COMMENT ON COLUMN infra.province_setting_change.former IS 'personal: no';
COMMENT ON COLUMN infra.province_setting_change.value IS 'personal: no';
COMMENT ON COLUMN infra.province_setting_change.changed_by IS
'personal: pseudonymous id of who changed it; purpose: accountability; basis: public duty; kept: 10 years';

CREATE TABLE IF NOT EXISTS infra.access_token (
    token_hash bytea NOT NULL,
    actor_id text NOT NULL,
    tenant text NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT access_token_pkey PRIMARY KEY (token_hash)
);

COMMENT ON TABLE infra.access_token IS 'Access tokens of machines, by their SHA-256 only.';
COMMENT ON COLUMN infra.access_token.token_hash IS 'personal: no';
COMMENT ON COLUMN infra.access_token.actor_id IS 'personal: no';
COMMENT ON COLUMN infra.access_token.tenant IS 'personal: no';
COMMENT ON COLUMN infra.access_token.label IS 'personal: no';
COMMENT ON COLUMN infra.access_token.created_by IS
'personal: pseudonymous id of who issued it; purpose: accountability; basis: public duty; kept: 2 years after it ends';

COMMENT ON COLUMN infra.migration.name IS 'personal: no';
COMMENT ON COLUMN infra.migration.checksum IS 'personal: no';
