-- Giving up a sprite names it; see api/gateway.sql.
set local role snap_owner;

drop function if exists api.gateway_recreate(text, text, text, int);
