-- name: open_book(tenant)!
-- Make the tenant's book where there is none.
INSERT INTO rules.book (tenant) VALUES (:tenant) ON CONFLICT ON CONSTRAINT book_pkey DO NOTHING;

-- name: hold_book(tenant)^
-- The book, held until the transaction ends: one at a time moves conditions on.
SELECT revision, alive_at, listening_since FROM rules.book WHERE tenant = :tenant FOR UPDATE;

-- name: turn_page(tenant)$
-- The rules have changed: the new revision.
UPDATE rules.book SET revision = revision + 1 WHERE tenant = :tenant RETURNING revision;

-- name: note_alive(tenant, now, listening_since)!
-- Deadlines were looked at now, and have been without a gap since then.
UPDATE rules.book SET alive_at = :now, listening_since = :listening_since WHERE tenant = :tenant;

-- name: all_rules(tenant)
-- Every rule, by its id, with how many alarms it has open.
SELECT r.rule_id, r.pack_id, r.origin, r.document, r.shipped, r.compared, r.is_on, r.switched,
       r.changed_at, r.changed_by, r.reason, r.held,
       (SELECT count(*) FROM rules.alarm AS a
         WHERE a.tenant = r.tenant AND a.rule_id = r.rule_id AND a.state = 'open') AS open_alarms
  FROM rules.rule AS r
 WHERE r.tenant = :tenant
 ORDER BY r.rule_id;

-- name: keep_rule(tenant, rule_id, pack_id, origin, document, shipped, compared, is_on, switched, changed_at, changed_by, reason)!
-- A rule as it is from now on; what held it is forgotten.
INSERT INTO rules.rule (tenant, rule_id, pack_id, origin, document, shipped, compared, is_on, switched,
                        changed_at, changed_by, reason)
VALUES (:tenant, :rule_id, :pack_id, :origin, :document, :shipped, :compared, :is_on, :switched,
        :changed_at, :changed_by, :reason)
    ON CONFLICT ON CONSTRAINT rule_pkey
    DO UPDATE SET pack_id = excluded.pack_id, origin = excluded.origin, document = excluded.document,
                  shipped = excluded.shipped, compared = excluded.compared, is_on = excluded.is_on,
                  switched = excluded.switched, changed_at = excluded.changed_at,
                  changed_by = excluded.changed_by, reason = excluded.reason, held = '';

-- name: note_change(tenant, rule_id, what, document, changed_at, changed_by, reason)!
-- A line about a change of a rule.
INSERT INTO rules.rule_change (tenant, rule_id, what, document, changed_at, changed_by, reason)
VALUES (:tenant, :rule_id, :what, :document, :changed_at, :changed_by, :reason);

-- name: withdraw_rule(tenant, rule_id)!
-- A rule that nobody declares any more.
DELETE FROM rules.rule WHERE tenant = :tenant AND rule_id = :rule_id;

-- name: hold_rule(tenant, rule_id, held)!
-- A rule that failed, with the reason.
UPDATE rules.rule SET held = :held WHERE tenant = :tenant AND rule_id = :rule_id;
