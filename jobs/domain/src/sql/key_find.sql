-- params: text
-- The key with a public part, for verification before any scope is known; api_keys_kid.
select k.id, k.kid, k.user_id, k.key_hash, k.last4, k.scopes, k.tenant_id, coalesce(t.slug, '') as tenant, k.require_signature,
  k.signing_secret, k.created_by, k.expires_at, k.last_used_at, k.replaces, k.created_at, k.revoked_at
from api_keys k
left join tenants t on t.id = k.tenant_id
where k.kid = $1
