// The cable between a browser and SnapVM: a proxy that can be cut, which ends every connection at once, and mended.
import { once } from "node:events";
import { createServer, request } from "node:http";
import { connect } from "node:net";

export async function cable() {
  const sockets = new Set();
  let whole = true;
  let cuts = 0;
  const server = createServer((asked, answered) => {
    // Plain requests come with a whole address, as proxies get them.
    const { port, pathname, search } = new URL(asked.url);
    const { method, headers } = asked;
    const upstream = request({ host: "127.0.0.1", port, method, headers, path: `${pathname}${search}` }, (answer) => {
      answered.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(answered);
    });
    upstream.on("error", () => answered.destroy());
    answered.on("close", () => upstream.destroy());
    asked.pipe(upstream);
  });
  // WebSockets come through a tunnel.
  server.on("connect", (asked, client) => {
    const { port } = new URL(`http://${asked.url}`);
    const upstream = connect(Number(port), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      client.pipe(upstream).pipe(client);
    });
    join(upstream, client);
  });
  server.on("connection", (socket) => {
    if (!whole) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });

  /** Both ends go together. */
  function join(one, other) {
    for (const [socket, peer] of [[one, other], [other, one]]) {
      socket.on("error", () => {});
      socket.on("close", () => peer.destroy());
    }
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // The script's end does not wait for it.
  server.unref();
  return {
    proxy: { server: `http://127.0.0.1:${server.address().port}` },
    /** Ends every connection, and refuses new ones until it is mended. */
    cut() {
      whole = false;
      cuts += 1;
      for (const socket of sockets) {
        socket.destroy();
      }
    },
    mend() {
      whole = true;
    },
    get cuts() {
      return cuts;
    },
  };
}
