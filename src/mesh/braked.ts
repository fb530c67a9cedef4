// What the brakes have refused: its text is kept in dead/, and the human is told, once for a loop. inbox/you/braked/ has
// a file for each loop that he has been told of, made first by the one who tells him.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { ignore, MeshError, succeeds } from "../errors.ts";
import { digestOf } from "./brakes.ts";
import { keepRefused } from "./dead.ts";
import { createFile } from "./files.ts";
import { mailbox, makeDir } from "./home.ts";
import { log } from "./log.ts";
import { deliver, makeMailbox } from "./maildir.ts";
import { compose, type Draft, hostName, messageIdOf, uniqueName } from "./message.ts";
import { notifyOfLetter } from "./notify.ts";

/** What is refused between the same mailboxes within so many ms is one loop. */
const LOOP = 15 * 60_000;
/** How much of the text stands in the human's note; all of it is in the file that the note names. */
const SHOWN = 8000;

/**
 * Does what is due to a letter that a brake has refused, and gives the error for the model: it says to end the turn.
 * Any other error, a repeat among them, comes back as it is.
 */
export function braked(error: MeshError, draft: Draft, unique: string, text: string): MeshError {
  if (error.code !== "TOO_FAR" && error.code !== "TOO_FAST") return error;
  const { from, to } = draft;
  const reason = error.message.replace("can't send: ", "");
  log("braked", unique, `from=${from.id}`, `to=${to.map(({ id }) => id).join(",")}`, reason);
  const hint = (told: string) => [`end the turn: ${told}`, error.hint].filter(Boolean).join("; ");
  try {
    const path = keepRefused(text, unique, reason, to.map(({ id }) => id).join(","));
    tell(draft, reason, path, error.code === "TOO_FAR" ? "your prompt begins anew" : "in a minute letters go again");
    return new MeshError(error.code, error.message, hint("your user has been told, and has the text"));
  } catch (failure) {
    log("braked-error", unique, String(failure));
    return new MeshError(error.code, error.message, hint("and tell your user, who could not be told"));
  }
}

/** A note to the human with the text of the first letter of a loop. */
function tell(draft: Draft, reason: string, path: string, anew: string): void {
  const { from, to, kind = "task" } = draft;
  if (!isFirst([from, ...to].map(({ id }) => id))) return;
  const whom = to.length > 3 ? `${to.length} sessions` : to.map(({ name }) => name.slice(0, 30)).join(", ");
  const body = draft.body.trim();
  const shown = body.length > SHOWN ? `${body.slice(0, SHOWN).toWellFormed()}\n[cut: ${body.length} characters]` : body;
  const unique = uniqueName();
  const subject = `stopped ${from.name.slice(0, 30)} writing to ${whom}: ${reason}`;
  const note = compose({
    id: messageIdOf(unique),
    from: { name: "claudemesh", id: "claudemesh", host: hostName() },
    to: [{ name: "you", id: "you", host: hostName() }],
    kind: "bounce",
    subject,
    body:
      `claudemesh has stopped ${from.name} (${from.id}) writing to ${to.map((r) => `${r.name} (${r.id})`).join(", ")}: ${reason}.\n` +
      `The session was told to end its turn. If this is to go on, say so to either of them: ${anew}.\n` +
      "What else is stopped between them in the next quarter of an hour is kept in the same folder, without a note like this.\n\n" +
      `Not sent, and kept as ${path} (${kind}):\n\n${shown}`,
  });
  makeMailbox(mailbox("you"));
  deliver(mailbox("you"), unique, note);
  notifyOfLetter(unique, "claudemesh", subject);
}

/** True for the first who asks for these mailboxes within LOOP. */
function isFirst(ids: string[], now: number = Date.now()): boolean {
  const dir = join(mailbox("you"), "braked");
  const loop = digestOf([...new Set(ids)].sort().join(" "));
  const file = (period: number) => join(dir, `${loop}.${period}`);
  const period = Math.floor(now / LOOP);
  const before = ignore(["ENOENT"], () => statSync(file(period - 1)).mtimeMs) ?? 0;
  if (Math.abs(now - before) < LOOP || existsSync(file(period))) return false;
  makeDir(dir);
  return succeeds(["EEXIST"], () => createFile(file(period), "", false));
}
