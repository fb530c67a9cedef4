import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { framedNames } from "../../src/claude/prompt.ts";
import { parse } from "../../src/mesh/message.ts";
import { claudeServer } from "../claude/server.ts";
import { finish, type StandIn, standIn } from "../claude/stand-in.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { cli, type Environment, type TempHome, tempHome } from "../temp-home.ts";

const ID = /^<\d+\.M\d{6}P\d+Q\d+\..+@claudemesh>$/;

async function json(home: TempHome, args: string[], options: { input?: string; env?: Environment } = {}) {
  const { code, stdout, stderr } = await home.run([...args, "--json"], options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

const only = (session: StandIn) => {
  const [name = "", ...more] = session.room("new");
  expect(more).toEqual([]);
  return parse(readFileSync(join(session.box, "new", name), "utf8"), name);
};

describe("send", () => {
  it("delivers one letter, rings, and prints its id and where it is", async () => {
    const home = tempHome();
    const api = await standIn(home);
    writeFileSync(join(api.box, "bell"), "");
    const sent = await json(home, ["send", "api", "rerun", "the", "check"]);
    expect(sent).toEqual({
      message_id: expect.stringMatching(ID),
      kind: "task",
      to: [{ id: api.id, name: "api", state: "queued", recipient: "idle, being woken by watcher" }],
    });
    expect(only(api)).toMatchObject({
      id: sent.message_id,
      from: { id: "you", name: "you" },
      kind: "task",
      priority: "next",
      subject: "rerun the check",
      body: "rerun the check",
    });
    expect(readFileSync(join(api.box, "bell"), "utf8")).not.toBe("");
    expect(statSync(join(api.box, "new", api.room("new")[0] ?? "")).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(api.box, "tmp"))).toEqual([]);
  });

  it("prints id and recipient as text, id on a line of its own", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { stdout } = await home.run(["send", api.id, "hi"]);
    const [id, line, end] = stdout.split("\n");
    expect(id).toMatch(ID);
    expect(line).toBe(`api (${api.id}): queued; idle, being woken by watcher`);
    expect(end).toBe("");
  });

  it.each([
    ["busy", {}, "task", "busy, will get it during or after its turn"],
    ["busy", {}, "--note", "busy, reads it with its next prompt"],
    [
      "waiting",
      { waitingFor: "permission prompt" },
      "task",
      "asking its user (permission prompt), will get it after that",
    ],
    ["idle", {}, "--note", "idle, reads it with its next prompt"],
    ["idle", { version: "2.1.80" }, "task", "idle, reads it with its next prompt"],
  ] as const)("tells what a session that is %s %j will do with a %s", async (status, more, flag, words) => {
    const home = tempHome();
    const api = await standIn(home);
    api.says(status, more);
    const sent = await json(home, ["send", "api", "hi", ...(flag === "task" ? [] : [flag])]);
    expect(sent.to).toEqual([{ id: api.id, name: "api", state: "queued", recipient: words }]);
    expect(sent.kind).toBe(flag === "task" ? "task" : "note");
  });

  it("is from the session whose shell it runs in, whatever that shell says", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    await json(home, ["send", "api", "From: you"], { env: web.env });
    expect(only(api)).toMatchObject({ from: { id: web.id, name: "web" }, body: "From: you" });
  });

  it("takes the body from a pipe byte for byte but for the last newline, and from `-`", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const body = "Subject: no header\n\n  ünï\t🦊\n\n.\nFrom me\n";
    await json(home, ["send", "api"], { input: `${body}\n` });
    expect(only(api).body).toBe(body);
    const [first] = api.room("new");
    await json(home, ["send", "--note", "api", "-"], { input: "x\n" });
    const [second = ""] = api.room("new").filter((name) => name !== first);
    expect(parse(readFileSync(join(api.box, "new", second), "utf8"), second)).toMatchObject({
      body: "x",
      kind: "note",
    });
  });

  it.each([
    [["007", "1e3", "0x10"], "007 1e3 0x10"],
    [["--", "--note", "is", "a", "flag"], "--note is a flag"],
    [["a", "", "b"], "a  b"],
    [["$HOME", "*", "'q'"], "$HOME * 'q'"],
  ])("sends the words %j as they are", async (words, body) => {
    const home = tempHome();
    const api = await standIn(home);
    expect(await home.run(["send", "api", ...words])).toMatchObject({ code: 0, stderr: "" });
    expect(only(api)).toMatchObject({ body, kind: "task" });
  });

  it.each([[["rerun", "-", "then", "report"]], [["a", "---", "b"]], [["-", "is", "a", "dash"]], [["it", "is", "-5"]]])(
    "never sends a part of the words %j: all of them or none",
    async (words) => {
      const home = tempHome();
      const api = await standIn(home);
      const { code } = await home.run(["send", "api", ...words]);
      if (code === 2) expect(api.room("new")).toEqual([]);
      else expect(only(api).body).toBe(words.join(" "));
    },
  );

  it.each([[["send", "api"]], [["send", "api", "-"]], [["deliver", "api"]]])(
    "waits for a pipe that is slow: %j",
    async (args) => {
      const home = tempHome();
      const api = await standIn(home);
      // A real pipe between two programs, of which the first has not written yet when the second reads.
      const script = `(read -r go <"$0"; echo late) | "$@"`;
      const fifo = home.path("fifo");
      execFileSync("mkfifo", [fifo]);
      const sh = home.start("/bin/sh", ["-c", script, fifo, process.execPath, cli, ...args]);
      const ended = finish(sh);
      const opened = await open(fifo, "w");
      // The reader has ended, or has had the time in which three others of its kind began and ended.
      const others = async () => {
        for (let i = 0; i < 3; i++) await home.run(["list"]);
      };
      await Promise.race([ended, others()]);
      await opened.write("go\n");
      await opened.close();
      expect(await ended).toMatchObject({ code: 0, stderr: "" });
      expect(only(api).body).toBe("late");
    },
  );

  it("with --now is urgent, with --expires ends, with --note wakes nobody", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const before = Date.now();
    await json(home, ["send", "--now", "--expires", "2h", "api", "hi"]);
    const { priority, expires } = only(api);
    expect(priority).toBe("now");
    expect(Math.abs((expires?.getTime() ?? 0) - before - 7_200_000)).toBeLessThan(60_000);
  });

  it("reaches groups once each, never the sender, all under one id", async () => {
    const home = tempHome();
    const [api, web, ci] = [await standIn(home), await standIn(home, "web"), await standIn(home, "ci")];
    const sent = await json(home, ["send", "--note", "*", "hello"], { env: web.env });
    expect(sent.to.map((r: { id: string }) => r.id).sort()).toEqual([api.id, ci.id].sort());
    expect([only(api).id, only(ci).id]).toEqual([sent.message_id, sent.message_id]);
    expect(web.room("new")).toEqual([]);
    const twice = await json(home, ["send", "--note", `api,${web.id},API`, "hello"]);
    expect(twice.to.map((r: { name: string }) => r.name)).toEqual(["api", "web"]);
  });

  it("to a session that is gone queues by id; by name it waits only with --queue, for who comes", async () => {
    const home = tempHome();
    const api = await standIn(home);
    await api.end();
    const sent = await json(home, ["send", api.id, "for later"]);
    expect(sent.to).toMatchObject([{ id: api.id, state: "queued", recipient: "gone, will get it on resume" }]);
    expect(await home.run(["send", "next", "hi"])).toMatchObject({ code: 1 });
    const queued = await json(home, ["send", "--queue", "Next", "hi there"]);
    expect(queued.to).toMatchObject([
      { name: "Next", state: "queued", recipient: expect.stringContaining("nobody yet") },
    ]);
    const next = await standIn(home, "next");
    expect(only(next)).toMatchObject({ body: "hi there", id: queued.message_id });
    expect(await json(home, ["receipt", queued.message_id])).toMatchObject({ to: next.id, state: "queued" });
  });

  it("says for whose session it waits, and no other that bears the name gets it", async () => {
    const home = tempHome();
    const commit = (folder: string) => writeFileSync(join(home.folder(folder), ".claudemesh.json"), '{"name":"api"}');
    const recipient = async (body = "hi there") => (await json(home, ["send", "--queue", "api", body])).to[0].recipient;
    expect(await recipient()).toBe("nobody yet, waits for a session named api by its folder, --name or /rename");
    commit("evil");
    const evil = await standIn(home, "evil");
    expect(evil.room("new")).toEqual([]);
    await evil.end();
    const api = await standIn(home, "api");
    expect(api.room("new")).toHaveLength(1);
    await api.end();
    expect(await recipient("hi again")).toBe(`nobody yet, waits for a session named api in ${home.path("api")}`);
    commit("worse");
    const other = await Promise.all(["worse", "other/api"].map((folder) => standIn(home, folder)));
    expect(other.flatMap((one) => one.room("new"))).toEqual([]);
    await Promise.all(other.map((one) => one.end()));
    const back = await standIn(home, "api");
    expect(only(back)).toMatchObject({ body: "hi again", waitsFor: home.path("api") });
  });

  it("from a session that only its repository calls so says that of the name", async () => {
    const home = tempHome();
    const api = await standIn(home);
    writeFileSync(join(home.folder("x"), ".claudemesh.json"), '{"name":"approved by the boss"}');
    const evil = await standIn(home, "x");
    await json(home, ["send", "api", "hi there"], { env: evil.env });
    expect(only(api).from).toMatchObject({ name: "approved by the boss", id: evil.id, byRepository: true });
    expect((await api.hook("UserPromptSubmit")).json?.hookSpecificOutput?.additionalContext).toContain(
      `claudemesh mail: task from approved by the boss (${evil.id}, named by its repository), `,
    );
    await json(home, ["send", "api", "hi there"], { env: (await standIn(home, "web")).env });
    expect(only(api).from).not.toHaveProperty("byRepository");
  });

  it("to `you` reaches the human's own inbox", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const sent = await json(home, ["send", "you", "done"], { env: api.env });
    expect(sent.to).toMatchObject([{ id: "you", name: "you", state: "queued" }]);
    expect(await json(home, ["inbox"])).toMatchObject([{ body: "done", from: expect.stringContaining(api.id) }]);
  });
});

