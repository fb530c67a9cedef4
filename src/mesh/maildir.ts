// A real Maildir (maildir(5)). Design rationale:
// - A rename is the only thing that moves a message, and the only lock: whoever's rename succeeds owns the step.
// - tmp/ → new/ delivers, new/ → cur/ collects, a rename inside cur/ marks. Nothing is copied, nothing rewritten.
// - A delivery is acknowledged only after the file and the new/ directory have been flushed.
// - Nothing here scans cur/ on a road that a hook takes: it grows without bound.

import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { clocks, hasStood } from "./clock.ts";
import { createFile, namesIn, syncDir } from "./files.ts";
import { FILE_MODE, makeDir } from "./home.ts";
import { log } from "./log.ts";
import { uniqueName } from "./message.ts";

/** Flag sets a file in cur/ can have, in ASCII order as maildir(5) asks: Replied, Seen, Trashed (expired or refused). */
const FLAG_SETS = ["", "S", "RS", "R", "T", "ST", "RST", "RT"] as const;

const OURS = /^\d+\.M\d{6}P\d+Q\d+\./;
/** True for a unique name of our making: such a file appears in new/ whole, by rename. */
export const isOurName = (name: string) => OURS.test(name);
/** True for a name that can stand in a Message-ID and before `:2,`. */
export const isSafeName = (name: string) => /^[\w\\+=,%~-][\w.\\+=,%~-]{0,199}$/.test(name);

export const bellOf = (box: string) => join(box, "bell");
export const newPath = (box: string, unique: string) => join(box, "new", unique);
export const curPath = (box: string, unique: string, flags: string) => join(box, "cur", `${unique}:2,${flags}`);

/** Makes the mailbox directories (0700) if they are not there. */
export function makeMailbox(box: string): void {
  for (const room of ["tmp", "new", "cur"]) makeDir(join(box, room));
}

/**
 * Makes a mailbox again that was removed, but not while the whole home is away, unmounted or moved: what is made in its
 * place would be in the way of its return, and mail in it would be lost.
 */
export function keepMailbox(box: string): void {
  if (existsSync(dirname(box))) makeMailbox(box);
}

/** The same for a folder in it. */
export function keepRoom(box: string, room: string): void {
  if (existsSync(dirname(box))) makeDir(join(box, room));
}

/** There while Claude Code's own watcher watches the bell of this very mailbox: one that was made again it does not see. */
const watched = (box: string) => join(box, "watched");
export const isWatched = (box: string): boolean => existsSync(watched(box));
export const noteWatched = (box: string): void => writeFileSync(watched(box), "", { mode: FILE_MODE });

