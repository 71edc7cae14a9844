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

CREATE TABLE IF NOT EXISTS infra.access_token (
    token_hash bytea NOT NULL,
    actor_id text NOT NULL,
    tenant text NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT access_token_pkey PRIMARY KEY (token_hash)
);