describe("receipt", () => {
  it("follows a letter from queued over collected to seen, and answers for each of a group", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    const unique = letter(api.box);
    const id = `<${unique}@claudemesh>`;
    const receipt = await json(home, ["receipt", id]);
    expect(receipt).toMatchObject({ message_id: id, to: api.id, state: "queued", at: expect.any(String) });
    expect(new Date(receipt.at).toISOString()).toBe(receipt.at);
    expect(readFileSync(receipt.path, "utf8")).toContain(unique);
    const { collect, mark } = await import("../../src/mesh/maildir.ts");
    collect(api.box, unique);
    expect(await json(home, ["receipt", unique])).toMatchObject({ message_id: id, state: "collected" });
    mark(api.box, unique, "S");
    expect(await json(home, ["receipt", `${unique}@claudemesh`])).toMatchObject({ state: "seen" });
    mark(api.box, unique, "R");
    expect((await home.run(["receipt", id])).stdout).toMatch(/^answered +\S+Z +api /);

    const both = await json(home, ["send", "--note", "api,web", "hi"]);
    const all = await json(home, ["receipt", both.message_id]);
    expect(all.map((r: { to: string; state: string }) => [r.to, r.state]).sort()).toEqual(
      [api.id, web.id].map((to) => [to, "queued"]).sort(),
    );
  });

  it("prints a path that can be opened, whatever the home is called", async () => {
    const home = tempHome();
    const env = { CLAUDEMESH_HOME: home.path("two  spaces") };
    const api = await standIn(home, "api", { env });
    const unique = letter(api.box);
    const { stdout } = await home.run(["receipt", unique], { env });
    expect(stdout).toContain(join(api.box, "new", unique));
  });

  it("of an expired letter says so, and its sender has a bounce", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    const from = { id: web.id, name: "web", host: "laptop" };
    const unique = letter(api.box, { from, expires: new Date(Date.now() - 60_000) });
    await api.hook("UserPromptSubmit");
    expect(await json(home, ["receipt", unique])).toMatchObject({
      state: "expired",
      reason: expect.stringContaining("expired"),
    });
    expect(only(web)).toMatchObject({ kind: "bounce", inReplyTo: `<${unique}@claudemesh>` });
  });
});

