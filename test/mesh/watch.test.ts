import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { ignore } from "../../src/errors.ts";
import { listNew } from "../../src/mesh/maildir.ts";
import { every, type Watch, watch } from "../../src/mesh/watch.ts";
import { until } from "../temp-home.ts";
import { box, inNode, letter, tempFolder, tempMesh } from "./temp-mesh.ts";

const NEVER = 3_600_000;
/** A file in tmp/, ready to be renamed. */
const letterIn = (api: string) => {
  const file = join(api, "tmp", "draft");
  writeFileSync(file, "From: a program\n\nhello\n");
  return file;
};
const closeAfter = (watching: Watch) => onTestFinished(() => watching.close());

afterEach(() => {
  vi.useRealTimers();
});

it("what lies there already is looked at", async () => {
  const api = box(tempMesh(), "api");
  const unique = letter(api);
  const seen = new Set<string>();
  closeAfter(
    await watch(join(api, "new"), () => listNew(api).forEach((name) => void seen.add(name)), { rescan: NEVER }),
  );
  await until(() => seen.has(unique), "the letter that was there");
});

it("an arrival during start-up is seen, round after round", async () => {
  for (let round = 0; round < 15; round++) {
    const api = box(tempMesh(), `api${round}`);
    const seen = new Set<string>();
    const starting = watch(join(api, "new"), () => listNew(api).forEach((name) => void seen.add(name)), {
      rescan: NEVER,
    });
    const before = letter(api);
    const watching = await starting;
    const after = letter(api);
    await until(() => seen.has(before) && seen.has(after), "letters that came during start-up");
    await watching.close();
  }
});

it("an arrival later is seen by its event alone", async () => {
  const api = box(tempMesh(), "api");
  let looks = 0;
  const seen = new Set<string>();
  closeAfter(
    await watch(
      join(api, "new"),
      () => {
        looks++;
        for (const name of listNew(api)) seen.add(name);
      },
      { rescan: NEVER },
    ),
  );
  await until(() => looks, "the first look");
  const unique = letter(api);
  await until(() => seen.has(unique), "the letter");
});

it("a burst of 500 renames by another process leads to looks that see all", async () => {
  const api = box(tempMesh(), "api");
  const seen = new Set<string>();
  closeAfter(
    await watch(join(api, "new"), () => listNew(api).forEach((name) => void seen.add(name)), { rescan: NEVER }),
  );
  const sent = await inNode<string[]>(
    `const { renameSync, writeFileSync } = await import("node:fs");
     const { uniqueName } = await mesh("message");
     const names = Array.from({ length: 500 }, uniqueName);
     for (const name of names) writeFileSync(args[0] + "/tmp/" + name, "x");
     for (const name of names) renameSync(args[0] + "/tmp/" + name, args[0] + "/new/" + name);
     done(names);`,
    { args: [api] },
  );
  await until(() => seen.size === sent.length, "all 500");
  expect([...seen].sort()).toEqual(sent);
});

