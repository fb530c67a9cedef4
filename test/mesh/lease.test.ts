// Who is alive when pids mean nothing: a lease by beats, and grace after our own sleep.

import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { attend } from "../../src/claude/presence.ts";
import { joinMesh, noticeDeaths, publish } from "../../src/mesh/join.ts";
import { BEAT, beat, isAlive, isLocal, LEASE, noteSleep, type Peer, readPeer } from "../../src/mesh/peers.ts";
import { bootId } from "../../src/mesh/process.ts";
import { sweep } from "../../src/mesh/sweep.ts";
import { clocksFollowDate, sleeper, tempFolder, tempMesh } from "./temp-mesh.ts";

const S = 1000;
const MIN = 60 * S;

afterEach(() => {
  vi.useRealTimers();
});

/** A peer of another container on this mesh, whose last beat is `age` ms old now. */
async function far(age: number): Promise<{ home: string; peer: Peer; now: number; beatAt(time: number): void }> {
  const home = tempMesh();
  const joined = await joinMesh({ pid: sleeper().pid, cwd: tempFolder(), name: "far" });
  const peer = { ...joined, boot: `${joined.boot.split("/")[0]}/pid:[1]` };
  writeFileSync(join(home, "peers", `${peer.id}.json`), JSON.stringify(peer));
  const now = Date.now();
  const beatAt = (time: number) => utimesSync(join(home, "inbox", peer.id, "beat"), time / 1000, time / 1000);
  beatAt(now - age);
  return { home, peer, now, beatAt };
}

describe("the lease", () => {
  it("is long enough for two missed beats", () => {
    expect(LEASE).toBeGreaterThan(2 * BEAT);
  });

  it("holds for its whole length and ends with it, whatever process has that pid here", async () => {
    const { peer, now } = await far(0);
    expect(isLocal(peer)).toBe(false);
    for (let age = 0; age < LEASE; age += S) expect(isAlive(peer, now + age), `${age} ms`).toBe(true);
    for (let age = LEASE + S; age < 5 * MIN; age += S) expect(isAlive(peer, now + age), `${age} ms`).toBe(false);
  });

  it("does not flap while the beats come late but within it", async () => {
    const { peer, now, beatAt } = await far(0);
    for (let at = 0; at < 20 * MIN; at += LEASE - 2 * S) {
      beatAt(now + at);
      for (const later of [0, S, BEAT, 2 * BEAT, LEASE - 2 * S]) expect(isAlive(peer, now + at + later)).toBe(true);
    }
  });

  it("is taken up again by a beat, without joining anew", async () => {
    const { peer, home } = await far(10 * MIN);
    expect(isAlive(peer)).toBe(false);
    beat(peer.id);
    expect(isAlive(peer)).toBe(true);
    rmSync(join(home, "inbox", peer.id, "beat"));
    expect(isAlive(peer)).toBe(false);
    beat(peer.id);
    expect(isAlive(peer)).toBe(true);
    expect(statSync(join(home, "inbox", peer.id, "beat")).mode & 0o777).toBe(0o600);
  });

  it("does not outlast a goodbye", async () => {
    const { peer, now } = await far(0);
    expect(isAlive({ ...peer, left_at: new Date(now).toISOString() }, now)).toBe(false);
  });

  it("over is a matter of the other side's: its peer file is not touched, nothing is bounced for it", async () => {
    const { peer, home } = await far(10 * MIN);
    const file = join(home, "peers", `${peer.id}.json`);
    const before = readFileSync(file, "utf8");
    await noticeDeaths();
    await sweep();
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(readPeer(peer.id)).not.toHaveProperty("left_at");
  });

  it("a beat makes it listed in to/, and its end takes it out; the badge names no pid of the other side", async () => {
    const { peer, home } = await far(0);
    publish();
    expect(readdirSync(join(home, "to"))).toEqual(["far"]);
    const here = readFileSync(join(home, "badge"), "utf8").split("\n");
    expect(here.filter((line) => line.includes(`|${bootId()} `) && line.includes(String(peer.pid)))).toEqual([]);
    const old = Date.now() / 1000 - 600;
    utimesSync(join(home, "inbox", peer.id, "beat"), old, old);
    publish();
    expect(readdirSync(join(home, "to"))).toEqual([]);
  });
});

