import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AUTHORITY, framedNames } from "../../src/claude/prompt.ts";
import { namesIn } from "../../src/mesh/files.ts";
import { parse } from "../../src/mesh/message.ts";
import { isRunning } from "../../src/mesh/process.ts";
import { box, letter } from "../mesh/temp-mesh.ts";
import { type TempHome, tempHome, until } from "../temp-home.ts";
import { claudeServer, type Server } from "./server.ts";
import { standIn } from "./stand-in.ts";

const peers = (home: TempHome) =>
  existsSync(home.path(".claudemesh", "peers"))
    ? readdirSync(home.path(".claudemesh", "peers"))
        .filter((file) => file.endsWith(".json"))
        .map(
          (file) =>
            JSON.parse(readFileSync(home.path(".claudemesh", "peers", file), "utf8")) as Record<string, unknown>,
        )
    : [];

/** The pid of the mail server, once it attends to the mailbox. */
async function attending(home: TempHome, server: Server): Promise<number> {
  await server.call("whoami");
  return until(() => Number(peers(home).find((p) => p.pid === server.pid)?.mcp ?? 0), "the server to attend");
}

/** The session of a server's claude, registered by its hook as Claude Code does at the start. */
async function session(home: TempHome, name: string, server: Server) {
  const self = await standIn(home, name, { pid: server.pid, register: false });
  self.sessionId = server.sessionId;
  await self.hook("SessionStart");
  return self;
}

