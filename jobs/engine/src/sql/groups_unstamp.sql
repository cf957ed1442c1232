-- params: text
-- Takes this operation's stamp off, so that a repeat of it finds nothing to do; index groups_op.
update groups set op = '' where op = $1 and op <> ''