describe("after our own sleep", () => {
  it("who was alive when it began gets one lease to beat again, and no more", async () => {
    const { peer, now, home } = await far(0);
    const [slept, woke] = [now + 20 * S, now + 8 * 60 * MIN];
    expect(isAlive(peer, woke)).toBe(false);
    noteSleep(slept, woke);
    expect(statSync(join(home, "woke")).mode & 0o777).toBe(0o600);
    for (let after = 0; after < LEASE; after += S) expect(isAlive(peer, woke + after)).toBe(true);
    expect(isAlive(peer, woke + LEASE + S)).toBe(false);
  });

  it("who had been gone before it stays gone", async () => {
    const { peer, now } = await far(0);
    noteSleep(now + LEASE + S, now + 60 * MIN);
    expect(isAlive(peer, now + 60 * MIN + S)).toBe(false);
  });

  it("who has beaten since and then stopped is gone a lease after that beat", async () => {
    const { peer, now, beatAt } = await far(0);
    const woke = now + 60 * MIN;
    noteSleep(now, woke);
    beatAt(woke + 10 * S);
    expect(isAlive(peer, woke + 10 * S + LEASE - S)).toBe(true);
    expect(isAlive(peer, woke + 10 * S + LEASE + S)).toBe(false);
  });

  it("who said goodbye, or is of this machine and has died, gets none", async () => {
    const { peer, now } = await far(0);
    const claude = sleeper();
    const near = await joinMesh({ pid: claude.pid, cwd: tempFolder() });
    await claude.kill();
    noteSleep(now, now + 60 * MIN);
    expect(isAlive(near, now + 60 * MIN + S)).toBe(false);
    expect(isAlive({ ...peer, left_at: new Date(now).toISOString() }, now + 60 * MIN + S)).toBe(false);
  });

  it.each(["", "\n", "nonsense", "1 2 3 4", "NaN NaN", "{}"])(
    "a damaged note of it (%j) gives no grace and no error",
    async (text) => {
      const { peer, home } = await far(LEASE + MIN);
      writeFileSync(join(home, "woke"), text);
      expect(isAlive(peer)).toBe(false);
    },
  );
});

describe("a session's own process", () => {
  /** A local session that is attended to under a clock of the test's. */
  async function attended() {
    const home = tempMesh();
    const peer = await joinMesh({ pid: sleeper().pid, cwd: tempFolder() });
    vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"] });
    clocksFollowDate();
    const file = join(home, "inbox", peer.id, "beat");
    const watch = await attend(peer.id, () => {});
    return { home, file, watch, woke: () => readFileSync(join(home, "woke"), "utf8").trim().split(" ").map(Number) };
  }
  const beatOf = (file: string) => Math.round(statSync(file).mtimeMs / S);

  it("beats at once and then at every interval, and notes no sleep", async () => {
    const { file, watch, woke } = await attended();
    try {
      for (let i = 0; i < 10; i++) {
        // Stamped by the file system, whose clock the test does not set.
        expect(beatOf(file)).toBeGreaterThan(1000);
        utimesSync(file, 1000, 1000);
        vi.advanceTimersByTime(BEAT - 1);
        expect(beatOf(file)).toBe(1000);
        vi.advanceTimersByTime(1);
      }
      expect(woke).toThrow(/ENOENT/);
    } finally {
      await watch.close();
    }
  });

  it("that finds a gap in its beats notes since when, and does so before it beats again", async () => {
    const { watch, woke } = await attended();
    try {
      vi.advanceTimersByTime(BEAT);
      const slept = Date.now();
      vi.setSystemTime(slept + 60 * MIN);
      vi.advanceTimersByTime(BEAT);
      expect(woke()).toEqual([slept, slept + 60 * MIN + BEAT]);
    } finally {
      await watch.close();
    }
  });

  it("that is over beats no more", async () => {
    const { file, watch } = await attended();
    await watch.close();
    const last = beatOf(file);
    vi.advanceTimersByTime(10 * BEAT);
    expect(beatOf(file)).toBe(last);
  });
});