const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Rewrites the bell file, which Claude Code's own watcher watches. It carries nothing but a changed content. */
export function ring(box: string): void {
  try {
    const fd = openSync(bellOf(box), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
    try {
      writeFileSync(fd, `${Date.now()}\n`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // The letter is in new/, and that is what counts.
    log("bell-error", box, String(error));
  }
}

/** Delivers `text` as new/<unique>, durably, and rings. Throws on any failure; then nothing was delivered. */
export function deliver(box: string, unique: string, text: string | Uint8Array): void {
  const temp = join(box, "tmp", unique);
  createFile(temp, text);
  const target = newPath(box, unique);
  let lies = temp;
  try {
    renameSync(temp, target);
    lies = target;
    syncDir(join(box, "new"));
  } catch (error) {
    // Not acknowledged, so not there: unless somebody has collected it already.
    ignore(["ENOENT"], () => unlinkSync(lies));
    throw error;
  }
  ring(box);
}

/**
 * The names in new/, oldest first. Dot files are no mail (maildir(5)). A missing mailbox is empty.
 * No letter is listed without the earlier ones of its sender. readdir alone does not see to that: of two files that
 * arrive while it reads, it may give the second and not the first. So it is read again, up to the last name of the
 * first reading, until nothing new has turned up.
 */
export function listNew(box: string): string[] {
  let names = readNew(box);
  const last = names.findLast(isOurName);
  for (let again = 0; last !== undefined && again < 100; again++) {
    const known = new Set(names);
    names = readNew(box).filter((name) => name <= last || !isOurName(name));
    if (names.every((name) => known.has(name))) break;
  }
  return names;
}

/**
 * A unique name for a letter to these mailboxes that sorts after all that waits there, so that a sender's letters keep
 * their order when its clock was set back between two of them, each sent by a process of its own.
 */
export function nextName(boxes: string[]): string {
  // A mailbox that can't be read, or be there, is the delivery's to complain of.
  const inRoom = (dir: string) => {
    try {
      return namesIn(dir);
    } catch {
      return [];
    }
  };
  // What is on its way through the client, noted in posted/, may yet be put back.
  let last = "";
  for (const box of boxes)
    for (const room of ["new", "posted"])
      for (const name of inRoom(join(box, room))) if (name > last && isOurName(name)) last = name;
  return uniqueName(last);
}

function readNew(box: string): string[] {
  const names = namesIn(join(box, "new"));
  return names.filter((name) => !name.startsWith(".")).sort();
}

/** The unique names of what nobody has been shown yet: in new/, or in a collector's hands. Reads all of cur/. */
export function listUnseen(box: string): string[] {
  const names = namesIn(join(box, "cur"));
  return [...listNew(box), ...names.filter((name) => name.endsWith(":2,")).map((name) => name.slice(0, -3))];
}

/**
 * Takes new/<name> into cur/ as `<unique>:2,` with mtime now: the reader's claim.
 * False: somebody else has taken it.
 */
export function collect(box: string, name: string, unique: string = name): boolean {
  const target = curPath(box, unique, "");
  const now = new Date();
  // The time first: in cur/ with an old one it would look like what a dead collector left.
  return succeeds(["ENOENT"], () => {
    utimesSync(newPath(box, name), now, now);
    renameSync(newPath(box, name), target);
  });
}

/** Says that a collected letter is still in its collector's hands: what has not been claimed for long counts as orphaned. */
export function claim(box: string, unique: string, now: Date = new Date()): void {
  ignore(["ENOENT"], () => utimesSync(curPath(box, unique, ""), now, now));
}

/** `since`: when the file came to this place and these flags. */
export type Place = { path: string; since: Date } & ({ at: "new" } | { at: "cur"; flags: string });

/** When a file came to lie at `path`; undefined if none does. With its flags a name of 255 bytes is too long, so nothing is there. */
const since = (path: string) =>
  ignore(["ENOTDIR", "ENAMETOOLONG"], () => lstatSync(path, { throwIfNoEntry: false })?.ctime);

/** Where a message lies in this mailbox, or undefined. Costs a few stats, whatever the mailbox holds. */
export function locate(box: string, unique: string): Place | undefined {
  // Twice: a message that moves between two of the looks would otherwise seem to be nowhere.
  for (let look = 0; look < 2; look++) {
    const path = newPath(box, unique);
    const arrived = since(path);
    if (arrived) return { at: "new", path, since: arrived };
    for (const flags of FLAG_SETS) {
      const path = curPath(box, unique, flags);
      const moved = since(path);
      if (moved) return { at: "cur", path, flags, since: moved };
    }
  }
  return undefined;
}

/** True if a message of this name lies in cur/. */
export const isCollected = (box: string, unique: string): boolean =>
  FLAG_SETS.some((flags) => since(curPath(box, unique, flags)) !== undefined);

/** Adds flags to a collected message. False if it does not lie in cur/ (any more). */
export function mark(box: string, unique: string, add: string): boolean {
  for (let attempt = 0; attempt < 5; attempt++) {
    const place = locate(box, unique);
    if (place?.at !== "cur") return false;
    const flags = [...new Set(place.flags + add)].sort().join("");
    if (flags === place.flags) return true;
    if (succeeds(["ENOENT"], () => renameSync(place.path, curPath(box, unique, flags)))) return true;
  }
  return false;
}

/** Returns a collected but unseen message to new/ and rings. False: it has been marked or moved meanwhile. */
export function putBack(box: string, unique: string): boolean {
  const moved = succeeds(["ENOENT"], () => renameSync(curPath(box, unique, ""), newPath(box, unique)));
  if (moved) ring(box);
  return moved;
}

const settled = new Map<string, number>();
/**
 * Puts back what a collector that died left unseen in cur/ for longer than `olderThan` ms, but nothing that was handed to
 * the client: those who know the client decide about that. Reads all of cur/, unless nothing was unseen at the last look
 * and nothing has moved there since. Without `now` it is by this machine's clock, and nothing is put back while that has
 * not stood for `olderThan` ms: who collected before it was set has not said since that it still has the letter. Returns
 * the unique names, oldest first.
 */
export function recover(box: string, olderThan: number, now?: number): string[] {
  const dir = join(box, "cur");
  const mtime = ignore(["ENOENT", "ENOTDIR"], () => lstatSync(dir).mtimeMs);
  if (mtime === undefined || settled.get(box) === mtime) return [];
  const names = readdirSync(dir);
  if (!names.some((name) => name.endsWith(":2,"))) settled.set(box, mtime);
  const back: string[] = [];
  const at = now ?? clocks.wall();
  for (const name of names.sort()) {
    if (!name.endsWith(":2,")) continue;
    const collected = ignore(["ENOENT"], () => lstatSync(join(dir, name)).mtimeMs);
    if (collected === undefined || Math.abs(at - collected) < olderThan) continue;
    if (now === undefined && !hasStood(olderThan)) break;
    const unique = name.slice(0, -3);
    if (existsSync(join(box, "handed", unique))) continue;
    if (putBack(box, unique)) back.push(unique);
  }
  return back;
}
