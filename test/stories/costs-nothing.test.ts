// Hooks and the status line while no mail waits: no process is started, Node least of all.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { finish, hookCommand, pluginFolder, type StandIn, standIn, stubNode } from "../claude/stand-in.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { type Environment, type Finished, type TempHome, tempHome } from "../temp-home.ts";

const QUIET = ["UserPromptSubmit", "PostToolUse", "Stop", "FileChanged", "PermissionRequest"];
const silent = { code: 0, stdout: "", stderr: "" };

const sh = (home: TempHome, command: string, env: Environment, cwd?: string): Promise<Finished> =>
  finish(home.start("/bin/sh", ["-c", command], { env, ...(cwd ? { cwd } : {}) }), "{}");

const badge = (home: TempHome, session: StandIn, env: Environment = {}) =>
  sh(home, `sh '${pluginFolder}/hook' statusline`, { ...session.env, ...env });

describe("while nothing waits", () => {
  it.each(QUIET)("%s starts no Node and writes its state", async (event) => {
    const home = tempHome();
    const api = await standIn(home);
    const stub = stubNode(home);
    rmSync(join(api.box, "state"), { force: true });
    expect(await api.hook(event, {}, { env: stub.env })).toMatchObject(silent);
    expect(stub.started()).toBe(false);
    const state = { UserPromptSubmit: "busy", PostToolUse: "busy", Stop: "idle", PermissionRequest: "asking" }[event];
    expect(existsSync(join(api.box, "state"))).toBe(state !== undefined);
    if (state) expect(readFileSync(join(api.box, "state"), "utf8")).toBe(`${state}\n`);
  });

  it.each([...QUIET, "PreToolUse"])("%s needs no program at all: it runs with nothing on PATH", async (event) => {
    const home = tempHome();
    const api = await standIn(home);
    const ended = await api.hook(event, {}, { env: { PATH: home.folder("empty") } });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
  });

  it("the system sees one process and one program a hook", async ({ skip }) => {
    const home = tempHome();
    const api = await standIn(home);
    const trace = home.path("trace");
    const traced = async (command: string) => {
      const args = ["-f", "-o", trace, "-e", "trace=execve,clone,clone3,fork,vfork", "/bin/sh", "-c", command];
      const child = home.start("strace", args, { env: api.env });
      const ended = await finish(child, "{}").catch(() => undefined);
      if (!ended || !existsSync(trace) || /ptrace|PTRACE/.test(ended.stderr)) skip("no strace here");
      return readFileSync(trace, "utf8").match(/\b(execve|clone3?|v?fork)\(/g) ?? [];
    };
    for (const event of QUIET) expect(await traced(hookCommand(event)), event).toEqual(["execve("]);
    expect(await traced(`e=statusline; . '${pluginFolder}/hook'`)).toEqual(["execve("]);
    // The check itself can fail.
    letter(api.box);
    expect((await traced(hookCommand("Stop"))).length).toBeGreaterThan(1);
  });

  it("the status line starts no Node, mail or not", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const stub = stubNode(home);
    letter(api.box);
    expect(await badge(home, api, stub.env)).toMatchObject({ code: 0, stderr: "", stdout: `[${api.id} · ✉1]\n` });
    expect(stub.started()).toBe(false);
  });

  it("ordinary mail starts no Node between two tool calls, urgent mail does", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const stub = stubNode(home);
    letter(api.box, { body: "X-Mesh-Priority is next here" });
    expect(await api.hook("PostToolUse", {}, { env: stub.env })).toMatchObject(silent);
    expect(stub.started()).toBe(false);
    letter(api.box, { kind: "question" });
    await api.hook("PostToolUse", {}, { env: stub.env });
    expect(stub.started()).toBe(true);
  });

  it.each(["UserPromptSubmit", "Stop", "FileChanged"])("%s starts Node as soon as mail waits", async (event) => {
    const home = tempHome();
    const api = await standIn(home);
    const stub = stubNode(home);
    letter(api.box, { kind: "note" });
    await api.hook(event, {}, { env: stub.env });
    expect(stub.started()).toBe(true);
  });

  it("Node is not made to read certificates", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const stub = stubNode(home);
    const env = { ...stub.env, NODE_EXTRA_CA_CERTS: "/etc/ssl/certs/all.pem" };
    letter(api.box);
    await api.hook("Stop", {}, { env });
    await sh(home, `sh '${pluginFolder}/mcp'`, { ...api.env, ...env });
    expect(readFileSync(stub.note, "utf8")).toMatch(/^\S+ hook Stop *\n\S+ mcp *\n$/);
  });

  it("a prompt starts no Node again once a late post has been turned away", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const stub = stubNode(home);
    const unique = letter(api.box);
    mkdirSync(join(api.box, "posted"));
    writeFileSync(join(api.box, "posted", unique), "");
    await api.hook("UserPromptSubmit");
    await api.hook("Stop");
    expect(api.room("cur")).toEqual([`${unique}:2,S`]);
    const prompt = `claudemesh mail: task from web (a8d0m2kq), just now, id <${unique}@claudemesh>\n~~~\nrerun the migration check\n~~~\nNo reply is needed.`;
    expect((await api.hook("UserPromptSubmit", { prompt })).json).toMatchObject({ decision: "block" });
    await api.hook("UserPromptSubmit", {}, { env: stub.env });
    expect(stub.started()).toBe(false);
  });

  it.each(QUIET)("%s of a session that is not known starts Node, which registers it", async (event) => {
    const home = tempHome();
    const api = await standIn(home, "api", { register: false });
    const stub = stubNode(home);
    await api.hook(event, {}, { env: stub.env });
    expect(stub.started()).toBe(true);
    expect(await api.hook(event)).toMatchObject(silent);
    expect(JSON.parse((await home.run(["list", "--json"])).stdout)).toMatchObject([{ name: "api", pid: api.pid }]);
  });
});

