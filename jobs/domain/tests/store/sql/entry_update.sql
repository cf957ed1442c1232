-- params: none
-- What nobody may do.
update entries set amount_micros = amount_micros + 1
