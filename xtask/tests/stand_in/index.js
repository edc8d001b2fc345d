// A Worker in plain JavaScript that uses every binding which a stack gives to the real one.
import { DurableObject } from "cloudflare:workers";
import { connect } from "cloudflare:sockets";

export class Counter extends DurableObject {
  async fetch() {
    const sql = this.ctx.storage.sql;
    sql.exec("create table if not exists count (n integer)");
    sql.exec("insert into count values (1)");
    return Response.json(sql.exec("select count(*) as n from count").one().n);
  }
}

/** Whether something that speaks Postgres answers: a request for TLS gets one byte. */
async function database(env) {
  const socket = connect({ hostname: env.DB.host, port: env.DB.port });
  const writer = socket.writable.getWriter();
  await writer.write(new Uint8Array([0, 0, 0, 8, 4, 210, 22, 47]));
  const { value } = await socket.readable.getReader().read();
  await socket.close();
  return new Response(`${env.DB.user} ${env.DB.database} ${String.fromCharCode(value[0])}`);
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/vars":
        return Response.json({ origin: env.CONSOLE_ORIGIN, color: env.COLOR, shape: env.SHAPE });
      case "/count":
        return env.COUNTER.getByName("one").fetch(request);
      case "/database":
        return database(env);
      case "/loopback":
        return fetch(`http://127.0.0.1:${url.port}/vars`);
      default:
        return env.ASSETS.fetch(request);
    }
  },
  async scheduled(controller, env) {
    await env.COUNTER.getByName("one").fetch("http://counter/");
  },
};
