-- What the objects of a machine read and write, with the service credential `gateway`, one machine at a time.
set local role snap_owner;

-- Everything a gateway object needs to begin: the machine, its services, its open terminals. One that is prepared has no
-- organization.
create or replace function api.gateway_load(p_credential text, p_request text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  prepared text;
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status = 404 then
    prepared := api.prepared_record(p_machine::uuid);
    if prepared is not null then
      status := 200;
      body := prepared;
    end if;
    return;
  elsif status <> 200 then
    return;
  end if;
  body := (select json_build_object('org', m.org_id, 'machine', m.id, 'name', m.name, 'state', m.state, 'reason', m.reason,
      'runtime', m.runtime, 'size', m.size, 'region', m.region, 'generation', m.generation, 'epoch', m.epoch,
      'idle_seconds', m.idle_seconds, 'cpu_counts', m.cpu_counts, 'desired', m.desired, 'written', m.written,
      'sprite_name', m.sprite_name, 'sprite_id', m.sprite_id,
      'sprite_url', m.sprite_url,
      'services', api.gateway_services(m.id),
      'variables', api.gateway_variables(m.id),
      -- Until when it is held awake, Unix ms: one number for each hold.
      'holds', (select coalesce(json_agg(floor(extract(epoch from h.until) * 1000)::bigint order by h.until), '[]')
        from app.hold h where h.org_id = m.org_id and h.machine_id = m.id and h.until > now()),
      'checkpoint', api.gateway_checkpoint_order(m.id),
      'terminals', (select coalesce(json_agg(t.id order by t.id), '[]') from app.terminal_session t
        where t.org_id = m.org_id and t.machine_id = m.id and t.ended_at is null))
    from app.machine m where m.org_id = authz.org_id() and m.id = p_machine::uuid)::text;
end $$;

create or replace function api.gateway_services(p_machine uuid) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select coalesce(jsonb_agg(s.definition::jsonb || jsonb_build_object('desired', s.desired) order by s.created_at), '[]')
  from app.service s where s.org_id = authz.org_id() and s.machine_id = p_machine $$;

-- Writes through what the object decided: state, reason, one line of history, which is written once however often it
-- comes. A null sprite field keeps what is there. A write that a later one has overtaken, by their numbers, changes
-- nothing but the history. 409 when the machine is being deleted: a deletion wins over everything.
create or replace function api.gateway_state(p_credential text, p_request text, p_machine text, p_state text,
  p_reason text, p_event text, p_kind text, p_detail text, p_actor text, p_sprite_name text, p_sprite_id text,
  p_sprite_url text, p_cause text default null, p_at_ms text default null, p_desired text default null,
  p_number text default null, p_generation int default null, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  -- One that was on its way while the machine was made anew names a sprite that is given up.
  is_of_now boolean;
  -- A machine that sleeps is entered as waking by gateway_admit alone, which gives it its place.
  stays boolean;
  is_news boolean;
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status <> 200 then
    return;
  end if;
  select m.generation = p_generation, p_state = 'waking' and not api.is_awake(m.state) into is_of_now, stays
    from app.machine m where m.org_id = authz.org_id() and m.id = p_machine::uuid for update;
  update app.machine m set state = case when stays then m.state else p_state end,
      reason = case when stays then m.reason else left(p_reason, 500) end,
      state_at = case when stays or m.state = p_state then m.state_at else now() end,
      written = coalesce(p_number::bigint, m.written), desired = coalesce(p_desired, m.desired),
      desired_at = case when p_desired is distinct from m.desired then now() else m.desired_at end,
      desired_by = case when p_desired is distinct from m.desired then null else m.desired_by end,
      epoch = case when p_state in ('stopping', 'deleting') and m.state <> p_state then m.epoch + 1 else m.epoch end,
      sprite_name = case when is_of_now then coalesce(p_sprite_name, m.sprite_name) else m.sprite_name end,
      sprite_id = case when is_of_now then coalesce(p_sprite_id, m.sprite_id) else m.sprite_id end,
      sprite_url = case when is_of_now then coalesce(p_sprite_url, m.sprite_url) else m.sprite_url end
    where m.org_id = authz.org_id() and m.id = p_machine::uuid and (m.state <> 'deleting' or p_state = 'deleting')
      and (p_number is null or m.written < p_number::bigint);
  is_news := found;
  if not is_news and exists (select from app.machine m
      where m.org_id = authz.org_id() and m.id = p_machine::uuid and m.state = 'deleting' and p_state <> 'deleting') then
    status := 409;
    body := authz.refusal('deleting', 'The machine is being deleted.');
    return;
  end if;
  if p_event is not null then
    begin
      insert into app.machine_event (org_id, machine_id, id, at, kind, detail, cause, actor_id)
        values (authz.org_id(), p_machine::uuid, p_event::uuid,
          coalesce(to_timestamp(p_at_ms::double precision / 1000), now()), p_kind, left(p_detail, 500), p_cause,
          p_actor::uuid)
        on conflict do nothing;
    exception when foreign_key_violation then
      -- Whoever did it has no account any more: the state must be written all the same.
      insert into app.machine_event (org_id, machine_id, id, kind, detail, cause)
        values (authz.org_id(), p_machine::uuid, p_event::uuid, p_kind, left(p_detail, 500), p_cause)
        on conflict do nothing;
    end;
  end if;
  -- Holds end with a stop: by the line of history those that were taken before it, should the state have moved on.
  delete from app.hold h where h.org_id = authz.org_id() and h.machine_id = p_machine::uuid
    and (is_news and p_state in ('stopping', 'stopped')
      or p_kind in ('stopping', 'stopped') and h.created_at <= to_timestamp(p_at_ms::double precision / 1000));
  body := (select json_build_object('epoch', m.epoch) from app.machine m
    where m.org_id = authz.org_id() and m.id = p_machine::uuid)::text;
end $$;

-- The sprite is gone, and its files with it: the next one belongs to a new generation, and what was let in before is
-- not any more. Asked twice for the same generation, it grows once; an order to restore may have raised it meanwhile, and
-- then the record still has the sprite. 200: `{"generation"}`.
create or replace function api.gateway_recreate(p_credential text, p_request text, p_machine text, p_generation int,
  p_sprite_id text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status <> 200 then
    return;
  end if;
  update app.machine m set generation = m.generation + 1, epoch = m.epoch + 1, sprite_name = null, sprite_id = null,
      sprite_url = null
    where m.org_id = authz.org_id() and m.id = p_machine::uuid
      and (m.generation = p_generation or m.sprite_id = p_sprite_id);
  if found then
    -- A checkpoint is kept by its sprite, and the next one gives its own the same names.
    update app.checkpoint c set state = 'failed', name = null, ordered_at = now(),
        reason = 'Its files were lost with the runtime that kept them: the machine was made anew.'
      where c.org_id = authz.org_id() and c.machine_id = p_machine::uuid and c.state in ('ready', 'failed')
        and c.name is not null;
  end if;
  body := (select json_build_object('generation', m.generation) from app.machine m
    where m.org_id = authz.org_id() and m.id = p_machine::uuid)::text;
end $$;

-- May a machine be woken? 200: its record says `waking`, which keeps its place; 409: the organization has no place.
create or replace function api.gateway_admit(p_credential text, p_request text, p_machine text, p_awake int,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status <> 200 then
    return;
  end if;
  if not exists (select from app.machine m
      where m.org_id = authz.org_id() and m.id = p_machine::uuid and api.is_awake(m.state)) then
    body := api.quota_refusal('wake', 0, p_awake);
    if body is not null then
      status := 409;
      return;
    end if;
    update app.machine m set state = 'waking', reason = 'Waking up.', state_at = now()
      where m.org_id = authz.org_id() and m.id = p_machine::uuid and m.state <> 'deleting';
  end if;
  body := '{}';
end $$;

-- The last ten exits of two statuses of one service: an agent that is new knows only what happened since it began.
create or replace function api.service_exits(p_before jsonb, p_after jsonb) returns jsonb
language sql immutable security invoker set search_path = '' as $$
  select coalesce(jsonb_agg(newest.exit order by (newest.exit ->> 'at_ms')::numeric desc), '[]') from (
    select both_of.exit from (
      select b.exit from jsonb_array_elements(p_before -> 'exits') b(exit)
      union
      select a.exit from jsonb_array_elements(p_after -> 'exits') a(exit)) both_of
    order by (both_of.exit ->> 'at_ms')::numeric desc limit 10) newest $$;

-- What a first boot has come to, where this status is the first to say so: a kind and a sentence for the history.
create or replace function api.first_boot_news(p_before jsonb, p_after jsonb, out kind text, out detail text)
language plpgsql immutable security invoker set search_path = '' as $$
declare
  newest jsonb := p_after -> 'exits' -> 0;
  is_over boolean := newest is distinct from p_before -> 'exits' -> 0;
  took text := greatest(round((newest ->> 'ran_ms')::numeric / 1000), 1) || ' s';
begin
  if p_after ->> 'state' = 'failed' and (is_over or p_before ->> 'state' is distinct from 'failed') then
    kind := 'setup_failed';
    detail := 'Setup failed: ' || coalesce(p_after ->> 'error', 'nobody knows why') || '.';
  elsif p_after ->> 'state' = 'stopped' and is_over and newest is not null then
    kind := case when (newest ->> 'ordered')::boolean then 'setup_stopped' else 'set_up' end;
    detail := case kind when 'set_up' then 'Set up in ' || took || '.' else 'Setup was stopped after ' || took || '.' end;
  end if;
end $$;

-- `p_event` names the line of history that comes with the end of a first boot.
create or replace function api.gateway_service_status(p_credential text, p_request text, p_machine text, p_name text,
  p_status text, p_event text default null, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  known jsonb;
  now_known jsonb;
  news record;
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status = 200 then
    select s.status::jsonb into known from app.service s
      where s.org_id = authz.org_id() and s.machine_id = p_machine::uuid and s.name = p_name for update;
    now_known := p_status::jsonb || jsonb_build_object('exits', api.service_exits(known, p_status::jsonb));
    update app.service s set status = now_known::text
      where s.org_id = authz.org_id() and s.machine_id = p_machine::uuid and s.name = p_name;
    if found and p_name = 'first-boot' and p_event is not null then
      select * into news from api.first_boot_news(known, now_known);
      insert into app.machine_event (org_id, machine_id, id, kind, detail, cause)
        select authz.org_id(), p_machine::uuid, p_event::uuid, news.kind, left(news.detail, 500), 'agent'
        where news.kind is not null;
    end if;
    body := '{}';
  end if;
end $$;

create or replace function api.gateway_terminal_ended(p_credential text, p_request text, p_machine text,
  p_terminal text, p_ending text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status = 200 then
    update app.terminal_session t set ended_at = coalesce(t.ended_at, now()), ending = p_ending
      where t.org_id = authz.org_id() and t.machine_id = p_machine::uuid and t.id = p_terminal::uuid;
    body := '{}';
  end if;
end $$;

-- The sprite is gone: so is the machine.
create or replace function api.gateway_deleted(p_credential text, p_request text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status = 200 then
    delete from app.machine m where m.org_id = authz.org_id() and m.id = p_machine::uuid and m.state = 'deleting';
    body := '{}';
  elsif status = 404 then
    delete from app.prepared p where p.id = p_machine::uuid and p.state = 'deleting';
  end if;
end $$;

-- What is behind an app's host. No caller yet: a visitor is asked who they are after this, and gets the same answer
-- whether the name exists or not.
create or replace function api.gateway_resolve(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  perform set_config('app.org', coalesce(authz.org_of_host(p_org, p_machine)::text, ''), true);
  body := (select json_build_object('machine', m.id, 'app_port', m.app_port, 'epoch', m.epoch, 'generation', m.generation)
    from app.machine m where m.org_id = authz.org_id() and m.name = p_machine and m.state <> 'deleting')::text;
  status := case when body is null then 404 else 200 end;
end $$;

-- May this person open private apps of this machine? 200: `{"machine", "account", "epoch"}`.
create or replace function api.apps_authorize(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('apps_authorize', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('machine', m.id, 'account', authz.account_id(), 'epoch', m.epoch,
      'generation', m.generation)
    from app.machine m where m.org_id = authz.org_id() and m.name = p_machine and m.state <> 'deleting')::text;
  if body is null then
    status := 404;
    body := api.no_machine();
  end if;
end $$;

grant execute on function api.gateway_load(text, text, text), api.gateway_services(uuid),
  api.gateway_admit(text, text, text, int),
  api.service_exits(jsonb, jsonb),
  api.gateway_state(text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, int),
  api.gateway_recreate(text, text, text, int, text),
  api.first_boot_news(jsonb, jsonb), api.gateway_service_status(text, text, text, text, text, text),
  api.gateway_terminal_ended(text, text, text, text, text), api.gateway_deleted(text, text, text),
  api.gateway_resolve(text, text, text, text), api.apps_authorize(text, text, text, text) to snap_app;
