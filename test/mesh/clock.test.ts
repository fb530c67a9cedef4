// Nothing is deleted, expired or given up on the word of one look at one clock. Here every clock is the test's: time
// passes on all of them, and those that can be set are set. Files are stamped by the kernel, as of now.

import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BELIEVED_AFTER, clocks, fileTime, hasStood, look, waitingSince } from "../../src/mesh/clock.ts";
import { DEFAULTS } from "../../src/mesh/config.ts";
import { bury, findDead } from "../../src/mesh/dead.ts";
import { joinMesh } from "../../src/mesh/join.ts";
import { claim, collect, curPath, listNew, mark, newPath, nextName, recover } from "../../src/mesh/maildir.ts";
import { hostName, uniqueName } from "../../src/mesh/message.ts";
import { beat, isAlive, LEASE, noteSleep, type Peer } from "../../src/mesh/peers.ts";
import { receipts, take } from "../../src/mesh/receive.ts";
import { ORPHANED, sweep, sweepMailbox } from "../../src/mesh/sweep.ts";
import { box, clocksFollowDate, inNode, letter, sleeper, tempFolder, tempMesh } from "./temp-mesh.ts";

const S = 1000;
const MIN = 60 * S;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;
const all = () => true;
const here = { name: "web", id: "a8d0m2kq", host: hostName() };

let passed: number;
let ahead: number;
let began: number;
/** Time passes: on every clock. */
const pass = (ms: number) => {
  passed += ms;
  vi.setSystemTime(began + passed + ahead);
};
/** The clock of this machine is set, and with it what stamps its files. */
const set = (ms: number) => {
  ahead += ms;
  vi.setSystemTime(began + passed + ahead);
};
/** The clocks of a machine, of which two can be set. */
const ownClocks = () => {
  const start = clocks.ticks();
  clocksFollowDate({ boot: () => 5 * S + passed, ticks: () => start + passed });
};
/** The machine was off for `ms` and starts again. */
const reboot = (home: string, ms: number) => {
  const [own = ""] = readdirSync(join(home, "clocks"));
  renameSync(join(home, "clocks", own), join(home, "clocks", `${own}-${passed}`));
  set(ms);
};
/** A clock that is this process's only: another one finds it set by what the folder says. */
const anotherProcess = () => Object.assign(clocks, { ticks: () => clocks.wall() });

beforeEach(() => {
  began = Date.now();
  passed = 0;
  ahead = 0;
  vi.useFakeTimers({ toFake: ["Date"], now: began });
});
afterEach(() => void vi.useRealTimers());

/** A mesh with a letter of each kind that a sweep may remove, and what is left of them. */
async function mesh() {
  ownClocks();
  const home = tempMesh();
  const api = box(home, "api");
  box(home, here.id);
  const unread = letter(api);
  const brief = letter(api, { from: here, expires: new Date(Date.now() + 2 * HOUR) });
  const seen = letter(api);
  collect(api, seen);
  mark(api, seen, "S");
  const dead = letter(api);
  bury(newPath(api, dead), dead, "refused: no");
  writeFileSync(join(api, "tmp", "half"), "x");
  const { pid, kill } = sleeper();
  const gone = await joinMesh({ pid, cwd: tempFolder(), name: "gone" });
  await kill();
  const left = () => ({
    new: listNew(api),
    cur: readdirSync(join(api, "cur")),
    tmp: readdirSync(join(api, "tmp")),
    dead: [findDead(dead)?.reason, findDead(unread)?.reason, findDead(brief)?.reason],
    peers: readdirSync(join(home, "peers")),
  });
  return { home, api, unread, brief, seen, dead, gone, left };
}

