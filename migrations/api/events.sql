-- What happened to machines: a line of history each, newest first.
set local role snap_owner;

create or replace function api.event_json(e app.machine_event) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', e.id, 'at', authz.iso(e.at), 'kind', e.kind, 'detail', e.detail,
    'cause', e.cause, 'actor', (select a.name from app.account a where a.id = e.actor_id),
    'machine', (select json_build_object('id', m.id, 'name', m.name) from app.machine m
      where m.org_id = e.org_id and m.id = e.machine_id)) $$;

-- A page of the events of the context's organization: of all, of one machine, or of one kind; `p_before` is the last id
-- of the page before. Each question has its own index; those that are not asked cost nothing.
create or replace function api.events_page(p_limit int, p_before uuid, p_machine uuid, p_kind text) returns json
language sql stable security invoker set search_path = '' as $$
  with bounds as materialized (
    select authz.org_id() as org_id, coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff') as before),
  newest (e) as (
    (select e from bounds b join app.machine_event e on e.org_id = b.org_id and e.id < b.before
      where p_machine is null and p_kind is null order by e.id desc limit p_limit + 1)
    union all
    (select e from bounds b join app.machine_event e on e.org_id = b.org_id and e.id < b.before
      where e.machine_id = p_machine and (p_kind is null or e.kind = p_kind) order by e.id desc limit p_limit + 1)
    union all
    (select e from bounds b join app.machine_event e on e.org_id = b.org_id and e.id < b.before
      where p_machine is null and e.kind = p_kind order by e.id desc limit p_limit + 1)),
  page as (
    select api.event_json(e) as event, (e).id, row_number() over (order by (e).id desc) as position from newest)
  select json_build_object('events', coalesce(json_agg(p.event order by p.id desc) filter (where p.position <= p_limit), '[]'),
    'next', case when count(*) > p_limit then (array_agg(p.id) filter (where p.position = p_limit))[1] end)
  from page p $$;

create or replace function api.events_list(p_credential text, p_request text, p_org text, p_limit int, p_before text,
  p_machine text, p_kind text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  only_machine uuid;
begin
  select * into status, body from authz.enter('events_list', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  if p_machine is not null then
    select m.id into only_machine from app.machine m where m.org_id = authz.org_id() and m.name = p_machine;
    if not found then
      status := 422;
      body := authz.refusal('invalid', 'There is no such machine in this organization.', 'machine');
      return;
    end if;
  end if;
  body := api.events_page(p_limit, p_before::uuid, only_machine, p_kind)::text;
end $$;

create or replace function api.machine_events_list(p_credential text, p_request text, p_org text, p_name text,
  p_limit int, p_before text, p_kind text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('machine_events_list', p_credential, p_request, p_org, p_name);
  if status = 200 then
    body := api.events_page(p_limit, p_before::uuid, machine, p_kind)::text;
  end if;
end $$;

grant execute on function api.event_json(app.machine_event) to snap_app, snap_authz;
grant execute on function api.events_page(int, uuid, uuid, text),
  api.events_list(text, text, text, int, text, text, text),
  api.machine_events_list(text, text, text, text, int, text, text) to snap_app;
