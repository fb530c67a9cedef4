// Rings for mail that waits while the session is idle: through its inbox socket where there is one, else by its bell
// file. A post is held as collected until the UserPromptSubmit hook has seen it; unseen after 3 s, it is put back.
// Nothing is ever queued inside the client: while it is busy or at a dialog, the mail stays in new/.

import { setTimeout as pause } from "node:timers/promises";
import { safeConfig } from "../mesh/config.ts";
import { mailbox } from "../mesh/home.ts";
import { log } from "../mesh/log.ts";
import { claim, locate, putBack, ring } from "../mesh/maildir.ts";
import { type Peer, readPeer } from "../mesh/peers.ts";
import { clearPosted, NOTICE_POSTED, notePosted } from "../mesh/posted.ts";
import { isWaking, type Letter, peek, STILL, take } from "../mesh/receive.ts";
import { oneAtATime } from "../mesh/watch.ts";
import { waitWhile } from "../wait.ts";
import { post } from "./inbox-socket.ts";
import { BODY_LIMIT, frame, frameLength, frames, notice, senders, traceOf } from "./prompt.ts";
import { isOpening, sessionOf, stateOf } from "./session.ts";

// Every wait here is counted by a clock that nobody sets: the other one may be put back by an hour.

/** How long, in ms, a post may take to be seen by the hook. */
export const CONFIRM = 3000;
/** At most one batch in so many ms. */
const PACE = 1000;
/** After a post that never arrived the socket is left alone for so many ms. */
const MISTRUST = 60_000;

/** Takes back what was collected for a bell that did not ring after all: no hook needs to look for it. */
export function unpost(id: string, letters: Letter[]): void {
  if (letters.length) clearPosted(id, NOTICE_POSTED);
  for (const { unique } of letters) {
    clearPosted(id, unique);
    putBack(mailbox(id), unique);
  }
}

/** How often, in ms, a letter is claimed anew while the client has it: well before it would count as orphaned. */
const CLAIM = 5000;

/**
 * Waits until the hook has marked every letter, at most `ms` of the time that the session is idle; puts the others back.
 * True if all were seen. While it is busy or asks its user, the client has what was posted, and shows it between two
 * tool calls or later: put back, it would be shown twice.
 */
export async function confirmed(id: string, letters: Letter[], ms: number = CONFIRM): Promise<boolean> {
  const box = mailbox(id);
  const unseen = () =>
    letters.filter((l) => {
      const place = locate(box, l.unique);
      return place?.at === "new" || (place?.at === "cur" && place.flags === "");
    });
  let idle = 0;
  let claimed = performance.now();
  for (let last = claimed; unseen().length && idle < ms; ) {
    await pause(20);
    const now = performance.now();
    const peer = readPeer(id);
    const state = peer ? stateOf(peer).state : "gone";
    if (state !== "busy" && state !== "asking") idle += now - last;
    last = now;
    if (now - claimed < CLAIM) continue;
    for (const { unique } of unseen()) claim(box, unique);
    claimed = now;
  }
  const left = unseen();
  for (const letter of left) putBack(box, letter.unique);
  return left.length === 0;
}

export interface Ringer {
  /** Look again: mail or the session's status may have changed. */
  look(): void;
  /** Resolves when nothing is on its way; rings no more. */
  stop(): Promise<void>;
}

/** A ringer for one session; `look` is called at every change of its mailbox or of its session file. */
export function createRinger(id: string, push?: (line: string) => Promise<void>): Ringer {
  let stopped = false;
  let begun = false;
  let lastPost = -PACE;
  let mistrustedUntil = 0;
  let unheardUntil = 0;
  let lastRing = Number.NEGATIVE_INFINITY;
  let rings = 0;

  async function round(): Promise<void> {
    const peer = readPeer(id);
    if (!peer) return;
    const isIdle = stateOf(peer).state === "idle";
    begun ||= !isIdle || !isOpening(peer);
    if (!begun) setTimeout(look, 500).unref();
    if (!isIdle || !begun) return;
    const { letters, unready } = peek(id);
    if (unready) setTimeout(look, STILL).unref();
    if (!letters.some(isWaking)) {
      rings = 0;
      return;
    }
    const socket =
      safeConfig().bells.includes("inbox") && performance.now() >= mistrustedUntil
        ? sessionOf(peer)?.socket
        : undefined;
    if (push && safeConfig().bells.includes("channel") && performance.now() >= unheardUntil)
      await byChannel(letters, push);
    else if (socket) await byInbox(peer, socket);
    else byBell(id);
  }

  /** A line that says whose mail waits; the letters stay in new/ until a hook or read_inbox takes them. */
  async function byChannel(letters: Letter[], tell: (line: string) => Promise<void>): Promise<void> {
    notePosted(id, NOTICE_POSTED);
    await tell(notice(letters));
    const waits = () => letters.some((l) => locate(mailbox(id), l.unique)?.at === "new");
    await waitWhile(waits, CONFIRM);
    if (!waits()) return;
    log("push-unheard", id);
    unheardUntil = performance.now() + MISTRUST;
    look();
  }

  async function byInbox(peer: Peer, socket: string): Promise<void> {
    await pause(Math.max(0, lastPost + PACE - performance.now()));
    if (stopped || stateOf(peer).state !== "idle") return;
    let room = BODY_LIMIT + 1000;
    const letters = take(id, (letter) => {
      if (!isWaking(letter)) return false;
      room -= frameLength(letter);
      return room > 0 || "stop";
    });
    if (!letters.length) return;
    lastPost = performance.now();
    try {
      const now = Date.now();
      for (const letter of letters) notePosted(id, letter.unique, traceOf(letter, frame(letter, now)));
      await post(socket, frames(letters, now), senders(letters));
      if (await confirmed(id, letters)) return;
      log("post-unseen", id, ...letters.map((l) => l.unique));
    } catch (error) {
      unpost(id, letters);
      log("post-failed", id, String(error));
    }
    mistrustedUntil = performance.now() + MISTRUST;
    setTimeout(look, MISTRUST).unref();
  }

  /** The deliverer rang already, but perhaps while the session was busy: again, ever more seldom while nothing comes of it. */
  function byBell(mailboxId: string): void {
    const wait = Math.min(60_000, 2000 * 2 ** rings) - (performance.now() - lastRing);
    if (wait > 0) {
      setTimeout(look, wait).unref();
      return;
    }
    rings++;
    lastRing = performance.now();
    if (safeConfig().bells.includes("watcher")) ring(mailbox(mailboxId));
  }

  const { look, settled } = oneAtATime("ring", async () => {
    if (!stopped) await round();
  });

  return {
    look,
    async stop() {
      stopped = true;
      await settled();
    },
  };
}
