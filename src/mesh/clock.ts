// What time it is, for whoever deletes, expires or gives up. Rule: nothing of that is done on the word of one look at
// one clock. Design rationale:
// - Clocks that are set (this machine's, and the one that stamps the files, which may be a file server's) are believed only
//   beside the boot clock, which nobody sets: having gone with it for a day, looked at twice. Until then it is the time
//   last believed, and what the boot clock has counted since. Wrong, it is too early: then things are kept longer.
// - A file that a clock set back has stamped looks older than it is. So unread mail has a second age: how long it has been
//   seen to wait, by the boot clocks alone. They count only while a machine runs: again kept longer, never shorter.
// - clocks/<boot>: what one boot of one machine knows, one writer's facts, so that hosts that share the folder don't mix.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { namesIn, readSmall, replaceFile } from "./files.ts";
import { clocksDir, FILE_MODE, inboxRoot, makeDir, meshHome, nowFile, peersDir } from "./home.ts";
import { bootId } from "./process.ts";

const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
/** What keeps a note from being read: then less is known, and less believed. */
const NOT_READ = ["ENOENT", "EACCES", "EMFILE", "ENFILE", "EIO"];

/** The clocks there are, in ms; in one place so that a test can set each. */
export const clocks = {
  /** this machine's, which people, NTP and a dead battery set */
  wall: (): number => Date.now(),
  /** that of the file system, which stamps files for all hosts alike; where nothing can be written, this machine's */
  files: (): number => {
    try {
      return touch(nowFile());
    } catch {
      return clocks.wall();
    }
  },
  /** since boot, sleep included */
  boot: (): number => {
    const text =
      process.platform === "linux" ? ignore(NOT_READ, () => readFileSync("/proc/uptime", "utf8")) : undefined;
    return 1000 * (text ? Number.parseFloat(text) : process.getBuiltinModule("node:os").uptime());
  },
  /** since some moment, for differences within this process; quick, and without sleep */
  ticks: (): number => Number(process.hrtime.bigint()) / 1e6,
};

/** Has the file system stamp a file that is there for its time only; gives that time, in ms. Throws if it can't. */
export function touch(path: string): number {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
  try {
    // Not utimes: that would write down what this machine's clock says.
    writeSync(fd, "\n", 0);
    return fstatSync(fd).mtimeMs;
  } finally {
    closeSync(fd);
  }
}

let asked: { files: number; ticks: number } | undefined;
/** The file system's time, asked for anew every few seconds: what the stamp of a file that another host wrote is held against. */
export function fileTime(): number {
  const ticks = clocks.ticks();
  if (!asked || ticks - asked.ticks > 5000 || ticks < asked.ticks) asked = { files: clocks.files(), ticks };
  return asked.files + ticks - asked.ticks;
}

/** Clocks that differ by less, in ms, go together: some file systems stamp in steps of 2 s. */
const SLACK = 10_000;
/** How long, in ms, a clock that was set, or is new, must go with the boot clock before it is believed. */
export const BELIEVED_AFTER = 86_400_000;
/** How many boots are remembered. */
const MOST_BOOTS = 20;

export interface Look {
  /** the time, in ms, that two clocks vouch for; never later than either says */
  time: number;
  /** ms that the machines here have run, as far as has been seen; never set, never back */
  running: number;
  /** for how long, in ms, no clock has been found to have been set */
  stood: number;
}

/** What one boot knows; all in ms, `first`, `set` and `last` by its boot clock. */
interface Boot {
  /** `running` when it began */
  base: number;
  /** what must be added to the boot clock to get the time that is believed */
  believed: number;
  /** and to get what the earlier of the clocks that are set said last, and what this machine's did */
  said: number;
  wall: number;
  /** the first look, the last one that found a clock set (`first` if none did), the last of all */
  first: number;
  set: number;
  last: number;
}
const FIELDS = ["base", "believed", "said", "wall", "first", "set", "last"] as const;

function readBoot(name: string): Boot | undefined {
  const text = ignore(NOT_READ, () => readSmall(join(clocksDir(), name)));
  const numbers = (text ?? "").trim().split(" ").map(Number);
  if (numbers.length !== FIELDS.length || !numbers.every(Number.isSafeInteger)) return undefined;
  return Object.fromEntries(FIELDS.map((field, i) => [field, numbers[i]])) as unknown as Boot;
}

/** Looks at every clock, notes what they say, and gives what may be believed of it. What can't be noted is looked at again. */
export function look(): Look {
  const now = clocks.boot();
  const wall = clocks.wall() - now;
  const said = Math.min(wall, clocks.files() - now);
  const own = bootId().replaceAll(/[^\w-]/g, "_");
  const others =
    ignore(NOT_READ, () => namesIn(clocksDir()))?.filter((name) => name !== own && !name.startsWith(".")) ?? [];
  const boots = others.flatMap((name) => readBoot(name) ?? []);
  const known = readBoot(own);
  // A boot clock that has gone back is another's.
  const boot =
    known && known.last <= now + SLACK ? known : firstLook(now, said, wall, known ? [...boots, known] : boots);
  if (Math.max(Math.abs(said - boot.said), Math.abs(wall - boot.wall)) > SLACK) boot.set = now;
  boot.believed = now - boot.set >= BELIEVED_AFTER ? said : Math.min(boot.believed, said);
  const isNews = boot.last === boot.first || now - boot.last > 5000 || boot.set === now;
  const running = Math.max(boot.base + now, ...boots.map(({ base, last }) => base + last));
  const stood = boot.set === boot.first ? Number.POSITIVE_INFINITY : now - boot.set;
  if (isNews) note(own, { ...boot, said, wall, last: now }, others);
  return { time: boot.believed + now, running, stood };
}

