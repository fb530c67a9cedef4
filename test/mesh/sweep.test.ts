import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/mesh/config.ts";
import { bury, findDead } from "../../src/mesh/dead.ts";
import { joinMesh, leave } from "../../src/mesh/join.ts";
import { collect, curPath, listNew, mark, newPath } from "../../src/mesh/maildir.ts";
import { beat, listPeers } from "../../src/mesh/peers.ts";
import { receipts } from "../../src/mesh/receive.ts";
import { ORPHANED, sweep, sweepMailbox } from "../../src/mesh/sweep.ts";
import { box, letter, sleeper, tempFolder, tempMesh } from "./temp-mesh.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const later = (ms: number) => Date.now() + ms;
const age = (path: string, ms: number) => utimesSync(path, (Date.now() - ms) / 1000, (Date.now() - ms) / 1000);
const config = (home: string, keys: object) => writeFileSync(join(home, "config.json"), JSON.stringify(keys));

async function gonePeer(days: number) {
  const { pid, kill } = sleeper();
  const peer = await joinMesh({ pid, cwd: tempFolder(), session_id: "s-1", name: "api" });
  await kill();
  const home = process.env.CLAUDEMESH_HOME ?? "";
  for (const file of [`peers/${peer.id}.json`, `inbox/${peer.id}/beat`]) age(join(home, file), days * DAY);
  return peer;
}
/** A letter in cur/ with these flags, collected `ms` ago. */
function shown(mailbox: string, flags: string, ms = 0): string {
  const unique = letter(mailbox);
  collect(mailbox, unique);
  if (flags) mark(mailbox, unique, flags);
  age(curPath(mailbox, unique, flags), ms);
  return unique;
}

describe("a mailbox", () => {
  it.each(["S", "RS", "R", "ST"])("mail with the flags %s is kept 14 days and then removed", (flags) => {
    const api = box(tempMesh(), "api");
    const unique = shown(api, flags);
    sweepMailbox("api", DEFAULTS, later(14 * DAY - HOUR));
    expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,${flags}`]);
    sweepMailbox("api", DEFAULTS, later(14 * DAY + HOUR));
    expect(readdirSync(join(api, "cur"))).toEqual([]);
  });

  it("unseen mail is kept 30 days and then goes to dead/ as expired", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    sweepMailbox("api", DEFAULTS, later(0));
    sweepMailbox("api", DEFAULTS, later(30 * DAY - HOUR));
    expect(listNew(api)).toEqual([unique]);
    sweepMailbox("api", DEFAULTS, later(30 * DAY + HOUR));
    expect(listNew(api)).toEqual([]);
    expect(findDead(unique)?.reason).toContain("30 days");
    expect(receipts(unique)).toMatchObject([{ state: "expired" }]);
  });

  it("mail that a dead collector left goes back to new/ and is never removed as seen", () => {
    const api = box(tempMesh(), "api");
    const unique = shown(api, "", 20 * DAY);
    sweepMailbox("api", DEFAULTS);
    expect(listNew(api)).toEqual([unique]);
    expect(ORPHANED).toBe(30_000);
  });

  it("mail that is in a collector's hands is left there", () => {
    const api = box(tempMesh(), "api");
    const unique = shown(api, "");
    sweepMailbox("api", DEFAULTS);
    expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,`]);
  });

  it("an old file that was moved in a moment ago is new mail, and safe", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const note = join(home, "note.txt");
    writeFileSync(note, "from last year\n");
    age(note, 400 * DAY);
    renameSync(note, newPath(api, "note.txt"));
    sweepMailbox("api", DEFAULTS);
    expect(listNew(api)).toEqual(["note.txt"]);
  });

  it("what was never delivered leaves tmp/ after 36 hours", () => {
    const api = box(tempMesh(), "api");
    writeFileSync(join(api, "tmp", "half"), "x");
    sweepMailbox("api", DEFAULTS, later(35 * HOUR));
    expect(readdirSync(join(api, "tmp"))).toEqual(["half"]);
    sweepMailbox("api", DEFAULTS, later(37 * HOUR));
    expect(readdirSync(join(api, "tmp"))).toEqual([]);
  });

  it("mail past its own term is buried, and its sender told", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const web = box(home, "a8d0m2kq");
    letter(api, { expires: new Date(Date.now() - 5000) });
    sweepMailbox("api", DEFAULTS);
    expect(listNew(api)).toEqual([]);
    expect(listNew(web)).toHaveLength(1);
  });

  it("config.json changes each term", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    config(home, { keep_seen_days: 1, keep_unseen_days: 2, keep_dead_days: 50 });
    shown(api, "S");
    const unseen = letter(api);
    await sweep(later(0));
    await sweep(later(DAY + HOUR));
    expect(readdirSync(join(api, "cur"))).toEqual([]);
    expect(listNew(api)).toEqual([unseen]);
    await sweep(later(2 * DAY + HOUR));
    expect(listNew(api)).toEqual([]);
    expect(findDead(unseen)?.reason).toContain("2 days");
  });

  it("one that is no mailbox stops nothing", async () => {
    const home = tempMesh();
    writeFileSync(join(home, "inbox/aaa"), "a file");
    symlinkSync("/nowhere", join(home, "inbox/bbb"));
    mkdirSync(join(home, "inbox/ccc"));
    const api = box(home, "zzz");
    shown(api, "S");
    await sweep(later(15 * DAY));
    expect(readdirSync(join(api, "cur"))).toEqual([]);
  });
});

