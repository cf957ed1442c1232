-- params: text, text
-- One key by id, within a scope; primary key.
select k.id, k.kid, k.user_id, k.key_hash, k.last4, k.scopes, k.tenant_id, coalesce(t.slug, '') as tenant, k.require_signature,
  k.signing_secret, k.created_by, k.expires_at, k.last_used_at, k.replaces, k.created_at, k.revoked_at
from api_keys k
left join tenants t on t.id = k.tenant_id
where ($1 = '*' or k.tenant_id = $1)
  and k.id = $2
