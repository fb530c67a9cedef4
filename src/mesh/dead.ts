// Mail that nobody will read any more: it goes to dead/ with the reason as its first header, and its sender is told.
// Never followed, never opened blindly: what lies in a mailbox may be a symlink, a device, somebody else's file.

import { existsSync, lstatSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { createFile, syncDir } from "./files.ts";
import { deadBox, isOwnFile, mailbox, openHome } from "./home.ts";
import { log } from "./log.ts";
import { deliver, isSafeName, makeMailbox } from "./maildir.ts";
import { compose, hostName, MAX_BYTES, type Message, messageIdOf, subjectOf, uniqueName } from "./message.ts";

/**
 * Moves the file at `path`, from the mailbox `box`, to dead/. A regular file of ours is rewritten with `X-Mesh-Dead:
 * <reason>` on top; anything
 * else is moved as it is to dead/cur, beside a note that says what it was. Returns the path of what can be read there.
 */
export function bury(path: string, unique: string, reason: string, box = ""): string | undefined {
  openHome();
  // Taken out by a rename first: of several who find the same file one buries it.
  const claimed = join(deadBox(), "tmp", uniqueName());
  // EACCES: a folder of somebody else's can't be moved by us; it stays, and nobody looks into it.
  if (!succeeds(["ENOENT", "EACCES", "EPERM"], () => renameSync(path, claimed))) return undefined;
  const name = isSafeName(unique) && !existsSync(join(deadBox(), "new", unique)) ? unique : uniqueName();
  const head = `X-Mesh-Dead: ${reason}\n${box ? `X-Mesh-Mailbox: ${box}\n` : ""}`;
  const readable = isOwnFile(claimed) && lstatSync(claimed).size <= 16 * MAX_BYTES;
  const content = readable ? ignore(["EACCES"], () => readFileSync(claimed)) : undefined;
  const text = content
    ? Buffer.concat([Buffer.from(head), content])
    : `${head}Subject: not a letter\n\nIt lies beside this note, as ${join(deadBox(), "cur", `${name}.as-it-was`)}\n`;
  const written = `${claimed}.dead`;
  createFile(written, text);
  const target = join(deadBox(), "new", name);
  renameSync(written, target);
  syncDir(join(deadBox(), "new"));
  if (content) unlinkSync(claimed);
  else renameSync(claimed, join(deadBox(), "cur", `${name}.as-it-was`));
  log("dead", name, reason);
  return target;
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
  const sender = message.from?.id;
  if (!sender || message.kind === "bounce" || !isSafeName(sender) || !existsSync(mailbox(sender))) return;
  const unique = uniqueName();
  const text = compose({
    id: messageIdOf(unique),
    from: { name: "claudemesh", id: "claudemesh", host: hostName() },
    to: [message.from ?? { name: sender, id: sender, host: hostName() }],
    kind: "bounce",
    inReplyTo: message.id,
    references: [...message.references, message.id],
    subject: subjectOf(`not ${not}: ${message.subject}`),
    body: `Your ${message.kind} to ${to} was not ${not}: ${reason}.\n\nIt said: ${subjectOf(message.subject)}`,
  });
  try {
    makeMailbox(mailbox(sender));
    deliver(mailbox(sender), unique, text);
  } catch (error) {
    log("bounce-error", `to=${sender}`, `for=${message.id}`, String(error));
    return;
  }
  log("bounce", unique, `to=${sender}`, `for=${message.id}`, reason);
}
