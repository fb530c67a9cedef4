// Two containers that mount the same mesh folder: pids mean nothing across the border, beats do.

import { type ChildProcess, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { finish, hookCommand, pluginFolder } from "../claude/stand-in.ts";
import { cli, type Environment, type Finished, type TempHome, tempHome, until } from "../temp-home.ts";

const NAMESPACES = ["--pid", "--mount", "--uts"];
const tried = spawnSync("unshare", [...NAMESPACES, "--fork", "--mount-proc", "--kill-child", "hostname", "tried"], {
  encoding: "utf8",
});
const missing =
  tried.error?.message ??
  (tried.status !== 0 ? tried.stderr.trim() || `exit ${tried.status}` : undefined) ??
  spawnSync("nsenter", ["--version"]).error?.message;
const title = missing ? `a shared folder (skipped: no containers can be made here: ${missing})` : "a shared folder";

interface Row {
  id: string;
  name: string;
  alive: boolean;
  state: string;
}

interface Container {
  readonly name: string;
  /** Runs a command in it to its end. */
  run(command: string, args: readonly string[], options?: { env?: Environment; input?: string }): Promise<Finished>;
  /** Starts a command in it. */
  start(command: string, args: readonly string[], env?: Environment): ChildProcess;
  /** Runs `claudemesh <args>` in it. */
  mesh(args: readonly string[], env?: Environment): Promise<Finished>;
  list(...args: string[]): Promise<Row[]>;
  /** Starts `sleep` and gives the pid that it has in there. */
  sleep(): Promise<number>;
  /** True if that pid runs in there. */
  runs(pid: number): Promise<boolean>;
}

interface Session {
  readonly id: string;
  readonly pid: number;
  readonly box: string;
  readonly env: Environment;
  /** Ends the process that beats. */
  silence(): Promise<void>;
}

const ended = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });

/** A container with a host name, a home and pids of its own, on the mesh folder of `home`. */
async function container(home: TempHome, name: string): Promise<Container> {
  const ready = home.path(`${name}-is-up`);
  const init = `hostname "$0" && touch "$1" && exec tail -f /dev/null`;
  const outer = home.start("unshare", [
    ...NAMESPACES,
    "--fork",
    "--mount-proc",
    "--kill-child",
    "/bin/sh",
    "-c",
    init,
    name,
    ready,
  ]);
  await until(() => existsSync(ready), `the container ${name}`);
  const children = `/proc/${outer.pid}/task/${outer.pid}/children`;
  const target = readFileSync(children, "utf8").trim();
  onTestFinished(async () => {
    outer.kill("SIGKILL");
    await ended(outer);
    await until(() => !existsSync(`/proc/${target}/cwd`), `the end of ${name}`);
  });
  const own = { HOME: home.folder(name), CLAUDEMESH_HOME: home.path(".claudemesh") };
  const start: Container["start"] = (command, args, env = {}) =>
    home.start("nsenter", ["--target", target, ...NAMESPACES, "--", command, ...args], { env: { ...own, ...env } });
  const run: Container["run"] = (command, args, { env = {}, input = "" } = {}) =>
    finish(start(command, args, env), input);
  const mesh: Container["mesh"] = (args, env) => run(process.execPath, [cli, ...args], { env: env ?? {} });
  return {
    name,
    run,
    start,
    mesh,
    async list(...args) {
      const { code, stdout, stderr } = await mesh(["list", "--json", ...args]);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as Row[];
    },
    async sleep() {
      const child = start("/bin/sh", ["-c", "echo $$; exec sleep 600"]);
      let said = "";
      child.stdout?.on("data", (chunk: Buffer) => {
        said += chunk;
      });
      return Number(await until(() => said.endsWith("\n") && said, "a pid"));
    },
    runs: async (pid) => (await run("kill", ["-0", String(pid)])).code === 0,
  };
}

