// The bench's arithmetic and tables on known numbers, and a short run of it. How fast anything is, is no test's business.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { finish } from "../claude/stand-in.ts";
import { thrownBy } from "../mesh/temp-mesh.ts";
import { tempHome } from "../temp-home.ts";

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Row {
  name: string;
  unit: string;
  floor: number | null;
  value: number;
  p99: number;
  ratio: number | null;
  goal: string;
}
interface Result {
  rows: Row[];
  growth: { name: string; sizes: number[]; ms: number[]; exponent: number }[];
  machine: { cores: number; disk: string; node: string; platform: string };
  commit: string;
}
const { byTurns, exponent, median, p99 } = (await import(file("stats.mjs"))) as {
  median(values: number[]): number;
  p99(values: number[]): number;
  exponent(sizes: number[], values: number[], largest?: number): number;
  byTurns(
    sides: Record<string, (round: number) => unknown>,
    options: { rounds: number; warmUp?: number; most?: number },
  ): Promise<Record<string, unknown[]>>;
};
const { between, markdown } = (await import(file("table.mjs"))) as {
  between(readme: string, content: string): string;
  markdown(result: Result): string;
};
const { measured } = (await import(file("measure.mjs"))) as {
  measured(row: object, options: object): Promise<Row & { met: boolean | null }>;
};

