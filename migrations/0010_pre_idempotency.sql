-- Answers to writes that carried an Idempotency-Key, kept for a day so that a repeated request
-- gets the same answer and does nothing twice. See docs/explanation/safe-edges.md.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

CREATE TABLE IF NOT EXISTS infra.idempotency_receipt (
    tenant text NOT NULL,
    actor_id text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    -- The answer is empty only inside the transaction that is still making it.
    status integer,
    headers jsonb,
    body bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT idempotency_receipt_pkey PRIMARY KEY (tenant, actor_id, route, key),
    CONSTRAINT idempotency_receipt_key_is_short CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_receipt_status_is_http CHECK (status BETWEEN 200 AND 599),
    CONSTRAINT idempotency_receipt_answer_is_whole
    CHECK (num_nonnulls(status, headers, body) IN (0, 3)),
    CONSTRAINT idempotency_receipt_expires CHECK (expires_at > created_at)
);
CREATE INDEX IF NOT EXISTS idempotency_receipt_expires_at_idx ON infra.idempotency_receipt (expires_at);

COMMENT ON TABLE infra.idempotency_receipt IS
'Answers to writes that carried an Idempotency-Key, for as long as a client may repeat them';
COMMENT ON COLUMN infra.idempotency_receipt.tenant IS 'personal: no';
COMMENT ON COLUMN infra.idempotency_receipt.actor_id IS
'personal: pseudonymous id of who acted; purpose: not doing a write twice; basis: public task; kept: 24 hours';
COMMENT ON COLUMN infra.idempotency_receipt.route IS 'personal: no';
COMMENT ON COLUMN infra.idempotency_receipt.key IS 'personal: no';
COMMENT ON COLUMN infra.idempotency_receipt.fingerprint IS 'personal: no';
COMMENT ON COLUMN infra.idempotency_receipt.headers IS 'personal: no';
COMMENT ON COLUMN infra.idempotency_receipt.body IS
'personal: whatever the answer to the write held; purpose: repeating that answer; basis: public task; kept: 24 hours';