describe("the mail server", () => {
  it("tells the one sentence of authority and offers ten tools with their schemas", async () => {
    const { client } = await claudeServer(tempHome(), "api");
    expect(client.getInstructions()).toBe(AUTHORITY);
    expect(client.getServerVersion()).toMatchObject({ name: "claudemesh", version: expect.stringMatching(/^\d/) });
    const { tools } = await client.listTools();
    const shape = tools.map(({ name, inputSchema: { properties = {}, required = [] }, annotations }) => [
      name,
      Object.keys(properties),
      required,
      annotations?.readOnlyHint,
    ]);
    expect(shape).toEqual([
      ["whoami", [], [], true],
      ["list_instances", ["scope"], [], true],
      ["send_message", ["to", "body", "kind", "priority"], ["to", "body"], false],
      ["ask_peer", ["to", "question", "timeout_s"], ["to", "question"], false],
      ["reply_to_peer", ["message_id", "body"], ["message_id", "body"], false],
      ["read_inbox", ["drain"], [], false],
      ["set_summary", ["summary"], ["summary"], false],
      ["read_history", ["id", "last_n_turns", "redact"], ["id"], true],
      ["search_history", ["id", "query", "options"], ["id", "query"], true],
      ["get_turn", ["id", "turn_index"], ["id", "turn_index"], true],
    ]);
    // What they cost every session, by a fixed rule: characters / 4.
    const tokens =
      JSON.stringify(tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }))).length /
      4;
    expect(tokens).toBeLessThan(1500);
    expect(tools.every((tool) => (tool.description ?? "").length > 20)).toBe(true);
  });

  it("knows its session by the process above it, and registers it where no hook has", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    const me = JSON.parse((await server.call("whoami")).text);
    expect(me).toMatchObject({ name: "api", pid: server.pid, cwd: home.path("api"), session_id: server.sessionId });
    expect(peers(home)).toHaveLength(1);
    expect(await attending(home, server)).not.toBe(server.pid);
  });

  it("stays with its session when that clears or resumes under another id", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    const self = await session(home, "api", server);
    const before = JSON.parse((await server.call("whoami")).text);
    expect(before.session_id).toBe(server.sessionId);
    await self.hook("SessionEnd clear");
    self.sessionId = "22222222-0000-4000-8000-000000000002";
    await self.hook("SessionStart clear");
    const after = JSON.parse((await server.call("whoami")).text);
    expect(after).toMatchObject({ id: before.id, session_id: self.sessionId, previous_sessions: [server.sessionId] });
    const unique = letter(box(home.path(".claudemesh"), before.id));
    expect(framedNames((await server.call("read_inbox")).text)).toEqual([unique]);
    expect(peers(home)).toHaveLength(1);
  });

  it("lists the others, and says so when nobody is there", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    expect(await server.call("list_instances")).toEqual({ text: "No other session is there.", isError: false });
    const web = await standIn(home, "web");
    const rows = JSON.parse((await server.call("list_instances")).text);
    expect(rows).toMatchObject([{ id: web.id, name: "web", state: "idle", unread: 0, cwd: web.cwd }]);
  });

  it("lists those in the same folder, or in the same repository, and nobody as a neighbour for having none", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    await server.call("whoami");
    await standIn(home, "web");
    for (const scope of ["directory", "repo"])
      expect((await server.call("list_instances", { scope })).text, scope).toBe("No other session is there.");
    expect(JSON.parse((await server.call("list_instances", { scope: "machine" })).text)).toHaveLength(1);
  });

  it("sends from its own session, and says where the letter is", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    const me = JSON.parse((await server.call("whoami")).text);
    const web = await standIn(home, "web");
    web.says("busy");
    const sent = JSON.parse(
      (await server.call("send_message", { to: "web", body: "which port?", kind: "question" })).text,
    );
    expect(sent).toEqual({
      message_id: expect.any(String),
      kind: "question",
      to: [{ id: web.id, name: "web", state: "queued", recipient: "busy, will get it during or after its turn" }],
    });
    const [name = ""] = web.room("new");
    expect(parse(readFileSync(join(web.box, "new", name), "utf8"), name)).toMatchObject({
      from: { id: me.id, name: "api" },
      kind: "question",
      priority: "now",
      body: "which port?",
    });
  });

  it("hands over its mail once, and looks without taking if asked to", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    const self = await session(home, "api", server);
    self.says("busy");
    const { id } = JSON.parse((await server.call("whoami")).text);
    const mailbox = box(home.path(".claudemesh"), id);
    const all = [letter(mailbox, { body: "one" }), letter(mailbox, { body: "two", kind: "note" })];
    expect(framedNames((await server.call("read_inbox", { drain: false })).text)).toEqual(all);
    expect(readdirSync(join(mailbox, "new")).sort()).toEqual(all);
    expect(framedNames((await server.call("read_inbox")).text)).toEqual(all);
    // Noted once the result has gone out, which the client may be quicker to read.
    const noted = () => namesIn(join(mailbox, "handed")).filter((name) => all.includes(name)).length;
    await until(() => noted() === all.length, "both to be noted as handed over");
    expect((await server.call("read_inbox")).text).toBe("No mail waits.");
    expect(readdirSync(join(mailbox, "cur")).sort()).toEqual(all.map((unique) => `${unique}:2,`));
    await self.hook("Stop");
    expect(readdirSync(join(mailbox, "cur")).sort()).toEqual(all.map((unique) => `${unique}:2,S`));
  });

  it("where no hook runs and no transcript is written, takes a later call as a sign that its result was taken", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    const { id } = JSON.parse((await server.call("whoami")).text);
    const mailbox = box(home.path(".claudemesh"), id);
    const all = [letter(mailbox)];
    expect(framedNames((await server.call("read_inbox")).text)).toEqual(all);
    await server.call("whoami");
    expect(readdirSync(join(mailbox, "cur"))).toEqual(all.map((unique) => `${unique}:2,`));
    const seen = all.map((unique) => `${unique}:2,S`);
    const marked = async () => {
      await server.call("whoami");
      return `${readdirSync(join(mailbox, "cur")).sort()}` === `${seen}`;
    };
    await until(marked, "both letters to be marked");
  });

  it("notes a summary as one line", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    expect(await server.call("set_summary", { summary: "moving billing\n\u001b[31mto the new schema" })).toEqual({
      text: "Noted.",
      isError: false,
    });
    const { stdout } = await home.run(["list", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject([{ name: "api", summary: "moving billing [31mto the new schema" }]);
  });

  it("says an error as the CLI says it", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    await server.call("whoami");
    for (const [to, body] of [
      ["nobody", "hi"],
      ["api", " "],
      ["", "hi"],
    ] as const) {
      const { text, isError } = await server.call("send_message", { to, body });
      const { stderr, code } = await home.run(["send", to, "--", body]);
      expect(code).not.toBe(0);
      expect({ isError, text }).toEqual({ isError: true, text: stderr.trimEnd() });
    }
    const history = await server.call("read_history", { id: "nobody" });
    expect(history.isError).toBe(true);
    expect(history.text).toBe((await home.run(["history", "nobody"])).stderr.trimEnd());
  });

  it("refuses arguments that are no good, and goes on", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    for (const [tool, args] of [
      ["send_message", { to: "api" }],
      ["send_message", { to: "api", body: "x", kind: "bounce" }],
      ["get_turn", { id: "api", turn_index: "last" }],
      ["set_summary", { summary: "x".repeat(501) }],
    ] as const)
      expect(await server.call(tool, args).catch(() => ({ isError: true })), tool).toMatchObject({ isError: true });
    expect((await server.call("whoami")).isError).toBe(false);
  });
});

describe("its end", () => {
  it("comes when claude is killed, and no process is left", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    const own = await attending(home, server);
    process.kill(server.pid, "SIGKILL");
    await until(() => !isRunning(own), "the server to end");
    await server.closed;
  });

  it("comes when stdin ends, and no process is left", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    const own = await attending(home, server);
    await server.close();
    await until(() => !isRunning(own) && !isRunning(server.pid), "the server to end");
  });

  it("comes when stdin ends before the session is registered", async () => {
    const home = tempHome();
    const server = await claudeServer(home, "api");
    await server.close();
    await until(() => !isRunning(server.pid), "the server to end");
  });
});
