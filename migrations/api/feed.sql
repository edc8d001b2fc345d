-- The feed: what a statement has changed, for whoever follows the organization.
--
-- Triggers write each change into the transaction's setting `app.feed`, a line each: the organization's id, a space, the
-- change (protocol's `feed::Change`: kind, thing, version, and what clients are told). Every statement of the Worker gives
-- the setting back beside its answer: a change is announced once it is durable, without another round trip, and whoever
-- changes a row cannot forget it. Where nobody follows, nothing is written, and no object hears of anything.
--
-- What is said must be fit for every role that protocol's `feed::least` names for the kind.
set local role snap_authz;

-- Whether anybody follows. Holds off whoever comes to follow until this transaction is over: what they are not told of,
-- they then read.
create or replace function authz.is_followed(p_org uuid) returns boolean
language plpgsql volatile security invoker set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('feed ' || p_org, 0));
  return exists (select from app.followed f where f.org_id = p_org);
end $$;

-- Arguments: the kind, then columns that tell followers what it is about. The first of them names one thing of the kind:
-- of two changes of the same thing that nobody has seen yet, the newer one is told.
create or replace function authz.announce() returns trigger
language plpgsql volatile security definer set search_path = '' as $$
declare
  kind text := tg_argv[0];
  columns text[] := tg_argv[1:];
  gone boolean := tg_op = 'DELETE';
  fields jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
  org uuid := fields ->> 'org_id';
  thing text := coalesce(fields ->> tg_argv[1], '-');
  version bigint := 0;
  machine text;
  data jsonb;
  present_machine app.machine;
  written app.machine_event;
begin
  if kind = 'credential' then
    -- It has ended for whatever its account follows.
    perform authz.tell(m.org_id, kind, thing, 0, '{}', null) from app.membership m
      where m.account_id = (fields ->> 'account_id')::uuid and authz.is_followed(m.org_id);
    return null;
  elsif not authz.is_followed(org) then
    return null;
  end if;
  data := (select coalesce(jsonb_object_agg(c, fields -> c), '{}') from unnest(columns) c)
    || case when gone then '{"removed": true}' else '{}'::jsonb end;
  if kind = 'machine' then
    machine := fields ->> 'name';
    version := (fields ->> 'version')::bigint + gone::int;
    if not gone then
      present_machine := new;
      data := (select api.machine_json(present_machine, o.slug)::jsonb from app.org o where o.id = org);
    end if;
  elsif fields ? 'machine_id' then
    machine := (select m.name from app.machine m
      where m.org_id = org and m.id = (fields ->> 'machine_id')::uuid);
    if machine is null then
      -- Gone together with its machine, which says so itself.
      return null;
    end if;
    thing := machine || '/' || thing;
    if kind = 'event' then
      written := new;
      data := api.event_json(written)::jsonb;
    elsif kind = 'services' then
      data := data || jsonb_build_object('status', api.service_status_json((fields ->> 'status')::jsonb));
    elsif kind = 'terminals' then
      data := data || jsonb_build_object('state', case when fields ->> 'ended_at' is null then 'open' else 'ended' end);
    end if;
  end if;
  perform authz.tell(org, kind, thing, version, data, machine);
  return null;
end $$;

-- One line more. A client reads by itself what would be too long to be told. No operation comes near the limit of all
-- lines, which is there for a statement that an operator types.
create or replace function authz.tell(p_org uuid, p_kind text, p_thing text, p_version bigint, p_data jsonb,
  p_machine text) returns void
language sql volatile security invoker set search_path = '' as $$
  select set_config('app.feed', said.lines || concat_ws(' ', p_org, p_kind, p_thing, p_version,
    (told.change || case when p_data = '{}' or octet_length(told.change::text) + octet_length(p_data::text) > 8000
      then '{}' else jsonb_build_object('data', p_data) end)::text) || E'\n', true)
  from (select coalesce(current_setting('app.feed', true), '') as lines) said,
    (select jsonb_build_object('kind', p_kind, 'at', authz.iso(clock_timestamp()))
      || case when p_machine is null then '{}' else jsonb_build_object('machine', p_machine) end as change) told
  where octet_length(said.lines) < 200000 $$;

