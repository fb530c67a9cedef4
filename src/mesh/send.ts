// The only road in: resolve → compose → deliver. A send is acknowledged only when the letter is on disk, flushed.

import { isTemporary, MeshError, mendOf, reasonOf } from "../errors.ts";
import { waitWhile } from "../wait.ts";
import type { Recipient } from "./address.ts";
import { braked } from "./braked.ts";
import { countSend, hopsFor, type Passage } from "./brakes.ts";
import { mailbox, openHome } from "./home.ts";
import { log } from "./log.ts";
import { deliver, locate, makeMailbox, nextName } from "./maildir.ts";
import { type Address, compose, type Draft, messageIdOf } from "./message.ts";
import { turnOf } from "./turn.ts";

export type Order = Omit<Draft, "id" | "to" | "from"> & {
  from: Address;
  to: Recipient[];
  /** the unique name, where it had to be known before */
  unique?: string;
  /** whether a model sends it, and the brakes hold for it; left out for what no brake is for */
  byModel?: boolean;
  /** it closes a question or a task */
  closes?: boolean;
};

export interface Sent {
  unique: string;
  message_id: string;
  to: Recipient[];
}

/**
 * Delivers one letter to every recipient, all under the same Message-ID.
 * Throws MeshError EMPTY_BODY, TOO_LARGE, REPEATED, TOO_FAST or TOO_FAR before anything is sent; TRY_AGAIN or FAILED naming who did not get it.
 */
export function send({ to, unique = letterNameFor(to), byModel, closes, ...draft }: Order): Sent {
  openHome();
  let whole = { ...draft, id: messageIdOf(unique), to };
  let text = compose(whole);
  let takeBack = (_: string) => {};
  if (byModel !== undefined)
    try {
      const passage: Passage = {
        from: draft.from.id,
        to: to.map(({ id }) => id),
        unique,
        // The same words to two questions are two answers.
        what: draft.inReplyTo ? `${draft.inReplyTo}\n${draft.body}` : draft.body,
        turn: byModel ? turnOf(draft.from.id) : undefined,
        closes,
      };
      const hops = hopsFor(passage, draft.hops ?? 0);
      if (hops !== (draft.hops ?? 0)) {
        whole = { ...whole, hops };
        text = compose(whole);
      }
      takeBack = countSend(passage);
    } catch (error) {
      if (error instanceof MeshError) throw braked(error, whole, unique, text);
      // The letter goes, whatever becomes of the brakes' notes.
      log("brakes-error", draft.from.id, String(error));
    }
  const failed: string[] = [];
  let temporary = true;
  let mend: string | undefined;
  for (const recipient of to) {
    const box = mailbox(recipient.id);
    try {
      makeMailbox(box);
      deliver(box, unique, recipient.folder === undefined ? text : compose({ ...whole, waitsFor: recipient.folder }));
      log("send", unique, draft.kind ?? "task", `from=${draft.from.id}`, `to=${recipient.id}`);
    } catch (error) {
      temporary &&= isTemporary(error);
      mend ??= mendOf(error);
      failed.push(`${recipient.name} (${reasonOf(error)})`);
      takeBack(recipient.id);
    }
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
