-- params: none
-- Whether no limit that is used up holds job `j`.
(select count(*)
      from used_up u
      where (u.per = '' or u.holder = case u.per when 'tenant' then j.tenant else j.limit_key end)
        and (u.what = 'all' or u.named in ('queue' || j.queue, 'kind' || j.kind, 'tenant' || j.tenant))) = 0
