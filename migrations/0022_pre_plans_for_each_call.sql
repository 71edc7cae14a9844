-- Statements over the observations are planned for the very days they ask for.
SET lock_timeout = '4s';
SET statement_timeout = '5s';

-- After five calls PostgreSQL tries a plan for any parameters: for that it plans, and locks, every day
-- there is. With the days of five years this took seconds, and the locks of a whole server.
CREATE OR REPLACE FUNCTION context.prepare_flush(asked_tenant text, asked_iris text [], days date [])
RETURNS TABLE (name_iri text, name_number integer) LANGUAGE plpgsql AS $$
DECLARE
    day date;
BEGIN
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
    IF EXISTS (
        SELECT 1 FROM unnest(asked_iris) AS a (one)
         WHERE NOT EXISTS (SELECT 1 FROM context.name AS n WHERE n.tenant = asked_tenant AND n.iri = a.one)
    ) THEN
        INSERT INTO context.name (tenant, iri)
        SELECT asked_tenant, a.one FROM unnest(asked_iris) AS a (one)
         WHERE NOT EXISTS (SELECT 1 FROM context.name AS n WHERE n.tenant = asked_tenant AND n.iri = a.one)
         ORDER BY a.one
        ON CONFLICT DO NOTHING;
    END IF;
    FOREACH day IN ARRAY days LOOP
        PERFORM context.ensure_observation_day(day);
    END LOOP;
    RETURN QUERY
    SELECT n.iri, n.name_no FROM context.name AS n WHERE n.tenant = asked_tenant AND n.iri = ANY(asked_iris);
END
$$;
