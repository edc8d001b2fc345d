-- Checkpoints of a machine's files. An order writes the row's state, which only its gateway object takes back; while
-- one is under way there is no other, by the index checkpoint_under_way.
set local role snap_owner;

create or replace function api.checkpoint_json(c app.checkpoint) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', c.id, 'name', c.name, 'comment', c.comment, 'state', c.state, 'reason', c.reason,
    'generation', c.generation,
    'created_by', (select a.name from app.account a where a.id = c.created_by),
    'created_at', authz.iso(c.created_at), 'made_at', authz.iso(c.made_at)) $$;

-- What a checkpoint is called in a sentence: `checkpoint v3 (before the upgrade)`.
create or replace function api.checkpoint_words(c app.checkpoint) returns text
language sql immutable security invoker set search_path = '' as $$
  select concat_ws(' ', 'checkpoint', c.name, case when c.comment <> '' then '(' || c.comment || ')' end) $$;

-- Why nothing can be done with checkpoints of a machine now; null when something can.
create or replace function api.checkpoint_refusal(p_machine uuid) returns text
language plpgsql stable security invoker set search_path = '' as $$
declare
  found_state text;
  has_files boolean;
  busy app.checkpoint;
begin
  select m.state, m.sprite_id is not null into found_state, has_files
    from app.machine m where m.org_id = authz.org_id() and m.id = p_machine;
  if found_state = 'creating' or not has_files then
    return authz.refusal('state', 'The machine has no files yet. Wait until it has been created.');
  end if;
  select * into busy from app.checkpoint c
    where c.org_id = authz.org_id() and c.machine_id = p_machine and c.state in ('making', 'restoring', 'deleting');
  if found then
    return authz.refusal('checkpoint_busy', case busy.state
      when 'making' then 'A checkpoint of this machine is being made. Try again when it is ready.'
      when 'restoring' then 'The machine is being restored to a checkpoint. Try again when it is running.'
      else 'A checkpoint of this machine is being deleted. Try again in a moment.' end);
  end if;
  return null;
end $$;

