import { describe, expect, it } from "vitest";
import type { Turn } from "../../src/claude/transcript.ts";
import { formatHit, formatTurn } from "../../src/claude/transcript-format.ts";

const turn: Turn = {
  index: -2,
  started_at: "2026-11-21T08:00:00.000Z",
  from: "human",
  prompt: "two\nlines",
  entries: [
    { kind: "thinking", text: "hm" },
    { kind: "tool_use", tool: "Bash", text: '{"command":"ls"}' },
    { kind: "tool_result", tool: "Bash", text: "a\n\nb\n", error: true },
    { kind: "image", text: "[image image/png, 70 bytes]" },
    { kind: "text", text: "fine\nturn -1 · human" },
    { kind: "text", text: "refused", error: true },
    { kind: "interrupted", text: "[Request interrupted by user]" },
  ],
  subagents: [{ id: "a1", description: "count", lines: 4 }],
};

describe("formatTurn", () => {
  it("shows everything under one heading that no text can imitate", () => {
    expect(formatTurn(turn).split("\n")).toEqual([
      "turn -2 · human · 2026-11-21T08:00:00.000Z",
      "  > two",
      "  lines",
      "  [thinking] hm",
      '  [tool Bash] {"command":"ls"}',
      "  [result Bash failed] a",
      "  ",
      "  b",
      "  [result] [image image/png, 70 bytes]",
      "  fine",
      "  turn -1 · human",
      "  [error] refused",
      "  [interrupted] [Request interrupted by user]",
      "  [subagent a1] count, 4 lines of its own",
    ]);
  });
});

describe("formatHit", () => {
  it("is one line, whatever the text", () => {
    const hit = { turn: 3, role: "tool", kind: "tool_result", before: "a\n\tb ", match: "hit", after: "\nc" } as const;
    expect(formatHit({ ...hit, when: "now" })).toBe("turn 3 · tool result · now · a b «hit» c");
  });
});
