-- name: hold_facts(tenant, facts_id, now)!
-- Claim a set of facts until the transaction ends, so that two parts that start do not load it both.
INSERT INTO context.facts_release (tenant, facts_id, checksum, entity_ids, loaded_at)
VALUES (:tenant, :facts_id, '', '{}', :now)
    ON CONFLICT ON CONSTRAINT facts_release_pkey
    DO UPDATE SET checksum = facts_release.checksum;

-- name: facts_release(tenant, facts_id)^
-- What was loaded of a set of facts.
SELECT checksum, entity_ids
  FROM context.facts_release
 WHERE tenant = :tenant
   AND facts_id = :facts_id;

-- name: keep_facts_release(tenant, facts_id, checksum, entity_ids, now)!
-- What is loaded of it now.
UPDATE context.facts_release
   SET checksum = :checksum,
       entity_ids = :entity_ids,
       loaded_at = :now
 WHERE tenant = :tenant
   AND facts_id = :facts_id;
