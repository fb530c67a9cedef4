// The only road out: look into new/, read, collect by rename, parse. What is no letter goes to dead/ instead.

import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
} from "node:fs";
import { join } from "node:path";
import { errnoOf, ignore, MeshError, succeeds } from "../errors.ts";
import { waitWhile } from "../wait.ts";
import { isAwaited } from "./awaited.ts";
import { clocks, isOver } from "./clock.ts";
import { bounce, bury, findDead } from "./dead.ts";
import { namesIn } from "./files.ts";
import { handedNames } from "./handed.ts";
import { inboxRoot, isOwnFile, mailbox, makeDir } from "./home.ts";
import { log } from "./log.ts";
import { collect, curPath, isCollected, isOurName, isSafeName, listNew, locate, newPath } from "./maildir.ts";
import { hostName, MAX_BYTES, type Message, messageIdOf, parse, uniqueName, uniqueNameOf } from "./message.ts";
import { readPeer } from "./peers.ts";
import { postedNames } from "./posted.ts";
import { triesOf, whyHeld } from "./tried.ts";

export interface Letter {
  message: Message;
  unique: string;
  /** where it can be read; of a letter that has been taken and is too long to show, whatever its flags become */
  path: string;
}

/** A letter of more characters is not shown whole: whoever is shown it reads on in a file. */
const LONG = 8_000;
const wholePath = (box: string, unique: string) => join(box, "whole", unique);

/** A name for a long letter's file that stays while flags change the other one: a second link, or a copy. */
function keepWhole(box: string, unique: string): void {
  const from = curPath(box, unique, "");
  makeDir(join(box, "whole"));
  try {
    succeeds(["EEXIST"], () => linkSync(from, wholePath(box, unique)));
  } catch (error) {
    // A file system without links.
    log("link-error", unique, String(error));
    copyFileSync(from, wholePath(box, unique));
  }
}

/** True for mail that wakes an idle session and continues a turn. */
export const isWaking = (letter: Letter): boolean => letter.message.priority !== "low";

/** How long, in ms, a file that another program is writing must have stood still before it is taken. */
export const STILL = 100;
/** An empty file is probably about to be written: it gets this long, in ms. */
const STILL_EMPTY = 10_000;

type Found = { message: Message } | { dead: string } | "not yet" | "gone";

