// Claude Code's files and calls, bent: hook input, transcripts, settings.

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import { z } from "zod";
import { answerHook } from "../../src/claude/hooks.ts";
import {
  isOurStatusLine,
  parseSettings,
  statusLineCommand,
  withoutStatusLine,
  withStatusLine,
} from "../../src/claude/settings.ts";
import { TOOLS, type Tool } from "../../src/claude/tools.ts";
import { captions, lastTurns, turnAt } from "../../src/claude/transcript.ts";
import { formatHit, formatTurn } from "../../src/claude/transcript-format.ts";
import { searchTurns } from "../../src/claude/transcript-search.ts";
import { printable, sanitise } from "../../src/clean.ts";
import { inputOf } from "../../src/commands/hook.ts";
import { MeshError } from "../../src/errors.ts";
import { joinMesh } from "../../src/mesh/join.ts";
import { locate } from "../../src/mesh/maildir.ts";
import { letter as put, sleeper, tempFolder, tempMesh } from "../mesh/temp-mesh.ts";
import { fuzz } from "./fuzz.ts";
import { fixtures, hostileText, isShowable, mutated, TRAPS } from "./hostile.ts";

const word = fc.oneof(fc.constantFrom(...TRAPS), hostileText(4));
const events = ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "CwdChanged", "SessionEnd", "", "__proto__"];
const fields = [
  "session_id",
  "transcript_path",
  "cwd",
  "source",
  "reason",
  "prompt",
  "file_path",
  "stop_hook_active",
  "x",
];
const anything = fc.oneof(word, fc.constantFrom<unknown>(null, true, 1, [], {}, "x".repeat(3000)));

fuzz<{ event: string; given: Record<string, unknown> }>(4, {
  name: "hooks",
  inputs: fc.record({
    event: fc.constantFrom(...events),
    given: fc.dictionary(fc.constantFrom(...fields), anything, { noNullPrototype: true }),
  }),
  async start() {
    const home = tempMesh();
    const precious = join(home, "..", "precious");
    writeFileSync(precious, "untouched");
    const pid = sleeper().pid;
    const cwd = tempFolder();
    return async ({ event, given }) => {
      const { id } = await joinMesh({ pid, cwd });
      const box = join(home, "inbox", id);
      const unique = put(box, { priority: "now" });
      // What is thrown is logged, and the hook says nothing: that is failing open. The letter stays.
      const answer = await answerHook(event, inputOf(given), Date.now(), { claude: pid }).catch(
        () => ({}) as Awaited<ReturnType<typeof answerHook>>,
      );
      const context = answer.json?.hookSpecificOutput as { additionalContext?: string } | undefined;
      isShowable(context?.additionalContext ?? "", "the context");
      isShowable(String(answer.json?.systemMessage ?? ""), "what the user is told");
      expect(locate(box, unique)).toBeDefined();
      expect(readdirSync(join(home, "..")).sort()).toEqual([".claudemesh", "precious"]);
      for (const room of ["new", "cur"]) for (const name of readdirSync(join(box, room))) rmSync(join(box, room, name));
    };
  },
});

fuzz<Buffer>(4, {
  name: "transcripts",
  inputs: mutated(fixtures("transcripts", 60_000)),
  fromFile: (bytes) => bytes,
  start() {
    const path = join(tempFolder(), "x.jsonl");
    return async (bytes) => {
      writeFileSync(path, bytes);
      const turns = await lastTurns(path, 100);
      const shown = printable(turns.map(formatTurn).join("\n\n"));
      expect(shown).not.toMatch(/(?![\n\t\r])\p{Cc}/u);
      expect(shown.split("\n").filter((line) => line.startsWith("turn ")).length).toBe(turns.length);
      for (const index of [1, -1])
        await turnAt(path, index).catch((error) => {
          if (!(error instanceof MeshError)) throw error;
        });
      isShowable(
        captions(path).title?.replace(/[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "") ?? "",
        "the title",
      );
      for (const query of ["the", "/o./g"])
        for await (const hit of searchTurns(path, query)) expect(formatHit(hit)).not.toMatch(/\p{Cc}/u);
    };
  },
});

fuzz<string>(4, {
  name: "settings",
  inputs: mutated(fixtures("settings", 20_000)).map(String),
  fromFile: String,
  start: () => (text) => {
    const command = statusLineCommand("/home/me/.claude/skills/claudemesh");
    const held = orSyntaxError(() => parseSettings(text));
    const after = orSyntaxError(() => withStatusLine(text, command));
    expect(after === undefined).toBe(held === undefined);
    if (held === undefined || after === undefined) return;
    expect(Object.keys(parseSettings(after))).toEqual([...new Set([...Object.keys(held), "statusLine"])]);
    if ("statusLine" in held) {
      if (!isOurStatusLine(held.statusLine)) expect(after).toBe(text);
    } else if (text.trim() !== "") expect(withoutStatusLine(after)).toBe(text);
    expect(withStatusLine(after, command)).toBe(after);
  },
});

const names = TOOLS.map(({ name }) => name).filter((name) => name !== "ask_peer");
const argument = fc.constantFrom("to", "body", "kind", "message_id", "summary", "id", "query", "scope", "drain");
fuzz<{ name: string; given: Record<string, unknown> }>(4, {
  name: "tools",
  inputs: fc.record({
    name: fc.constantFrom(...names),
    given: fc.dictionary(
      argument,
      fc.oneof(hostileText(6), fc.constantFrom<unknown>("api", "x", true, false, null, 3)),
      {
        noNullPrototype: true,
      },
    ),
  }),
  async start() {
    const home = tempMesh();
    const cwd = tempFolder();
    const call = { signal: new AbortController().signal, progress: () => {} };
    const transcript_path = join(cwd, "x.jsonl");
    writeFileSync(transcript_path, fixtures("transcripts", 60_000)[0] ?? "");
    const self = await joinMesh({ pid: sleeper().pid, cwd: "/x", name: "x" });
    await joinMesh({ pid: sleeper().pid, cwd, name: "api", transcript_path });
    return async ({ name, given }) => {
      const { input, run } = TOOLS.find((tool) => tool.name === name) as Tool;
      // The server checks arguments by this schema first: what it refuses never gets further.
      const checked = z.object(input).safeParse(given);
      if (!checked.success) return;
      const said = await run(checked.data, self, call).catch((error: unknown) => {
        if (error instanceof MeshError) return { text: sanitise(`${error.message}\n${error.hint ?? ""}`) };
        throw error;
      });
      isShowable(said.text, `what ${name} says`);
      expect(readdirSync(join(home, ".."))).toEqual([".claudemesh"]);
      // The brakes on a model that sends too much are not what is tried here.
      for (const id of readdirSync(join(home, "inbox")))
        rmSync(join(home, "inbox", id, "counted"), { recursive: true, force: true });
    };
  },
});

function orSyntaxError<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
