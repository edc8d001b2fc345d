-- Usage: for how long machines were awake. The trigger follow_usage writes the intervals.
set local role snap_owner;

-- Between two times: in all, by machine (those that were awake longest first), by size, by day of UTC.
create or replace function api.usage_get(p_credential text, p_request text, p_org text, p_from text, p_to text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  since timestamptz := p_from::timestamptz;
  until timestamptz := p_to::timestamptz;
begin
  select * into status, body from authz.enter('usage_get', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  body := (
    with interval as (
      select u.machine_id, u.machine_name, u.size, u.started_at >= since as woke,
        greatest(u.started_at, since) at time zone 'UTC' as started_at,
        least(coalesce(u.ended_at, now()), until, now()) at time zone 'UTC' as ended_at
      from app.usage_interval u
      where u.org_id = (select authz.org_id()) and u.started_at < until
        and (u.ended_at is null or u.ended_at > since)),
    timed as (select i.*, greatest(extract(epoch from i.ended_at - i.started_at), 0) as seconds from interval i),
    machine as (
      select t.machine_id, (array_agg(t.machine_name order by t.started_at desc))[1] as name, t.size,
        sum(t.seconds) as seconds, count(*) filter (where t.woke) as wakes
      from timed t group by t.machine_id, t.size),
    day as (
      select d.day, coalesce(sum(extract(epoch from
          least(t.ended_at, d.day + interval '1 day') - greatest(t.started_at, d.day)))
        filter (where t.machine_id is not null), 0) as seconds
      from generate_series(date_trunc('day', since at time zone 'UTC'),
        least(until, now()) at time zone 'UTC' - interval '1 microsecond', interval '1 day') d (day)
      left join timed t on t.started_at < d.day + interval '1 day' and t.ended_at > d.day
      group by d.day)
    select json_build_object('from', authz.iso(since), 'to', authz.iso(until),
      'awake_seconds', (select coalesce(round(sum(t.seconds)), 0)::bigint from timed t),
      'machines', (select coalesce(json_agg(json_build_object('id', m.machine_id, 'name', m.name, 'size', m.size,
          'awake_seconds', round(m.seconds)::bigint, 'wakes', m.wakes,
          'exists', exists (select from app.machine there where there.id = m.machine_id))
        order by m.seconds desc, m.machine_id), '[]') from machine m),
      'sizes', (select coalesce(json_agg(json_build_object('size', s.size, 'awake_seconds', s.seconds)
        order by s.size), '[]')
        from (select t.size, round(sum(t.seconds))::bigint as seconds from timed t group by t.size) s),
      'days', (select coalesce(json_agg(json_build_object('day', to_char(d.day, 'YYYY-MM-DD'),
        'awake_seconds', round(d.seconds)::bigint) order by d.day), '[]') from day d)))::text;
end $$;

grant execute on function api.usage_get(text, text, text, text, text) to snap_app;