const watchesOf = () =>
  readdirSync("/proc/self/fdinfo")
    .map((fd) => ignore(["ENOENT"], () => readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")) ?? "")
    .join("")
    .split("\ninotify wd:").length;

it.skipIf(process.platform !== "linux")(
  "500 files in a folder take no more of the system's watches than none",
  async () => {
    const added: number[] = [];
    for (const files of [0, 500]) {
      const api = box(tempMesh(), "api");
      for (let n = 0; n < files; n++) letter(api);
      const before = watchesOf();
      const seen = new Set<string>();
      const watching = await watch(join(api, "new"), () => listNew(api).forEach((name) => void seen.add(name)), {
        rescan: NEVER,
      });
      await until(() => seen.size === files, "what was there");
      const unique = letter(api);
      await until(() => seen.has(unique), "a new one");
      added.push(watchesOf() - before);
      await watching.close();
    }
    expect(added[0]).toBeGreaterThan(0);
    expect(added[1]).toBe(added[0]);
  },
);

it("names that editors use for their own files are seen by their events as well", async () => {
  const api = box(tempMesh(), "api");
  let looks = 0;
  closeAfter(await watch(join(api, "new"), () => void looks++, { rescan: NEVER }));
  for (const name of ["draft~", ".mail.swp", "4913"]) {
    const before = looks;
    renameSync(letterIn(api), join(api, "new", name));
    await until(() => looks > before, `an event for ${name}`);
  }
});

it("a file that is replaced by rename is seen each time", async () => {
  const file = join(tempFolder(), "state.json");
  writeFileSync(file, "0");
  let text = "";
  const look = () => {
    text = readFileSync(file, "utf8");
  };
  closeAfter(await watch(file, look, { rescan: NEVER }));
  for (let n = 1; n <= 5; n++) {
    writeFileSync(`${file}.tmp`, String(n));
    renameSync(`${file}.tmp`, file);
    await until(() => text === String(n), `text ${n}`);
  }
});

it("a folder that is removed is made again, and what arrives then is seen", async () => {
  const api = box(tempMesh(), "api");
  const seen = new Set<string>();
  const make = () => void mkdirSync(join(api, "new"), { recursive: true });
  closeAfter(
    await watch(join(api, "new"), () => listNew(api).forEach((name) => void seen.add(name)), { rescan: 50, make }),
  );
  rmSync(join(api, "new"), { recursive: true });
  await until(() => readdirSync(api).includes("new"), "the folder made again");
  const unique = letter(api);
  await until(() => seen.has(unique), "the letter");
});

it.each(["removed", "moved away"])(
  "a folder that is %s and made again at once is watched again: its events are seen, not only the slow look",
  async (how) => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const api = box(tempMesh(), "api");
    const folder = join(api, "new");
    let looks = 0;
    closeAfter(await watch(folder, () => void looks++, { rescan: 10_000 }));
    await until(() => looks, "the first look");
    // Removed: the file system may well give the new folder the old one's inode number.
    if (how === "removed") rmSync(folder, { recursive: true });
    else renameSync(folder, join(api, "aside"));
    mkdirSync(folder);
    vi.advanceTimersByTime(10_000);
    // What the slow look starts may still be starting when the first letter comes: events of a third one are events.
    for (const what of ["first", "second", "third"]) {
      const before = looks;
      letter(api);
      await until(() => looks > before, `an event for the ${what} letter`, 5000);
    }
  },
);

it("a look that throws, or rejects, is logged; the next one comes all the same", async () => {
  const home = tempMesh();
  const api = box(home, "api");
  let looks = 0;
  closeAfter(
    await watch(
      join(api, "new"),
      () => {
        looks++;
        if (looks % 2) throw new Error("a look that throws");
        return Promise.reject(new Error("a look that rejects"));
      },
      { rescan: NEVER },
    ),
  );
  await until(() => {
    letter(api);
    return looks >= 4;
  }, "four looks");
  const log = readFileSync(join(home, "log"), "utf8");
  expect(log).toMatch(/watch-error .*a look that throws/);
  expect(log).toMatch(/watch-error .*a look that rejects/);
});

it("a folder that can't be made again ends nothing: it is tried at the next slow look", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const home = tempMesh();
  const folder = join(box(home, "api"), "new");
  let broken = false;
  let looks = 0;
  const make = () => {
    if (broken) throw new Error("no room");
    mkdirSync(folder, { recursive: true });
  };
  closeAfter(await watch(folder, () => void looks++, { rescan: 10_000, make }));
  await until(() => looks, "the first look");
  rmSync(folder, { recursive: true });
  broken = true;
  expect(() => vi.advanceTimersByTime(10_000)).not.toThrow();
  broken = false;
  vi.advanceTimersByTime(10_000);
  expect(readdirSync(join(home, "inbox/api"))).toContain("new");
});

it("once closed it looks no more", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const api = box(tempMesh(), "api");
  let looks = 0;
  const watching = await watch(join(api, "new"), () => void looks++, { rescan: 10 });
  await watching.close();
  const before = looks;
  letter(api);
  vi.advanceTimersByTime(1000);
  expect(looks).toBe(before);
});

it("all that looks every so often is called by one timer, until it has ended", () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const calls: string[] = [];
  const ends = ["a", "b"].map((name) => every(5000, () => void calls.push(name)));
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(5000);
  expect(calls).toEqual(["a", "b"]);
  ends[0]?.();
  ends[0]?.();
  vi.advanceTimersByTime(5000);
  expect(calls).toEqual(["a", "b", "b"]);
  ends[1]?.();
  expect(vi.getTimerCount()).toBe(0);
  every(5000, () => void calls.push("c"))();
  vi.advanceTimersByTime(5000);
  expect(calls).toEqual(["a", "b", "b"]);
});
