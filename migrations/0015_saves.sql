-- A write of a machine's object says of which generation it is; see api/gateway.sql. And a machine that an update leaves
-- as it was is no newer one.
set local role snap_owner;

drop function if exists api.gateway_state(text, text, text, text, text, text, text, text, text, text, text, text, text,
  text, text, text);

create or replace trigger raise_version before update on app.machine for each row
  when (old.* is distinct from new.*) execute function authz.raise_version();
