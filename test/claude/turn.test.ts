// What began a session's turn, as the hooks note it for the brakes: bin/plugin/hook by itself in every POSIX shell where
// it can, Node where letters are handed out.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { letter } from "../mesh/temp-mesh.ts";
import { tempHome, until } from "../temp-home.ts";
import { stage } from "./inbox.ts";
import { standIn, stubNode } from "./stand-in.ts";

const shells = [["/bin/sh"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"], ["mksh"]].filter(
  ([name = ""]) => spawnSync(name, ["-c", ":"]).error === undefined,
);
const YOU = { id: "you", name: "you", host: "laptop" };

/** A session, its file `turn`, and its hooks with a node that is only noted. */
async function session(turn?: string) {
  const home = tempHome();
  const api = await standIn(home);
  const stub = stubNode(home);
  const file = (name: string) => join(api.box, name);
  if (turn !== undefined) writeFileSync(file("turn"), turn);
  return {
    api,
    file,
    started: stub.started,
    turn: () => (existsSync(file("turn")) ? readFileSync(file("turn"), "utf8") : undefined),
    submit: (prompt: string, shell = ["/bin/sh"]) => api.hook("UserPromptSubmit", { prompt }, { env: stub.env, shell }),
  };
}

const MACHINES = [
  "<task-notification>\n<summary>Background command done</summary>\n</task-notification>",
  "<system-reminder>\nsomething else</system-reminder>",
  '<cross-session-message from="uds:/tmp/x" from-name="web">\nhello\n</cross-session-message>',
  '<teammate-message teammate_id="x">hello</teammate-message>',
  '<channel source="other">hello</channel>',
];
const PERSONS = [
  "go on",
  "",
  "what is this?\n<task-notification>\n</task-notification>",
  '{"prompt":"<task-notification>"}',
  '\\ "prompt":"<channel \\',
  "<div>why is this not centred?</div>",
];

describe.each(shells)("with no mail at hand, without Node, in %s %s", (...shell) => {
  it.each(PERSONS)("a person's prompt clears what mail began: %j", async (prompt) => {
    for (const was of ["20\n", "-\n"]) {
      const { submit, turn, started, file } = await session(was);
      expect(await submit(prompt, shell)).toMatchObject({ code: 0, stdout: "", stderr: "" });
      expect([turn(), started(), existsSync(file("touched"))]).toEqual(["", false, true]);
    }
  });

  it.each(["touched", "turn"])("a file `%s` that can't be written blocks no prompt", async (name) => {
    const { submit, file, started } = await session(name === "turn" ? undefined : "7\n");
    mkdirSync(file(name));
    expect(await submit("go on", shell)).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(started()).toBe(false);
  });

  it.each(MACHINES)("what a machine tells goes on with it: %j", async (prompt) => {
    for (const was of ["20\n", "-\n", "", undefined]) {
      const { submit, turn, started, file } = await session(was);
      expect(await submit(prompt, shell)).toMatchObject({ code: 0, stdout: "", stderr: "" });
      expect([turn(), started(), existsSync(file("touched"))]).toEqual([was, false, false]);
    }
  });
});

it("with nothing to clear, nothing is written", async () => {
  for (const was of ["", undefined]) {
    const { submit, turn, file } = await session(was);
    if (was !== undefined) utimesSync(file("turn"), 1000, 1000);
    await submit("go on");
    expect([turn(), existsSync(file("touched"))]).toEqual([was, false]);
    if (was !== undefined) expect(statSync(file("turn")).mtimeMs).toBe(1_000_000);
  }
});

it("other events do not touch it, and a subagent's neither", async () => {
  const { api, turn } = await session("7\n");
  for (const event of ["PostToolUse", "Stop", "SessionStart", "SessionStart compact"]) await api.hook(event);
  expect(turn()).toBe("7\n");
  letter(api.box, { kind: "question", hops: 12 });
  await api.hook("PostToolUse", { agent_id: "x" });
  expect(turn()).toBe("7\n");
});

describe.each(shells)("letters that a bell has posted, marked without Node in %s %s", (...shell) => {
  it.each([
    [[3], "3\n"],
    [[0], "0\n"],
    [[3, 11, 0], "11\n"],
    [[1e20], "999\n"],
    [[3, "you"], ""],
    [["you"], ""],
  ] as const)("with %j hops begin a turn of %j", async (letters, expected) => {
    const { home, api, posts, ringer } = await stage();
    for (const hops of letters) letter(api.box, hops === "you" ? { from: YOU } : { hops });
    writeFileSync(join(api.box, "turn"), "5\n");
    ringer.look();
    await until(() => posts.length, "a post");
    const stub = stubNode(home);
    await api.hook("UserPromptSubmit", { prompt: posts[0] }, { shell, env: stub.env });
    expect(stub.started()).toBe(false);
    expect(api.room("handed")).toHaveLength(letters.length);
    expect(readFileSync(join(api.box, "turn"), "utf8")).toBe(expected);
    expect(existsSync(join(api.box, "touched"))).toBe(expected === "");
  });
});

describe("where Node hands letters out", () => {
  const NOTICE = "claudemesh: mail from web (1 message); the text is attached.";
  const WOKEN = `<task-notification>\n</task-notification>\n<system-reminder>\nStop hook blocking error from command "FileChanged": ${NOTICE}\n</system-reminder>`;
  /** A session with letters of so many hops, the turn it had, and one hook of it. */
  async function turnAfter(was: string, hops: number[], event: string, fields = {}, more = {}) {
    const home = tempHome();
    const api = await standIn(home);
    writeFileSync(join(api.box, "turn"), was);
    for (const n of hops) letter(api.box, { kind: "question", hops: n, ...more });
    const answer = await api.hook(event, fields);
    expect(JSON.stringify(answer.json) ?? "").toContain("rerun the migration check");
    return readFileSync(join(api.box, "turn"), "utf8");
  }

  it.each([NOTICE, WOKEN, "[inbox]"])(
    "a line that announces mail begins a turn of the furthest: %j",
    async (prompt) => {
      expect(await turnAfter("17\n", [2, 6, 4], "UserPromptSubmit", { prompt })).toBe("6\n");
      expect(await turnAfter("", [2], "UserPromptSubmit", { prompt })).toBe("2\n");
      expect(await turnAfter("17\n", [2], "UserPromptSubmit", { prompt }, { from: YOU })).toBe("");
    },
  );

  it("a person's prompt is his, whatever mail comes with it", async () => {
    expect(await turnAfter("17\n", [9], "UserPromptSubmit", { prompt: "go on" })).toBe("");
    expect(await turnAfter("", [9], "UserPromptSubmit", { prompt: "go on" })).toBe("");
  });

  it("what a machine tells goes on with what was, and mail with it counts", async () => {
    const prompt = MACHINES[0];
    expect(await turnAfter("7\n", [9], "UserPromptSubmit", { prompt })).toBe("9\n");
    expect(await turnAfter("", [9], "UserPromptSubmit", { prompt })).toBe("-\n");
  });

  it("between two tool calls a person's turn stays his, and mail's goes by the furthest", async () => {
    expect(await turnAfter("", [9], "PostToolUse")).toBe("-\n");
    expect(await turnAfter("7\n", [9], "PostToolUse")).toBe("9\n");
    expect(await turnAfter("17\n", [9], "PostToolUse")).toBe("17\n");
    expect(await turnAfter("17\n", [0], "PostToolUse", {}, { from: YOU })).toBe("");
  });

  it("mail that goes on with a turn at its end begins a new one", async () => {
    expect(await turnAfter("", [9], "Stop")).toBe("9\n");
    expect(await turnAfter("17\n", [9], "Stop")).toBe("9\n");
  });
});

it("what is read by `inbox` in a session counts as shown; the letters of an old thread do not", async () => {
  const home = tempHome();
  const api = await standIn(home);
  const inbox = (...more: string[]) => home.run(["inbox", ...more], { env: api.env, cwd: api.cwd });
  writeFileSync(join(api.box, "turn"), "3\n");
  const unique = letter(api.box, { from: YOU });
  expect((await inbox("--thread", `<${unique}@claudemesh>`)).stdout).toContain("rerun");
  expect(readFileSync(join(api.box, "turn"), "utf8")).toBe("3\n");
  await inbox();
  expect(readFileSync(join(api.box, "turn"), "utf8")).toBe("");
  letter(api.box, { hops: 8 });
  writeFileSync(join(api.box, "turn"), "3\n");
  await inbox("--peek");
  expect(readFileSync(join(api.box, "turn"), "utf8")).toBe("8\n");
});
