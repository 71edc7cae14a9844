-- name: claim_idempotency_key(tenant, actor_id, route, key, fingerprint, created_at, expires_at)$
-- The key, if nobody has it; waits for another transaction that is using it.
INSERT INTO infra.idempotency_receipt (tenant, actor_id, route, key, fingerprint, created_at, expires_at)
VALUES (:tenant, :actor_id, :route, :key, :fingerprint, :created_at, :expires_at)
    ON CONFLICT ON CONSTRAINT idempotency_receipt_pkey DO NOTHING
RETURNING key;

-- name: claim_expired_idempotency_key(tenant, actor_id, route, key, fingerprint, created_at, expires_at)$
-- The key of a receipt that may no longer be repeated, as a new one.
UPDATE infra.idempotency_receipt
   SET fingerprint = :fingerprint, status = NULL, headers = NULL, body = NULL,
       created_at = :created_at, expires_at = :expires_at
 WHERE tenant = :tenant AND actor_id = :actor_id AND route = :route AND key = :key
   AND expires_at <= :created_at
RETURNING key;

-- name: idempotency_receipt_of(tenant, actor_id, route, key, now)^
-- What was answered to this key, while it may still be repeated.
SELECT fingerprint, status, headers, body
  FROM infra.idempotency_receipt
 WHERE tenant = :tenant AND actor_id = :actor_id AND route = :route AND key = :key
   AND expires_at > :now;

-- name: keep_idempotency_receipt(tenant, actor_id, route, key, fingerprint, status, headers, body)$
-- The answer beside the claim of the same transaction; its key unless there is no such claim.
UPDATE infra.idempotency_receipt
   SET status = :status, headers = :headers, body = :body
 WHERE tenant = :tenant AND actor_id = :actor_id AND route = :route AND key = :key
   AND fingerprint = :fingerprint AND status IS NULL
RETURNING key;

-- name: purge_idempotency_receipts(now, most)$
-- Receipts that may no longer be repeated, gone, at most so many; how many.
WITH old AS (
      SELECT tenant, actor_id, route, key
        FROM infra.idempotency_receipt
       WHERE expires_at <= :now
       LIMIT :most
         FOR UPDATE SKIP LOCKED),
     gone AS (
      DELETE FROM infra.idempotency_receipt AS receipt
       USING old
       WHERE (receipt.tenant, receipt.actor_id, receipt.route, receipt.key)
           = (old.tenant, old.actor_id, old.route, old.key)
      RETURNING 1)
SELECT count(*) FROM gone;
