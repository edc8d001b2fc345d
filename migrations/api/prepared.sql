-- Prepared machines: who takes one, what their objects read and write, and how many there are to be. The table has no
-- organization, and no function that a person's credential opens reads it.
set local role snap_authz;

-- A machine that is created takes the id and the sprite of one that is ready, if there is one of its kind: locked before
-- the row is written, gone after it, so that a name that is taken takes nothing. Who creates beside it gets another one.
-- Triggers, so that nobody can take one without a machine.
create or replace function authz.take_prepared() returns trigger
language plpgsql volatile security definer set search_path = '' as $$
declare
  ready record;
begin
  if tg_when = 'AFTER' then
    delete from app.prepared p where p.id = new.id;
    return null;
  end if;
  select p.id, p.sprite_name, p.sprite_id, p.sprite_url into ready from app.prepared p
    where p.state = 'hibernated' and p.sprite_id is not null
      and p.runtime = new.runtime and p.size = new.size and p.region = new.region
    order by p.created_at limit 1 for update skip locked;
  if found then
    new.id := ready.id;
    new.sprite_name := ready.sprite_name;
    new.sprite_id := ready.sprite_id;
    new.sprite_url := ready.sprite_url;
  end if;
  return new;
end $$;
grant execute on function authz.take_prepared() to snap_owner;

set local role snap_owner;

create or replace trigger take_prepared before insert on app.machine
  for each row when (new.state = 'creating') execute function authz.take_prepared();
create or replace trigger take_prepared_done after insert on app.machine
  for each row when (new.sprite_id is not null) execute function authz.take_prepared();

-- What an object reads of a machine that is nobody's yet, as api.gateway_load has it: to be made, and then to sleep. Null
-- when there is none.
create or replace function api.prepared_record(p_machine uuid) returns text
language sql stable security invoker set search_path = '' as $$
  select json_build_object('org', '', 'machine', p.id, 'name', '', 'state', p.state, 'reason', p.reason,
    'runtime', p.runtime, 'size', p.size, 'region', p.region, 'generation', 1, 'epoch', 1, 'idle_seconds', 900,
    'desired', 'asleep', 'written', p.written, 'sprite_name', p.sprite_name, 'sprite_id', p.sprite_id,
    'sprite_url', p.sprite_url, 'services', '[]'::json, 'terminals', '[]'::json)::text
  from app.prepared p where p.id = p_machine $$;

