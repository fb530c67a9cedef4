// The only road in: resolve → compose → deliver. A send is acknowledged only when the letter is on disk, flushed.

import { isTemporary, MeshError, mendOf, reasonOf } from "../errors.ts";
import { waitWhile } from "../wait.ts";
import type { Recipient } from "./address.ts";
import { checkSend, countSend } from "./brakes.ts";
import { mailbox, openHome } from "./home.ts";
import { log } from "./log.ts";
import { deliver, locate, makeMailbox, nextName } from "./maildir.ts";
import { type Address, compose, type Draft, messageIdOf } from "./message.ts";

export type Order = Omit<Draft, "id" | "to" | "from"> & {
  from: Address;
  to: Recipient[];
  /** the unique name, where it had to be known before */
  unique?: string;
  /** whether a model sends it, and the brakes hold for it; left out for what no brake is for */
  byModel?: boolean;
};

export interface Sent {
  unique: string;
  message_id: string;
  to: Recipient[];
}

/**
 * Delivers one letter to every recipient, all under the same Message-ID.
 * Throws MeshError EMPTY_BODY, TOO_LARGE, REPEATED or TOO_FAST before anything is written; TRY_AGAIN or FAILED naming who did not get it.
 */
export function send({ to, unique = letterNameFor(to), byModel, ...draft }: Order): Sent {
  openHome();
  const textFor = (waitsFor?: string) => compose({ ...draft, id: messageIdOf(unique), to, waitsFor });
  const text = textFor();
  // The same words to two questions are two answers.
  const what = draft.inReplyTo ? `${draft.inReplyTo}\n${draft.body}` : draft.body;
  if (byModel !== undefined)
    checkSend(
      draft.from.id,
      to.map(({ id }) => id),
      what,
      byModel,
    );
  const failed: string[] = [];
  let temporary = true;
  let mend: string | undefined;
  for (const recipient of to) {
    const box = mailbox(recipient.id);
    try {
      makeMailbox(box);
      deliver(box, unique, recipient.folder === undefined ? text : textFor(recipient.folder));
      log("send", unique, draft.kind ?? "task", `from=${draft.from.id}`, `to=${recipient.id}`);
    } catch (error) {
      temporary &&= isTemporary(error);
      mend ??= mendOf(error);
      failed.push(`${recipient.name} (${reasonOf(error)})`);
      continue;
    }
    if (byModel !== undefined) note(draft.from.id, recipient.id, what);
  }
  if (failed.length)
    throw new MeshError(
      temporary ? "TRY_AGAIN" : "FAILED",
      `can't deliver to ${failed.join(", ")}`,
      failed.length < to.length
        ? `${to.length - failed.length} others have it, as ${messageIdOf(unique)}`
        : `nothing was sent; ${mend ?? `see that ${mailbox(to[0]?.id ?? "")} can be written to, and try again`}`,
    );
  return { unique, message_id: messageIdOf(unique), to };
}

/** A unique name for a letter to these recipients, for who must know it before it is sent. */
export const letterNameFor = (to: Recipient[]): string => nextName(to.map(({ id }) => mailbox(id)));

/** Waits until the letter has left new/ of every recipient, at most `ms`. */
export async function settle({ unique, to }: Sent, ms: number): Promise<void> {
  await waitWhile(() => to.some((r) => locate(mailbox(r.id), unique)?.at === "new"), ms, 5);
}

/** The letter is there, whatever becomes of the brakes' ledger. */
function note(from: string, to: string, what: string): void {
  try {
    countSend(from, to, what);
  } catch (error) {
    log("brakes-error", from, to, String(error));
  }
}
