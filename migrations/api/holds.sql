-- Holds: what keeps an awake machine awake until a given time. One that has ended is not there for anybody, whether
-- its row has gone or not; taking one sweeps those away.
set local role snap_owner;

create or replace function api.hold_json(h app.hold) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', h.id, 'reason', h.reason,
    'created_by', (select a.name from app.account a where a.id = h.created_by),
    'created_at', authz.iso(h.created_at), 'until', authz.iso(h.until)) $$;

create or replace function api.holds_list(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('holds_list', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('holds', coalesce(json_agg(api.hold_json(h) order by h.until, h.id), '[]'))
    from app.hold h where h.org_id = authz.org_id() and h.machine_id = machine and h.until > now())::text;
end $$;

-- Until a time, or for so many minutes from now: one of the two is null. 201: `{"machine": id, "answer": …}`.
create or replace function api.holds_create(p_credential text, p_request text, p_org text, p_machine text,
  p_hold text, p_event text, p_reason text, p_until text, p_minutes int, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  present text;
  wanted text;
  ends timestamptz;
  made app.hold;
begin
  select * into status, body, machine
    from authz.enter_machine('holds_create', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  -- A stop that is ordered at the same moment is before this or after it.
  select m.state, m.desired into present, wanted from app.machine m
    where m.org_id = authz.org_id() and m.id = machine for share;
  ends := coalesce(p_until::timestamptz, now() + p_minutes * interval '1 minute');
  if ends <= now() or ends > now() + interval '24 hours' then
    status := 422;
    body := authz.refusal('invalid', 'A hold ends in the future, and within 24 hours.', 'until');
  elsif present in ('stopping', 'stopped') or wanted = 'stopped' then
    status := 409;
    body := authz.refusal('state',
      format('A machine that is %s cannot be kept awake. A hold wakes nothing: start it first.',
        case when present in ('stopping', 'stopped') then present else 'to be stopped' end));
  else
    delete from app.hold h where h.org_id = authz.org_id() and h.machine_id = machine and h.until <= now();
    if (select count(*) from app.hold h where h.org_id = authz.org_id() and h.machine_id = machine) >= 10 then
      status := 409;
      body := authz.refusal('limit',
        'A machine can have 10 holds at a time, and this one has 10. End one first, or wait until one ends.');
    else
      insert into app.hold (org_id, machine_id, id, reason, created_by, until)
        values (authz.org_id(), machine, p_hold::uuid, p_reason, authz.account_id(), ends) returning * into made;
      insert into app.machine_event (org_id, machine_id, id, kind, detail, cause, actor_id)
        values (authz.org_id(), machine, p_event::uuid, 'hold_taken',
          format('Kept awake until %s UTC: %s', to_char(ends at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), p_reason),
          api.caller_cause(), authz.account_id());
      status := 201;
      body := json_build_object('machine', machine, 'answer', api.hold_json(made))::text;
    end if;
  end if;
  perform authz.audit('holds_create', p_machine || '/' || p_hold, status);
end $$;

-- Ends one early: anybody's, by whoever might stop the machine. 200: `{"machine": id}`.
create or replace function api.holds_delete(p_credential text, p_request text, p_org text, p_machine text,
  p_hold text, p_event text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  ended app.hold;
begin
  select * into status, body, machine
    from authz.enter_machine('holds_delete', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  delete from app.hold h
    where h.org_id = authz.org_id() and h.machine_id = machine and h.id = p_hold::uuid and h.until > now()
    returning * into ended;
  if found then
    insert into app.machine_event (org_id, machine_id, id, kind, detail, cause, actor_id)
      values (authz.org_id(), machine, p_event::uuid, 'hold_ended', 'Hold ended early: ' || ended.reason,
        api.caller_cause(), authz.account_id());
    body := json_build_object('machine', machine)::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such hold on this machine; it may have ended.');
  end if;
  perform authz.audit('holds_delete', p_machine || '/' || p_hold, case status when 200 then 204 else status end);
end $$;

grant execute on function api.hold_json(app.hold), api.holds_list(text, text, text, text),
  api.holds_create(text, text, text, text, text, text, text, text, int),
  api.holds_delete(text, text, text, text, text, text) to snap_app;