/** Reads new/<name> without moving it, never following a link nor blocking on a pipe. */
function examine(path: string, unique: string, whole: boolean): Found {
  if (!isOwnFile(path))
    return ignore(["ENOENT"], () => lstatSync(path)) ? { dead: "not a regular file of this user's" } : "gone";
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return errnoOf(error) === "ENOENT" ? "gone" : { dead: `can't be read (${errnoOf(error)})` };
  }
  try {
    const stat = fstatSync(fd);
    // What was looked at may have been replaced by something else before it was opened.
    if (!stat.isFile()) return "gone";
    if (!whole) {
      const stood = Date.now() - Math.max(stat.mtimeMs, stat.ctimeMs);
      if (Math.abs(stood) < (stat.size === 0 ? STILL_EMPTY : STILL)) return "not yet";
    }
    if (stat.size > MAX_BYTES) return { dead: `${stat.size} bytes, the limit is ${MAX_BYTES}` };
    const bytes = readFileSync(fd);
    if (bytes.length === 0) return { dead: "empty" };
    if (bytes.includes(0)) return { dead: "not text" };
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    const message = parse(text, unique);
    return { message: { ...message, date: message.date ?? stat.mtime } };
  } catch (error) {
    if (error instanceof TypeError) return { dead: "not UTF-8 text" };
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** What waits in new/, the first `most` of it, oldest first, not moved. Files that are no letters are buried on the way. */
export function peek(id: string, most: number = Number.POSITIVE_INFINITY): { letters: Letter[]; unready: number } {
  const letters: Letter[] = [];
  let unready = 0;
  for (const found of waiting(id)) {
    if (found === "not yet") unready++;
    else letters.push(found);
    if (letters.length + unready >= most) break;
  }
  return { letters, unready };
}

/** True if one of the first `most` letters that wait is `wanted`; looks no further than that one. */
export function isWaitingFor(id: string, wanted: (letter: Letter) => boolean, most: number): boolean {
  let looked = 0;
  for (const found of waiting(id)) {
    if (found !== "not yet" && wanted(found)) return true;
    if (++looked >= most) return false;
  }
  return false;
}

/** The same one by one: who wants the first few does not read ten thousand. */
function* waiting(id: string): Generator<Letter | "not yet"> {
  const box = mailbox(id);
  for (const name of listNew(box)) {
    const found = examine(newPath(box, name), name, isOurName(name));
    if (found === "gone") continue;
    if (found === "not yet") yield found;
    else if ("dead" in found) orLog(name, () => bury(newPath(box, name), name, found.dead, id));
    else if (found.message.expires && endOf(box, name, found.message) < clocks.wall()) {
      const { message } = found;
      // By this one clock. It is not shown, but only a second one lets it die.
      if (!isOver(box, name, endOf(box, name, message), spanOf(message))) continue;
      const reason = `expired ${found.message.expires.toISOString()} unread`;
      orLog(name, () => expire(id, name, message, reason));
    } else if (found.message.inReplyTo && isAwaited(id, uniqueNameOf(found.message.inReplyTo))) continue;
    else yield { message: found.message, unique: name, path: curPath(box, name, "S") };
  }
}

/** For how long, in ms, a letter was to live when it was written, both ends by its sender's clock. */
const spanOf = ({ expires, date }: Message) => (expires?.getTime() ?? 0) - (date?.getTime() ?? 0);

/** When, in ms, a letter's own term ends. The clock of another host may be behind: its letter has its time here all the same. */
function endOf(box: string, name: string, message: Message): number {
  const end = message.expires?.getTime() ?? Number.POSITIVE_INFINITY;
  if (!message.from || message.from.host === hostName()) return end;
  const came = ignore(["ENOENT"], () => lstatSync(newPath(box, name)).birthtimeMs) ?? 0;
  return Math.max(end, came + spanOf(message));
}

/** A burial that fails, on a full disk say, keeps nobody from the letters beside it. */
function orLog(name: string, buryIt: () => void): void {
  try {
    buryIt();
  } catch (error) {
    log("bury-error", name, String(error));
  }
}

/** Buries an unread letter whose time is over, and tells its sender. */
export function expire(id: string, name: string, message: Message, reason: string): void {
  bury(newPath(mailbox(id), name), name, reason, id, () => bounce(message, id, reason));
}

/**
 * Collects the letters that `wanted` accepts, oldest first; the caller shows them and then marks each `S`. It stops at
 * the first one that somebody else took meanwhile: that collector has the rest. Who has a letter on its way through the
 * client gets no later one shown before it. So each sender's order is kept. No more than `most` are looked at.
 */
export function take(
  id: string,
  wanted: (letter: Letter) => boolean | "stop",
  most: number = Number.POSITIVE_INFINITY,
): Letter[] {
  const box = mailbox(id);
  const taken: Letter[] = [];
  let ahead: Set<string> | undefined;
  let looked = 0;
  for (const letter of waiting(id)) {
    if (++looked > most) break;
    if (letter === "not yet") continue;
    ahead ??= new Set(onTheirWay(id).map(senderOf));
    if (ahead.has(senderOf(letter))) continue;
    const answer = wanted(letter);
    if (answer === "stop") break;
    if (!answer) continue;
    // Other programs use a name again (`$$` of one shell): in cur/ each letter has one that is its own.
    const keeps = isOurName(letter.unique) && isSafeName(letter.unique) && !isCollected(box, letter.unique);
    const unique = keeps ? letter.unique : uniqueName();
    if (!collect(box, letter.unique, unique)) break;
    const messageId = letter.message.id === messageIdOf(letter.unique) ? messageIdOf(unique) : letter.message.id;
    const isLong = letter.message.body.length > LONG;
    if (isLong) keepWhole(box, unique);
    const path = isLong ? wholePath(box, unique) : curPath(box, unique, "S");
    taken.push({ message: { ...letter.message, id: messageId }, unique, path });
  }
  return taken;
}

const senderOf = ({ message }: Letter) => message.from?.id ?? "";

/** The letters that a bell has collected and no hook has seen yet. */
export const onTheirWay = (id: string): Letter[] =>
  postedNames(id).flatMap((unique) => readSeen(id, `${unique}:2,`) ?? []);

/** Collects the answer to `question` (a unique name), or the bounce of it, for the one who waits for it. */
export function takeAnswer(id: string, question: string): Letter | undefined {
  const box = mailbox(id);
  for (const name of listNew(box)) {
    const found = examine(newPath(box, name), name, isOurName(name));
    if (typeof found !== "object" || !("message" in found) || !found.message.inReplyTo) continue;
    if (uniqueNameOf(found.message.inReplyTo) !== question || !isSafeName(name)) continue;
    if (collect(box, name)) return { message: found.message, unique: name, path: curPath(box, name, "S") };
  }
  return undefined;
}

/** The letter of this unique name, read or not; undefined if there is none, or it is no letter. */
export function readLetter(id: string, unique: string): Letter | undefined {
  // Again: its flags may change between the look and the reading.
  for (let attempt = 0; attempt < 5; attempt++) {
    const place = locate(mailbox(id), unique);
    if (!place) return undefined;
    const found = examine(place.path, unique, true);
    if (found !== "gone") return letterOf(found, unique, place.path);
  }
  return undefined;
}

/** The letter behind a file name in cur/, whatever its flags; undefined if it can't be read as one. */
export function readSeen(id: string, name: string): Letter | undefined {
  const path = join(mailbox(id), "cur", name);
  const unique = name.replace(/:2,[A-Z]*$/, "");
  const whole = wholePath(mailbox(id), unique);
  return letterOf(examine(path, unique, true), unique, existsSync(whole) ? whole : path);
}

function letterOf(found: Found, unique: string, path: string): Letter | undefined {
  return typeof found === "object" && "message" in found ? { message: found.message, unique, path } : undefined;
}

/** Resolves once no file in new/ is younger than STILL, at most after `ms`. For callers that may wait for a drop. */
export async function standStill(id: string, ms: number = 3 * STILL): Promise<void> {
  const box = mailbox(id);
  // A file of our own naming is whole as soon as it is there: such ones are not opened for this.
  const isUnready = (name: string) => !isOurName(name) && examine(newPath(box, name), name, false) === "not yet";
  await waitWhile(() => listNew(box).some(isUnready), ms);
}

export type State = "queued" | "collected" | "seen" | "answered" | "expired" | "refused" | "dead";

export interface Receipt {
  /** the mailbox's id */
  to: string;
  state: State;
  /** when it came to this state, as far as the file tells */
  at: Date;
  path: string;
  /** why it is in dead/, or not seen although it has been tried */
  reason?: string;
}

/** Where a message lies in one mailbox, as a fact; undefined if it is not there. */
export function receiptIn(id: string, unique: string): Receipt | undefined {
  const place = locate(mailbox(id), unique);
  if (!place) return undefined;
  const flags = place.at === "cur" ? place.flags : "";
  const state =
    place.at === "new" ? "queued" : flags.includes("R") ? "answered" : flags.includes("S") ? "seen" : "collected";
  const reason = state === "queued" || state === "collected" ? whyNotSeen(id, unique, state) : undefined;
  return { to: id, state, at: place.since, path: place.path, ...(reason ? { reason } : {}) };
}

/** Why a letter that has been tried is not seen, in words; undefined if it has just not been its turn yet. */
function whyNotSeen(id: string, unique: string, state: "queued" | "collected"): string | undefined {
  if (state === "queued") return whyHeld(triesOf(id, unique), readPeer(id)?.name ?? id);
  return handedNames(id).includes(unique) ? "handed over, nothing shows yet that it is in the conversation" : undefined;
}

/** Every place where a message of this id (or unique name) lies. Throws MeshError NO_SUCH_MESSAGE if there is none. */
export function receipts(messageId: string): Receipt[] {
  const unique = uniqueNameOf(messageId.trim());
  const boxes = isSafeName(unique) ? namesIn(inboxRoot()) : [];
  const found = boxes.flatMap((id) => receiptIn(id, unique) ?? []);
  const dead = isSafeName(unique) ? findDead(unique) : undefined;
  if (dead) {
    const state = dead.reason.startsWith("expired")
      ? "expired"
      : dead.reason.startsWith("refused")
        ? "refused"
        : "dead";
    found.push({ to: dead.box, state, at: lstatSync(dead.path).ctime, path: dead.path, reason: dead.reason });
  }
  if (!found.length)
    throw new MeshError(
      "NO_SUCH_MESSAGE",
      `can't find message '${messageId}'`,
      "it was never sent from here, or its time was over and it was swept",
    );
  return found;
}
