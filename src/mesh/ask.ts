// A question, and standing by until its answer comes. The answer is left in new/ for the one who waits; whoever gives
// up, or dies, leaves it to be mail like any other.

import { MeshError } from "../errors.ts";
import type { Recipient } from "./address.ts";
import { startWaiting, stopWaiting } from "./awaited.ts";
import { mailbox, openHome } from "./home.ts";
import { listNew, makeMailbox, ring } from "./maildir.ts";
import { type Address, uniqueName } from "./message.ts";
import { markSeen } from "./owed.ts";
import { isAlive, readPeer } from "./peers.ts";
import { type Letter, takeAnswer } from "./receive.ts";
import { send } from "./send.ts";
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
 * Asks and waits, at most `timeout` ms or until `signal`. `waiting` is told the message id once the question is sent.
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
  }: { byModel: boolean; timeout: number; signal?: AbortSignal; waiting?: (messageId: string) => void },
): Promise<Asked> {
  openHome();
  makeMailbox(mailbox(from.id));
  const unique = uniqueName();
  // Before it is sent: the answer may be there at once.
  startWaiting(from.id, unique);
  try {
    const { message_id } = send({ from, to: [to], body, kind: "question", unique, byModel });
    waiting?.(message_id);
    const answer = await answered(from.id, to, unique, timeout, signal);
    if (answer.message.kind === "bounce") {
      markSeen(from.id, [answer]);
      throw new MeshError("FAILED", `can't get an answer from ${to.name}: ${reasonOf(answer)}`);
    }
    return { message_id, answer, shown: () => markSeen(from.id, [answer]) };
  } finally {
    stopWaiting(from.id, unique);
    // What came in the last moment is mail now: somebody should look.
    if (listNew(mailbox(from.id)).length) ring(mailbox(from.id));
  }
}

async function answered(
  id: string,
  to: Recipient,
  unique: string,
  timeout: number,
  signal?: AbortSignal,
): Promise<Letter> {
  const late = "the answer will come by mail";
  let stop = () => {};
  let watching: Awaited<ReturnType<typeof watch>> | undefined;
  const timers: NodeJS.Timeout[] = [];
  try {
    return await new Promise<Letter>((resolve, reject) => {
      const give = (message: string) =>
        reject(new MeshError("NOT_ANSWERED", `no answer from ${to.name} yet: ${message}`, late));
      stop = () => give("nobody waits any more");
      signal?.addEventListener("abort", stop);
      const look = () => {
        const letter = takeAnswer(id, unique);
        if (letter) resolve(letter);
      };
      timers.push(setTimeout(() => give(`${Math.round(timeout / 1000)} s are over`), timeout));
      const check = () => {
        const peer = to.peer && readPeer(to.peer.id);
        if (to.peer && (!peer || !isAlive(peer))) give("it has ended; the question waits for its return");
      };
      timers.push(setInterval(check, CHECK));
      watch(`${mailbox(id)}/new`, look, { make: () => makeMailbox(mailbox(id)) }).then((w) => {
        watching = w;
        check();
        look();
      }, reject);
    });
  } finally {
    signal?.removeEventListener("abort", stop);
    for (const timer of timers) clearTimeout(timer);
    await watching?.close();
  }
}

const reasonOf = ({ message }: Letter) => /not delivered: ([^\n]+?)\.?$/m.exec(message.body)?.[1] ?? message.subject;
