import { describe, expect, it } from "vitest";
import { needed, transcriptOf, wholeNumber } from "../../src/claude/transcript-request.ts";
import type { Peer } from "../../src/mesh/peers.ts";

const peer: Peer = {
  id: "7k3p9q2x",
  name: "api",
  cwd: "/",
  host: "h",
  boot: "b",
  pid: 1,
  pid_started: "1",
  started_at: "2026-11-21T08:00:00.000Z",
  previous_sessions: [],
};

describe("what is asked of a transcript", () => {
  it.each([
    [5, 5],
    ["5", 5],
    [" 12 ", 12],
    [undefined, 3],
  ])("takes %j as a count", (given, number) => expect(wholeNumber(given, "-n", 1, 3)).toBe(number));

  it.each([["x"], ["1.5"], [1.5], [0], ["0"], [-1], [true], [""], [Number.NaN], ["1e3"], [["1", "2"]]])(
    "refuses %j",
    (given) => expect(() => wholeNumber(given, "-n", 1, 3)).toThrow(expect.objectContaining({ code: "USAGE" })),
  );

  it("takes a turn from the end, and refuses none at all", () => {
    expect(wholeNumber("-1", "the turn", Number.NEGATIVE_INFINITY)).toBe(-1);
    expect(() => wholeNumber(undefined, "the turn", 1)).toThrow(/nothing as the turn/);
    expect(() => needed(undefined, "session", "claudemesh turn <who> <n>")).toThrow("can't turn: no session given");
  });

  it("says so if a session has not told where its transcript is", () => {
    expect(() => transcriptOf(peer)).toThrow(expect.objectContaining({ code: "NO_TRANSCRIPT" }));
    expect(transcriptOf({ ...peer, transcript_path: "/t.jsonl" })).toBe("/t.jsonl");
  });
});
