// The peer of `GET /v1/orgs/{org}/machines`: Hono and postgres.js, written as their manuals say, on the same workerd,
// pooler, tables, policies and session as SnapVM. A Worker can't share a socket between requests, so each connects.
//
//   /transaction/…   begin, set_config, select, commit; JSON made here
//   /function/…      one call of the very function that SnapVM calls
import { Hono } from 'hono';
import { getCookie } from 'hono/cookie';
import { HTTPException } from 'hono/http-exception';
import postgres from 'postgres';

const app = new Hono();

/** The session's credential, as the database knows it. */
async function credential(c) {
  const cookie = getCookie(c, 'snap_session', 'host');
  if (!cookie) throw new HTTPException(401);
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(cookie));
  return `s:${[...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function connect(c) {
  return postgres(c.env.DB.connectionString, { max: 1, fetch_types: false, prepare: false });
}

const limit = (c) => Math.min(Number(c.req.query('limit') ?? 50), 100);

app.get('/transaction/v1/orgs/:org/machines', async (c) => {
  const who = await credential(c);
  const org = c.req.param('org');
  const most = limit(c);
  const sql = connect(c);
  try {
    const rows = await sql.begin(async (sql) => {
      const [context] = await sql`
        select set_config('app.credential', ${who}, true),
               set_config('app.org', coalesce(authz.org_by_slug(${org})::text, ''), true) as org, authz.touch()`;
      if (context.org === '') throw new HTTPException(404);
      return sql`
        select m.*, a.name as owner_name from app.machine m left join app.account a on a.id = m.owner_id
        where m.org_id = authz.org_id() and m.name > ${c.req.query('after') ?? ''}
        order by m.name limit ${most + 1}`;
    });
    const page = rows.slice(0, most);
    return c.json({
      machines: page.map((m) => ({
        id: m.id,
        name: m.name,
        org,
        state: m.state,
        reason: m.reason,
        state_at: m.state_at,
        runtime: m.runtime,
        size: m.size,
        region: m.region,
        app_port: m.app_port,
        idle_seconds: m.idle_seconds,
        url: c.env.APPS.replace('*', `${m.name}--${org}`),
        owner: m.owner_id && { account_id: m.owner_id, name: m.owner_name },
        generation: m.generation,
        created_at: m.created_at,
      })),
      next: rows.length > most ? page.at(-1).name : null,
    });
  } finally {
    c.executionCtx.waitUntil(sql.end());
  }
});

app.get('/function/v1/orgs/:org/machines', async (c) => {
  const who = await credential(c);
  const request = JSON.stringify({ request_id: crypto.randomUUID(), address: null, apps: c.env.APPS });
  const sql = connect(c);
  try {
    const [reply] = await sql`
      select status, body from api.machines_list(
        ${who}, ${request}, ${c.req.param('org')}, ${limit(c)}, ${c.req.query('after') ?? null})`;
    return c.body(reply.body, reply.status, { 'content-type': 'application/json' });
  } finally {
    c.executionCtx.waitUntil(sql.end());
  }
});

export default app;
