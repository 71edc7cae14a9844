-- The event log: envelopes, the tickets taken at commit, and the positions given after it. See ADR 0015.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

-- One ticket after another, in real time and across sessions: a cache would break the order.
CREATE SEQUENCE IF NOT EXISTS infra.event_ticket AS bigint CACHE 1;

CREATE TABLE IF NOT EXISTS infra.event (
    event_no bigint GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL,
    kind text NOT NULL,
    version integer NOT NULL,
    subject text NOT NULL,
    actor_id text NOT NULL,
    cause text,
    trace_id text,
    published_at timestamptz NOT NULL,
    payload text NOT NULL,
    CONSTRAINT event_pkey PRIMARY KEY (event_no),
    CONSTRAINT event_has_a_kind CHECK (kind <> ''),
    CONSTRAINT event_version_is_positive CHECK (version > 0)
);
COMMENT ON TABLE infra.event IS 'Facts as they were published, in the transaction that made them true';
COMMENT ON COLUMN infra.event.tenant IS 'personal: no';
COMMENT ON COLUMN infra.event.kind IS 'personal: no';
COMMENT ON COLUMN infra.event.subject IS 'personal: no';
COMMENT ON COLUMN infra.event.actor_id IS
'personal: pseudonymous id of who acted; purpose: accountability; basis: public task; kept: as long as the event';
COMMENT ON COLUMN infra.event.cause IS 'personal: no';
COMMENT ON COLUMN infra.event.trace_id IS 'personal: no';
COMMENT ON COLUMN infra.event.payload IS 'personal: no';

-- Committed events without a position: narrow, nearly always empty, emptied by the sequencer.
CREATE TABLE IF NOT EXISTS infra.event_pending (
    ticket bigint NOT NULL,
    event_no bigint NOT NULL,
    transaction_id xid8 NOT NULL,
    kind text NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0
);
COMMENT ON COLUMN infra.event_pending.kind IS 'personal: no';

CREATE TABLE IF NOT EXISTS infra.event_position (
    position bigint NOT NULL,
    event_no bigint NOT NULL,
    kind text NOT NULL,
    CONSTRAINT event_position_pkey PRIMARY KEY (position)
);
COMMENT ON COLUMN infra.event_position.kind IS 'personal: no';

-- The last position given. A row and not max(position): pruning must never make positions start again.
CREATE TABLE IF NOT EXISTS infra.event_head (
    only_one boolean NOT NULL DEFAULT true,
    position bigint NOT NULL,
    CONSTRAINT event_head_pkey PRIMARY KEY (only_one),
    CONSTRAINT event_head_is_one_row CHECK (only_one)
) WITH (fillfactor = 10);
INSERT INTO infra.event_head (position) VALUES (0) ON CONFLICT DO NOTHING;

-- Runs while the transaction commits, after everything it read and wrote: whoever can have seen
-- this transaction's effects takes a later ticket.
CREATE OR REPLACE FUNCTION infra.take_event_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO infra.event_pending (ticket, event_no, transaction_id, kind)
    VALUES (nextval('infra.event_ticket'), NEW.event_no, pg_current_xact_id(), NEW.kind);
    PERFORM pg_notify('haidang_event_published', '');
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS event_takes_a_ticket_at_commit ON infra.event;
CREATE CONSTRAINT TRIGGER event_takes_a_ticket_at_commit
AFTER INSERT ON infra.event DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION infra.take_event_ticket();

CREATE TABLE IF NOT EXISTS infra.event_consumer (
    consumer text NOT NULL,
    listens_to text [] NOT NULL,
    position bigint NOT NULL,
    advanced_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    last_error text,
    last_error_at timestamptz,
    held_at timestamptz,
    held_by text,
    held_reason text,
    CONSTRAINT event_consumer_pkey PRIMARY KEY (consumer),
    CONSTRAINT event_consumer_hold_is_whole CHECK (num_nulls(held_at, held_by, held_reason) IN (0, 3))
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
COMMENT ON COLUMN infra.event_consumer.consumer IS 'personal: no';
COMMENT ON COLUMN infra.event_consumer.listens_to IS 'personal: no';
COMMENT ON COLUMN infra.event_consumer.last_error IS 'personal: no';
COMMENT ON COLUMN infra.event_consumer.held_by IS
'personal: pseudonymous id of who held it; purpose: accountability; basis: public task; kept: while it is held';
COMMENT ON COLUMN infra.event_consumer.held_reason IS 'personal: no';

-- Events that a person decided a consumer shall pass over, whole, so that pruning cannot take them.
CREATE TABLE IF NOT EXISTS infra.event_dead_letter (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY,
    consumer text NOT NULL,
    position bigint NOT NULL,
    kind text NOT NULL,
    version integer NOT NULL,
    tenant text NOT NULL,
    subject text NOT NULL,
    actor_id text NOT NULL,
    cause text,
    trace_id text,
    published_at timestamptz NOT NULL,
    payload text NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    skipped_at timestamptz NOT NULL,
    skipped_by text NOT NULL,
    why text NOT NULL,
    replay_wanted_at timestamptz,
    replay_wanted_by text,
    CONSTRAINT event_dead_letter_pkey PRIMARY KEY (dead_letter_id),
    CONSTRAINT event_dead_letter_once UNIQUE (consumer, position)
);
COMMENT ON COLUMN infra.event_dead_letter.consumer IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.kind IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.tenant IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.subject IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.actor_id IS
'personal: pseudonymous id of who acted; purpose: accountability; basis: public task; kept: until replayed or discarded';
COMMENT ON COLUMN infra.event_dead_letter.cause IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.trace_id IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.payload IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.last_error IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.skipped_by IS
'personal: pseudonymous id of who skipped it; purpose: accountability; basis: public task; kept: until replayed or discarded';
COMMENT ON COLUMN infra.event_dead_letter.why IS 'personal: no';
COMMENT ON COLUMN infra.event_dead_letter.replay_wanted_by IS
'personal: pseudonymous id of who asked; purpose: accountability; basis: public task; kept: until replayed or discarded';