describe("the arithmetic", () => {
  it("takes the middle value, and the mean of two", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  it("takes a p99 that was measured", () => {
    expect(p99(Array.from({ length: 200 }, (_, i) => 200 - i))).toBe(198);
    expect(p99([3, 1])).toBe(3);
  });

  it("finds the power that a quantity grows with, by the largest sizes alone", () => {
    const sizes = [10, 100, 1000, 10_000];
    expect(exponent(sizes, [7, 7, 7, 7])).toBeCloseTo(0);
    expect(exponent(sizes, [900, 5, 50, 500])).toBeCloseTo(1);
    expect(
      exponent(
        sizes,
        sizes.map((n) => n ** 2),
      ),
    ).toBeCloseTo(2);
  });

  it("measures every side in every round, and counts none of the rounds before", async () => {
    const order: string[] = [];
    const side = (name: string) => (round: number) => {
      order.push(`${name}${round}`);
      return round;
    };
    const samples = await byTurns({ floor: side("a"), value: side("b") }, { rounds: 2, warmUp: 1 });
    expect(samples).toEqual({ floor: [0, 1], value: [0, 1] });
    expect(order).toEqual(["a-1", "b-1", "a0", "b0", "a1", "b1"]);
  });

  it("has fewer rounds where they take long, but three", async () => {
    const samples = await byTurns({ value: (round: number) => round }, { rounds: 100, warmUp: 1, most: 0 });
    expect(samples).toEqual({ value: [0, 1, 2] });
  });

  it("holds a row against its goal", async () => {
    const row = (goal: object | undefined, floor: number[], value: number[]) =>
      measured({ name: "x", unit: "ms", goal, measure: () => ({ floor, value }) }, {});
    expect(await row({ ratio: 2 }, [2, 2, 9], [4, 4, 90])).toMatchObject({ floor: 2, value: 4, p99: 90, met: true });
    expect(await row({ ratio: 2 }, [2], [4.1])).toMatchObject({ met: false, goal: "≤ 2 ×" });
    expect(await row({ more: 0.5 }, [0.2], [0.8])).toMatchObject({ met: false, goal: "≤ +0.5 ms" });
    expect(await row({ most: 12 }, [], [12])).toMatchObject({ floor: null, ratio: null, met: true });
    expect(await row(undefined, [1], [3])).toMatchObject({ ratio: 3, met: null, goal: "" });
  });
});

describe("the README's table", () => {
  const result = {
    rows: [
      {
        name: "one",
        unit: "ms",
        floorIs: "`true`",
        floor: 0.5,
        value: 1.25,
        p99: 3,
        ratio: 2.5,
        goal: "≤ 2 ×",
        met: false,
      },
      { name: "two", unit: "MB", floorIs: "", floor: null, value: 40, p99: 41, ratio: null, goal: "", met: null },
    ],
    growth: [{ name: "three", sizes: [10, 1000], ms: [0.1, 10], exponent: 1 }],
    machine: { cores: 2, disk: "SSD, ext4", node: "20.20.2", platform: "linux x64" },
    commit: "0123456789abcdef",
  };

  it("has a line for each row and names machine and commit", () => {
    expect(markdown(result).split("\n")).toEqual([
      "| | floor | here | ratio | goal |",
      "|---|---|---|---|---|",
      "| one | `true`: 0.5 ms | 1.3 ms | 2.5 × | ≤ 2 × (not met) |",
      "| two | – | 40 MB | – | – |",
      "| three | 10: 0.1 ms | 1000: 10 ms | size^1 | |",
      "",
      "Medians, floors measured by turns in the same run: commit 012345678, 2 cores, SSD, ext4, Node 20.20.2, linux x64.",
    ]);
  });

  it("goes between the marks and touches nothing else", () => {
    const readme = "# x\n\n<!-- bench -->\nold\nlines\n<!-- /bench -->\n\nend\n";
    const written = between(readme, "| new |");
    expect(written).toBe("# x\n\n<!-- bench -->\n| new |\n<!-- /bench -->\n\nend\n");
    expect(between(written, "| new |")).toBe(written);
  });

  it("is written nowhere if the marks are missing or doubled", () => {
    for (const readme of ["# x\n", "<!-- /bench --><!-- bench -->", "<!-- bench --><!-- bench --><!-- /bench -->"])
      expect(thrownBy(() => between(readme, "")).message).toContain("<!-- bench -->");
  });
});

describe("a run", () => {
  it("of one row writes its bench.json into the current folder", { timeout: 60_000 }, async () => {
    const home = tempHome();
    const args = [file("run.mjs"), "--only", "hook, nothing waiting", "--rounds", "4"];
    const ended = await finish(home.start(process.execPath, args));
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toContain("hook, nothing waiting, against Node");
    const result = JSON.parse(readFileSync(home.path("bench.json"), "utf8")) as Result;
    expect(result.rows.map(({ name }) => name)).toEqual([
      "hook, nothing waiting",
      "hook, nothing waiting, against Node",
    ]);
    for (const row of result.rows) {
      expect(row).toMatchObject({ unit: "ms", goal: expect.stringMatching(/^≤ [\d.]+ ×$/) });
      for (const number of [row.floor, row.value, row.p99, row.ratio]) expect(number).toBeGreaterThan(0);
      expect(row.ratio).toBeCloseTo(row.value / Number(row.floor));
    }
    expect(result).toMatchObject({
      growth: [],
      machine: { cores: expect.any(Number), disk: expect.any(String), node: process.versions.node },
      commit: expect.stringMatching(/^([0-9a-f]{40}\+?|unknown\+?)$/),
    });
    expect(result.machine.platform).toContain(process.platform);
  });

  it("holds another program's mail beside ours", { timeout: 90_000 }, async () => {
    const home = tempHome();
    const peer = `'${process.execPath}' '${file("bare-peer.mjs")}' '${home.folder("theirs")}'`;
    const tools = { send: "tell", to: "who", body: "what", receive: "check", whoami: "me", id: "number (\\d+)" };
    const measured = (given: object) =>
      finish(
        home.start(process.execPath, [
          ...[file("run.mjs"), "--only", "send → receive by", "--rounds", "2"],
          ...["--peer", peer, "--peer-tools", JSON.stringify(given)],
        ]),
      );
    const ended = await measured({ ...tools, more: { loud: true } });
    expect(ended.code, ended.stderr).toBe(0);
    const { rows } = JSON.parse(readFileSync(home.path("bench.json"), "utf8")) as Result;
    expect(rows.map(({ name }) => name)).toEqual([`send → receive by ${peer}`]);
    for (const number of [rows[0]?.floor, rows[0]?.value]) expect(number).toBeGreaterThan(0);
    expect(readdirSync(home.path("theirs"))).toHaveLength(2);

    const mute = await measured({ ...tools, id: "name is (\\w+)" });
    expect(mute.code).toBe(1);
    expect(mute.stderr).toContain("no address in what me says: you are number");
  });

  it("says what is wrong with its words", { timeout: 60_000 }, async () => {
    const home = tempHome();
    const wrong = async (...words: string[]) =>
      (await finish(home.start(process.execPath, [file("run.mjs"), ...words]))).stderr;
    expect(await wrong("--only", "no such row")).toContain("no row is called like 'no such row'");
    expect(await wrong("--only", "hook", "--table")).toContain("--table writes the whole table");
  });
});
