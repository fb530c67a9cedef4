// docs/config.md says what the code does: each key with its default and its careful value, each variable that users set.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { CAREFUL, DEFAULTS } from "../../src/mesh/config-file.ts";

const root = new URL("../../", import.meta.url).pathname;
const page = readFileSync(join(root, "docs/config.md"), "utf8");
const rows = (under: string) =>
  (page.split(under)[1]?.split("\n## ")[0] ?? "")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "").trim()));

it("has a row for each key, with its default and its careful value as the code has them", () => {
  const shown = (value: unknown) => (value === Number.POSITIVE_INFINITY ? "for good" : `\`${JSON.stringify(value)}\``);
  const wanted = (Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]).map((key) => [
    `\`${key}\``,
    shown(DEFAULTS[key]),
    shown(CAREFUL[key]),
  ]);
  expect(rows("# Configuration").map((row) => row.slice(0, 3))).toEqual(wanted);
  for (const row of rows("# Configuration")) expect(row[3]?.length).toBeGreaterThan(10);
});

it("has a row for each variable that the code reads, but for those that one process of ours sets for another", () => {
  const files = ["src", "bin/plugin"].flatMap((dir) =>
    readdirSync(join(root, dir), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8")),
  );
  const read = files.flatMap((text) => [...text.matchAll(/\b(CLAUDEMESH_[A-Z_]+)\b|env\.(DEBUG)\b/g)]);
  const names = new Set(read.map((match) => match[1] ?? match[2] ?? ""));
  for (const own of ["SUPERVISOR", "STARTED", "WAS"]) names.delete(`CLAUDEMESH_${own}`);
  expect(rows("## The environment").map(([name]) => name)).toEqual(
    expect.arrayContaining([...names].map((name) => `\`${name}\``)),
  );
  expect(rows("## The environment")).toHaveLength(names.size);
});

it("is linked from the README", () => {
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain("](docs/config.md)");
});
