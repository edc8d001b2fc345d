-- A machine's first boot is its service `first-boot`: there is no table of its own. These take more arguments now; see
-- api/machines.sql and api/gateway.sql.
set local role snap_owner;

drop function if exists api.machines_create(text, text, text, text, text, text, text, text, text, int, int, int);
drop function if exists api.gateway_service_status(text, text, text, text, text);