describe("where something is missing", () => {
  it.each([
    ["the package", "/nowhere/plugin", {}],
    ["node", pluginFolder, { CLAUDEMESH_NODE: "/nowhere/node", PATH: "/nowhere" }],
  ])("without %s every hook is silent", async (_, plugin, env) => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box, { priority: "now" });
    for (const event of [...QUIET, "SessionStart", "SessionEnd", "CwdChanged"]) {
      const ended = await api.hook(event, {}, { env: { ...env, CLAUDE_PLUGIN_ROOT: plugin } });
      // The search for urgent mail is a program's: with nothing on PATH it is not made.
      expect({ event, ...ended }).toMatchObject({ event, ...silent });
    }
    expect(api.room("new")).toHaveLength(1);
  });

  it("a plugin folder whose package has gone is silent as well", async () => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box);
    const copy = home.folder("left", "bin", "plugin");
    writeFileSync(join(copy, "hook"), readFileSync(join(pluginFolder, "hook")));
    expect(await api.hook("Stop", {}, { env: { CLAUDE_PLUGIN_ROOT: copy } })).toMatchObject(silent);
  });
});

describe("the status line", () => {
  it("shows id, peers and mail, and leaves out what is zero", async () => {
    const home = tempHome();
    const api = await standIn(home);
    expect((await badge(home, api)).stdout).toBe(`[${api.id}]\n`);
    const web = await standIn(home, "web");
    expect((await badge(home, api)).stdout).toBe(`[${api.id} · 1 peer]\n`);
    await standIn(home, "ci");
    letter(api.box);
    letter(api.box, { kind: "note" });
    expect((await badge(home, api)).stdout).toBe(`[${api.id} · 2 peers · ✉2]\n`);
    await web.end();
    expect((await badge(home, api)).stdout).toBe(`[${api.id} · 1 peer · ✉2]\n`);
    expect((await home.run(["statusline"], { env: api.env })).stdout).toBe(`[${api.id} · 1 peer · ✉2]\n`);
  });

  it("is empty for a session that is not known, and where there is no mesh", async () => {
    const home = tempHome();
    const stranger = await standIn(home, "api", { register: false });
    expect(await badge(home, stranger)).toMatchObject(silent);
    await standIn(home, "web");
    expect(await badge(home, stranger)).toMatchObject(silent);
    const none = { ...stranger.env, CLAUDE_CODE_SESSION_ID: "" };
    expect(await sh(home, `sh '${pluginFolder}/hook' statusline`, none)).toMatchObject(silent);
  });

  it("does not count a letter that has been read, nor the files of the Maildir itself", async () => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box);
    await api.hook("UserPromptSubmit");
    expect((await badge(home, api)).stdout).toBe(`[${api.id}]\n`);
  });
});

describe("odd places", () => {
  it("works through a symlinked plugin folder, as an installed one is", async () => {
    const home = tempHome();
    const link = join(home.folder(".claude", "skills"), "claudemesh");
    symlinkSync(pluginFolder, link);
    const api = await standIn(home, "api", { env: { CLAUDE_PLUGIN_ROOT: link } });
    letter(api.box);
    expect((await api.hook("Stop")).json?.hookSpecificOutput?.additionalContext).toContain("rerun the migration check");
    expect((await sh(home, `sh '${link}/hook' statusline`, api.env)).stdout).toBe(`[${api.id}]\n`);
  });

  it.each([`a b  "c" 'd'`, "$(touch pwned) `x` $HOME;&", "*", "-n", "ünïcödé ✉"])(
    "works in a home called %s",
    async (name) => {
      const home = tempHome();
      const odd = home.folder(name);
      const api = await standIn(home, "api", { env: { HOME: odd, CLAUDEMESH_HOME: join(odd, "mesh") } });
      letter(api.box, { priority: "now" });
      expect((await badge(home, api)).stdout).toBe(`[${api.id} · ✉1]\n`);
      expect((await api.hook("PostToolUse")).json?.hookSpecificOutput?.additionalContext).toContain("rerun the");
      expect((await api.hook("Stop")).stderr).toBe("");
      expect(existsSync(join(api.cwd, "pwned"))).toBe(false);
      expect((await badge(home, api)).stdout).toBe(`[${api.id}]\n`);
    },
  );

  it("works in a package folder with spaces and quotes", async () => {
    const home = tempHome();
    const link = join(home.folder(`it's "here"`), "plug in");
    symlinkSync(pluginFolder, link);
    const api = await standIn(home, "api", { env: { CLAUDE_PLUGIN_ROOT: link } });
    letter(api.box);
    expect((await api.hook("UserPromptSubmit")).json?.systemMessage).toBe("✉ web: rerun the migration check");
  });

  it("writes private files only", async () => {
    const home = tempHome();
    const api = await standIn(home);
    await api.hook("UserPromptSubmit");
    expect(statSync(join(api.box, "state")).mode & 0o777).toBe(0o600);
  });
});
