// Answering in thread: the letter answered gets the flag R in the answerer's own mailbox, where its sender sees it.

import { MeshError } from "../errors.ts";
import type { Recipient } from "./address.ts";
import { isAwaited } from "./awaited.ts";
import { mailbox, SHELL } from "./home.ts";
import { collect, isSafeName, locate, mark } from "./maildir.ts";
import { type Address, type Message, subjectOf, uniqueNameOf } from "./message.ts";
import { notifyOfLetter } from "./notify.ts";
import { noteAnswer, settleAnswer } from "./owed.ts";
import { readPeer } from "./peers.ts";
import { type Letter, readLetter } from "./receive.ts";
import { letterNameFor, type Sent, send } from "./send.ts";
import { forget } from "./tried.ts";

/** The letter of this id in one's own mailbox, read or not. Throws MeshError NO_SUCH_MESSAGE. */
export function ownLetter(id: string, messageId: string): Letter {
  const unique = uniqueNameOf(messageId.trim());
  const letter = isSafeName(unique) ? readLetter(id, unique) : undefined;
  if (letter) return letter;
  throw new MeshError(
    "NO_SUCH_MESSAGE",
    `can't reply to '${messageId}': no such message in this mailbox`,
    "take the id from the letter's first line",
  );
}

/**
 * Sends `body` as the answer to a letter in the mailbox of `from`, and flags that letter R. The first answer wakes the
 * one who asked; further ones, and answers to what asked nothing, are for their next prompt.
 * Throws MeshError NO_SUCH_MESSAGE, NO_SUCH_PEER if there is nobody to answer, TOO_FAR, TOO_FAST, REPEATED, or as send.
 */
export function reply(from: Address, messageId: string, body: string, byModel: boolean): Sent {
  const { message, unique } = ownLetter(from.id, messageId);
  const to = sender(message);
  const place = locate(mailbox(from.id), unique);
  const isAwaitedThere = isAwaited(to.id, uniqueNameOf(message.id));
  const isFirst = !(place?.at === "cur" && place.flags.includes("R"));
  const asks = message.kind === "question" || message.kind === "task";
  const answer = letterNameFor([to]);
  noteAnswer(from.id, unique, answer);
  const sent = send({
    unique: answer,
    from,
    to: [to],
    body,
    kind: "answer",
    ...(isFirst && asks ? {} : { priority: "low" as const }),
    inReplyTo: message.id,
    references: [...message.references, message.id].slice(-50),
    // A word of the human's begins anew.
    hops: byModel ? message.hops + 1 : 0,
    byModel,
    closes: isFirst && asks,
  });
  if (["you", SHELL].includes(to.id) && !isAwaitedThere) notifyOfLetter(sent.unique, from.name, subjectOf(body));
  if (place?.at === "new") collect(mailbox(from.id), unique);
  mark(mailbox(from.id), unique, "RS");
  forget(from.id, unique);
  settleAnswer(from.id, unique);
  return sent;
}

function sender(message: Message): Recipient {
  if (!message.from || message.from.id === "claudemesh")
    throw new MeshError(
      "NO_SUCH_PEER",
      "can't reply: the message says of nobody who sent it",
      "write to somebody by name: claudemesh list",
    );
  const peer = readPeer(message.from.id);
  if (!peer && !["you", SHELL].includes(message.from.id))
    throw new MeshError(
      "NO_SUCH_PEER",
      `can't reply to ${message.from.name}: that session is forgotten`,
      "write to somebody who is there: claudemesh list",
    );
  return { ...message.from, ...(peer ? { peer } : {}) };
}
