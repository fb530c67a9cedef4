// What a transcript says of a letter, line by line as the real clients write it (2.1.197, 2.1.329 and 2.1.332 alike).

import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createReader, type Verdict } from "../../src/claude/evidence.ts";
import { tempFolder } from "../mesh/temp-mesh.ts";

const NAME = "1763708400.M123456P4242Q1.laptop";
const LETTER = `claudemesh mail: task from web (a8d0m2kq), just now, id <${NAME}@claudemesh>\n~~~\nx\n~~~`;
const user = (content: unknown, more = {}) => ({ type: "user", message: { role: "user", content }, ...more });
const said = (text = "ok", more = {}) => ({
  type: "assistant",
  message: { role: "assistant", content: [{ type: "text", text }] },
  ...more,
});
const context = (hookEvent: string) => ({
  type: "attachment",
  attachment: { type: "hook_additional_context", hookEvent, content: [LETTER] },
});
const interrupted = user([{ type: "text", text: "[Request interrupted by user]" }]);
const result = user([{ type: "tool_result", tool_use_id: "t", content: LETTER }]);

/** A transcript to which lines are appended, and what a reader of it says of the letter. */
function transcript(from = 0) {
  const path = join(tempFolder(), "t.jsonl");
  const read = createReader(path, from);
  return {
    path,
    write: (...lines: object[]) => appendFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join("")),
    verdict: (): Verdict | undefined => read([NAME]).get(NAME),
  };
}

const CASES: [what: string, lines: object[], Verdict][] = [
  ["nothing of it", [user("hi"), said()], "absent"],
  ["with a prompt that has no answer yet", [user("hi"), context("UserPromptSubmit")], "written"],
  ["with a prompt that was answered", [user("hi"), context("UserPromptSubmit"), said()], "kept"],
  [
    "with a prompt that was interrupted after its first word",
    [user("hi"), context("UserPromptSubmit"), said("Hel"), interrupted],
    "kept",
  ],
  [
    "posted, and interrupted before the first word",
    [user(LETTER, { isMeta: true, origin: { kind: "peer" } }), interrupted],
    "kept",
  ],
  [
    "with a prompt that was taken back, and another came",
    [user("hi"), context("UserPromptSubmit"), user("other")],
    "absent",
  ],
  [
    "with a prompt that was taken back, another was answered",
    [user("hi"), context("UserPromptSubmit"), user("other"), said()],
    "absent",
  ],
  [
    "taken back, and then kept",
    [user("hi"), context("UserPromptSubmit"), user("o"), context("UserPromptSubmit"), said()],
    "kept",
  ],
  [
    "with a prompt that ended in an API error",
    [user("hi"), context("UserPromptSubmit"), said("API Error", { isApiErrorMessage: true })],
    "kept",
  ],
  ["as a prompt of its own", [user(LETTER)], "written"],
  ["between two tool calls", [user("hi"), said(), context("PostToolUse")], "kept"],
  ["at the end of a turn", [user("hi"), said(), context("Stop")], "kept"],
  ["as a tool's result", [user("hi"), said(), result], "kept"],
  [
    "queued in a running turn",
    [user("hi"), said(), { type: "attachment", attachment: { type: "queued_command", prompt: LETTER } }],
    "kept",
  ],
  ["only in a subagent", [user(LETTER, { isSidechain: true }), said("ok", { isSidechain: true })], "absent"],
  [
    "an answer in a subagent is none",
    [user("hi"), context("UserPromptSubmit"), said("ok", { isSidechain: true })],
    "written",
  ],
  [
    "only in a copy of what was sent",
    [user("hi"), { type: "api-request-blob", message: { role: "user", content: LETTER } }, said()],
    "absent",
  ],
  [
    "a tool's own progress in between",
    [user("hi"), context("UserPromptSubmit"), { type: "system", subtype: "x" }, said()],
    "kept",
  ],
];

describe("a letter in the transcript", () => {
  it.each(CASES)("%s", (_, lines, verdict) => {
    const { write, verdict: says } = transcript();
    write(...lines);
    expect(says()).toBe(verdict);
  });

  it.each(CASES)("%s, read as it grows", (_, lines, verdict) => {
    const { write, verdict: says, path } = transcript();
    for (const line of lines) {
      const text = `${JSON.stringify(line)}\n`;
      appendFileSync(path, text.slice(0, 20));
      says();
      appendFileSync(path, text.slice(20));
      says();
    }
    write({ type: "last-prompt" });
    expect(says()).toBe(verdict);
  });

  it("of which nothing can be read is unknown", () => {
    const { path, verdict: says } = transcript();
    expect(says()).toBe("unknown");
    writeFileSync(path, "not json\n{\n");
    expect(says()).toBe("absent");
  });

  it("that was cut short since is read from the beginning", () => {
    const { write, verdict: says, path } = transcript();
    write(user("hi"), said("x".repeat(1000)));
    expect(says()).toBe("absent");
    writeFileSync(path, "");
    write(user(LETTER), said());
    expect(says()).toBe("kept");
  });

  it("is not taken for kept where it is not known whether the turn had an answer", () => {
    const { path, write } = transcript();
    write(user("hi"), context("UserPromptSubmit"));
    expect(createReader(path, 10)([NAME]).get(NAME)).toBe("written");
  });
});
