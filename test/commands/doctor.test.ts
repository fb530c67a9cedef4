// doctor: what it finds, what it says to do about it, and that it changes nothing.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { claudeServer } from "../claude/server.ts";
import { finish, standIn } from "../claude/stand-in.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { cli, type TempHome, tempHome, until } from "../temp-home.ts";

interface Check {
  check: string;
  ok: boolean;
  detail: string;
  fix: string | null;
}

/** A home with a claude of this version on PATH. */
function withClaude(version = "2.1.329") {
  const home = tempHome();
  const claude = join(home.folder("bin"), "claude");
  writeFileSync(claude, `#!/bin/sh\necho '${version} (Claude Code)'\n`, { mode: 0o755 });
  const env = { PATH: `${home.path("bin")}:${dirname(process.execPath)}:/usr/bin:/bin` };
  const doctor = (...args: string[]) => home.run(["doctor", ...args], { env, cwd: home.home, timeout: 30_000 });
  return { ...home, env, doctor };
}

/** What doctor finds wrong. */
async function faults(home: ReturnType<typeof withClaude>): Promise<Check[]> {
  const { code, stdout, stderr } = await home.doctor("--json");
  const found = (JSON.parse(stdout) as Check[]).filter(({ ok }) => !ok);
  expect([code, stderr]).toEqual([found.length ? 1 : 0, ""]);
  for (const { check, fix } of found) expect(fix, check).toBeTruthy();
  return found;
}

describe("where all is well", () => {
  it("says so line by line, with 0, and changes nothing", async () => {
    const home = withClaude();
    const api = await standIn(home);
    letter(api.box);
    const tree = () =>
      execFileSync("find", [home.home, "-not", "-name", "log", "-printf", "%p %m %T@ %l\n"], { encoding: "utf8" })
        .split("\n")
        // The folder itself takes the file that shows that it can be written to.
        .filter((line) => !line.startsWith(`${home.path(".claudemesh")} `))
        .sort();
    const before = tree();
    const { code, stdout, stderr } = await home.doctor();
    expect([code, stderr], stdout).toEqual([0, ""]);
    expect(tree()).toEqual(before);
    expect(stdout).not.toMatch(/^!!/m);
    expect(stdout).toMatch(/^ok {2}bell supervisor: typed into a terminal of ours, and came out there$/m);
    expect(stdout).toMatch(/^ok {2}claude: 2\.1\.329, has the bells watcher, inbox, supervisor, hooks$/m);
    expect(stdout).toMatch(/^ok {2}bell hooks: a test message went through/m);
    expect(stdout).toMatch(/^ok {2}bell inbox: a post came out of a socket of ours$/m);
    expect(stdout).toMatch(/^ok {2}trust: .* is not trusted yet/m);
    if (process.platform === "linux")
      expect(stdout).toMatch(/^ok {2}inotify: \d+ of \d+ instances and \d+ of \d+ watches are in use$/m);
    expect(stdout).toMatch(/^ok {2}bell watcher: FileChanged, run by hand, wakes/m);
    expect(stdout).toMatch(new RegExp(`^ok {2}session api \\(${api.id}\\): idle, would be reached by watcher$`, "m"));
  });

  it("where nobody has joined yet is well, too, and no mesh is made", async () => {
    const home = withClaude();
    expect(await faults(home)).toEqual([]);
    expect(execFileSync("ls", ["-A", home.home], { encoding: "utf8" })).toBe("bin\n");
  });
});

