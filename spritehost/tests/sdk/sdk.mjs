// The public SDK against a spritehost: `node sdk.mjs PART`, with SPRITES_URL and SPRITES_TOKEN in the environment.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { APIError, ExecError, FilesystemError, SpritesClient } from "@fly/sprites";

const client = new SpritesClient(process.env.SPRITES_TOKEN, { baseURL: process.env.SPRITES_URL });

/** Reads a stream of lines to its end. */
async function all(stream) {
  const events = [];
  await (await stream).processAll((event) => void events.push(event));
  return events;
}

/** Collects what a command prints, and waits for a text in it. */
function listen(command) {
  let said = "";
  command.stdout.on("data", (bytes) => (said += bytes));
  return async (text) => {
    while (!said.includes(text)) await once(command.stdout, "data");
    return said;
  };
}

const parts = {
  async sprites() {
    const made = await client.createSprite("one", { labels: ["a"], environment: { MINE: "yes" }, config: { ramMB: 512 } });
    assert.match(made.id, /^sprite-/);
    await client.createSprite("two");
    assert.equal((await client.getSprite("one")).id, made.id);
    const listed = await client.listSprites({ bulkLoad: true, maxResults: 1 });
    assert.deepEqual([listed.sprites[0].labels, listed.hasMore, listed.cold], [["a"], true, 2]);
    assert.deepEqual((await client.listAllSprites()).map((sprite) => sprite.name), ["one", "two"]);
    const changed = await made.update({ urlSettings: { auth: "public" }, labels: [] });
    assert.equal(changed.urlSettings.auth, "public");
    await made.upgrade();
    const policy = { rules: [{ domain: "*.example.com", action: "allow" }, { include: "defaults" }] };
    await made.updateNetworkPolicy(policy);
    assert.deepEqual(await made.getNetworkPolicy(), policy);
    const taken = await client.createSprite("one").catch((error) => error);
    assert.ok(taken instanceof APIError && taken.statusCode === 400);
    await made.delete();
    await assert.rejects(client.getSprite("one"), (error) => error.statusCode === 404);
  },

  async exec() {
    const sprite = await client.createSprite("exec");
    const ran = await sprite.execFile("bash", ["-c", "echo out; echo err >&2"]);
    assert.deepEqual([ran.stdout, ran.stderr, ran.exitCode], ["out\n", "err\n", 0]);
    const failed = await sprite.exec("ls /nothing").catch((error) => error);
    assert.ok(failed instanceof ExecError && failed.exitCode === 2 && failed.stderr.includes("nothing"));
    for (let number = 0; number < 20; number++) {
      assert.equal((await sprite.exec(`echo ${number}`)).stdout, `${number}\n`, "no output is lost");
    }
    const once = await sprite.execFileHTTP("tr", ["a", "b"], { input: "banana" });
    assert.equal(once.stdout, "bbnbnb");
    const cat = sprite.spawn("cat", [], { cwd: "/tmp", env: { PATH: "/usr/bin" } });
    const heard = listen(cat);
    cat.on("spawn", () => cat.stdin.end("through"));
    assert.equal(await cat.wait(), 0);
    assert.equal(await heard("through"), "through");
    const asleep = sprite.spawn("sleep", ["1000"]);
    asleep.on("spawn", () => asleep.kill("SIGTERM"));
    assert.equal(await asleep.wait(), 143);
  },

  async terminal() {
    const sprite = await client.createSprite("tty");
    const shell = sprite.createSession("bash", ["--norc"], { rows: 30, cols: 90 });
    const told = new Promise((resolve) => shell.on("message", (message) => message.type === "session_info" && resolve(message)));
    const heard = listen(shell);
    const info = await told;
    shell.stdin.write("stty size\r");
    await heard("30 90");
    shell.resize(132, 50);
    shell.stdin.write("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.01; done; echo re''sized\r");
    await heard("resized");
    const [session] = await sprite.listSessions();
    assert.deepEqual([session.id, session.tty, session.command], [info.session_id, true, "bash --norc"]);

    const second = sprite.attachSession(session.id);
    const alsoHeard = listen(second);
    await once(second, "spawn");
    second.stdin.write("echo from''second\r");
    await Promise.all([heard("fromsecond"), alsoHeard("fromsecond")]);
    shell.stdin.write("exit\r");
    assert.deepEqual([await shell.wait(), await second.wait()], [0, 0]);

    const stubborn = sprite.spawn("bash", ["-c", "trap '' TERM; echo up; sleep 1000"], { tty: true });
    const started = new Promise((resolve) => stubborn.on("message", (message) => message.type === "session_info" && resolve(message)));
    await listen(stubborn)("up");
    const id = (await started).session_id;
    const killed = await all(sprite.killSession(id, "SIGTERM", "100ms"));
    assert.deepEqual(killed.map((event) => event.type), ["signal", "timeout", "killed", "complete"]);
    assert.equal(await stubborn.wait(), 1, "what this SDK makes of any failure on a terminal");
    await assert.rejects(sprite.killSession(id), (error) => error.statusCode === 410);
  },

  async files() {
    const sprite = await client.createSprite("files");
    const fs = sprite.filesystem("/home/sprite");
    await fs.mkdir("deep/er", { recursive: true });
    await fs.writeFile("deep/er/text", "one", { mode: 0o600 });
    const stats = await fs.stat("deep/er/text");
    assert.deepEqual([stats.size, stats.mode, stats.isFile()], [3, 0o600, true]);
    await fs.appendFile("deep/er/text", " two");
    assert.equal(await fs.readFile("deep/er/text", "utf8"), "one two");
    assert.deepEqual(await fs.readdir("deep/er"), ["text"]);
    const [entry] = await fs.readdir("deep", { withFileTypes: true });
    assert.ok(entry.isDirectory());
    await fs.rename("deep/er/text", "deep/moved");
    await fs.copyFile("deep", "copy", { recursive: true });
    await fs.chmod("copy/moved", 0o755);
    await fs.chown("copy/moved", { uid: "root", gid: 0 });
    assert.equal((await sprite.exec("stat -c %U:%G:%a copy/moved")).stdout, "root:root:755\n");
    assert.deepEqual([await fs.exists("copy/moved"), await fs.exists("nothing")], [true, false]);
    const missing = await fs.readFile("nothing").catch((error) => error);
    assert.ok(missing instanceof FilesystemError && missing.code === "ENOENT");
    await assert.rejects(fs.rm("copy"), { code: "ENOTEMPTY" });
    await fs.rm("copy", { recursive: true });
    await fs.rm("copy", { force: true });
    await fs.writeJSON("data.json", { a: [1] });
    assert.deepEqual(await fs.readJSON("data.json"), { a: [1] });
    const watcher = await fs.watch("deep");
    assert.equal((await watcher.next()).type, "subscribed");
    await fs.rm("deep/moved");
    const { path, event } = await watcher.next();
    assert.deepEqual([path, event], ["/home/sprite/deep/moved", "remove"]);
    watcher.close();
    const big = Buffer.alloc(3_000_000, "x");
    await fs.writeFile("big", big);
    assert.ok(big.equals(await fs.readFile("big", null)));
  },

  async services() {
    const sprite = await client.createSprite("services");
    const web = { cmd: "python3", args: ["-um", "http.server", "8080"], httpPort: 8080, env: { A: "b" }, dir: "/tmp" };
    const events = await all(sprite.createService("web", web, "300ms"));
    assert.deepEqual([events[0].type, events.at(-1).type], ["started", "complete"]);
    await all(sprite.createService("after", { cmd: "sleep", args: ["1000"], needs: ["web"] }, "0s"));
    assert.deepEqual((await sprite.listServices()).map((service) => service.name), ["after", "web"]);
    assert.equal((await sprite.getService("web")).state.status, "running");
    const token = { headers: { authorization: `Bearer ${process.env.SPRITES_TOKEN}` } };
    const { url } = await client.getSprite("services");
    assert.equal((await fetch(url, token)).status, 200);
    assert.equal((await fetch(url, { redirect: "manual" })).status, 302, "not 401");
    const logs = await all(sprite.getServiceLogs("web", { lines: 10 }));
    assert.ok(logs.some((event) => event.data?.includes("GET / HTTP")));
    await sprite.signalService("after", "KILL");
    await all(sprite.restartService("after", "0s"));
    const stopped = await all(sprite.stopService("web", "5s"));
    assert.deepEqual(stopped.map((event) => event.type), ["stopping", "stopped", "complete"]);
    const { state } = await sprite.getService("web");
    assert.deepEqual([state.status, state.error], ["failed", "exited with code 143"], "as on the provider");
    await all(sprite.startService("web", "0s"));
    await sprite.deleteService("after");
    await assert.rejects(sprite.getService("after"), /not found/);
  },

  async checkpoints() {
    const sprite = await client.createSprite("kept");
    const fs = sprite.filesystem("/home/sprite");
    await fs.writeFile("file", "one");
    const events = await all(sprite.createCheckpoint("before"));
    assert.deepEqual(events.map((event) => event.type), ["info", "complete"]);
    await fs.writeFile("file", "two");
    await all(sprite.createCheckpoint());
    const listed = await sprite.listCheckpoints();
    assert.deepEqual(listed.map((checkpoint) => [checkpoint.id, checkpoint.comment]), [["v2", ""], ["v1", "before"]]);
    assert.ok((await sprite.getCheckpoint("v1")).createTime <= listed[0].createTime);
    const restored = await all(sprite.restoreCheckpoint("v1"));
    assert.equal(restored.at(-1).type, "complete");
    assert.equal(await fs.readFile("file", "utf8"), "one");
    await assert.rejects(sprite.restoreCheckpoint("v9"), /404/);
  },

  async proxy() {
    const sprite = await client.createSprite("proxy");
    const echo = "import socketserver\nclass Echo(socketserver.BaseRequestHandler):\n def handle(self):\n  while d := self.request.recv(65536): self.request.sendall(d)\n" +
      "socketserver.ThreadingTCPServer(('127.0.0.1', 7000), Echo).serve_forever()\n";
    const watch = await sprite.watchPorts();
    assert.equal((await watch.next()).type, "port_list");
    await all(sprite.createService("echo", { cmd: "python3", args: ["-c", echo] }, "0s"));
    assert.deepEqual((({ type, port }) => [type, port])(await watch.next()), ["port_opened", 7000]);
    watch.close();
    const session = await sprite.proxyPort(0, 7000);
    const socket = connect(Number(session.localAddr().split(":")[1]), "localhost");
    socket.write("through");
    const [bytes] = await once(socket, "data");
    assert.equal(bytes.toString(), "through");
    session.close();
  },

  async limits() {
    await client.createSprite("one");
    const limited = await client.createSprite("two").catch((error) => error);
    assert.ok(limited instanceof APIError && limited.isCreationRateLimited() && limited.isRateLimitError());
    assert.deepEqual([limited.limit, limited.windowSeconds, limited.rateLimitLimit], [1, 60, 1]);
    assert.ok(limited.getRetryAfterSeconds() > 0);
  },
};

await parts[process.argv[2]]();
// Sockets of killed programs may linger for a while.
process.exit(0);
