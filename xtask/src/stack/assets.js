// Serves a folder as Workers' static assets do: content types, entity tags, `/docs` for `docs.html` or
// `docs/index.html`, and the console's page for any other navigation.

const TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  jpg: "image/jpeg",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  map: "application/json",
  md: "text/markdown; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  ttf: "font/ttf",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
  webmanifest: "application/manifest+json",
  webp: "image/webp",
  woff: "font/woff",
  woff2: "font/woff2",
  xml: "application/xml",
};

/** The name's ending decides; a file without one is bytes. */
function contentType(path) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return (dot > 0 && TYPES[name.slice(dot + 1).toLowerCase()]) || "application/octet-stream";
}

/** The disk service answers a folder with a listing in JSON that has no length; a file always has one. */
async function file(env, path, method) {
  const response = await env.DISK.fetch(new Request(`http://disk${path}`, { method }));
  if (response.ok && response.headers.has("content-length")) return { path, response };
  await response.body?.cancel();
  return null;
}

function candidates(path) {
  if (path.endsWith("/")) return [`${path}index.html`];
  return [path, `${path}.html`, `${path}/index.html`];
}

export default {
  async fetch(request, env) {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("method not allowed", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    const { pathname } = new URL(request.url);
    let found = null;
    for (const path of [...candidates(pathname), "/index.html"]) {
      found = await file(env, path, request.method);
      if (found) break;
    }
    if (!found) return new Response("not found", { status: 404 });

    const { path, response } = found;
    const headers = new Headers({
      "content-type": contentType(path),
      "content-length": response.headers.get("content-length"),
      // Names under /assets/ and /agent/ carry a hash of the content.
      "cache-control": /^\/(assets|agent)\//.test(path)
        ? "public, max-age=31536000, immutable"
        : "public, max-age=0, must-revalidate",
    });
    return new Response(response.body, { status: 200, headers });
  },
};
