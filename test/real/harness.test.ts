// The harness itself, on both clients: what every story takes for granted.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { tempHome } from "../temp-home.ts";
import { anyVersion, type ClientVersion, claudeBinary, seedHome, versions } from "./client.ts";
import { type FakeApi, replies, startFakeApi } from "./fake-api.ts";
import { isRunning, leftOf } from "./processes.ts";
import { type Session, startSession } from "./session.ts";
import { newestText, timesShown, toolResults } from "./shown.ts";

const bash = (command: string) => `[[tool:{"name":"Bash","input":{"command":"${command}","description":"a test"}}]]`;

/** A settings entry: a hook that gives `text` as context the first time it runs. */
function contextOnce(event: string, text: string, flag: string) {
  const output = JSON.stringify({ hookSpecificOutput: { hookEventName: event, additionalContext: text } });
  return [{ hooks: [{ type: "command", command: `[ -e ${flag} ] || { : > ${flag}; echo '${output}'; }` }] }];
}

// Installing them takes long on a slow network.
beforeAll(() => Promise.all(versions.map(claudeBinary)), 600_000);

async function start(
  version: ClientVersion,
  settings: Record<string, unknown> = {},
): Promise<{ s: Session; api: FakeApi; home: string }> {
  const { home, folder } = tempHome();
  const cwd = folder("project");
  seedHome(home, { trust: [cwd], settings });
  const api = await startFakeApi();
  onTestFinished(() => api.stop());
  const s = await startSession({ command: await claudeBinary(version), home, cwd, api });
  await s.ready();
  return { s, api, home };
}

describe.each(versions)("the real client %s", (version) => {
  it("starts, answers a prompt, exits with 0 and leaves the home and the process list clean", async () => {
    const { s, api, home } = await start(version);
    const settings = readFileSync(`${home}/.claude/settings.json`, "utf8");
    expect(s.claude()).toMatchObject({ pid: s.pid, version, cwd: s.cwd, status: "idle" });

    const turn = await s.ask("hello there [[say:general kenobi]]");
    await s.waitScreen("● general kenobi");
    expect(turn.session).toBe(s.id());
    expect(newestText(turn)).toContain("hello there");
    expect(api.turns(s.id())).toEqual([turn]);
    expect(JSON.stringify(api.requests)).not.toContain("sk-ant-");

    const id = s.id();
    await s.command("/exit");
    expect(await s.exit()).toEqual({ code: 0, signal: 0 });
    await s.stop();
    expect(readdirSync(`${home}/.claude/sessions`)).toEqual([]);
    expect(readdirSync(`${home}/.claude/projects/${s.cwd.replace(/[^a-zA-Z0-9]/g, "-")}`)).toContain(`${id}.jsonl`);
    expect(readFileSync(`${home}/.claude/settings.json`, "utf8")).toBe(settings);
    expect(isRunning(s.pid)).toBe(false);
    expect(leftOf(`HOME=${home}`)).toEqual([]);
    expect(api.outside).toEqual([]);
  });

  it("is busy while a reply is held, and idle again after Esc", async () => {
    const { s, api } = await start(version);
    const held = api.hold(s.id());
    const turn = await s.prompt("take your time");
    expect((await held.arrived).n).toBe(turn.n);
    await s.waitStatus("busy");
    s.key("escape");
    await s.waitStatus("idle");
    await s.waitFor(() => turn.outcome === "aborted", "the request to be given up");
    await s.ask("and again [[sleep:50]] [[say:there we are]]");
    await s.waitScreen("● there we are");
  });

  it("waits at a permission dialog, which nothing but a key answers", async () => {
    const { s, api, home } = await start(version);
    const turn = await s.prompt(`${bash(`touch ${home}/forbidden`)} [[say:never said]]`);
    await s.waitStatus("waiting");
    expect(s.claude()?.waitingFor).toBe("permission prompt");
    await s.waitScreen(/Do you want/);
    s.key("escape");
    await s.waitStatus("idle");
    expect(existsSync(`${home}/forbidden`)).toBe(false);
    await s.ask("hello");
    expect(s.screen()).not.toContain("● never said");
    expect(api.turns()[0]).toBe(turn);
  });

  it("shows each hook's context to the model once, and obeys a marker in it", async () => {
    const { home, folder } = tempHome();
    const cwd = folder("project");
    const events = ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop"];
    const context = (event: string) => `letter-by-${event} [[say:answer-to-${event}]]`;
    const hooks = Object.fromEntries(events.map((e) => [e, contextOnce(e, context(e), `${home}/${e}`)]));
    seedHome(home, { trust: [cwd], settings: { hooks, permissions: { allow: ["Bash(echo:*)"] } } });
    const api = await startFakeApi();
    onTestFinished(() => api.stop());
    const s = await startSession({ command: await claudeBinary(version), home, cwd, api });
    await s.ready();

    await s.ask("first");
    await s.waitScreen("● answer-to-Stop");
    await s.ask(`second ${bash("echo hi")} [[say:never said]]`);
    await s.waitScreen("● answer-to-PostToolUse");
    await s.ask("third");
    await s.command("/compact");
    await s.waitScreen(/Compacted|compacted/);
    await s.ask("fourth");
    for (const event of events) expect([event, timesShown(api, `letter-by-${event}`, s.id())]).toEqual([event, 1]);
    expect(timesShown(api, "second")).toBe(1);
  });

  it("takes a long prompt as one paste, and starts a new session id on /clear", async () => {
    const { s, api } = await start(version);
    const long = Array.from({ length: 12 }, (_, i) => `row ${i}`).join("\n");
    const turn = await s.ask(long);
    expect(newestText(turn)).toContain(long);
    const before = s.id();
    await s.command("/clear");
    await s.waitFor(() => s.id() !== before, "a new session id");
    await s.ask("a fresh beginning");
    expect(timesShown(api, "row 7")).toBe(1);
    expect(timesShown(api, "a fresh beginning", s.id())).toBe(1);
  });

  it("shows what is typed into a running turn once, between two tool calls", async () => {
    const { s, api } = await start(version, { permissions: { allow: ["Bash(echo:*)"] } });
    const held = api.hold(s.id());
    await s.prompt("zebra one");
    await held.arrived;
    await s.waitStatus("busy");
    const queued = s.prompt("zebra two");
    await s.waitFor(() => s.draft() === "" && s.screen().includes("zebra two"), "the second prompt to be queued");
    held.release({ tools: [{ name: "Bash", input: { command: "echo hi", description: "a test" } }] });
    expect(newestText(await queued)).toContain("hi");
    await s.waitStatus("idle");
    await s.ask("and later");
    expect(timesShown(api, "zebra one")).toBe(1);
    expect(timesShown(api, "zebra two")).toBe(1);
  });
});

