-- params: text
-- Takes the slot from holders that are past waiting for a claim, where the policy lets a second one queue; index jobs_unique_key.
update jobs
set unique_key = '', rev = rev + 1
where unique_key <> ''
  and unique_key = any(array(
    select v.unique_key
    from json_to_recordset(cast($1 as json)) as v(id text, reg text, unique_key text, yields bigint)
    where v.yields = 1 and (v.reg = '' or v.id = (select r.job_id from register r where r.key = decode(v.reg, 'hex')))))
  and (state not in ('scheduled', 'available', 'retryable', 'blocked') or open_effects > 0)
