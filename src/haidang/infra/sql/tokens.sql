-- name: insert_token(token_hash, actor_id, tenant, label, created_at, created_by, expires_at)!
-- Keep a new token by its hash.
INSERT INTO infra.access_token
       (token_hash, actor_id, tenant, label, created_at, created_by, expires_at)
VALUES (:token_hash, :actor_id, :tenant, :label, :created_at, :created_by, :expires_at);

-- name: token_by_hash(token_hash, now)^
-- The token of that hash while it opens something.
SELECT token_hash, actor_id, tenant
  FROM infra.access_token
 WHERE token_hash = :token_hash
   AND revoked_at IS NULL
   AND (expires_at IS NULL OR expires_at > :now);

-- name: tokens_of_tenant(tenant)
-- Every token of a tenant, oldest first.
SELECT token_hash, label, actor_id, created_at, expires_at, revoked_at
  FROM infra.access_token
 WHERE tenant = :tenant
 ORDER BY created_at, token_hash;

-- name: revoke_token(tenant, token_id, now)$
-- End the token whose hash begins with an id; the id again, or nothing when there is none.
UPDATE infra.access_token
   SET revoked_at = coalesce(revoked_at, :now)
 WHERE tenant = :tenant
   AND left(encode(token_hash, 'hex'), 12) = :token_id
RETURNING left(encode(token_hash, 'hex'), 12) AS token_id;

-- name: revoke_tokens_labelled(tenant, label, now)!
-- End every living token of a label.
UPDATE infra.access_token
   SET revoked_at = :now
 WHERE tenant = :tenant
   AND label = :label
   AND revoked_at IS NULL;
