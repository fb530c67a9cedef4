// A question, and standing by until its answer comes. The answer is left in new/ for the one who waits; whoever gives
// up, or dies, leaves it to be mail like any other.

import { MeshError } from "../errors.ts";
import type { Recipient } from "./address.ts";
import { startWaiting, stopWaiting } from "./awaited.ts";
import { mailbox, openHome } from "./home.ts";
import { noticeDeaths } from "./join.ts";
import { log } from "./log.ts";
import { keepMailbox, listNew, locate, makeMailbox, ring } from "./maildir.ts";
import type { Address } from "./message.ts";
import { markSeen } from "./owed.ts";
import { isAlive, readPeer } from "./peers.ts";
import { type Letter, receiptIn, takeAnswer } from "./receive.ts";
import { letterNameFor, send } from "./send.ts";
import { mailJoined } from "./turn.ts";
import { watch } from "./watch.ts";

export interface Asked {
  message_id: string;
  answer: Letter;
  /** marks the answer: to be called once it has been handed on */
  shown(): void;
}

/** How often, in ms, it is looked whether the one who is asked is still there. */
const CHECK = 5000;

/**
 * Asks and waits, at most `timeout` ms or until `signal`. `waiting` is told the message id once the question is sent,
 * `held`, once, why the question was tried and now waits for the recipient's next prompt.
 * Throws MeshError NOT_ANSWERED when the time is over, or the one asked is gone: an answer then still comes as mail;
 * or FAILED with the reason if the question bounced; or as send.
 */
export async function ask(
  from: Address,
  to: Recipient,
  body: string,
  {
    byModel,
    timeout,
    signal,
    waiting,
    held,
  }: {
    byModel: boolean;
    timeout: number;
    signal?: AbortSignal;
    waiting?: (messageId: string) => void;
    held?: (why: string) => void;
  },
): Promise<Asked> {
  openHome();
  makeMailbox(mailbox(from.id));
  const unique = letterNameFor([to]);
  // Before it is sent: the answer may be there at once.
  startWaiting(from.id, unique);
  try {
    const { message_id } = send({ from, to: [to], body, kind: "question", unique, byModel });
    waiting?.(message_id);
    const answer = await answered(from.id, to, unique, timeout, signal, held);
    if (answer.message.kind === "bounce") {
      markSeen(from.id, [answer]);
      throw new MeshError("FAILED", `can't get an answer from ${to.name}: ${reasonOf(answer)}`);
    }
    if (byModel) mailJoined(from.id, [answer]);
    return { message_id, answer, shown: () => markSeen(from.id, [answer]) };
  } finally {
    stopWaiting(from.id, unique);
    // What came in the last moment is mail now: somebody should look.
    if (listNew(mailbox(from.id)).length) ring(mailbox(from.id));
  }
}

/** The answer or the bounce, collected. Rejects with MeshError NOT_ANSWERED. */
async function answered(
  id: string,
  to: Recipient,
  unique: string,
  timeout: number,
  signal?: AbortSignal,
  held?: (why: string) => void,
): Promise<Letter> {
  const timers: NodeJS.Timeout[] = [];
  let isOver = false;
  let isTold = false;
  let look = () => {};
  const watching = watch(`${mailbox(id)}/new`, () => look(), { make: () => keepMailbox(mailbox(id)) });
  try {
    return await new Promise<Letter>((resolve, reject) => {
      const give = (message: string) =>
        reject(
          new MeshError("NOT_ANSWERED", `no answer from ${to.name} yet: ${message}`, "the answer will come by mail"),
        );
      look = () => {
        const letter = isOver ? undefined : takeAnswer(id, unique);
        if (letter) resolve(letter);
      };
      const stop = () => give("nobody waits any more");
      if (signal?.aborted) return stop();
      signal?.addEventListener("abort", stop, { once: true });
      timers.push(setTimeout(() => give(`${Math.round(timeout / 1000)} s are over`), Math.min(timeout, MOST_MS)));
      const check = () => {
        if (isOver) return;
        startWaiting(id, unique);
        const receipt = isTold ? undefined : receiptIn(to.id, unique);
        const why = receipt?.state === "queued" ? receipt.reason : undefined;
        if (why) held?.(why);
        isTold ||= why !== undefined;
        void whenGone(to, unique, look).then((why) => why && give(why), reject);
      };
      timers.push(setInterval(check, CHECK));
      watching.then(check, reject);
      look();
    });
  } finally {
    isOver = true;
    for (const timer of timers) clearTimeout(timer);
    await (await watching.catch(() => undefined))?.close();
  }
}

/** The longest, in ms, that a timer can count: 24 days. */
const MOST_MS = 2 ** 31 - 1;

/** Why no answer will come from one who has ended; undefined while it lives. What it owed bounces first. */
async function whenGone(to: Recipient, unique: string, look: () => void): Promise<string | undefined> {
  const alive = () => {
    const peer = to.peer && readPeer(to.peer.id);
    return !to.peer || (peer !== undefined && isAlive(peer));
  };
  if (alive()) return undefined;
  // Its asker hears of it by a bounce; whoever else notices first sends that, too.
  await noticeDeaths().catch((error: unknown) => log("ask-error", String(error)));
  look();
  const place = locate(mailbox(to.id), unique);
  if (place && !(place.at === "cur" && place.flags)) return "it has ended; the question waits for its return";
  return "it has ended";
}

const reasonOf = ({ message }: Letter) =>
  / was not (?:delivered|answered): ([^\n]+?)\.?$/m.exec(message.body)?.[1] ?? message.subject;
