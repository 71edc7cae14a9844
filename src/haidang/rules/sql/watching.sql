-- name: watches_of_entities(tenant, entity_ids)
-- Where rules stand at these entities, with what their open alarms say.
SELECT w.entity_id, w.rule_id, w.phase, w.since, w.turning_since, w.upto, w.value, w.alarm_id,
       a.updated_at AS told_at, a.value AS told_value, a.severity AS told_severity
  FROM rules.watch AS w
  LEFT JOIN rules.alarm AS a ON a.tenant = w.tenant AND a.alarm_id = w.alarm_id
 WHERE w.tenant = :tenant
   AND w.entity_id = ANY(CAST(:entity_ids AS text[]));

-- name: watches_due(tenant, until, most)
-- Where time alone changes something by then, the longest due first.
SELECT w.entity_id, w.rule_id, w.phase, w.since, w.turning_since, w.upto, w.value, w.alarm_id,
       a.updated_at AS told_at, a.value AS told_value, a.severity AS told_severity
  FROM rules.watch AS w
  LEFT JOIN rules.alarm AS a ON a.tenant = w.tenant AND a.alarm_id = w.alarm_id
 WHERE w.tenant = :tenant
   AND w.due_at <= :until
 ORDER BY w.due_at
 LIMIT :most;

-- name: keep_watches(tenant, entity_ids, rule_ids, phases, since, turning_since, upto, values_, due_at, alarm_ids)!
-- Where rules stand from now on.
INSERT INTO rules.watch (tenant, entity_id, rule_id, phase, since, turning_since, upto, value, due_at, alarm_id)
SELECT :tenant, k.entity_id, k.rule_id, k.phase, k.since, k.turning_since, k.upto, k.value, k.due_at, k.alarm_id
  FROM unnest(CAST(:entity_ids AS text[]), CAST(:rule_ids AS text[]), CAST(:phases AS text[]),
              CAST(:since AS timestamptz[]), CAST(:turning_since AS timestamptz[]),
              CAST(:upto AS timestamptz[]), CAST(:values_ AS jsonb[]), CAST(:due_at AS timestamptz[]),
              CAST(:alarm_ids AS text[]))
       AS k (entity_id, rule_id, phase, since, turning_since, upto, value, due_at, alarm_id)
    ON CONFLICT ON CONSTRAINT watch_pkey
    DO UPDATE SET phase = excluded.phase, since = excluded.since, turning_since = excluded.turning_since,
                  upto = excluded.upto, value = excluded.value, due_at = excluded.due_at,
                  alarm_id = excluded.alarm_id;

-- name: drop_watches(tenant, entity_ids, rule_ids)!
-- These rules stand idle at these entities.
DELETE FROM rules.watch AS w
 USING unnest(CAST(:entity_ids AS text[]), CAST(:rule_ids AS text[])) AS k (entity_id, rule_id)
 WHERE w.tenant = :tenant AND w.entity_id = k.entity_id AND w.rule_id = k.rule_id;

-- name: drop_watches_of_rule(tenant, rule_id, open_too)!
-- Forget where a rule stands: where it is not open, or everywhere.
DELETE FROM rules.watch
 WHERE tenant = :tenant
   AND rule_id = :rule_id
   AND (CAST(:open_too AS boolean) OR alarm_id IS NULL);

-- name: drop_watches_of_entities(tenant, entity_ids)!
-- Forget where rules stand at entities that are gone.
DELETE FROM rules.watch WHERE tenant = :tenant AND entity_id = ANY(CAST(:entity_ids AS text[]));
