-- The runtime's provider: what scheduled work finds there, and what the operator is told of it.
set local role snap_owner;

-- One page of the provider's sprites of this deployment, compared with the machines. A null page asks where to begin.
-- `p_page`: [{"name", "id", "machine", "generation", "created_at"}]; `p_next`: where the next page starts; `p_deleted`:
-- names that are gone since the last call. Answers {"next", "delete"}: what has been an orphan at two looks and for
-- `p_seconds`. Without a single machine nothing is deleted: the database may not be the one that the sprites are of.
create or replace function api.jobs_sprites(p_credential text, p_request text, p_page text, p_next text,
  p_deleted text, p_seconds int, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('jobs', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  update app.orphan o set deleted_at = now()
    where o.deleted_at is null and o.sprite_name in (select jsonb_array_elements_text(p_deleted::jsonb));
  delete from app.orphan o where coalesce(o.deleted_at, o.last_seen_at) < now() - interval '30 days';
  if p_page is null then
    body := json_build_object('next', (select l.next_page from app.provider_look l), 'delete', '[]'::json)::text;
    return;
  end if;
  insert into app.provider_look (next_page) values (p_next)
    on conflict (only_row) do update set next_page = excluded.next_page, looked_at = now();
  with found as (
    select p.name, p.id, p.created_at,
      -- One that is prepared is nobody's yet, and no orphan.
      case when m.id is null and r.id is null then 'machine_gone'
        -- It keeps the name of the generation that it was made in; only one that was replaced is stale.
        -- Where none is recorded, it is one of the present generation that is being made.
        when m.sprite_name is distinct from p.name and p.generation < m.generation
          then 'generation_stale' end as reason
    from jsonb_to_recordset(p_page::jsonb)
      as p (name text, id text, machine uuid, generation bigint, created_at timestamptz)
    left join app.machine m on m.id = p.machine
    left join app.prepared r on r.id = p.machine),
  claimed as (
    delete from app.orphan o using found f where f.reason is null and o.sprite_name = f.name and o.deleted_at is null),
  seen as (
    insert into app.orphan as o (sprite_name, sprite_id, reason)
      select f.name, f.id, f.reason from found f where f.reason is not null
    on conflict (sprite_name) do update set reason = excluded.reason, last_seen_at = now(),
      sightings = case when o.sprite_id = excluded.sprite_id then o.sightings + 1 else 1 end,
      first_seen_at = case when o.sprite_id = excluded.sprite_id then o.first_seen_at else now() end,
      deleted_at = case when o.sprite_id = excluded.sprite_id then o.deleted_at end,
      sprite_id = excluded.sprite_id
    returning o.sprite_name, o.sightings, o.first_seen_at)
  select json_build_object('next', p_next, 'delete', coalesce(json_agg(s.sprite_name order by s.first_seen_at), '[]'))
    into body
    from seen s join found f on f.name = s.sprite_name
    where s.sightings >= 2 and exists (select from app.machine)
      and coalesce(f.created_at, s.first_seen_at) <= now() - make_interval(secs => p_seconds);
end $$;

create or replace function api.operator_provider_get(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  perform set_config('app.credential', coalesce(p_credential, ''), true),
    set_config('app.request', coalesce(p_request, ''), true), set_config('app.org', '', true);
  if authz.service() is distinct from 'operator' then
    status := case when authz.account_id() is null then 401 else 403 end;
    body := case status
      when 401 then authz.refusal('unauthenticated', 'Show the operator''s credential of this deployment.')
      else authz.refusal('operator', 'Only the operator of this deployment may see this.') end;
    return;
  end if;
  status := 200;
  body := json_build_object(
    'prepared', api.prepared_counts(),
    'looked_at', (select authz.iso(l.looked_at) from app.provider_look l),
    'orphans', (select coalesce(json_agg(json_build_object('sprite', o.sprite_name, 'sprite_id', o.sprite_id,
        'reason', o.reason, 'sightings', o.sightings, 'first_seen_at', authz.iso(o.first_seen_at),
        'last_seen_at', authz.iso(o.last_seen_at), 'deleted_at', authz.iso(o.deleted_at))
        order by o.last_seen_at desc, o.sprite_name), '[]')
      from (select * from app.orphan order by last_seen_at desc limit 200) o))::text;
end $$;

grant execute on function api.jobs_sprites(text, text, text, text, text, int) to snap_jobs;
grant execute on function api.operator_provider_get(text, text) to snap_app;
