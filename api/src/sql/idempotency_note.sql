-- params: bytes, text
-- Notes the object that a request made under its idempotency key; primary key.
update register set job_id = $2
where key = $1 and job_id = ''
