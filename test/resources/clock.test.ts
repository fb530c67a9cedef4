// A clock that jumps, a collector that is suspended: nothing waits for an hour, nothing is lost.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { confirmed } from "../../src/claude/ringer.ts";
import { listNew, mark, recover } from "../../src/mesh/maildir.ts";
import { uniqueName } from "../../src/mesh/message.ts";
import { take } from "../../src/mesh/receive.ts";
import { settle } from "../../src/mesh/send.ts";
import { ORPHANED } from "../../src/mesh/sweep.ts";
import { box, letter, tempMesh } from "../mesh/temp-mesh.ts";
import { until } from "../temp-home.ts";

const HOUR = 3_600_000;
const dist = new URL("../../dist/mesh/", import.meta.url).href;

afterEach(() => {
  vi.useRealTimers();
});

it.each([-HOUR, HOUR])("a bell waits for its confirmation no longer when the clock jumps by %d ms", async (jump) => {
  const home = tempMesh();
  const api = box(home, "api");
  letter(api);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const letters = take("api", () => true);
  const waiting = confirmed("api", letters, 300);
  vi.setSystemTime(Date.now() + jump);
  expect(await waiting).toBe(false);
  expect(listNew(api)).toHaveLength(1);
});

it("a send looks for its letter no longer when the clock is set back", async () => {
  const unique = letter(box(tempMesh(), "api"));
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const waiting = settle({ unique, message_id: "", to: [{ id: "api", name: "api", host: "laptop" }] }, 200);
  vi.setSystemTime(Date.now() - HOUR);
  await waiting;
});

it("names made by one process keep their order when the clock jumps to and fro", () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const names: string[] = [];
  for (const jump of [0, HOUR, -2 * HOUR, 5, -1, 30 * HOUR, -40 * HOUR]) {
    vi.setSystemTime(Date.now() + jump);
    names.push(uniqueName(), uniqueName());
  }
  expect([...names].sort()).toEqual(names);
  expect(new Set(names).size).toBe(names.length);
});

it.each([
  ["back", HOUR],
  ["forward", -HOUR],
])("what a dead collector left is unread again though the clock was set %s", (_, ahead) => {
  const api = box(tempMesh(), "api");
  const unique = letter(api);
  take("api", () => true);
  // To the clock of now, a clock set back by an hour has collected an hour from now.
  const then = (Date.now() + ahead) / 1000;
  utimesSync(join(api, "cur", `${unique}:2,`), then, then);
  expect(recover(api, ORPHANED)).toEqual([unique]);
});

it("a collector that is suspended for longer than 30 s loses its letters to the next, and takes nothing when it goes on", async () => {
  const home = tempMesh();
  const api = box(home, "api");
  const unique = letter(api);
  const child = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `
    const { take } = await import(${JSON.stringify(dist)} + "receive.js");
    const { markSeen } = await import(${JSON.stringify(dist)} + "owed.js");
    const letters = take("api", () => true);
    console.log(letters.length);
    process.kill(process.pid, "SIGSTOP");
    markSeen("api", letters);
  `,
    ],
    { env: { ...process.env, CLAUDEMESH_HOME: home }, stdio: ["ignore", "pipe", "inherit"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const state = () => / ([A-Z]) /.exec(readFileSync(`/proc/${child.pid}/stat`, "utf8").split(")")[1] ?? "")?.[1];
  await until(() => state() === "T" && readdirSync(join(api, "cur")).length === 1, "the collector to be suspended");
  expect(recover(api, ORPHANED)).toEqual([]);
  const then = (Date.now() - ORPHANED - 1000) / 1000;
  utimesSync(join(api, "cur", `${unique}:2,`), then, then);
  expect(recover(api, ORPHANED)).toEqual([unique]);
  expect(take("api", () => true).map((l) => l.unique)).toEqual([unique]);
  expect(mark(api, unique, "S")).toBe(true);
  child.kill("SIGCONT");
  expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
  expect(listNew(api)).toEqual([]);
  expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,S`]);
});