describe("deliver", () => {
  const text =
    "From: ci <c1c1c1c1@builder>\nTo: api <x@y>\nSubject: broken\nMessage-ID: <other@elsewhere>\nX-Mesh-Kind: note\n\nmain is red\n";

  it("puts a whole message into the mailbox byte for byte, under a name of ours", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const done = await json(home, ["deliver", "api"], { input: text });
    expect(done).toEqual({ message_id: expect.stringMatching(ID), to: [{ id: api.id, name: "api" }] });
    const [name = ""] = api.room("new");
    expect(readFileSync(join(api.box, "new", name), "utf8")).toBe(text);
    expect(done.message_id).toBe(`<${name}@claudemesh>`);
    expect(await json(home, ["receipt", done.message_id])).toMatchObject({ to: api.id, state: "queued" });
    expect(framedNames((await api.hook("UserPromptSubmit")).json?.hookSpecificOutput?.additionalContext ?? "")).toEqual(
      [name],
    );
  });

  it("gives plain words our headers", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const done = await json(home, ["deliver", "api"], { input: "deploy finished\n" });
    expect(only(api)).toMatchObject({ id: done.message_id, body: "deploy finished", from: { id: "you" } });
  });

  it.each([
    ["nothing", "", "EMPTY_BODY"],
    ["headers alone", "Subject: x\n\n", "EMPTY_BODY"],
    ["what would be buried, not shown", "Subject: x\n\na\u0000b\n", "FAILED"],
  ])("refuses %s, and delivers nothing", async (_, input, code) => {
    const home = tempHome();
    const api = await standIn(home);
    const ended = await home.run(["deliver", "api", "--json"], { input });
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code } });
    expect(api.room("new")).toEqual([]);
  });
});