describe("a clock that is far ahead", () => {
  it("for one beat expires nothing, deletes nothing, and shows nothing that it takes for expired", async () => {
    const { home, left, brief, unread } = await mesh();
    await sweep();
    const before = left();
    pass(30 * S);
    set(31 * DAY);
    await sweep();
    expect(left()).toEqual(before);
    expect(take("api", ({ unique }) => unique === brief)).toEqual([]);
    pass(30 * S);
    set(-31 * DAY);
    await sweep();
    expect(left()).toEqual(before);
    expect(readdirSync(join(home, "inbox", here.id, "new"))).toEqual([]);
    expect(take("api", all).map(({ unique }) => unique)).toEqual([unread, brief]);
  });

  it("at the very first look deletes nothing", async () => {
    const { left } = await mesh();
    set(31 * DAY);
    const before = left();
    await sweep();
    expect(left()).toEqual(before);
  });

  it("from a boot on, until it is put right 20 hours later, deletes nothing that is not 20 hours nearer to its end", async () => {
    const { home, left, unread, seen } = await mesh();
    await sweep();
    reboot(home, 31 * DAY);
    for (let hour = 0; hour < 20; hour++) {
      await sweep();
      pass(HOUR);
    }
    set(-31 * DAY);
    await sweep();
    expect(left()).toMatchObject({ new: [unread], cur: [`${seen}:2,S`], tmp: ["half"], peers: [expect.any(String)] });
    expect(left().dead.slice(0, 2)).toEqual(["refused: no", undefined]);
  });

  it("once it has stood for a day is believed: what was past its term goes, unread mail does not", async () => {
    const { home, left, unread } = await mesh();
    await sweep();
    reboot(home, 40 * DAY);
    await sweep();
    pass(BELIEVED_AFTER - HOUR);
    await sweep();
    expect(left().cur).toHaveLength(1);
    pass(2 * HOUR);
    await sweep();
    expect(left()).toMatchObject({ new: [unread], cur: [], tmp: [], peers: [] });
  });

  it("or set to and fro again and again is never believed", async () => {
    const { left } = await mesh();
    await sweep();
    const { cur } = left();
    for (let round = 0; round < 30; round++) {
      set(20 * DAY);
      await sweep();
      pass(6 * HOUR);
      await sweep();
      set(-20 * DAY);
      pass(6 * HOUR);
      if (round < 25) await sweep();
      if (passed < 14 * DAY) expect(left().cur).toEqual(cur);
    }
  });
});

describe("a clock that is set back", () => {
  it("by 40 days, and put right: what was written between is not 40 days old", async () => {
    ownClocks();
    const home = tempMesh();
    const api = box(home, "api");
    // What the kernel stamps is the time that is wrong.
    set(40 * DAY);
    utimesSync(join(home, "peers"), began / S + 40 * 86_400, began / S + 40 * 86_400);
    await sweep();
    set(-40 * DAY);
    const unread = letter(api);
    const seen = letter(api);
    collect(api, seen);
    mark(api, seen, "S");
    await sweep();
    pass(MIN);
    set(40 * DAY);
    await sweep();
    expect([listNew(api), readdirSync(join(api, "cur"))]).toEqual([[unread], [`${seen}:2,S`]]);
    pass(29 * DAY);
    await sweep();
    expect(listNew(api)).toEqual([unread]);
    pass(2 * DAY);
    await sweep();
    expect(listNew(api)).toEqual([]);
  });

  it("unread mail that nobody looked at meanwhile has its whole term from the first look on", async () => {
    const { api, unread } = await mesh();
    await sweep();
    const late = letter(api);
    // As if it had been written under a clock that was 50 days behind, with nobody running who could tell.
    set(50 * DAY);
    pass(2 * DAY);
    await sweep();
    expect(listNew(api)).toEqual([unread, late]);
    pass(29 * DAY);
    await sweep();
    expect(listNew(api)).toEqual([late]);
  });
});

describe("a laptop that sleeps", () => {
  it("keeps its days: sleep is time like any other", async () => {
    const { left } = await mesh();
    await sweep();
    pass(15 * DAY);
    await sweep();
    expect(left()).toMatchObject({ cur: [], tmp: [] });
  });
});

