// A bounded run of the crash test, and the checker on homes with faults that were put there.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { collect, mark } from "../../src/mesh/maildir.ts";
import { box, letter, tempMesh } from "../mesh/temp-mesh.ts";

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Said {
  by: string;
  words: string[];
}
interface Checked {
  acknowledged: number;
  lost: number;
  torn: number;
  twice: number;
  unexcused: number;
  wrong: string[];
}
const { check } = (await import(file("check.mjs"))) as {
  check(home: string, said: Said[], killed: Set<string>): Checked;
};

it("loses, tears and doubles nothing while everybody is killed again and again", { timeout: 120_000 }, () => {
  const ran = spawnSync(process.execPath, [file("run.mjs"), "--messages", "4000"], {
    encoding: "utf8",
    timeout: 110_000,
  });
  console.log(ran.stdout.trim());
  expect(ran.status, ran.stderr + ran.stdout).toBe(0);
  expect(ran.stdout).toMatch(
    /^\d{4,} acknowledged, 0 lost, 0 torn, 0 wrong in all, \d+ shown twice, 0 of them not beside/,
  );
  expect(Number(/(\d+) kills/.exec(ran.stdout)?.[1])).toBeGreaterThan(10);
  expect(Number(/(\d+) hangs/.exec(ran.stdout)?.[1])).toBeGreaterThan(0);
});

describe("the checker", () => {
  /** Two letters of one sender, sent, shown in order and marked by one collector. */
  function two() {
    const home = tempMesh();
    const first = box(home, "first");
    const said: Said[] = [];
    const sent = [0, 1].map((n) => {
      const filler = "x".repeat(100);
      const digest = createHash("sha256").update(`ash ${n} ${filler}`).digest("hex");
      const unique = letter(first, { body: `ash ${n} ${digest}\n${filler}` });
      said.push({ by: "sender ash 1", words: ["ack", String(n), "first", unique, "1000"] });
      collect(first, unique);
      mark(first, unique, "S");
      return unique;
    });
    for (const [n, unique] of sent.entries())
      said.push({ by: "collector first 2", words: ["show", "first", unique, "ash", String(n), "1001"] });
    return { home, first, said, sent: sent as [string, string] };
  }
  const none = new Set<string>();

  it("finds nothing where nothing is wrong", () => {
    const { home, said } = two();
    expect(check(home, said, none)).toEqual({ acknowledged: 2, lost: 0, torn: 0, twice: 0, unexcused: 0, wrong: [] });
  });

  it("finds a letter that is gone, one that is cut short, one that is there twice, one that nobody read", () => {
    const gone = two();
    rmSync(join(gone.first, "cur", `${gone.sent[0]}:2,S`));
    expect(check(gone.home, gone.said, none)).toMatchObject({ lost: 1, wrong: [expect.stringContaining("0 places")] });
    const torn = two();
    truncateSync(join(torn.first, "cur", `${torn.sent[0]}:2,S`), 600);
    expect(check(torn.home, torn.said, none)).toMatchObject({ torn: 1, wrong: [expect.stringContaining("torn")] });
    const doubled = two();
    copyFileSync(join(doubled.first, "cur", `${doubled.sent[0]}:2,S`), join(doubled.first, "new", doubled.sent[0]));
    expect(check(doubled.home, doubled.said, none).wrong).toEqual([expect.stringContaining("2 places")]);
    const unread = two();
    const again = letter(unread.first, { body: "x" });
    unread.said.push({ by: "sender ash 1", words: ["ack", "2", "first", again, "1000"] });
    expect(check(unread.home, unread.said, none).wrong).toContainEqual(expect.stringContaining("never read"));
  });

  it("finds a letter that is marked and was not shown, and one that was shown twice by those who lived", () => {
    const { home, said, sent } = two();
    const unshown = said.filter(({ words }) => words[0] !== "show" || words[2] !== sent[1]);
    expect(check(home, unshown, none).wrong).toEqual([expect.stringContaining("never shown")]);
    const twice = [...said, { by: "collector first 3", words: ["show", "first", sent[1], "ash", "1", "1002"] }];
    expect(check(home, twice, none)).toMatchObject({ twice: 1, unexcused: 1 });
    expect(check(home, twice, new Set(["collector first 2"]))).toMatchObject({ twice: 1, unexcused: 0, wrong: [] });
  });

  it("finds a sender's letters shown in the wrong order, but not what came back from the dead", () => {
    const { home, said } = two();
    const [a, b, c, d] = said as [Said, Said, Said, Said];
    expect(check(home, [a, b, d, c], none).wrong).toEqual([
      expect.stringContaining("number 0 of ash, was shown after"),
    ]);
    const late = { ...c, words: [...c.words.slice(0, 5), "9000"] };
    expect(check(home, [a, b, d, late], none).wrong).toEqual([]);
  });

  it("finds a peer file that can't be read and a lock that stays", () => {
    const { home, said } = two();
    writeFileSync(join(home, "peers", "7k3p9q2x.json"), "{");
    mkdirSync(join(home, "locks", "peers.lock"));
    expect(check(home, said, none).wrong).toEqual([
      expect.stringContaining("peers/7k3p9q2x.json"),
      expect.stringContaining("peers.lock"),
    ]);
  });
});
