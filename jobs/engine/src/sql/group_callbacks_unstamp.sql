-- params: text
-- Takes this operation's stamp off, so that a repeat of it finds nothing to do; index group_callbacks_op.
update group_callbacks set op = '' where op = $1 and op <> ''
