-- A write of a machine's object says of which generation it is; see api/gateway.sql.
set local role snap_owner;

drop function if exists api.gateway_state(text, text, text, text, text, text, text, text, text, text, text, text, text,
  text, text, text);