describe("what the clocks say", () => {
  it("is the time, where nothing was ever set", () => {
    clocksFollowDate();
    tempMesh();
    expect(Math.abs(look().time - Date.now())).toBeLessThan(5 * S);
    pass(3 * DAY);
    expect(Math.abs(look().time - Date.now())).toBeLessThan(5 * S);
  });

  it("is never later than this machine's clock, nor than the file system's", () => {
    for (const [wall, files] of [
      [0, 40 * DAY],
      [40 * DAY, 0],
    ] as const) {
      clocksFollowDate({ wall: () => Date.now() + wall, files: () => Date.now() + files });
      tempMesh();
      for (const days of [0, 2, 2]) {
        pass(days * DAY);
        expect(look().time).toBeLessThanOrEqual(Date.now());
      }
    }
  });

  it.each(["", "x", "1 2 3", "NaN NaN NaN NaN NaN NaN NaN", "1e300 1e300 1e300 1e300 1e300 1e300 1e300", "{}"])(
    "is not earlier made believed by a damaged note (%j), nor does that stop anybody",
    async (text) => {
      const { home, left } = await mesh();
      await sweep();
      const before = left();
      for (const name of [...readdirSync(join(home, "clocks")), "other"])
        writeFileSync(join(home, "clocks", name), text);
      set(31 * DAY);
      await sweep();
      expect(left()).toEqual(before);
    },
  );

  it("of twenty boots is remembered, no more, and no home is made for it", () => {
    clocksFollowDate();
    const home = tempMesh();
    mkdirSync(join(home, "clocks"));
    for (let n = 0; n < 30; n++) writeFileSync(join(home, "clocks", `boot-${n}`), "0 0 0 0 0 0 0\n");
    for (let n = 0; n < 30; n++) {
      look();
      pass(MIN);
    }
    expect(readdirSync(join(home, "clocks")).length).toBeLessThanOrEqual(20);
    tempMesh({ open: false });
    look();
    expect(() => readdirSync(process.env.CLAUDEMESH_HOME ?? "")).toThrow(/ENOENT/);
  });

  it("goes on from what another host knew last, and no host's days count twice", () => {
    clocksFollowDate({ boot: () => 7 * DAY + passed });
    const home = tempMesh();
    const first = look();
    pass(3 * DAY);
    const later = look();
    expect(Math.round((later.running - first.running) / MIN)).toBe((3 * DAY) / MIN);
    reboot(home, 5 * DAY);
    const again = look();
    expect(again.running - later.running).toBeLessThan(S);
    expect(again.time - later.time).toBeLessThan(S);
    pass(HOUR);
    expect(Math.round((look().running - later.running) / MIN)).toBe(60);
  });
});

