import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Judgement, judgeScreen, type Row, type Screen, showsPasted } from "../../src/claude/screen.ts";

const folder = new URL("../../fixtures/screens/", import.meta.url);

/**
 * A screen as Claude Code drew it. First line: version and state; second: size and cursor; then each row after ` |`,
 * and after `~|` which of its characters were dim.
 */
function readScreen(name: string): Screen {
  const [, where = "", ...lines] = readFileSync(new URL(`${name}.txt`, folder), "utf8")
    .trimEnd()
    .split("\n");
  const [cols = 0, height = 0, x = 0, y = 0] = (where.match(/\d+/g) ?? []).map(Number);
  const rows: Row[] = [];
  for (const line of lines) {
    const text = line.slice(2);
    const row = rows.at(-1);
    if (!line.startsWith("~|")) rows.push({ text, typed: text });
    else if (row) row.typed = row.text.replace(/./gs, (char, at) => (text[at] === "~" ? " " : char)).trimEnd();
  }
  while (rows.length < height) rows.push({ text: "", typed: "" });
  return { rows, cursor: { x, y }, cols };
}

const all = readdirSync(folder).map((file) => file.replace(/\.txt$/, ""));

/** What a state is called tells what it is. */
function expected(name: string): Judgement {
  const state = name.replace(/^[\d.]+-/, "");
  if (state.startsWith("idle-")) return "empty prompt";
  if (/^(exit|help|stashed|running$|running-queued)/.test(state)) return "empty box";
  return /^(draft|pasted|menu)-|^running-draft/.test(state) ? "draft" : "other";
}

const mail =
  "claudemesh mail from web (a8d0m2kq): rerun the migration check on the staging copy, and send me the failing tables, please";
const tenLines = Array.from({ length: 10 }, (_, i) => `line ${i}`).join("\n");
const pastes: [before: string, after: string, text: string][] = [
  ["idle-after-cut", "pasted-one-line", mail],
  ["idle-fresh", "pasted-one-line", mail],
  ["idle-after-cut", "pasted-three-lines", "mail from web\nrerun the check\nsend me the tables"],
  ["idle-after-cut", "pasted-ten-lines", tenLines],
  ["idle-after-cut", "pasted-1500", "word ".repeat(300).trim()],
  ["idle-after-turn", "pasted-after-turn", mail],
  ["idle-title", "pasted-title", mail],
  ["idle-vim-normal", "pasted-vim-normal", mail],
  ["idle-status-line", "pasted-status-line", mail],
  ["idle-narrow", "pasted-narrow", `${mail} 你好`],
  ["idle-placeholder", "pasted-placeholder", mail],
  ["idle-suggestion", "pasted-suggestion", mail],
];
const notPastes: [before: string, after: string, text: string][] = [
  ["idle-after-cut", "pasted-picker", "see @alph"],
  ["idle-after-cut", "pasted-command", "see /mod"],
  ["idle-fresh", "draft-typed", mail],
  ["idle-fresh", "pasted-one-line", mail.slice(0, -1)],
  ["idle-fresh", "pasted-one-line", `${mail}!`],
  ["idle-fresh", "pasted-ten-lines", tenLines.replace("\n", " ")],
  ["idle-fresh", "pasted-1500", mail],
  ["idle-fresh", "shell-command", "ls"],
  ["idle-fresh", "pasted-title", mail],
  ["idle-after-turn", "draft-recalled", "hello DEMO_SAY:hi there"],
  ["idle-after-turn", "running-draft", "draft mid turn"],
  ["idle-fresh", "idle-fresh", mail],
];

describe("a screen of Claude Code", () => {
  it("there are both versions of every state", () => {
    const states = (version: string) => all.filter((name) => name.startsWith(version)).map((name) => name.slice(8));
    expect(states("2.1.329-")).toEqual(states("2.1.197-"));
    expect(all.length).toBeGreaterThan(110);
  });

  it.each(all)("%s is told for what it is", (name) => {
    expect(judgeScreen(readScreen(name))).toBe(expected(name));
  });

  it.each(all.filter((name) => expected(name) === "empty prompt"))(
    "%s with the cursor elsewhere is not typed to",
    (name) => {
      const screen = readScreen(name);
      for (let y = 0; y < screen.rows.length; y++)
        for (const x of [0, 1, 2, 3])
          if (x !== screen.cursor.x || y !== screen.cursor.y)
            expect(judgeScreen({ ...screen, cursor: { x, y } })).not.toBe("empty prompt");
    },
  );

  it.each(all)("%s cut off at any row is never taken for an empty prompt", (name) => {
    const screen = readScreen(name);
    const box = screen.cursor.y + 1;
    for (let height = 0; height <= box; height++)
      expect(judgeScreen({ ...screen, rows: screen.rows.slice(0, height) })).not.toBe("empty prompt");
  });

  it("a half drawn or blank screen is neither", () => {
    expect(judgeScreen({ rows: [], cursor: { x: 0, y: 0 }, cols: 80 })).toBe("other");
    expect(judgeScreen({ rows: [{ text: "❯", typed: "❯" }], cursor: { x: 2, y: 0 }, cols: 80 })).toBe("other");
  });

  describe.each(["2.1.329", "2.1.197"])("%s after a paste", (version) => {
    const shows = (before: string, after: string, text: string) =>
      showsPasted(readScreen(`${version}-${before}`), readScreen(`${version}-${after}`), text);

    it.each(pastes)("from %s to %s: the text is in the box, and nothing else has changed", (before, after, text) => {
      expect(shows(before, after, text)).toBe(true);
    });

    it.each(notPastes)("from %s to %s: not surely so", (before, after, text) => {
      expect(shows(before, after, text)).toBe(false);
    });

    it.each<[was: string, is: string, same: boolean]>([
      ["  [7k3p9q2x]", "  [7k3p9q2x · 12 peers · ✉1]", true],
      ["  [7k3p9q2x · 1 peer · ✉3]", "  [7k3p9q2x · ✉2]                ctrl+g to edit in Vim", true],
      ["  -- INSERT -- ← for agents", "  -- INSERT --", true],
      ["  [7k3p9q2x]", "  [7k3p9q2y · ✉1]", false],
      ["  [7k3p9q2x]", "  [7k3p9q2x · ✉1] Press Enter", false],
      ["  -- INSERT -- ← for agents", "  -- VISUAL --", false],
    ])("with %j below the box that becomes %j: %s", (was, is, same) => {
      const withFooter = (name: string, text: string) => {
        const screen = readScreen(`${version}-${name}`);
        const last = screen.rows.findLastIndex((row) => row.text !== "");
        return { ...screen, rows: screen.rows.with(last, { text, typed: text }) };
      };
      expect(showsPasted(withFooter("idle-fresh", was), withFooter("pasted-one-line", is), mail)).toBe(same);
    });

    it("no other state looks like any paste", () => {
      for (const name of all.filter((one) => one.startsWith(version) && !one.includes("-pasted-")))
        for (const [before, , text] of pastes) expect(shows(before, name.slice(8), text), name).toBe(false);
    });
  });
});