/** A session in a container: a process, registered by the plugin's hook, and the process that attends to it. */
async function sessionIn(home: TempHome, place: Container, name: string): Promise<Session> {
  const pid = await place.sleep();
  const session_id = `session-of-${name}`;
  const cwd = home.folder(place.name, name);
  const env = {
    CLAUDE_PID: String(pid),
    CLAUDE_CODE_SESSION_ID: session_id,
    CLAUDE_PROJECT_DIR: cwd,
    CLAUDE_PLUGIN_ROOT: pluginFolder,
    CLAUDEMESH_NODE: process.execPath,
  };
  const input = JSON.stringify({ session_id, cwd, hook_event_name: "SessionStart", source: "startup" });
  const hook = await place.run("/bin/sh", ["-c", hookCommand("SessionStart")], { env, input });
  const bell = JSON.parse(hook.stdout || "{}").hookSpecificOutput?.watchPaths?.[0] ?? "";
  expect(bell, hook.stderr).toMatch(/\/bell$/);
  const box = join(bell, "..");
  const id = basename(box);
  const presence = new URL("../../dist/claude/presence.js", import.meta.url).href;
  const beat = join(box, "beat");
  const old = Date.now() / 1000 - 3600;
  utimesSync(beat, old, old);
  const code = `import { attend } from ${JSON.stringify(presence)}; await attend(${JSON.stringify(id)}, () => {}); setInterval(() => {}, 1000);`;
  const attending = place.start(process.execPath, ["--input-type=module", "-e", code], env);
  await until(() => statSync(beat).mtimeMs > Date.now() - 60_000, `the first beat of ${name}`);
  return {
    id,
    pid,
    box,
    env,
    async silence() {
      // nsenter waits for its child, which is killed with its pid there.
      const peers = await place.run("pgrep", ["-f", `await attend."${id}"`]);
      for (const inner of peers.stdout.split("\n").filter(Boolean)) await place.run("kill", ["-9", inner]);
      await ended(attending);
    },
  };
}

/** Sets the last beat `seconds` back. */
function lastBeat(session: Session, seconds: number): void {
  const time = Date.now() / 1000 - seconds;
  utimesSync(join(session.box, "beat"), time, time);
}

/** Two containers, a session in each. */
async function two() {
  const home = tempHome();
  const [east, west] = [await container(home, "east"), await container(home, "west")];
  // East has used up some pids, so that its session's is still free in the west.
  await east.run("/bin/sh", ["-c", "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done"]);
  const api = await sessionIn(home, east, "api");
  const web = await sessionIn(home, west, "web");
  return { home, east, west, api, web };
}

const alive = (rows: Row[]) =>
  rows
    .filter((r) => r.alive)
    .map((r) => r.name)
    .sort();