describe("dead mail", () => {
  it("is kept 30 days and then removed", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    const unique = letter(api);
    bury(newPath(api, unique), unique, "refused: no");
    await sweep(later(30 * DAY - HOUR));
    expect(findDead(unique)).toBeDefined();
    await sweep(later(30 * DAY + HOUR));
    expect(readdirSync(join(home, "dead/new"))).toEqual([]);
  });

  it("that is a symlink or a folder is removed then, too, and what a symlink points to is not", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    const outside = tempFolder();
    writeFileSync(join(outside, "precious"), "x");
    symlinkSync(outside, newPath(api, "link"));
    mkdirSync(newPath(api, "folder"));
    writeFileSync(join(newPath(api, "folder"), "inside"), "x");
    for (const name of ["link", "folder"]) bury(newPath(api, name), name, "not a letter");
    expect(readdirSync(join(home, "dead/cur"))).toHaveLength(2);
    await sweep(later(30 * DAY + HOUR));
    expect(existsSync(join(outside, "precious"))).toBe(true);
    expect(readdirSync(join(home, "dead/new"))).toEqual([]);
    expect(readdirSync(join(home, "dead/cur"))).toEqual([]);
  });
});

describe("a peer that is gone", () => {
  it("is kept 14 days, then forgotten with its mailbox", async () => {
    const home = tempMesh();
    const peer = await gonePeer(13);
    await sweep();
    expect(listPeers().map((p) => p.id)).toEqual([peer.id]);
    for (const file of [`peers/${peer.id}.json`, `inbox/${peer.id}/beat`]) age(join(home, file), 15 * DAY);
    await sweep();
    expect(listPeers()).toEqual([]);
    expect(readdirSync(join(home, "inbox"))).toEqual([]);
    expect(readdirSync(join(home, "peers"))).toEqual([]);
    expect(readdirSync(join(home, "to"))).toEqual([]);
  });

  it("is kept as long as it has unread mail", async () => {
    const home = tempMesh();
    const peer = await gonePeer(15);
    const unique = letter(join(home, "inbox", peer.id));
    await sweep();
    expect(listPeers().map((p) => p.id)).toEqual([peer.id]);
    expect(listNew(join(home, "inbox", peer.id))).toEqual([unique]);
  });

  it("is kept as long as mail lies with it that was collected and never shown", async () => {
    const home = tempMesh();
    const peer = await gonePeer(15);
    const unique = shown(join(home, "inbox", peer.id), "", DAY);
    await sweep();
    expect(listPeers().map((p) => p.id)).toEqual([peer.id]);
    expect(listNew(join(home, "inbox", peer.id))).toEqual([unique]);
  });

  it("is kept while a collector has mail of it in its hands", async () => {
    const home = tempMesh();
    const peer = await gonePeer(15);
    const unique = shown(join(home, "inbox", peer.id), "");
    await sweep();
    expect(listPeers().map((p) => p.id)).toEqual([peer.id]);
    expect(readdirSync(join(home, "inbox", peer.id, "cur"))).toEqual([`${unique}:2,`]);
  });

  it("said goodbye: its 14 days count from then", async () => {
    tempMesh();
    const { pid } = sleeper();
    const peer = await joinMesh({ pid, cwd: tempFolder() });
    await leave(peer.id, peer.pid);
    await sweep(later(14 * DAY - HOUR));
    expect(listPeers()).toHaveLength(1);
    await sweep(later(14 * DAY + HOUR));
    expect(listPeers()).toEqual([]);
  });

  it("crashed after weeks of work: its 14 days count from its last beat, not from when it joined", async () => {
    tempMesh();
    const peer = await gonePeer(20);
    beat(peer.id);
    await sweep();
    expect(listPeers().map((p) => p.id)).toEqual([peer.id]);
  });

  it("whose mailbox somebody removed is forgotten all the same", async () => {
    const home = tempMesh();
    const peer = await gonePeer(15);
    rmSync(join(home, "inbox", peer.id), { recursive: true });
    await sweep();
    expect(listPeers()).toEqual([]);
  });

  it("is not the one who lives, however old", async () => {
    const home = tempMesh();
    const { pid } = sleeper();
    const peer = await joinMesh({ pid, cwd: tempFolder(), session_id: "s-1" });
    age(join(home, `peers/${peer.id}.json`), 400 * DAY);
    await sweep(later(400 * DAY));
    expect(listPeers()).toEqual([peer]);
    expect(existsSync(join(home, "sessions/s-1"))).toBe(true);
  });

  it("and forgotten leaves no link behind in sessions/", async () => {
    const home = tempMesh();
    await gonePeer(15);
    await sweep();
    expect(readdirSync(join(home, "sessions"))).toEqual([]);
  });
});