create or replace function api.checkpoints_list(p_credential text, p_request text, p_org text, p_machine text,
  p_most int, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('checkpoints_list', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('limit', p_most,
      'checkpoints', coalesce(json_agg(api.checkpoint_json(c) order by c.created_at desc, c.id desc), '[]'))
    from app.checkpoint c where c.org_id = authz.org_id() and c.machine_id = machine)::text;
end $$;

-- 202: `{"machine": id, "answer": …}`. At most `p_most` for a machine.
create or replace function api.checkpoints_create(p_credential text, p_request text, p_org text, p_machine text,
  p_checkpoint text, p_event text, p_comment text, p_most int, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  present int;
  made app.checkpoint;
begin
  select * into status, body, machine
    from authz.enter_machine('checkpoints_create', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  -- Those that failed are there to be read about, for a day.
  delete from app.checkpoint c where c.org_id = authz.org_id() and c.machine_id = machine and c.state = 'failed'
    and c.ordered_at < now() - interval '1 day';
  select count(*) into present from app.checkpoint c
    where c.org_id = authz.org_id() and c.machine_id = machine and c.state <> 'failed';
  body := api.checkpoint_refusal(machine);
  if body is null and present >= p_most then
    body := authz.refusal('limit',
      format('A machine can have %s checkpoints, and this one has %s. Delete one first.', p_most, present));
  end if;
  if body is not null then
    status := 409;
  else
    insert into app.checkpoint (org_id, machine_id, id, comment, state, generation, created_by, order_id, ordered_by)
      select authz.org_id(), machine, p_checkpoint::uuid, p_comment, 'making', m.generation, authz.account_id(),
        p_event::uuid, authz.account_id()
      from app.machine m where m.org_id = authz.org_id() and m.id = machine
      returning * into made;
    status := 202;
    body := json_build_object('machine', machine, 'answer', api.checkpoint_json(made))::text;
  end if;
  perform authz.audit('checkpoints_create', p_machine || '/' || p_checkpoint, status);
end $$;

-- Orders going back to one. Its machine is of a new generation from here on. 202: as checkpoints_create.
create or replace function api.checkpoints_restore(p_credential text, p_request text, p_org text, p_machine text,
  p_checkpoint text, p_event text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  known app.checkpoint;
begin
  select * into status, body, machine
    from authz.enter_machine('checkpoints_restore', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  select * into known from app.checkpoint c
    where c.org_id = authz.org_id() and c.machine_id = machine and c.id = p_checkpoint::uuid;
  if not found then
    status := 404;
    body := api.no_checkpoint();
  else
    body := api.checkpoint_refusal(machine);
    if body is null and known.state = 'failed' then
      body := authz.refusal('state', 'There are no files behind this checkpoint: ' || known.reason);
    end if;
    if body is not null then
      status := 409;
    else
      update app.checkpoint c set state = 'restoring', order_id = p_event::uuid, ordered_by = authz.account_id(),
          ordered_at = now()
        where c.org_id = authz.org_id() and c.id = known.id returning * into known;
      update app.machine m set generation = m.generation + 1 where m.org_id = authz.org_id() and m.id = machine;
      insert into app.machine_event (org_id, machine_id, id, kind, detail, cause, actor_id)
        values (authz.org_id(), machine, p_event::uuid, 'restoring',
          format('Restore of %s ordered: files go back to then, and everything that runs ends.',
            api.checkpoint_words(known)), api.caller_cause(), authz.account_id());
      status := 202;
      body := json_build_object('machine', machine, 'answer', api.checkpoint_json(known))::text;
    end if;
  end if;
  perform authz.audit('checkpoints_restore', p_machine || '/' || p_checkpoint, status);
end $$;

-- Orders that one be deleted; one that failed has nothing behind it, and is gone at once. 202: as checkpoints_create.
create or replace function api.checkpoints_delete(p_credential text, p_request text, p_org text, p_machine text,
  p_checkpoint text, p_event text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  known app.checkpoint;
begin
  select * into status, body, machine
    from authz.enter_machine('checkpoints_delete', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  select * into known from app.checkpoint c
    where c.org_id = authz.org_id() and c.machine_id = machine and c.id = p_checkpoint::uuid;
  if not found then
    status := 404;
    body := api.no_checkpoint();
  elsif known.state = 'failed' and known.name is null then
    delete from app.checkpoint c where c.org_id = authz.org_id() and c.id = known.id;
    status := 202;
    known.state := 'deleting';
    body := json_build_object('machine', machine, 'answer', api.checkpoint_json(known))::text;
  else
    body := api.checkpoint_refusal(machine);
    if body is not null then
      status := 409;
    else
      update app.checkpoint c set state = 'deleting', order_id = p_event::uuid, ordered_by = authz.account_id(),
          ordered_at = now()
        where c.org_id = authz.org_id() and c.id = known.id returning * into known;
      status := 202;
      body := json_build_object('machine', machine, 'answer', api.checkpoint_json(known))::text;
    end if;
  end if;
  perform authz.audit('checkpoints_delete', p_machine || '/' || p_checkpoint, status);
end $$;

create or replace function api.no_checkpoint() returns text
language sql immutable security invoker set search_path = '' as
  $$ select authz.refusal('not_found', 'There is no such checkpoint of this machine.') $$;

-- The order that is under way, for the gateway object that carries it out.
create or replace function api.gateway_checkpoint_order(p_machine uuid) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', c.id, 'order', c.order_id, 'what', c.state, 'name', c.name, 'comment', c.comment)
  from app.checkpoint c where c.org_id = authz.org_id() and c.machine_id = p_machine
    and c.state in ('making', 'restoring', 'deleting') $$;

-- What became of an order: the row's state from now on, or null when there is no checkpoint any more. An order is
-- answered once, however often this is called.
create or replace function api.gateway_checkpoint(p_credential text, p_request text, p_machine text,
  p_checkpoint text, p_order text, p_state text, p_name text, p_reason text, p_event text, p_kind text,
  p_detail text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  known app.checkpoint;
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status <> 200 then
    return;
  end if;
  body := '{}';
  select * into known from app.checkpoint c
    where c.org_id = authz.org_id() and c.machine_id = p_machine::uuid and c.id = p_checkpoint::uuid
      and c.order_id = p_order::uuid and c.state in ('making', 'restoring', 'deleting') for update;
  if not found then
    return;
  end if;
  if p_state is null then
    delete from app.checkpoint c where c.org_id = authz.org_id() and c.id = known.id;
  else
    update app.checkpoint c set state = p_state, reason = left(p_reason, 500), name = coalesce(p_name, c.name),
        made_at = case when known.state = 'making' and p_state = 'ready' then now() else c.made_at end
      where c.org_id = authz.org_id() and c.id = known.id returning * into known;
  end if;
  insert into app.machine_event (org_id, machine_id, id, kind, detail, actor_id)
    values (authz.org_id(), p_machine::uuid, p_event::uuid, p_kind,
      left(replace(p_detail, '{checkpoint}', api.checkpoint_words(known)), 500), known.ordered_by);
end $$;

grant execute on function api.checkpoint_json(app.checkpoint), api.checkpoint_words(app.checkpoint),
  api.checkpoint_refusal(uuid), api.no_checkpoint(), api.checkpoints_list(text, text, text, text, int),
  api.checkpoints_create(text, text, text, text, text, text, text, int),
  api.checkpoints_restore(text, text, text, text, text, text),
  api.checkpoints_delete(text, text, text, text, text, text), api.gateway_checkpoint_order(uuid),
  api.gateway_checkpoint(text, text, text, text, text, text, text, text, text, text, text) to snap_app;
