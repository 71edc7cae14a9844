-- Two writers that need the same new day at once: the second one waits, looks again, and sees the first one's.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

-- to_regclass remembers within a session that a name did not exist, and waiting for an advisory lock
-- does not make it forget: the second look must be a query on the catalogue itself.
CREATE OR REPLACE FUNCTION context.ensure_observation_day(wanted date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := 'observation_' || to_char(wanted, 'YYYYMMDD');
BEGIN
    IF to_regclass('context.' || partition_name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(1751214436, 20);
    IF EXISTS (
        SELECT 1
          FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = 'context'
           AND c.relname = partition_name
    ) THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'CREATE TABLE context.%I (LIKE context.observation INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)',
        partition_name);
    EXECUTE format(
        'ALTER TABLE context.observation ATTACH PARTITION context.%I FOR VALUES FROM (%L) TO (%L)',
        partition_name,
        wanted::text || ' 00:00:00+00',
        (wanted + 1)::text || ' 00:00:00+00');
    RETURN true;
END
$$;