describe.each(anyVersion)("the real client %s", (version) => {
  it("runs tool calls and goes on after their results, by markers or by a scripted answer", async () => {
    const { s, api } = await start(version, { permissions: { allow: ["Bash(echo:*)"] } });
    await s.ask(`${bash("echo one")} ${bash("echo two")} [[say:both done]]`);
    await s.waitScreen("● both done");
    expect(toolResults(api.turns().at(-1) ?? expect.fail())).toEqual(["one", "two"]);

    const call = { name: "Bash", input: { command: "echo three", description: "a test" } };
    api.answer(replies({ tools: [call] }, "scripted end"), s.id());
    await s.ask("go");
    await s.waitScreen("● scripted end");
    expect(toolResults(api.turns().at(-1) ?? expect.fail())).toEqual(["one", "two", "three"]);
  });

  it("ends a session that a program started, and finds the claude in it", async () => {
    const { home, folder } = tempHome();
    const cwd = folder("project");
    seedHome(home, { trust: [cwd] });
    const api = await startFakeApi();
    onTestFinished(() => api.stop());
    const args = ["-c", `claude; exit $((40 + $?))`];
    const s = await startSession({
      command: "/bin/sh",
      args,
      home,
      cwd,
      api,
      path: [dirname(await claudeBinary(version))],
    });
    await s.ready();
    expect(s.claude()?.pid).not.toBe(s.pid);
    await s.ask("hello [[say:from below]]");
    await s.waitScreen("● from below");
    expect(basename(s.claude()?.cwd ?? "")).toBe("project");
    await s.command("/exit");
    expect((await s.exit()).code).toBe(40);
  });

  it("tells two sessions in one home apart, and scripts each by its id", async () => {
    const { home, folder } = tempHome();
    const [left, right] = [folder("left"), folder("right")];
    seedHome(home, { trust: [left, right] });
    const api = await startFakeApi();
    onTestFinished(() => api.stop());
    const command = await claudeBinary(version);
    const a = await startSession({ command, home, cwd: left, api });
    const b = await startSession({ command, home, cwd: right, api });
    await Promise.all([a.ready(), b.ready()]);
    expect(a.id()).not.toBe(b.id());
    api.answer(() => "this is left", a.id());
    api.answer(() => "anyone else");
    const held = api.hold(b.id());
    const waiting = await b.prompt("zebra for b");
    await a.ask("zebra for a");
    await a.waitScreen("● this is left");
    expect(waiting.outcome).toBe("open");
    held.release();
    await b.waitScreen("● anyone else");
    expect(timesShown(api, "zebra", a.id())).toBe(1);
    expect(timesShown(api, "zebra")).toBe(2);
    await a.stop();
    expect(b.claude()?.status).toBeDefined();
  });

  it("shows an API error once and answers the next prompt", async () => {
    const { s, api } = await start(version);
    await s.prompt("[[error:400]] zebra");
    await s.waitScreen(/API Error/);
    await s.waitStatus("idle");
    await s.ask("and now? [[say:better]]");
    await s.waitScreen("● better");
    await s.ask("still?");
    await s.waitScreen("● ok");
    expect(s.scrollback().split("API Error")).toHaveLength(2);
    expect(timesShown(api, "zebra")).toBe(1);
  });
});

describe("a session that leaves a process behind", () => {
  it("fails by name when it is stopped, and the process is gone", async () => {
    const { home } = tempHome();
    const api = await startFakeApi();
    onTestFinished(() => api.stop());
    const args = ["-c", "trap '' HUP; sleep 600 & echo started $!; exec cat"];
    const s = await startSession({ command: "/bin/sh", args, home, cwd: home, api });
    await s.waitScreen(/started \d+/);
    const pid = Number(/started (\d+)/.exec(s.screen())?.[1]);
    expect(isRunning(pid)).toBe(true);
    await expect(s.waitScreen("never", 50)).rejects.toThrow(/show never[\s\S]*screen:\nstarted/);
    await expect(s.stop()).rejects.toThrow(`${pid}`);
    await s.waitFor(() => !isRunning(pid), "it to be gone");
  });
});