/** A boot that nothing is known of yet: it goes on from what the others knew last; the very first, from the newest file. */
function firstLook(now: number, said: number, wall: number, boots: Boot[]): Boot {
  const time = boots.length ? Math.max(...boots.map(({ believed, last }) => believed + last)) : newestStamp(said + now);
  const running = Math.max(0, ...boots.map(({ base, last }) => base + last));
  return { base: running - now, believed: time - now, said, wall, first: now, set: now, last: now };
}

/** When something last happened in the mesh, as far as the files tell; not after `set`. */
function newestStamp(set: number): number {
  const boxes = namesIn(inboxRoot()).flatMap((id) => ["new", "cur", "beat"].map((room) => join(inboxRoot(), id, room)));
  const stamps = [meshHome(), peersDir(), inboxRoot(), ...boxes].map(
    (path) => lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.min(set, Math.max(0, ...stamps.filter((stamp) => stamp <= set + SLACK)));
}

function note(own: string, boot: Boot, others: string[]): void {
  try {
    // A home that is away is not made anew.
    statSync(meshHome());
    makeDir(clocksDir());
    replaceFile(join(clocksDir(), own), `${FIELDS.map((field) => Math.round(boot[field])).join(" ")}\n`, false);
    if (others.length < MOST_BOOTS) return;
    const [oldest] = others
      .map((name) => ({ name, at: lstatSync(join(clocksDir(), name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .sort((a, b) => a.at - b.at);
    if (oldest) ignore(["ENOENT"], () => unlinkSync(join(clocksDir(), oldest.name)));
  } catch {
    // A disk that is full or read-only: the next look knows less, and believes less.
  }
}

/** What this process has seen of its clock: where it is from the ticks, and since when. */
let seen = { from: clocks.wall() - clocks.ticks(), since: Number.NEGATIVE_INFINITY };
/** What it last learned of the others, not asked for again within a second: a list may hold a thousand who are gone. */
let stood: { ms: number; ticks: number } | undefined;

/** True if no clock has been found to have been set, by this process or another, for `ms`. What is young by one clock may else be old by the next. */
export function hasStood(ms: number): boolean {
  const ticks = clocks.ticks();
  const from = clocks.wall() - ticks;
  if (Math.abs(from - seen.from) > SLACK) seen = { from, since: ticks };
  if (ticks - seen.since < ms) return false;
  if (!stood || ticks - stood.ticks > 1000 || ticks < stood.ticks) stood = { ms: look().stood, ticks };
  return stood.ms >= ms;
}

/** inbox/<id>/waits: a line for each unread letter: `running` when it was first seen to wait, and its name. */
const waitsFile = (box: string) => join(box, "waits");

/** Since when, by `running`, each letter in new/ of a mailbox has been seen to wait. */
export function waitingSince(box: string): Map<string, number> {
  const text = ignore(["ENOENT", "ENOTDIR"], () => readFileSync(waitsFile(box), "utf8")) ?? "";
  const lines = text.split("\n").map((line) => /^(-?\d+) (.+)$/.exec(line) ?? []);
  return new Map(lines.flatMap(([, at, name]) => (at && name ? [[name, Number(at)] as const] : [])));
}

/** Notes which letters wait now; those that no longer do are forgotten. Gives back since when each has. */
export function noteWaiting(box: string, names: string[], running: number): Map<string, number> {
  const known = waitingSince(box);
  const noted = new Map(names.map((name) => [name, Math.min(known.get(name) ?? running, running)]));
  if (noted.size === known.size && names.every((name) => known.has(name))) return noted;
  const lines = [...noted].map(([name, at]) => `${Math.round(at)} ${name}\n`);
  // On a full disk it is seen to wait from a later look on.
  ignore(["ENOENT", "ENOTDIR", "ENOSPC", "EDQUOT", "EROFS", "EACCES"], () =>
    lines.length ? replaceFile(waitsFile(box), lines.join(""), false) : unlinkSync(waitsFile(box)),
  );
  return noted;
}

/**
 * True if the term of a letter in new/ that ends at `end` (ms), having been given for `span` ms, is over by more than one
 * clock: the time that is believed is past its end, or it has been seen to wait for that long.
 */
export function isOver(box: string, name: string, end: number, span: number): boolean {
  const { time, running } = look();
  return time > end || (span > 0 && running - (waitingSince(box).get(name) ?? running) >= span);
}