-- Writes through what the object of a prepared machine decided, as api.gateway_state does. 404 when it has been taken:
-- whoever has not heard of that writes nothing to somebody's machine. 409 when it is to go.
create or replace function api.gateway_prepared(p_credential text, p_request text, p_machine text, p_state text,
  p_reason text, p_number text, p_sprite_name text, p_sprite_id text, p_sprite_url text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('gateway', p_credential, p_request, p_machine::uuid);
  if status = 401 then
    return;
  end if;
  update app.prepared p set state = p_state, reason = left(p_reason, 500), written = p_number::bigint,
      state_at = case when p.state = p_state then p.state_at else now() end,
      sprite_name = coalesce(p_sprite_name, p.sprite_name), sprite_id = coalesce(p_sprite_id, p.sprite_id),
      sprite_url = coalesce(p_sprite_url, p.sprite_url)
    where p.id = p_machine::uuid and p.written < p_number::bigint and (p.state <> 'deleting' or p_state = 'deleting');
  status := (select case when p.state = 'deleting' and p_state <> 'deleting' then 409 else 200 end
    from app.prepared p where p.id = p_machine::uuid);
  body := case status when 200 then '{"epoch": 1}' when 409 then authz.refusal('deleting', 'It is to go.')
    else authz.refusal('not_found', 'There is no such prepared machine.') end;
  status := coalesce(status, 404);
end $$;

-- How many of what kind are to be ready: what is configured, as far as the deployment offers it.
create or replace function api.prepared_wanted(p_wanted jsonb, p_offer jsonb)
returns table (runtime text, size text, region text, ready bigint)
language sql immutable security invoker set search_path = '' as $$
  select w.runtime, w.size, w.region, least(max(w.ready), 100)::bigint
  from jsonb_to_recordset(p_wanted) as w (runtime text, size text, region text, ready int)
  where p_offer -> 'runtimes' ? w.runtime
    and exists (select from jsonb_array_elements(p_offer -> 'sizes') s where s ->> 'id' = w.size)
    and exists (select from jsonb_array_elements(p_offer -> 'regions') r where r ->> 'id' = w.region)
  group by w.runtime, w.size, w.region $$;

-- Has those go that are too many, old, of another agent, failed, or stuck; and begins new ones, under the ids of `p_ids`,
-- never more at a time than there are. While one that failed is still there, for five minutes, and where the caller knows
-- that the provider has no room (`p_fills`), nothing new is begun: people come first. Answers what was begun:
-- `[{"machine", "region"}]`. Their objects are asked by api.jobs_unfinished again.
create or replace function api.jobs_prepare(p_credential text, p_request text, p_wanted text, p_offer text,
  p_ids text, p_digest text, p_fills boolean, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('jobs', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  -- Two runs at once would each begin what is missing.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('prepared', 0));
  with standing as (
    select p.*, w.ready, row_number() over (partition by p.runtime, p.size, p.region
      order by p.agent_digest = p_digest desc, p.state = 'hibernated' desc, p.state = 'failed', p.created_at) as place
    from app.prepared p left join api.prepared_wanted(p_wanted::jsonb, p_offer::jsonb) w using (runtime, size, region)
    where p.state <> 'deleting')
  update app.prepared p set state = 'deleting', state_at = now(), reason = 'Not wanted any more.'
    where p.id in (select d.id from app.prepared d
      where d.id in (select s.id from standing s
        where s.ready is null or s.place > s.ready or s.agent_digest <> p_digest
          or s.created_at < now() - interval '7 days'
          or s.state = 'failed' and s.state_at < now() - interval '5 minutes'
          or s.state <> 'hibernated' and s.state_at < now() - interval '30 minutes')
      -- Not one that somebody takes right now.
      for update skip locked);
  with missing as (
    select w.runtime, w.size, w.region, row_number() over (order by n.number, w.runtime, w.size, w.region) as place
    from api.prepared_wanted(p_wanted::jsonb, p_offer::jsonb) w
    cross join lateral generate_series((select count(*) + 1 from app.prepared p where p.runtime = w.runtime
      and p.size = w.size and p.region = w.region and p.state <> 'deleting'), w.ready) n (number)),
  begun as (
    insert into app.prepared (id, runtime, size, region, agent_digest)
      select i.id::uuid, m.runtime, m.size, m.region, p_digest
      from missing m join jsonb_array_elements_text(p_ids::jsonb) with ordinality i (id, place) on i.place = m.place
      where p_fills and not exists (select from app.prepared p where p.state = 'failed')
        and i.place <= jsonb_array_length(p_ids::jsonb)
          - (select count(*) from app.prepared p where p.state not in ('hibernated', 'deleting'))
      returning id, region)
  select coalesce(json_agg(json_build_object('machine', b.id, 'region', b.region)), '[]')::text into body from begun b;
end $$;

-- For the operator: how many of each kind, and why the last one failed.
create or replace function api.prepared_counts() returns json
language sql stable security invoker set search_path = '' as $$
  select coalesce(json_agg(k order by k.runtime, k.size, k.region), '[]') from (
    select p.runtime, p.size, p.region, count(*) filter (where p.state = 'hibernated') as ready,
      count(*) filter (where p.state not in ('hibernated', 'failed', 'deleting')) as preparing,
      count(*) filter (where p.state = 'failed') as failed, count(*) filter (where p.state = 'deleting') as leaving,
      max(p.reason) filter (where p.state = 'failed') as failure
    from app.prepared p group by p.runtime, p.size, p.region) k $$;

grant execute on function api.prepared_record(uuid), api.prepared_counts(),
  api.gateway_prepared(text, text, text, text, text, text, text, text, text) to snap_app;
grant execute on function api.prepared_wanted(jsonb, jsonb),
  api.jobs_prepare(text, text, text, text, text, text, boolean) to snap_jobs;