-- Somebody comes to follow the context's organization: from here on, changes are announced.
create or replace function authz.follow() returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('feed ' || authz.org_id(), 0));
  insert into app.followed (org_id, at) values (authz.org_id(), clock_timestamp())
    on conflict (org_id) do update set at = excluded.at;
end $$;

-- Nobody follows any more, as the organization's object knows, unless somebody is on their way.
create or replace function authz.unfollow(p_org uuid, p_seconds int) returns void
language sql volatile security definer set search_path = '' as $$
  delete from app.followed f
    where f.org_id = p_org and f.at < now() - p_seconds * interval '1 second' and authz.service() = 'gateway' $$;

grant execute on function authz.announce() to snap_owner;
grant execute on function authz.follow(), authz.unfollow(uuid, int) to snap_app;

set local role snap_owner;

-- What is announced. A sprite's name and a raised epoch are nobody's business.
create or replace trigger announce after insert or delete on app.machine
  for each row execute function authz.announce('machine', 'id', 'name');
create or replace trigger announce_change after update on app.machine for each row
  when (to_jsonb(old) - '{version,epoch,sprite_name,sprite_id,sprite_url,written,checked_at,desired_at,desired_by}'::text[]
    <> to_jsonb(new) - '{version,epoch,sprite_name,sprite_id,sprite_url,written,checked_at,desired_at,desired_by}'::text[])
  execute function authz.announce('machine', 'id', 'name');
create or replace trigger announce after insert on app.machine_event
  for each row execute function authz.announce('event', 'id');
create or replace trigger announce after insert or delete on app.service
  for each row execute function authz.announce('services', 'name', 'desired');
create or replace trigger announce_change after update on app.service for each row when (old is distinct from new)
  execute function authz.announce('services', 'name', 'desired');
create or replace trigger announce after insert or update on app.terminal_session
  for each row execute function authz.announce('terminals', 'id', 'name');
create or replace trigger announce after insert or delete on app.hold
  for each row execute function authz.announce('holds', 'id', 'reason');
create or replace trigger announce after insert or update or delete on app.checkpoint
  for each row execute function authz.announce('checkpoints', 'id', 'state');
create or replace trigger announce after insert or update or delete on app.variable
  for each row execute function authz.announce('variables', 'name');
create or replace trigger announce after insert or update or delete on app.port
  for each row execute function authz.announce('ports', 'port', 'label');
create or replace trigger announce after insert or update or delete on app.membership
  for each row execute function authz.announce('members', 'account_id', 'role');
create or replace trigger announce after insert or update or delete on app.quota
  for each row execute function authz.announce('quotas');
create or replace trigger announce after insert on app.audit for each row when (new.org_id is not null)
  execute function authz.announce('audit');
-- Nobody is told of these: whoever follows with one is looked at again.
create or replace trigger announce after delete on app.session
  for each row execute function authz.announce('credential', 'account_id');
create or replace trigger announce after update on app.api_token for each row when (new.revoked_at is not null)
  execute function authz.announce('credential', 'account_id');

-- May this caller follow the feed? 200: `{"org", "account", "role"}`. `p_begins` when they come; without it, it is the look
-- of the object at a socket that it has, so there is no audit row.
create or replace function api.feed_stream(p_credential text, p_request text, p_org text, p_begins boolean,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('feed_stream', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  if p_begins then
    perform authz.follow();
  end if;
  body := (select json_build_object('org', r.org_id, 'account', authz.account_id(), 'role', r.role)
    from authz.own_roles() r where r.org_id = authz.org_id())::text;
end $$;

-- The object of an organization's feed has had no follower for so long.
create or replace function api.gateway_unfollowed(p_credential text, p_request text, p_org text, p_seconds int,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  perform set_config('app.credential', coalesce(p_credential, ''), true),
    set_config('app.request', coalesce(p_request, ''), true), set_config('app.org', '', true);
  status := 401;
  if authz.service() = 'gateway' then
    perform authz.unfollow(p_org::uuid, p_seconds);
    status := 200;
  end if;
end $$;

grant execute on function api.feed_stream(text, text, text, boolean),
  api.gateway_unfollowed(text, text, text, int) to snap_app;
