-- params: text, text, text
-- Erases what an ended job of the scope was given and gave; primary key.
update archive
set args = '{}', key = '', tags = '[]', errors = '[]', trace = '', limit_key = '', sequence = '', seq_no = 0, unique_key = '', reason = 'erased', result = $3, rev = rev + 1
where ($1 = '*' or tenant = $1) and id = $2 and reason <> 'erased'
returning id
