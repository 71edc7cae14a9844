-- Who had quarantined messages judged again, which ones, and what came of it. See ADR 0067.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE TABLE IF NOT EXISTS sources.replay (
    tenant text NOT NULL,
    replay_id uuid NOT NULL,
    quarantine_id uuid,
    source_id text,
    reason text,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    messages bigint NOT NULL,
    settled bigint NOT NULL DEFAULT 0,
    still_refused bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    ended_at timestamptz,
    CONSTRAINT replay_pkey PRIMARY KEY (tenant, replay_id)
);
COMMENT ON TABLE sources.replay IS 'Replays of the quarantine: of one message, or of all that a filter chose';
COMMENT ON COLUMN sources.replay.tenant IS 'personal: no';
COMMENT ON COLUMN sources.replay.source_id IS 'personal: no';
COMMENT ON COLUMN sources.replay.reason IS 'personal: no';
COMMENT ON COLUMN sources.replay.asked_by IS
'personal: the name an officer gave on duty; purpose: to know who let data in; basis: public task; kept: 400 days';

CREATE INDEX IF NOT EXISTS replay_newest ON sources.replay (tenant, asked_at DESC, replay_id);