it("a sweep of a mesh that is not there makes none and says nothing", async () => {
  const home = tempMesh({ open: false });
  await sweep();
  expect(existsSync(home)).toBe(false);
});

describe("a config.json that is wrong", () => {
  it("has what it is wrong about kept, and the rest swept as it says", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    const unique = shown(api, "S");
    const unseen = letter(api);
    config(home, { keep_seen_days: "never", keep_unseen_days: 2 });
    await sweep();
    await sweep(later(3 * DAY));
    await sweep(later(20 * DAY));
    expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,S`]);
    expect(listNew(api)).toEqual([]);
    expect(findDead(unseen)?.reason).toContain("2 days");
    await sweep(later(800 * DAY));
    expect(findDead(unseen)).toBeUndefined();
  });

  it.each(["", '{"keep_seen_days": 1,}', "[]"])(
    "as a whole (%j) has nothing deleted, and nothing unread expired",
    async (text) => {
      const home = tempMesh();
      const api = box(home, "api");
      const unseen = letter(api);
      const seen = shown(api, "S");
      bury(newPath(api, letter(api)), "dead-one", "refused: no");
      const gone = await gonePeer(500);
      writeFileSync(join(home, "config.json"), text);
      for (const days of [0, 20, 5000]) await sweep(later(days * DAY));
      expect(readdirSync(join(api, "cur"))).toEqual([`${seen}:2,S`]);
      expect(listNew(api)).toEqual([unseen]);
      expect(findDead("dead-one")).toBeDefined();
      expect(listPeers().map((p) => p.id)).toContain(gone.id);
    },
  );
});
