-- A notification makes every committing transaction of the server wait in one line for the disk. A
-- publisher sends one only when the sequencer sleeps; awake, it looks by itself (ADR 0015).
SET lock_timeout = '4s';
SET statement_timeout = '5s';

-- Locks of room 0x68616964: 1 the sequencer's lead, 2 it is awake, 3 somebody is committing events.
CREATE OR REPLACE FUNCTION infra.take_event_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Held until the commit is visible: the sequencer falls asleep only when nobody holds it.
    PERFORM pg_advisory_xact_lock_shared(1751214436, 3);
    INSERT INTO infra.event_pending (ticket, event_no, transaction_id, kind)
    VALUES (nextval('infra.event_ticket'), NEW.event_no, pg_current_xact_id(), NEW.kind);
    -- Asked and given back at once, so that it never keeps the sequencer from waking.
    IF pg_try_advisory_lock_shared(1751214436, 2) THEN
        PERFORM pg_advisory_unlock_shared(1751214436, 2);
        PERFORM pg_notify('haidang_event_published', '');
    END IF;
    RETURN NULL;
END
$$;