describe.skipIf(missing !== undefined)(title, () => {
  it("shows each side both sessions, again and again, and to/ and sends work both ways", async () => {
    const { home, east, west, api, web } = await two();
    for (let look = 0; look < 4; look++)
      for (const side of [east, west]) expect(alive(await side.list())).toEqual(["api", "web"]);
    expect(readdirSync(home.path(".claudemesh", "to")).sort()).toEqual(["api", "web"]);

    expect(await west.mesh(["send", "--note", "api", "from the west"], web.env)).toMatchObject({ code: 0, stderr: "" });
    expect(await east.mesh(["send", "--note", "web", "from the east"], api.env)).toMatchObject({ code: 0, stderr: "" });
    const inbox = async (side: Container, session: Session) =>
      JSON.parse((await side.mesh(["inbox", "--json"], session.env)).stdout) as { body: string; from: string }[];
    expect(await inbox(east, api)).toMatchObject([{ body: "from the west", from: expect.stringContaining(web.id) }]);
    expect(await inbox(west, web)).toMatchObject([{ body: "from the east", from: expect.stringContaining(api.id) }]);
    expect(await east.run("hostname", [])).toMatchObject({ stdout: "east\n" });
  });

  it("a question is asked and answered over the border, as a value", async () => {
    const { east, west, api, web } = await two();
    const asking = finish(west.start(process.execPath, [cli, "ask", "api", "which port?"], web.env));
    const [name] = await until(() => {
      const names = readdirSync(join(api.box, "new"));
      return names.length > 0 && names;
    }, "the question");
    expect(await east.mesh(["reply", `<${name}@claudemesh>`, "8080"], api.env)).toMatchObject({ code: 0 });
    expect(await asking).toMatchObject({ code: 0, stdout: "8080\n" });
  });

  it("an answer that somebody waits for over there is not taken here, though that pid is unknown here", async () => {
    const { home, east, west, api } = await two();
    const child = west.start(process.execPath, [cli, "ask", "api", "which port?", "--timeout", "20s"]);
    const asking = finish(child);
    const [name = ""] = await until(() => {
      const names = readdirSync(join(api.box, "new"));
      return names.length > 0 && names;
    }, "the question");
    const marker = home.path(".claudemesh", "inbox", "you", "awaited", name);
    const [asker = ""] = readFileSync(marker, "utf8").split(" ");
    // Held, so that the readers are first.
    expect(await west.run("kill", ["-STOP", asker])).toMatchObject({ code: 0 });
    expect(await east.mesh(["reply", `<${name}@claudemesh>`, "8080"], api.env)).toMatchObject({ code: 0 });
    const taken = JSON.parse((await east.mesh(["inbox", "--json"])).stdout);
    await west.run("kill", ["-CONT", asker]);
    // nsenter stops with its child, and has to be told as well.
    child.kill("SIGCONT");
    expect(taken).toEqual([]);
    expect(await asking).toMatchObject({ code: 0, stdout: "8080\n" });
  });

  it("a pid of the other side that exists here, too, is neither believed nor signalled", async () => {
    const { home, east, west, api, web } = await two();
    const climb = `while :; do sleep 600 & [ $! -ge $0 ] && break; kill $!; done; echo $!; wait`;
    const climbing = west.start("/bin/sh", ["-c", climb, String(api.pid)]);
    let said = "";
    climbing.stdout?.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    expect(Number(await until(() => said.endsWith("\n") && said, "that pid"))).toBe(api.pid);

    await api.silence();
    lastBeat(api, 91);
    expect(alive(await west.list())).toEqual(["web"]);
    expect((await west.list("--all")).find((r) => r.id === api.id)).toMatchObject({ alive: false, state: "gone" });
    // At home its pid says that it lives, whatever its beat.
    expect(alive(await east.list())).toContain("api");
    await west.mesh(["status"]);
    expect(await west.mesh(["send", api.id, "are you there?", "--json"], web.env)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("gone"),
    });
    expect(await west.runs(api.pid)).toBe(true);
    const peer = JSON.parse(readFileSync(home.path(".claudemesh", "peers", `${api.id}.json`), "utf8"));
    expect(peer).not.toHaveProperty("left_at");
  });

  it("who stops beating is gone after the lease, not before, and there again with the next beat", async () => {
    const { west, api } = await two();
    await api.silence();
    for (const [seconds, there] of [
      [0, true],
      [30, true],
      [60, true],
      [85, true],
      [95, false],
      [600, false],
      [1, true],
    ] as const) {
      lastBeat(api, seconds);
      expect(alive(await west.list()).includes("api"), `${seconds} s after its last beat`).toBe(there);
    }
  });

  it("who ends with its container is gone at once only by a goodbye; mail to it waits", async () => {
    const { east, west, api, web } = await two();
    const input = JSON.stringify({ session_id: api.env.CLAUDE_CODE_SESSION_ID, reason: "other" });
    await east.run("/bin/sh", ["-c", hookCommand("SessionEnd")], { env: api.env, input });
    expect(alive(await west.list())).toEqual(["web"]);
    expect((await west.mesh(["send", api.id, "for your return", "--json"], web.env)).stdout).toContain("queued");
    expect(readdirSync(join(api.box, "new"))).toHaveLength(1);
  });

  it("after our own sleep the other side gets grace, and who had been gone before does not", async () => {
    const { east, west, api, web } = await two();
    await api.silence();
    await web.silence();
    lastBeat(api, 3600);
    expect(alive(await west.list())).toEqual(["web"]);
    const peers = new URL("../../dist/mesh/peers.js", import.meta.url).href;
    const slept = (ago: number) =>
      west.run(process.execPath, [
        "--input-type=module",
        "-e",
        `import { noteSleep } from ${JSON.stringify(peers)}; noteSleep(Date.now() - ${ago * 1000}, Date.now());`,
      ]);
    expect(await slept(3590)).toMatchObject({ code: 0, stderr: "" });
    for (let look = 0; look < 3; look++) expect(alive(await west.list())).toEqual(["api", "web"]);
    lastBeat(api, 2 * 3600);
    expect(alive(await west.list())).toEqual(["web"]);
    expect(alive(await east.list())).toContain("api");
  });

  it("each side's badge counts the other's session, and none by a pid that is not its own", async () => {
    const { east, west, api, web } = await two();
    const badge = async (side: Container, session: Session) =>
      (await side.run("/bin/sh", [join(pluginFolder, "hook"), "statusline"], { env: session.env })).stdout;
    for (const side of [east, west]) await side.list();
    expect(await badge(east, api)).toBe(`[${api.id} · 1 peer]\n`);
    expect(await badge(west, web)).toBe(`[${web.id} · 1 peer]\n`);
  });
});
