import { describe, expect, it } from "vitest";
import { createModes } from "../../src/terminal/modes.ts";

/** The undoing of output that comes in these pieces. */
function undo(...pieces: string[]): string {
  const modes = createModes();
  for (const piece of pieces) modes.see(Buffer.from(piece));
  expect(modes.any()).toBe(modes.undo() !== "");
  return modes.undo();
}

describe("the modes a program leaves on", () => {
  const cases: [what: string, output: string, undone: string][] = [
    ["none", "plain \x1b[31mred\x1b[0m \x1b[2J\x1b[?6n", ""],
    ["bracketed paste", "\x1b[?2004h", "\x1b[?2004l"],
    ["several in one sequence", "\x1b[?1000;1006h", "\x1b[?1000l\x1b[?1006l"],
    ["one on and off again", "\x1b[?2004h text \x1b[?2004l", ""],
    ["a hidden cursor", "\x1b[?25l", "\x1b[?25h"],
    ["a cursor shown that was never hidden", "\x1b[?25h", ""],
    ["the alternate screen, left last", "\x1b[?1049h\x1b[?1000h", "\x1b[?1000l\x1b[?1049l"],
    ["kitty keyboard flags, pushed twice, popped once", "\x1b[>1u\x1b[>5u\x1b[<u", "\x1b[<1u"],
    ["kitty keyboard flags popped by number", "\x1b[>1u\x1b[>1u\x1b[<2u", ""],
    ["kitty keyboard flags set", "\x1b[=1;1u", "\x1b[=0u"],
    ["modifyOtherKeys", "\x1b[>4;2m", "\x1b[>4m"],
    ["modifyOtherKeys off again", "\x1b[>4;2m\x1b[>4m", ""],
  ];
  it.each(cases)("%s", (_, output, undone) => {
    expect(undo(output)).toBe(undone);
  });

  it("are seen wherever the output is cut", () => {
    const output = "text\x1b[?1049h\x1b[>1u\x1b[?25lmore text";
    for (let at = 0; at <= output.length; at++)
      expect(undo(output.slice(0, at), output.slice(at))).toBe("\x1b[<1u\x1b[?25h\x1b[?1049l");
    expect(undo(...output)).toBe("\x1b[<1u\x1b[?25h\x1b[?1049l");
  });

  it("are counted once, even in a piece right after a cut", () => {
    expect(undo("\x1b[>1", "u", "\x1b[>1u", "\x1b[<u")).toBe("\x1b[<1u");
  });

  it("change with each one that lasts, not with those that bracket a frame", () => {
    const modes = createModes();
    const changesBy = (output: string) => {
      const before = modes.changes();
      modes.see(Buffer.from(output));
      return modes.changes() - before;
    };
    expect(changesBy("\x1b[?2026hframe\x1b[?2026l")).toBe(0);
    expect(changesBy("\x1b[?1049h")).toBe(1);
  });

  it("are found at the end of a large piece", () => {
    expect(undo(`${"x".repeat(200_000)}\x1b[?20`, "04h")).toBe("\x1b[?2004l");
  });
});
