// A prompt that is what a bell posted: bin/plugin/hook notes it as handed over, and marks it at the next hook of the turn, by
// itself, in every POSIX shell; whatever is not that to the letter it leaves to Node.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { summaryLine } from "../../src/claude/prompt.ts";
import { readLetter } from "../../src/mesh/receive.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { until } from "../temp-home.ts";
import { stage } from "./inbox.ts";
import { stubNode } from "./stand-in.ts";

const shells = [["/bin/sh"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"], ["mksh"]].filter(
  ([name = ""]) => spawnSync(name, ["-c", ":"]).error === undefined,
);

const seen = (unique: string) => `${unique}:2,S`;
const collected = (unique: string) => `${unique}:2,`;

/** A session to which these letters have been posted, and its prompt's hook, without Node or with it. */
async function posted(fields: Parameters<typeof letter>[1][], shell: string[] = ["/bin/sh"]) {
  const { home, api, posts, ringer } = await stage();
  const stub = stubNode(home);
  const all = fields.map((one) => letter(api.box, one));
  ringer.look();
  await until(() => posts.length, "a post");
  const prompt = posts[0] ?? "";
  return {
    api,
    all,
    prompt,
    started: stub.started,
    hook: (prompt: string) => api.hook("UserPromptSubmit", { prompt }, { shell, env: stub.env }),
    node: (prompt: string) => api.hook("UserPromptSubmit", { prompt }, { shell }),
    goesOn: (event: string) => api.hook(event, {}, { shell, env: stub.env }),
    rooms: () => [api.room("new"), api.room("cur"), api.room("posted"), api.room("handed"), api.room("owed")],
  };
}

describe.each(shells)("a posted letter is handed over and marked without Node in %s %s", (...shell) => {
  const bodies = [
    "rerun the migration check",
    "quotes \" and ' and \\ and \\n and a last \\",
    "$(touch pwned) `touch pwned` $HOME * ? [a-z] ! # ~ %s %n",
    "two\n\nlines\twith a tab, and\nEOF\n",
    "ünïcödé ✉ 👩‍👩‍👧 \u2028 \u007f \\u0041",
    "x".repeat(7000),
  ];
  it.each(bodies)("%j", async (body) => {
    const { api, all, prompt, started, hook, goesOn, rooms } = await posted([{ body }], shell);
    const { code, stderr, json } = await hook(prompt);
    const systemMessage = summaryLine([readLetter(api.id, all[0] ?? "")].flatMap((one) => one ?? []));
    expect({ code, stderr, json }).toEqual({ code: 0, stderr: "", json: { systemMessage } });
    expect(systemMessage).toMatch(/^✉ web: \S/);
    expect(rooms()).toEqual([[], all.map(collected), [], all, []]);
    expect(await goesOn("PostToolUse")).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(started()).toBe(false);
    expect(rooms()).toEqual([[], all.map(seen), [], [], []]);
    expect(api.room("tried")).toEqual([]);
    expect(existsSync(join(api.cwd, "pwned"))).toBe(false);
  });

  it("several at once, and which of them are owed an answer", async () => {
    const kinds = ["task", "question", "task", "question", "task"] as const;
    const letters = kinds.map((kind, i) => ({ kind, body: `number ${i}` }));
    const { all, prompt, started, hook, goesOn, rooms } = await posted(letters, shell);
    const { json } = await hook(prompt);
    expect(json).toEqual({ systemMessage: [0, 1, 2, 3, 4].map((i) => `✉ web: number ${i}`).join("\n") });
    await goesOn("PostToolUse");
    expect(started()).toBe(false);
    expect(rooms()).toEqual([[], all.map(seen), [], [], [all[1], all[3]]]);
  });

  it("but Node is asked about a user's own prompt, however long, and has all of it", async () => {
    const { all, prompt, hook, node, rooms, started } = await posted([{}], shell);
    const own = `${"it's \\ $HOME `id`\n".repeat(10_000)}`;
    await hook(own);
    expect(started()).toBe(true);
    expect(rooms()).toEqual([[], [`${all[0]}:2,`], all, [], []]);
    // Cut short it would be no JSON.
    expect((await node(`${own}\n${prompt.split("\n").slice(1, -1).join("\n")}`)).json).toEqual({
      systemMessage: "✉ web: rerun the migration check",
    });
    expect(rooms()).toEqual([[], all.map(collected), [], all, []]);
  });

  it("but not at the end of a subagent's tool, nor what came beside a tool's result before the turn ends", async () => {
    const { api, all, prompt, started, hook, goesOn, rooms } = await posted([{}], shell);
    await hook(prompt);
    await goesOn("PostToolUse in a subagent");
    expect(rooms()).toEqual([[], all.map(collected), [], all, []]);
    const note = join(api.box, "handed", all[0] ?? "");
    writeFileSync(note, readFileSync(note, "utf8").replace(" prompt ", " tool "));
    await goesOn("PostToolUse");
    expect(rooms()).toEqual([[], all.map(collected), [], all, []]);
    await goesOn("Stop");
    expect(rooms()).toEqual([[], all.map(seen), [], [], []]);
    expect(started()).toBe(false);
  });
});

describe("Node is asked about", () => {
  it("a letter that is not there whole", async () => {
    const { all, prompt, hook, started, rooms } = await posted([{ body: "one\ntwo\nthree" }]);
    await hook(prompt.replace("\ntwo", ""));
    expect(started()).toBe(true);
    expect(rooms()).toEqual([[], [`${all[0]}:2,`], all, [], []]);
  });

  it("a prompt that has one of two letters on their way", async () => {
    const { all, prompt, hook, started, rooms } = await posted([{ body: "one" }, { body: "two" }]);
    await hook(prompt.replace(/\n\nclaudemesh mail: [\s\S]*/, ""));
    expect(started()).toBe(true);
    expect(rooms()).toEqual([[], all.map(collected), all, [], []]);
  });

  it("a letter that somebody put back, and other mail that waits", async () => {
    const { api, all, prompt, hook, started, node, rooms } = await posted([{}]);
    renameSync(join(api.box, "cur", `${all[0]}:2,`), join(api.box, "new", all[0] ?? ""));
    await hook(prompt);
    expect(started()).toBe(true);
    await node(prompt);
    expect(rooms()).toEqual([[], all.map(collected), [], all, []]);
  });

  it("the same prompt a second time, and blocks it", async () => {
    const { api, all, prompt, hook, started, goesOn, node } = await posted([{}]);
    await hook(prompt);
    await goesOn("Stop");
    mkdirSync(join(api.box, "posted"), { recursive: true });
    writeFileSync(join(api.box, "posted", all[0] ?? ""), "");
    await hook(prompt);
    expect(started()).toBe(true);
    expect((await node(prompt)).json).toMatchObject({ decision: "block" });
  });

  it.each([
    ["is empty", ": >"],
    ["is cut short", "truncate -s 40"],
    ["is a folder", 'rm -f "$0"; mkdir'],
    ["is a pipe", 'rm -f "$0"; mkfifo'],
  ])("a note that %s", async (_, command) => {
    const { api, all, prompt, hook, started, rooms } = await posted([{}]);
    execFileSync("sh", ["-c", `${command} "$0"`, join(api.box, "posted", all[0] ?? "")]);
    await hook(prompt);
    expect(started()).toBe(true);
    expect(rooms()[1]).toEqual([`${all[0]}:2,`]);
  });
});
