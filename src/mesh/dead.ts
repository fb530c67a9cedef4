// Mail that nobody will read any more: it goes to dead/ with the reason as its first header, and its sender is told.
// Never followed, never opened blindly: what lies in a mailbox may be a symlink, a device, somebody else's file.

import { existsSync, linkSync, lstatSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { fileTime, hasStood } from "./clock.ts";
import { createFile, namesIn, syncDir } from "./files.ts";
import { deadBox, isOwnFile, mailbox, makeDir, openHome } from "./home.ts";
import { log } from "./log.ts";
import { deliver, isSafeName, makeMailbox } from "./maildir.ts";
import { compose, hostName, MAX_BYTES, type Message, messageIdOf, subjectOf, uniqueName } from "./message.ts";
import { forget } from "./tried.ts";

/** Where a file of a mailbox lies while it is being buried: who dies over it leaves it there, to be exhumed. */
const burying = (box: string) => join(box, "burying");

/**
 * Moves the file at `path`, in new/ of the mailbox `box`, to dead/. A regular file of ours is rewritten with
 * `X-Mesh-Dead: <reason>` on top; anything else is moved as it is to dead/cur, beside a note that says what it was.
 * `tell` runs once it lies in dead/ and before it leaves the mailbox: told at least once, whoever dies when.
 * Returns the path of what can be read there; undefined if somebody else buries it.
 */
export function bury(path: string, unique: string, reason: string, box = "", tell = () => {}): string | undefined {
  openHome();
  const folder = dirname(dirname(path));
  makeDir(burying(folder));
  // Taken out by a rename first: of several who find the same file one buries it.
  const claimed = join(burying(folder), basename(path));
  // EACCES: a folder of somebody else's can't be moved by us; it stays, and nobody looks into it.
  if (!succeeds(["ENOENT", "EACCES", "EPERM"], () => renameSync(path, claimed))) return undefined;
  try {
    return inter(claimed, unique, reason, box, tell);
  } catch (error) {
    // No room in dead/: it stays where it was found, and the next one who looks tries again.
    ignore(["ENOENT"], () => renameSync(claimed, path));
    throw error;
  }
}

/** Writes what was claimed into dead/, and removes it from the mailbox. */
function inter(claimed: string, unique: string, reason: string, box: string, tell: () => void): string {
  const head = `X-Mesh-Dead: ${reason}\n${box ? `X-Mesh-Mailbox: ${box}\n` : ""}`;
  const readable = isOwnFile(claimed) && lstatSync(claimed).size <= 16 * MAX_BYTES;
  const content = readable ? ignore(["EACCES"], () => readFileSync(claimed)) : undefined;
  const whole = content && Buffer.concat([Buffer.from(head), content]);
  for (let name = isSafeName(unique) ? unique : uniqueName(); ; name = uniqueName()) {
    const kept = whole ? undefined : placeFor(claimed, name);
    const target = join(deadBox(), "new", name);
    const text = whole ?? Buffer.from(`${head}Subject: not a letter\n\nIt lies beside this note, as ${kept}\n`);
    // The same may lie there already, from one who died before it was done.
    const isThere = () => whole && ignore(["ENOENT"], () => readFileSync(target))?.equals(whole);
    if (!isPlaced(text, target) && !isThere()) continue;
    syncDir(dirname(target));
    tell();
    if (kept) renameSync(claimed, kept);
    else unlinkSync(claimed);
    if (box) forget(box, unique);
    log("dead", name, reason);
    return target;
  }
}

/** Keeps the text of a letter that was refused before it was sent, and who was to have it; gives its path. */
export function keepRefused(text: string, unique: string, reason: string, boxes: string): string {
  const target = join(deadBox(), "new", unique);
  isPlaced(Buffer.from(`X-Mesh-Dead: refused: ${reason}\nX-Mesh-Mailbox: ${boxes}\n${text}`), target);
  syncDir(dirname(target));
  log("dead", unique, `refused: ${reason}`);
  return target;
}

/** Writes a file; false if there is one of that name, be it only since this moment: two may bury letters of one name at once. */
function isPlaced(text: Buffer, target: string): boolean {
  const written = join(deadBox(), "tmp", uniqueName());
  createFile(written, text);
  try {
    return succeeds(["EEXIST"], () => linkSync(written, target));
  } catch {
    // A file system without links.
    if (existsSync(target)) return false;
    renameSync(written, target);
    return true;
  } finally {
    ignore(["ENOENT"], () => unlinkSync(written));
  }
}

/** Where what is no letter is kept as it was: in dead/cur, or, for a mailbox on another file system, hidden where it lies. */
function placeFor(claimed: string, name: string): string {
  const dead = join(deadBox(), "cur");
  return lstatSync(dirname(claimed)).dev === lstatSync(dead).dev
    ? join(dead, `${name}.as-it-was`)
    : join(dirname(claimed), `.${name}.as-it-was`);
}

/** Puts back into new/ what one who died has left half buried, for longer than `olderThan` ms; `now` as for `recover`. */
export function exhume(box: string, olderThan: number, now?: number): void {
  for (const name of namesIn(burying(box))) {
    const from = join(burying(box), name);
    const since = ignore(["ENOENT"], () => lstatSync(from).ctimeMs);
    const to = join(box, "new", name);
    if (name.startsWith(".")) continue;
    if (since === undefined || (now ?? fileTime()) - since < olderThan || existsSync(to)) continue;
    if (now === undefined && !hasStood(olderThan)) break;
    if (succeeds(["ENOENT"], () => renameSync(from, to))) log("exhumed", name);
  }
}

/** Where a message lies in dead/, why, and from whose mailbox; undefined if it is not there. */
export function findDead(unique: string): { path: string; reason: string; box: string } | undefined {
  const path = join(deadBox(), "new", unique);
  if (!isOwnFile(path)) return undefined;
  const head = readFileSync(path, "utf8").slice(0, 1000);
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(head)?.[1];
  return { path, reason: field("X-Mesh-Dead") ?? "unknown", box: field("X-Mesh-Mailbox") ?? "" };
}

/** Tells the sender of `message` by a bounce why `to` did not get it, or did not answer it. A bounce is never bounced. */
export function bounce(
  message: Message,
  to: string,
  reason: string,
  not: "delivered" | "answered" = "delivered",
): void {
  const body = `Your ${message.kind} to ${to} was not ${not}: ${reason}.`;
  if (deliverNotice(message, "bounce", `not ${not}: ${message.subject}`, body))
    log("bounce", `for=${message.id}`, reason);
}

/**
 * Sends claudemesh's own word on `message` to its sender: `body`, and what the message said. False if that has nobody to
 * go to, or is about such a word itself; what the disk says goes to the log.
 */
export function deliverNotice(message: Message, kind: "bounce" | "note", subject: string, body: string): boolean {
  const sender = message.from?.id;
  if (!sender || sender === "claudemesh" || message.kind === "bounce") return false;
  if (!isSafeName(sender) || !existsSync(mailbox(sender))) return false;
  const unique = uniqueName();
  const text = compose({
    id: messageIdOf(unique),
    from: { name: "claudemesh", id: "claudemesh", host: hostName() },
    to: [message.from ?? { name: sender, id: sender, host: hostName() }],
    kind,
    inReplyTo: message.id,
    references: [...message.references, message.id],
    subject: subjectOf(subject),
    body: `${body}\n\nIt said: ${subjectOf(message.subject)}`,
  });
  try {
    makeMailbox(mailbox(sender));
    deliver(mailbox(sender), unique, text);
    return true;
  } catch (error) {
    log("notice-error", `to=${sender}`, `for=${message.id}`, String(error));
    return false;
  }
}