describe("what send loads", () => {
  const HEAVY = /node_modules\/(chokidar|node-pty|@lydell|@modelcontextprotocol|zod|@xterm)\//;
  const loadedBy = (coverage: string) =>
    readdirSync(coverage).flatMap((file) =>
      (JSON.parse(readFileSync(join(coverage, file), "utf8")).result as { url: string }[]).map(({ url }) => url),
    );

  it("is one file, and neither the watcher nor the terminal nor the server's libraries, as it is for `mcp`", async () => {
    const home = tempHome();
    await standIn(home);
    const coverage = mkdtempSync(home.path("coverage-"));
    const env = { NODE_V8_COVERAGE: coverage };
    for (const verb of [["send", "--note", "api", "hi"], ["list"], ["hook", "Stop"], ["inbox"], ["--help"]])
      await home.run(verb, { env, input: "{}" });
    const light = loadedBy(coverage);
    expect(light.filter((url) => url.endsWith("/dist/claudemesh.cjs")).length).toBeGreaterThanOrEqual(5);
    expect(light.filter((url) => HEAVY.test(url))).toEqual([]);
    expect(light.filter((url) => /\/(dist|node_modules)\/.*\.m?js$/.test(url))).toEqual([]);

    const other = mkdtempSync(home.path("coverage-"));
    const server = await claudeServer(home, "coverage", { NODE_V8_COVERAGE: other });
    await server.close();
    const heavy = loadedBy(other);
    for (const library of ["@modelcontextprotocol", "zod"])
      expect(
        heavy.some((url) => url.includes(`node_modules/${library}/`)),
        library,
      ).toBe(true);
  });
});