describe("finds", () => {
  const cases: [what: string, spoil: (home: TempHome, box: string) => void, check: string, detail: RegExp][] = [
    ["a mailbox open to others", (_, box) => chmodSync(box, 0o755), "modes", /inbox\//],
    [
      "a peer file that is none",
      (h) => writeFileSync(h.path(".claudemesh", "peers", "x.json"), "{", { mode: 0o600 }),
      "peers",
      /x\.json/,
    ],
    [
      "a config that is wrong",
      (h) => writeFileSync(h.path(".claudemesh", "config.json"), '{"inject": 1}', { mode: 0o600 }),
      "config",
      /"inject" must be/,
    ],
    [
      "a key in the config that does not exist",
      (h) => writeFileSync(h.path(".claudemesh", "config.json"), '{"notfy": false}', { mode: 0o600 }),
      "config",
      /no key "notfy", perhaps "notify"/,
    ],
    [
      "hooks left out in the config",
      (h) => writeFileSync(h.path(".claudemesh", "config.json"), '{"bells": ["watcher"]}', { mode: 0o600 }),
      "config",
      /leaves out/,
    ],
    [
      "hooks switched off",
      (h) => writeFileSync(h.path(".claude", "settings.json"), '{"disableAllHooks": true}'),
      "switches",
      /disableAllHooks in/,
    ],
    [
      "an inbox that refuses",
      (h) => writeFileSync(h.path(".claude", "settings.json"), '{"crossSessionInbound": "refuse"}'),
      "switches",
      /crossSessionInbound: refuse/,
    ],
    [
      "a plugin that has gone",
      (h) => {
        mkdirSync(h.path(".claude", "skills"), { recursive: true });
        symlinkSync(h.path("gone", "bin", "plugin"), h.path(".claude", "skills", "claudemesh"));
      },
      "plugin",
      /leads nowhere/,
    ],
    ["a node that has gone", (h) => symlinkSync(h.path("gone"), h.path(".claudemesh", "node")), "node", /has gone/],
    [
      "a lock that stays",
      (h) => {
        mkdirSync(h.path(".claudemesh", "locks", "peers.lock"), { mode: 0o700 });
        utimesSync(h.path(".claudemesh", "locks", "peers.lock"), 1000, 1000);
      },
      "stale files",
      /peers\.lock/,
    ],
    [
      "a session link that leads nowhere",
      (h) => symlinkSync("../inbox/goneaway", h.path(".claudemesh", "sessions", "s-gone")),
      "stale files",
      /sessions\/s-gone/,
    ],
    [
      "a system that has no watches left",
      (h) =>
        writeFileSync(
          h.path(".claudemesh", "log"),
          `${new Date().toISOString()} 7 watch-error /x Error: ENOSPC: no space\n`,
          { mode: 0o600 },
        ),
      "watches",
      /no watch left/,
    ],
  ];
  it("a project with our plugin that is not trusted; a trusted folder above it is enough", async () => {
    const home = withClaude();
    const cwd = home.folder("work");
    mkdirSync(join(cwd, ".claude", "skills"), { recursive: true });
    symlinkSync(
      fileURLToPath(new URL("../../bin/plugin", import.meta.url)),
      join(cwd, ".claude", "skills", "claudemesh"),
    );
    const trust = async () => {
      const { stdout } = await home.run(["doctor", "--json"], { env: home.env, cwd, timeout: 30_000 });
      return (JSON.parse(stdout) as Check[]).find(({ check }) => check === "trust");
    };
    expect(await trust()).toMatchObject({
      ok: false,
      detail: `${cwd} is not trusted, so the plugin of this project does not run`,
    });
    const projects = { [home.home]: { hasTrustDialogAccepted: true } };
    writeFileSync(home.path(".claude.json"), JSON.stringify({ projects }));
    expect(await trust()).toMatchObject({ ok: true, detail: `${cwd} is trusted` });
  });

  it.each(cases)("%s, and says what to do", async (_, spoil, check, detail) => {
    const home = withClaude();
    const api = await standIn(home);
    spoil(home, api.box);
    expect(await faults(home)).toEqual([
      { check, ok: false, detail: expect.stringMatching(detail), fix: expect.any(String) },
    ]);
  });

  it.each([
    ["none on PATH", undefined, /no `claude` on PATH/],
    ["one that is too old", "2.1.80", /older than/],
  ] as const)("a claude: %s", async (_, version, detail) => {
    const home = withClaude(version);
    if (version === undefined) execFileSync("rm", [home.path("bin", "claude")]);
    expect(await faults(home)).toMatchObject([{ check: "claude", detail: expect.stringMatching(detail) }]);
  });

  it("mail that an idle session has not been woken by, and a mail server that has ended", async () => {
    const home = withClaude();
    const api = await standIn(home);
    api.says("idle", { statusUpdatedAt: Date.now() - 600_000 });
    const unique = letter(api.box);
    utimesSync(join(api.box, "new", unique), 1000, 1000);
    expect(await faults(home)).toMatchObject([
      { check: `session api (${api.id})`, detail: expect.stringContaining("1 unread") },
    ]);
    const web = withClaude();
    const other = await standIn(web, "web");
    other.says("idle", { messagingSocketPath: "/tmp/nowhere.sock" });
    expect(await faults(web)).toMatchObject([{ detail: expect.stringContaining("mail server has ended") }]);
  });

  it("an inbox socket where nobody listens", async () => {
    const home = withClaude();
    const server = await claudeServer(home, "api", { HOME: home.home });
    const { id } = JSON.parse((await server.call("whoami")).text) as { id: string };
    const peer = home.path(".claudemesh", "peers", `${id}.json`);
    await until(() => readFileSync(peer, "utf8").includes('"mcp"'), "the server to attend");
    const api = await standIn(home, "api", { pid: server.pid, register: false });
    const path = home.path("inbox.sock");
    api.says("idle", { messagingSocketPath: path });
    await api.hook("SessionStart");
    expect(await faults(home)).toMatchObject([{ detail: `nobody listens at its inbox socket ${path}` }]);
    const posts: string[] = [];
    const socket = createServer((connection) => connection.on("data", (chunk) => posts.push(String(chunk))));
    await new Promise<void>((resolve) => socket.listen(path, resolve));
    onTestFinished(() => void socket.close());
    expect(await faults(home)).toEqual([]);
    expect(posts).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)("a home of another user, and looks no further into it", async () => {
    const home = withClaude();
    mkdirSync(home.path(".claudemesh"), { mode: 0o700 });
    execFileSync("chown", ["4242", home.path(".claudemesh")]);
    expect(await faults(home)).toMatchObject([
      { check: "home", detail: expect.stringContaining("belongs to user 4242") },
    ]);
  });

  it("a package whose hook is broken", async () => {
    const home = withClaude();
    const copy = home.folder("copy");
    const root = join(dirname(cli), "..");
    for (const part of ["bin", "dist", "package.json"]) execFileSync("cp", ["-r", join(root, part), copy]);
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    writeFileSync(join(copy, "bin", "plugin", "hook"), "exit 3\n");
    const env = { PATH: `${home.path("bin")}:${process.env.PATH}` };
    const ran = await finish(
      home.start(process.execPath, [join(copy, "bin", "claudemesh.cjs"), "doctor", "--json"], { env }),
    );
    const found = (JSON.parse(ran.stdout) as Check[]).filter(({ ok }) => !ok);
    expect(found.map(({ check }) => check)).toEqual(["bell hooks", "bell watcher", "every hook"]);
    expect(ran.code).toBe(1);
  });
});
