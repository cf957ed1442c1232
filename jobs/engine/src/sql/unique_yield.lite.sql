-- params: text
-- Takes the slot from holders that are past waiting for a claim, where the policy lets a second one queue; index jobs_unique_key.
update jobs
set unique_key = '', rev = rev + 1
where unique_key <> ''
  and unique_key in (
    select v.value ->> 'unique_key'
    from json_each($1) as v
    where v.value ->> 'yields' = 1
      and (v.value ->> 'reg' = '' or v.value ->> 'id' = (select r.job_id from register r where r.key = v.value ->> 'reg')))
  and (state not in ('scheduled', 'available', 'retryable', 'blocked') or open_effects > 0)
