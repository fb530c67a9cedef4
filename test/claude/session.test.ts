import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { dispatch } from "../../src/claude/dispatch.ts";
import { duration, type Row, rowsOf, table } from "../../src/claude/roster.ts";
import {
  bellOf,
  expectsInbox,
  hasMailServer,
  isAtLeast,
  isOpening,
  readSessionFile,
  stateOf,
} from "../../src/claude/session.ts";
import { type Peer, readPeer } from "../../src/mesh/peers.ts";
import { argumentsOf } from "../../src/mesh/process.ts";
import { type TempHome, tempHome, until } from "../temp-home.ts";
import { claudeServer } from "./server.ts";
import { claudeWith, standIn } from "./stand-in.ts";

/** A home that this very process sees as its own. */
function ownHome(): TempHome {
  const home = tempHome();
  vi.stubEnv("HOME", home.home);
  for (const name of ["CLAUDEMESH_HOME", "CLAUDE_CONFIG_DIR", "CLAUDE_PID", "CLAUDE_CODE_SESSION_ID"])
    vi.stubEnv(name, undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
  return home;
}

const peerOf = (id: string) => readPeer(id) as Peer;

describe("a session file", () => {
  it("gives what Claude Code says, and a name only if the user chose it", () => {
    const home = tempHome();
    const file = home.path("1.json");
    const fields = { procStart: "77", sessionId: "s", version: "2.1.329", kind: "interactive", status: "waiting" };
    const more = { waitingFor: "permission prompt", statusUpdatedAt: 1_795_251_293_375, messagingSocketPath: "/s" };
    writeFileSync(file, JSON.stringify({ ...fields, ...more, name: "proj-8c", nameSource: "derived" }));
    expect(readSessionFile(file, "77")).toEqual({
      status: "waiting",
      waitingFor: "permission prompt",
      since: new Date(1_795_251_293_375),
      name: undefined,
      socket: "/s",
      version: "2.1.329",
      sessionId: "s",
      kind: "interactive",
    });
    writeFileSync(file, JSON.stringify({ ...fields, name: "mine", nameSource: "user" }));
    expect(readSessionFile(file)?.name).toBe("mine");
  });

  it("of another process that had the same pid counts as none", () => {
    const file = tempHome().path("1.json");
    writeFileSync(file, '{"procStart":"77","status":"idle"}');
    expect(readSessionFile(file, "78")).toBeUndefined();
    writeFileSync(file, '{"status":"idle"}');
    expect(readSessionFile(file, "78")?.status).toBe("idle");
  });

  it.each(["", "{", "null", "[1]", '"idle"', "\u0000"])("that holds %j counts as none", (text) => {
    const file = tempHome().path("1.json");
    writeFileSync(file, text);
    expect(readSessionFile(file)).toBeUndefined();
  });

  it("with a status or fields that are not known gives none of them", () => {
    const file = tempHome().path("1.json");
    writeFileSync(file, '{"status":"thinking","statusUpdatedAt":"now","version":3,"messagingSocketPath":null}');
    expect(readSessionFile(file)).toMatchObject({
      status: undefined,
      since: undefined,
      version: undefined,
      socket: undefined,
    });
    expect(readSessionFile(join(file, "below"))).toBeUndefined();
  });
});

describe("what a session is doing", () => {
  it("is what its session file says, whatever the hooks wrote", async () => {
    const home = ownHome();
    const api = await standIn(home);
    writeFileSync(join(api.box, "state"), "busy\n");
    expect(stateOf(peerOf(api.id)).state).toBe("idle");
    writeFileSync(join(api.box, "state"), "idle\n");
    api.says("busy", { statusUpdatedAt: 1_795_251_293_375 });
    expect(stateOf(peerOf(api.id))).toMatchObject({ state: "busy", since: new Date(1_795_251_293_375) });
    api.says("waiting", { waitingFor: "input needed" });
    expect(stateOf(peerOf(api.id))).toMatchObject({ state: "asking", waitingFor: "input needed" });
  });

  it("is what the hooks wrote where the client says nothing", async () => {
    const home = ownHome();
    const api = await standIn(home);
    api.says(undefined);
    for (const [word, state] of [
      ["busy", "busy"],
      ["asking", "asking"],
      ["idle", "idle"],
      ["nonsense", "idle"],
    ]) {
      writeFileSync(join(api.box, "state"), `${word}\n`);
      expect(stateOf(peerOf(api.id)).state).toBe(state);
    }
  });

  it("is gone with its process, even if its session file was left behind", async () => {
    const home = ownHome();
    const api = await standIn(home);
    await api.end();
    expect(stateOf(peerOf(api.id)).state).toBe("gone");
    expect(bellOf(peerOf(api.id))).toBeUndefined();
  });
});

it.each([
  ["2.1.224", "2.1.224", true],
  ["2.1.1000", "2.1.224", true],
  ["2.2.0", "2.1.224", true],
  ["2.1.223", "2.1.224", false],
  ["2.1.83-beta.1", "2.1.83", true],
  ["1.9.999", "2.1.83", false],
  ["2.1", "2.1.83", false],
  ["", "2.1.83", false],
  [undefined, "2.1.83", false],
])("%s is at least %s: %s", (version, least, answer) => {
  expect(isAtLeast(version, least)).toBe(answer);
});

describe("a claude started a moment ago with", () => {
  it.each([
    [["begin with this"], true],
    [["--model", "opus", "do it"], true],
    [["--settings={}", "do it"], true],
    [["--continue", "go on"], true],
    [["--resume", "0f6c", "go on"], true],
    [[], false],
    [["--model", "opus"], false],
    [["--settings={}", "--resume", "0f6c"], false],
    [["--continue"], false],
  ])("%j is about to begin with a prompt of its own: %s", async (args, answer) => {
    const peer = { pid: claudeWith(ownHome(), args), started_at: new Date().toISOString() } as Peer;
    await until(() => argumentsOf(peer.pid).length === args.length + 2, "the script to run");
    expect(isOpening(peer)).toBe(answer);
    expect(isOpening({ ...peer, started_at: new Date(Date.now() - 10_000).toISOString() })).toBe(false);
  });
});

describe("the fastest bell", () => {
  it("is the inbox with socket and mail server, else the watcher, else the hooks; what is switched off does not count", async () => {
    const home = ownHome();
    const server = await claudeServer(home, "api");
    const { id } = JSON.parse((await server.call("whoami")).text) as Peer;
    await until(() => peerOf(id).mcp, "the server to attend");
    expect(hasMailServer(peerOf(id))).toBe(true);
    const api = await standIn(home, "api", { pid: server.pid, register: false });
    api.says("idle", { messagingSocketPath: "/tmp/x.sock" });
    // Nothing would confirm what a bell puts before a session in which no hook runs.
    expect(bellOf(peerOf(id))).toBeUndefined();
    await api.hook("SessionStart");
    const config = (bells: string[]) =>
      writeFileSync(home.path(".claudemesh", "config.json"), JSON.stringify({ bells }));
    expect(bellOf(peerOf(id))).toBe("inbox");
    config(["watcher", "hooks"]);
    expect(bellOf(peerOf(id))).toBe("watcher");
    config(["hooks"]);
    expect(bellOf(peerOf(id))).toBe("hooks");
    config([]);
    expect(bellOf(peerOf(id))).toBeUndefined();
    writeFileSync(home.path(".claudemesh", "config.json"), "{");
    expect(bellOf(peerOf(id))).toBe("hooks");
    config(["watcher", "hooks"]);
    api.says("idle", { version: "2.1.80" });
    expect(bellOf(peerOf(id))).toBe("hooks");
  });

  it("is no inbox if the server named is no child of that claude", async () => {
    const home = ownHome();
    const api = await standIn(home, "api", { session: { messagingSocketPath: "/tmp/x.sock" } });
    expect(hasMailServer({ ...peerOf(api.id), mcp: process.pid })).toBe(false);
    expect(bellOf({ ...peerOf(api.id), mcp: process.pid })).toBe("watcher");
  });

  it("is waited for only while its mail server runs, or may be starting", async () => {
    const home = ownHome();
    const api = await standIn(home, "api", { session: { messagingSocketPath: "/tmp/x.sock" } });
    const started = (ago: number) => new Date(Date.now() - ago).toISOString();
    expect(expectsInbox({ ...peerOf(api.id), started_at: started(0) })).toBe(true);
    expect(expectsInbox({ ...peerOf(api.id), started_at: started(10_000) })).toBe(false);
  });
});

describe("the session files", () => {
  it("are where CLAUDE_CONFIG_DIR says", async () => {
    const home = ownHome();
    const elsewhere = home.path("config");
    mkdirSync(join(elsewhere, "sessions"), { recursive: true });
    const api = await standIn(home, "api", { env: { CLAUDE_CONFIG_DIR: elsewhere } });
    writeFileSync(join(elsewhere, "sessions", `${api.pid}.json`), '{"status":"busy"}');
    expect(stateOf(peerOf(api.id)).state).toBe("busy");
  });
});

describe("a table of sessions", () => {
  const NOW = Date.parse("2026-11-21T07:00:00Z");
  const row = (fields: Partial<Row>): Row => ({
    id: "7k3p9q2x",
    name: "api",
    state: "idle",
    since: "2026-11-21T06:59:57Z",
    unread: 0,
    bell: "inbox",
    alive: true,
    cwd: "/home/me/api",
    repo: null,
    branch: null,
    summary: null,
    started_at: "2026-11-21T06:00:00Z",
    pid: 1,
    ...fields,
  });

  it("is aligned, marks one's own, and leaves out what nobody has", () => {
    const rows = [
      row({}),
      row({ id: "a8d0m2kq", name: "wéb ✉", unread: 12, bell: null, since: "2026-11-21T05:00:00Z" }),
    ];
    expect(table(rows, "a8d0m2kq", NOW).split("\n")).toEqual([
      "   7k3p9q2x  api    idle  3 s       inbox  /home/me/api",
      "*  a8d0m2kq  wéb ✉  idle  2 h  ✉12         /home/me/api",
    ]);
    expect(table([], undefined, NOW)).toBe("");
  });

  it.each([
    [0, "0 s"],
    [89_000, "89 s"],
    [90_000, "2 min"],
    [5_400_000, "2 h"],
    [130_000_000, "2 d"],
    [-5, "0 s"],
  ])("writes a span of %i ms as %s", (ms, words) => {
    expect(duration(ms)).toBe(words);
  });

  it("counts every letter that waits", async () => {
    const home = ownHome();
    const api = await standIn(home);
    await dispatch({ to: "api", body: "x", kind: "note" });
    expect(rowsOf([peerOf(api.id)])[0]).toMatchObject({
      unread: 1,
      state: "idle",
      alive: true,
      bell: "watcher",
      pid: api.pid,
    });
  });
});
