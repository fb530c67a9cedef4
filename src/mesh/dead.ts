// Mail that nobody will read any more: it goes to dead/ with the reason as its first header, and its sender is told.
// Never followed, never opened blindly: what lies in a mailbox may be a symlink, a device, somebody else's file.

import { existsSync, lstatSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { succeeds } from "../errors.ts";
import { createFile, syncDir } from "./files.ts";
import { deadBox, isOwnFile, mailbox, openHome } from "./home.ts";
import { log } from "./log.ts";
import { deliver, isSafeName } from "./maildir.ts";
import { compose, hostName, MAX_BYTES, type Message, messageIdOf, uniqueName } from "./message.ts";

/**
 * Moves the file at `path` to dead/. A regular file of ours is rewritten with `X-Mesh-Dead: <reason>` on top; anything
 * else is moved as it is to dead/cur, beside a note that says what it was. Returns the path of what can be read there.
 */
export function bury(path: string, unique: string, reason: string): string | undefined {
  openHome();
  // Taken out by a rename first: of several who find the same file one buries it.
  const claimed = join(deadBox(), "tmp", uniqueName());
  if (!succeeds(["ENOENT"], () => renameSync(path, claimed))) return undefined;
  const name = isSafeName(unique) && !existsSync(join(deadBox(), "new", unique)) ? unique : uniqueName();
  const rewrite = isOwnFile(claimed) && lstatSync(claimed).size <= 16 * MAX_BYTES;
  const text = rewrite
    ? Buffer.concat([Buffer.from(`X-Mesh-Dead: ${reason}\n`), readFileSync(claimed)])
    : `X-Mesh-Dead: ${reason}\nSubject: not a letter\n\nIt lies beside this note, as ${join(deadBox(), "cur", `${name}.as-it-was`)}\n`;
  const written = `${claimed}.dead`;
  createFile(written, text);
  const target = join(deadBox(), "new", name);
  renameSync(written, target);
  syncDir(join(deadBox(), "new"));
  if (rewrite) unlinkSync(claimed);
  else renameSync(claimed, join(deadBox(), "cur", `${name}.as-it-was`));
  log("dead", name, reason);
  return target;
}

/** Where a message lies in dead/ and why, or undefined. */
export function findDead(unique: string): { path: string; reason: string } | undefined {
  const path = join(deadBox(), "new", unique);
  if (!isOwnFile(path)) return undefined;
  return { path, reason: /^X-Mesh-Dead: (.*)$/m.exec(readFileSync(path, "utf8").slice(0, 500))?.[1] ?? "unknown" };
}

/** Tells the sender of `message` by a bounce why `to` will not get it. A bounce is never bounced. */
export function bounce(message: Message, to: string, reason: string): void {
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
    subject: `not delivered: ${message.subject}`,
    body: `Your ${message.kind} to ${to} was not delivered: ${reason}.\n\nIt said: ${message.subject}`,
  });
  deliver(mailbox(sender), unique, text);
  log("bounce", unique, `to=${sender}`, `for=${message.id}`, reason);
}
