// What the README shows works as it stands there.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "../../src/mesh/message.ts";
import type { Peer } from "../../src/mesh/peers.ts";
import { claudeProcess } from "../claude/stand-in.ts";
import { type TempHome, tempHome, until } from "../temp-home.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const blocks = [...readme.matchAll(/^```(?:sh)?\n([\s\S]*?)^```$/gm)].map((m) => m[1] ?? "");
const block = (word: string) => blocks.find((text) => text.includes(word)) ?? "";

/** A session as far as files go: a process, registered by the hook that Claude Code would run. */
async function registered(home: TempHome, name: string): Promise<{ pid: number; box: string }> {
  const claude = claudeProcess(home, home.home);
  const pid = claude.pid ?? 0;
  const input = {
    session_id: `id-of-${name}`,
    cwd: home.folder(name),
    hook_event_name: "SessionStart",
    source: "startup",
  };
  const done = await home.run(["hook", "SessionStart"], {
    input: JSON.stringify(input),
    env: { CLAUDE_PID: String(pid), CLAUDE_CODE_SESSION_ID: input.session_id },
  });
  expect(JSON.parse(done.stdout)).toMatchObject({ hookSpecificOutput: { hookEventName: "SessionStart" } });
  return { pid, box: home.path(".claudemesh", "sessions", input.session_id) };
}

describe("the README", () => {
  it("is under 200 lines and names every verb of --help", async () => {
    expect(readme.split("\n").length).toBeLessThan(200);
    const help = (await tempHome().run(["help"])).stdout;
    const verbs = [...help.matchAll(/^ {2}([a-z]+)/gm)].map((m) => m[1] ?? "");
    expect(verbs.length).toBeGreaterThan(10);
    for (const verb of verbs) expect(readme).toMatch(new RegExp(`\\b${verb}\\b`));
  });

  it("has a drop recipe that delivers", async () => {
    const home = tempHome();
    const { box } = await registered(home, "api");
    const done = spawnSync("sh", ["-c", block("tmp/$$")], { env: home.env, encoding: "utf8" });
    expect(done).toMatchObject({ status: 0, stderr: "" });
    expect(readdirSync(`${box}/new`)).toHaveLength(1);
    const read = await home.run(["inbox", "api", "--peek", "--json"]);
    expect(JSON.parse(read.stdout)).toMatchObject([
      { body: "deploy finished", from: null, kind: "task", state: "queued" },
    ]);
  });

  it("takes a plain cp into new/", async () => {
    const home = tempHome();
    await registered(home, "api");
    const done = spawnSync("sh", ["-c", "echo hello > note.txt && cp note.txt ~/.claudemesh/to/api/new/"], {
      cwd: home.home,
      env: home.env,
    });
    expect(done.status).toBe(0);
    const bodies = async () => {
      const read = await home.run(["inbox", "api", "--peek", "--json"]);
      return (JSON.parse(read.stdout) as { body: string }[]).map((mail) => mail.body);
    };
    await until(async () => (await bodies()).includes("hello"), "the copied file to be mail");
  });

  it("shows a message file as it is read, and the frame as it is worded", async () => {
    const shown = block("X-Mesh-Priority");
    expect(parse(shown, "x")).toMatchObject({
      id: "<1763708400.M123456P4242Q1.laptop@claudemesh>",
      from: { name: "web", id: "a8d0m2kq", host: "laptop" },
      kind: "task",
      priority: "next",
      body: "rerun the migration check on the staging copy, and send me the failing tables",
    });
    const { frame } = await import("../../src/claude/prompt.ts");
    const message = parse(shown, "1763708400.M123456P4242Q1.laptop");
    const now = (message.date?.getTime() ?? 0) + 3000;
    const letter = { message, unique: "1763708400.M123456P4242Q1.laptop", path: "" };
    expect(block("claudemesh mail: task from web (")).toBe(`${frame(letter, now)}\n`);
  });

  it("shows the words as they are: what a session is told at its start, and what each tool says of itself", async () => {
    const { primer } = await import("../../src/claude/prompt.ts");
    const { TOOLS } = await import("../../src/claude/tools.ts");
    expect(readme).toContain(`\n> ${primer({ name: "api", id: "7k3p9q2x" } as Peer)}\n`);
    expect(TOOLS).toHaveLength(10);
    for (const { name, description } of TOOLS) expect(readme).toContain(`\n- \`${name}\`: ${description}\n`);
  });

  it("has a status line recipe that prints the badge", async () => {
    const home = tempHome();
    await registered(home, "api");
    await registered(home, "web");
    await home.run(["send", "api", "one letter"]);
    expect((await home.run(["install"], { env: { PATH: `${process.env.PATH}` } })).code).toBe(0);
    const badge = spawnSync("sh", ["-c", block("readlink -f")], {
      env: { ...home.env, CLAUDE_CODE_SESSION_ID: "id-of-api" },
      encoding: "utf8",
    });
    expect(badge.stdout).toMatch(/^\[[0-9a-z]{8} · 1 peer · ✉1\]\n$/);
  });
});
