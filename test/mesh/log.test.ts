import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { log } from "../../src/mesh/log.ts";
import { tempMesh } from "./temp-mesh.ts";

it("is one line an event: when, which process, what, and the words", () => {
  const home = tempMesh();
  log("send", "x", 7, undefined, "y");
  log("join");
  const lines = readFileSync(join(home, "log"), "utf8").split("\n");
  expect(lines[0]).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\S+Z ${process.pid} send x 7 y$`));
  expect(lines[1]).toMatch(/ join$/);
  expect(lines).toHaveLength(3);
  expect(statSync(join(home, "log")).mode & 0o777).toBe(0o600);
});

it("is one line whatever the words are", () => {
  const home = tempMesh();
  log("send", "a\nb\r\u001b[2J\u2028c", "x".repeat(10_000));
  const text = readFileSync(join(home, "log"), "utf8");
  expect(text.trimEnd()).not.toMatch(/[\p{Cc}\u2028]/u);
  expect(text.length).toBeLessThan(2100);
});

it("is put aside as log.1 once it is over 1 MiB, and begun anew", () => {
  const home = tempMesh();
  const full = "x".repeat(1024 * 1024 + 1);
  writeFileSync(join(home, "log"), full);
  writeFileSync(join(home, "log.1"), "older");
  log("send");
  expect(readFileSync(join(home, "log.1"), "utf8")).toBe(full);
  expect(readFileSync(join(home, "log"), "utf8")).toMatch(/^\S+ \d+ send\n$/);
});

it("is put aside at the size that config.json names", () => {
  const home = tempMesh();
  writeFileSync(join(home, "config.json"), '{"log_bytes": 2048}');
  writeFileSync(join(home, "log"), "x".repeat(3000));
  log("send");
  expect(existsSync(join(home, "log.1"))).toBe(true);
});

it("stops nobody: neither without a mesh, nor with a folder in its place, nor with a broken config.json", () => {
  const home = tempMesh();
  writeFileSync(join(home, "config.json"), "{");
  log("send");
  expect(readFileSync(join(home, "log"), "utf8")).toContain(" send");
  rmSync(join(home, "log"));
  mkdirSync(join(home, "log"));
  log("send");
  rmSync(home, { recursive: true });
  log("send");
  expect(existsSync(home)).toBe(false);
});
