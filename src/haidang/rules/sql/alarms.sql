-- name: insert_alarms(tenant, alarm_ids, rule_ids, labels, advices, entity_ids, entity_types, entity_names, audiences, severities, states, since, cleared_at, raised_at, values_, units, synthetic, longitudes, latitudes)!
-- New alarms, open or over already.
INSERT INTO rules.alarm (tenant, alarm_id, rule_id, label, advice, entity_id, entity_type, entity_name, audience,
                         severity, state, since, cleared_at, raised_at, updated_at, value, unit, synthetic, longitude,
                         latitude)
SELECT :tenant, k.alarm_id, k.rule_id, k.label, k.advice, k.entity_id, k.entity_type, k.entity_name, k.audience,
       k.severity, k.state, k.since, k.cleared_at, :raised_at, :raised_at, k.value, k.unit, k.synthetic, k.longitude, k.latitude
  FROM unnest(CAST(:alarm_ids AS text[]), CAST(:rule_ids AS text[]), CAST(:labels AS text[]),
              CAST(:advices AS text[]), CAST(:entity_ids AS text[]), CAST(:entity_types AS text[]),
              CAST(:entity_names AS text[]), CAST(:audiences AS text[]), CAST(:severities AS text[]),
              CAST(:states AS text[]), CAST(:since AS timestamptz[]), CAST(:cleared_at AS timestamptz[]),
              CAST(:values_ AS jsonb[]), CAST(:units AS text[]), CAST(:synthetic AS boolean[]), CAST(:longitudes AS double precision[]),
              CAST(:latitudes AS double precision[]))
       AS k (alarm_id, rule_id, label, advice, entity_id, entity_type, entity_name, audience, severity, state,
             since, cleared_at, value, unit, synthetic, longitude, latitude);

-- name: update_alarms(tenant, alarm_ids, severities, since, values_, now)!
-- Open alarms say something else now.
UPDATE rules.alarm AS a
   SET severity = k.severity, since = k.since, value = k.value, updated_at = :now, version = a.version + 1
  FROM unnest(CAST(:alarm_ids AS text[]), CAST(:severities AS text[]), CAST(:since AS timestamptz[]),
              CAST(:values_ AS jsonb[])) AS k (alarm_id, severity, since, value)
 WHERE a.tenant = :tenant AND a.alarm_id = k.alarm_id AND a.state = 'open';

-- name: clear_alarms(tenant, alarm_ids, cleared_at, now)
-- Open alarms are over; those that were open, with what events say of them.
UPDATE rules.alarm AS a
   SET state = 'cleared', cleared_at = k.cleared_at, updated_at = :now, version = a.version + 1
  FROM unnest(CAST(:alarm_ids AS text[]), CAST(:cleared_at AS timestamptz[])) AS k (alarm_id, cleared_at)
 WHERE a.tenant = :tenant AND a.alarm_id = k.alarm_id AND a.state = 'open'
RETURNING a.alarm_id, a.rule_id, a.entity_id, a.severity, a.cleared_at;

-- name: insert_lines(tenant, alarm_ids, at, kinds, said_by, said)!
-- What happened to alarms.
INSERT INTO rules.alarm_line (tenant, alarm_id, at, kind, said_by, said)
SELECT :tenant, k.alarm_id, :at, k.kind, :said_by, k.said
  FROM unnest(CAST(:alarm_ids AS text[]), CAST(:kinds AS text[]), CAST(:said AS text[]))
       AS k (alarm_id, kind, said);

-- name: open_alarms_of_rule(tenant, rule_id)
-- The open alarms of a rule.
SELECT alarm_id FROM rules.alarm WHERE tenant = :tenant AND rule_id = :rule_id AND state = 'open';

-- name: open_alarms_of_entities(tenant, entity_ids)
-- The open alarms of entities.
SELECT alarm_id FROM rules.alarm
 WHERE tenant = :tenant AND entity_id = ANY(CAST(:entity_ids AS text[])) AND state = 'open';

