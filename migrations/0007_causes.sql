-- What brought a line of a machine's history about, beside who did: one of protocol's `Cause`. Lines of before have none.
set local role snap_owner;

alter table app.machine_event add column cause text constraint machine_event_cause check (cause in ('hand', 'api',
  'terminal', 'request', 'command', 'service', 'hold', 'idle', 'runtime', 'agent', 'platform'));

-- It takes more arguments now; see api/gateway.sql.
drop function if exists api.gateway_state(text, text, text, text, text, text, text, text, text, text, text, text);