describe("a letter just collected", () => {
  it.each([HOUR, -HOUR, 40 * DAY, -40 * DAY])(
    "is not orphaned at once when the clock is set by %d ms",
    async (step) => {
      for (const isAnother of [false, true]) {
        const { api, unread } = await mesh();
        if (isAnother) anotherProcess();
        look();
        collect(api, unread);
        pass(S);
        set(step);
        expect(recover(api, ORPHANED)).toEqual([]);
        sweepMailbox("api", DEFAULTS);
        pass(20 * S);
        expect(recover(api, ORPHANED)).toEqual([]);
        expect(readdirSync(join(api, "cur"))).toContain(`${unread}:2,`);
        claim(api, unread);
        pass(15 * S);
        expect(recover(api, ORPHANED)).toEqual([]);
        // Its collector has died.
        pass(ORPHANED);
        expect(recover(api, ORPHANED)).toEqual([unread]);
        set(-step);
        pass(HOUR);
      }
    },
  );

  it("is not orphaned at once where the clock of this machine is set and that of the file system is not", async () => {
    const { api, unread } = await mesh();
    const files = began;
    Object.assign(clocks, { files: () => files + passed });
    anotherProcess();
    look();
    collect(api, unread);
    pass(S);
    set(HOUR);
    expect(recover(api, ORPHANED)).toEqual([]);
    pass(ORPHANED + S);
    expect(recover(api, ORPHANED)).toEqual([unread]);
  });

  it("by another host, whose clock is minutes away, is left to that host while its session lives", async () => {
    ownClocks();
    const { api, file } = await far();
    // What other tests have set here is long ago.
    hasStood(0);
    pass(HOUR);
    utimesSync(file, Date.now() / S, Date.now() / S);
    const unique = letter(api);
    collect(api, unique);
    const then = Date.now() / S - 180;
    utimesSync(curPath(api, unique, ""), then, then);
    await sweep();
    expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,`]);
    pass(10 * MIN);
    await sweep();
    expect(listNew(api)).toEqual([unique]);
  });
});

describe("a letter's own term", () => {
  it("is over when the clocks say so together: it is buried, and its sender told", async () => {
    const { home, brief } = await mesh();
    look();
    pass(2 * HOUR + MIN);
    expect(take("api", ({ unique }) => unique === brief)).toEqual([]);
    expect(receipts(brief)).toMatchObject([{ state: "expired" }]);
    expect(readdirSync(join(home, "inbox", here.id, "new"))).toHaveLength(1);
  });

  it("that ran out while the machine was off is not shown, and over once it has waited that long", async () => {
    const { home, api, brief } = await mesh();
    sweepMailbox("api", DEFAULTS);
    pass(30 * MIN);
    sweepMailbox("api", DEFAULTS);
    reboot(home, 10 * HOUR);
    expect(take("api", ({ unique }) => unique === brief)).toEqual([]);
    expect(listNew(api)).toContain(brief);
    pass(HOUR);
    sweepMailbox("api", DEFAULTS);
    expect(listNew(api)).toContain(brief);
    pass(HOUR);
    sweepMailbox("api", DEFAULTS);
    expect(receipts(brief)).toMatchObject([{ state: "expired" }]);
  });

  it.each([3 * MIN, 20 * MIN])("counts from when it came, if its sender's clock is %d ms behind", (behind) => {
    clocksFollowDate();
    const api = box(tempMesh(), "api");
    look();
    const date = new Date(Date.now() - behind);
    const expires = new Date(date.getTime() + 90 * S);
    const from = { ...here, host: "elsewhere" };
    const [first, second] = [letter(api, { from, date, expires }), letter(api, { from, date, expires })];
    expect(take("api", ({ unique }) => unique === first).map(({ unique }) => unique)).toEqual([first]);
    pass(2 * MIN);
    expect(take("api", all)).toEqual([]);
    expect(receipts(second)).toMatchObject([{ state: "expired" }]);
  });
});

it("what waits is noted once, and forgotten when it is gone", async () => {
  const { api, unread, brief } = await mesh();
  sweepMailbox("api", DEFAULTS);
  const noted = waitingSince(api);
  expect([...noted.keys()]).toEqual([unread, brief]);
  pass(HOUR);
  const { mtimeMs } = statSync(join(api, "waits"));
  sweepMailbox("api", DEFAULTS);
  expect(statSync(join(api, "waits")).mtimeMs).toBe(mtimeMs);
  writeFileSync(newPath(api, "with a blank"), "x\n");
  sweepMailbox("api", DEFAULTS);
  expect(waitingSince(api).get("with a blank")).toBeGreaterThan(noted.get(unread) ?? 0);
  take("api", all);
  collect(api, "with a blank");
  sweepMailbox("api", DEFAULTS);
  expect(() => readFileSync(join(api, "waits"))).toThrow(/ENOENT/);
});

/** A peer of another host on this mesh that has just beaten. */
async function far() {
  const home = tempMesh();
  const joined = await joinMesh({ pid: sleeper().pid, cwd: tempFolder(), name: "far" });
  const peer: Peer = { ...joined, host: "elsewhere", boot: "another-boot/pid:[1]" };
  writeFileSync(join(home, "peers", `${peer.id}.json`), JSON.stringify(peer));
  beat(peer.id);
  return { home, peer, api: join(home, "inbox", peer.id), file: join(home, "inbox", peer.id, "beat") };
}

describe("hosts whose clocks differ", () => {
  it.each([5 * MIN, -5 * MIN, 40 * DAY, -40 * DAY])(
    "by %d ms are alive to each other while they beat, and gone when they do not",
    async (step) => {
      // The kernel stamps the files; this machine's own clock is another one.
      set(step);
      const { peer, file } = await far();
      expect(Math.abs(statSync(file).mtimeMs - began)).toBeLessThan(MIN);
      expect(isAlive(peer, fileTime())).toBe(true);
      const old = statSync(file).mtimeMs / S - 120;
      utimesSync(file, old, old);
      expect(isAlive(peer, fileTime())).toBe(false);
      beat(peer.id);
      expect(isAlive(peer, fileTime())).toBe(true);
    },
  );

  it("by some minutes are so also where one stamps its beats ahead by itself", async () => {
    const { peer, file } = await far();
    const then = began / S + 300;
    utimesSync(file, then, then);
    expect(isAlive(peer, fileTime())).toBe(true);
    utimesSync(file, then + 3600, then + 3600);
    expect(isAlive(peer, fileTime())).toBe(false);
  });

  it.each([HOUR, -HOUR, 40 * DAY])(
    "the file system's clock set by %d ms ends no lease before whoever lives has beaten again",
    async (step) => {
      const { peer, file } = await far();
      ownClocks();
      set(10 * S);
      look();
      pass(20 * S);
      fileTime();
      pass(10 * S);
      set(step);
      look();
      expect(isAlive(peer)).toBe(true);
      pass(LEASE + S);
      expect(isAlive(peer)).toBe(false);
      utimesSync(file, Date.now() / S, Date.now() / S);
      expect(isAlive(peer)).toBe(true);
    },
  );

  it("a sleep noted under a clock that was ahead gives no grace for as long as it was", async () => {
    const { peer, file } = await far();
    noteSleep(began, began + 31 * DAY);
    const old = began / S - 60;
    utimesSync(file, old, old);
    expect(isAlive(peer, began + 2 * MIN)).toBe(false);
    noteSleep(began + 31 * DAY, began + MIN);
    const last = began / S + 31 * 86_400 - 20;
    utimesSync(file, last, last);
    expect(isAlive(peer, began + MIN + 5 * S)).toBe(true);
    expect(isAlive(peer, began + MIN + LEASE + S)).toBe(false);
  });
});

describe("the order of a sender's letters", () => {
  const named = (ms: number, n = 1) => `${Math.floor((Date.now() + ms) / S)}.M000000P77Q${n}.host`;
  const send = (home: string) =>
    inNode<string>(
      `process.env.CLAUDEMESH_HOME = args[0]; const { send } = await mesh("send");
       const at = (id) => ({ id, name: id, host: "h" });
       done(send({ from: at("web"), to: [at("api")], body: "at " + process.pid, byModel: false }).unique);`,
      { args: [home] },
    );

  it.each([HOUR, 40 * DAY])(
    "stays when the clock was set back by %d ms between them, each sent by a process of its own",
    async (back) => {
      const home = tempMesh();
      const api = box(home, "api");
      const first = named(back);
      writeFileSync(newPath(api, first), "first\n");
      const second = await send(home);
      const third = await send(home);
      expect(listNew(api)).toEqual([first, second, third]);
    },
  );

  it("stays when the first is on its way through the client", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    const first = named(HOUR);
    mkdirSync(join(api, "posted"));
    writeFileSync(join(api, "posted", first), "");
    writeFileSync(join(api, "posted", "notice"), "");
    expect((await send(home)) > first).toBe(true);
  });

  it("follows no name that no clock has made, nor one of another program", () => {
    const api = box(tempMesh(), "api");
    for (const name of [named(800 * DAY), "99999999999.M000000P1Q1.x", "zzz", "4242"])
      writeFileSync(newPath(api, name), "x\n");
    const before = Number.parseInt(uniqueName(), 10);
    expect(Number.parseInt(nextName([api]), 10) - before).toBeLessThan(60);
    expect(Number.parseInt(nextName([join(api, "nowhere"), join(api, "x".repeat(300))]), 10) - before).toBeLessThan(60);
  });
});