-- name: alarms_seen(tenant, audiences, now, state, severity, rule_id, shelved, before, most)
-- Alarms an actor may see: open ones gravest first, then newest; others newest first.
SELECT alarm_id, rule_id, label, advice, entity_id, entity_type, entity_name, audience, severity, state, since,
       raised_at, updated_at, cleared_at, value, unit, acknowledged_at, acknowledged_by, shelved_until, comments,
       version, synthetic, longitude, latitude
  FROM rules.alarm
 WHERE tenant = :tenant
   AND audience = ANY(CAST(:audiences AS text[]))
   AND (CAST(:state AS text) = 'all' OR state = :state)
   AND (CAST(:severity AS text) IS NULL OR severity = :severity)
   AND (CAST(:rule_id AS text) IS NULL OR rule_id = :rule_id)
   AND (state <> 'open' OR (coalesce(shelved_until > :now, false)) = CAST(:shelved AS boolean))
   AND (CAST(:before AS timestamptz) IS NULL OR raised_at < :before)
 ORDER BY CASE WHEN CAST(:state AS text) = 'open'
               THEN array_position(ARRAY['extreme', 'severe', 'moderate', 'minor'], severity) END,
          raised_at DESC, alarm_id
 LIMIT :most;

-- name: alarm_seen(tenant, audiences, alarm_id)^
-- One alarm, if this actor may see it.
SELECT alarm_id, rule_id, label, advice, entity_id, entity_type, entity_name, audience, severity, state, since,
       raised_at, updated_at, cleared_at, value, unit, acknowledged_at, acknowledged_by, shelved_until, comments,
       version, synthetic, longitude, latitude
  FROM rules.alarm
 WHERE tenant = :tenant
   AND audience = ANY(CAST(:audiences AS text[]))
   AND alarm_id = :alarm_id;

-- name: alarm_held(tenant, audiences, alarm_id)^
-- The same, held until the transaction ends: of two who act at once one is first.
SELECT alarm_id, rule_id, label, advice, entity_id, entity_type, entity_name, audience, severity, state, since,
       raised_at, updated_at, cleared_at, value, unit, acknowledged_at, acknowledged_by, shelved_until, comments,
       version, synthetic, longitude, latitude
  FROM rules.alarm
 WHERE tenant = :tenant
   AND audience = ANY(CAST(:audiences AS text[]))
   AND alarm_id = :alarm_id
   FOR UPDATE;

-- name: lines_of_alarm(tenant, alarm_id)
-- What happened to an alarm, oldest first.
SELECT at, kind, said_by, said
  FROM rules.alarm_line
 WHERE tenant = :tenant AND alarm_id = :alarm_id
 ORDER BY line_no;

-- name: count_open(tenant, audiences, now)
-- Open alarms by severity and by whether they are put aside, and how many of each nobody has acknowledged.
SELECT severity, coalesce(shelved_until > :now, false) AS shelved, count(*) AS alarms,
       count(*) FILTER (WHERE acknowledged_at IS NULL) AS unacknowledged
  FROM rules.alarm
 WHERE tenant = :tenant
   AND audience = ANY(CAST(:audiences AS text[]))
   AND state = 'open'
 GROUP BY 1, 2;

-- name: mark_acknowledged(tenant, alarm_id, said_by, now)!
-- Somebody has taken note.
UPDATE rules.alarm
   SET acknowledged_at = :now, acknowledged_by = :said_by, updated_at = :now, version = version + 1
 WHERE tenant = :tenant AND alarm_id = :alarm_id;

-- name: count_comment(tenant, alarm_id, now)!
-- Somebody has said something.
UPDATE rules.alarm SET comments = comments + 1, updated_at = :now, version = version + 1
 WHERE tenant = :tenant AND alarm_id = :alarm_id;

-- name: mark_shelved(tenant, alarm_id, until, now)!
-- Somebody has put it aside, or taken it back.
UPDATE rules.alarm SET shelved_until = :until, updated_at = :now, version = version + 1
 WHERE tenant = :tenant AND alarm_id = :alarm_id;
