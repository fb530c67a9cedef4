// Rings for mail that waits while the session is idle: through its inbox socket where there is one, else by its bell
// file. A post is held as collected until the UserPromptSubmit hook has seen it; unseen after 3 s, it is put back, and no
// bell posts or types it again (tried.ts). Nothing is ever queued inside the client: while it is busy or at a dialog, the
// mail stays in new/.

import { setTimeout as pause } from "node:timers/promises";
import { errnoOf } from "../errors.ts";
import { safeConfig } from "../mesh/config.ts";
import { handedNames } from "../mesh/handed.ts";
import { mailbox } from "../mesh/home.ts";
import { log } from "../mesh/log.ts";
import { claim, locate, putBack, ring } from "../mesh/maildir.ts";
import { type Peer, readPeer } from "../mesh/peers.ts";
import { clearPosted, NOTICE_POSTED, notePosted } from "../mesh/posted.ts";
import { isWaking, type Letter, peek, STILL, take } from "../mesh/receive.ts";
import { clearTried, mayAnnounce, mayRing, noteTried, triesIn } from "../mesh/tried.ts";
import { oneAtATime } from "../mesh/watch.ts";
import { waitWhile } from "../wait.ts";
import { post } from "./inbox-socket.ts";
import { BODY_LIMIT, frame, frameLength, frames, notice, senders, traceOf } from "./prompt.ts";
import { destinationOf, isOpening, sessionOf, stateOf } from "./session.ts";

// Every wait here is counted by a clock that nobody sets: the other one may be put back by an hour.

/** How long, in ms, a post may take to be seen by the hook. */
export const CONFIRM = 3000;
/** At most one batch in so many ms. */
const PACE = 1000;
/** After a post that never arrived the socket is left alone for so many ms. */
const MISTRUST = 60_000;

/** Takes back what was collected for a bell that certainly did not ring: no hook needs to look for it, and it was no try. */
export function unpost(id: string, letters: Letter[]): void {
  if (letters.length) clearPosted(id, NOTICE_POSTED);
  for (const { unique } of letters) {
    clearPosted(id, unique);
    clearTried(id, unique);
    putBack(mailbox(id), unique);
  }
}

/** How often, in ms, a letter is claimed anew while the client has it: well before it would count as orphaned. */
export const CLAIM = 5000;

/**
 * Waits until a hook has seen every letter, at most `ms` of the time that the session is idle; puts the others back.
 * True if all arrived. While it is busy or asks its user, the client has what was posted, and shows it between two
 * tool calls or later: put back, it would be shown twice.
 */
export async function confirmed(id: string, letters: Letter[], ms: number = CONFIRM): Promise<boolean> {
  const box = mailbox(id);
  const unseen = () => {
    const handed = new Set(handedNames(id));
    return letters.filter((l) => {
      if (handed.has(l.unique)) return false;
      const place = locate(box, l.unique);
      return place?.at === "new" || (place?.at === "cur" && place.flags === "");
    });
  };
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
    // Where no hook has run, none would confirm what was posted.
    if (!peer?.hooked) return;
    const isIdle = stateOf(peer).state === "idle";
    begun ||= !isIdle || !isOpening(peer);
    if (!begun) setTimeout(look, 500).unref();
    if (!isIdle || !begun) return;
    const { letters, unready } = peek(id);
    if (unready) setTimeout(look, STILL).unref();
    const tries = triesIn(id);
    const waking = letters.filter(isWaking);
    const fresh = waking.filter(({ unique }) => mayRing(tries.get(unique)));
    if (!waking.some(({ unique }) => mayAnnounce(tries.get(unique)))) {
      rings = 0;
      return;
    }
    // What the client may have thrown away is decided about first, or a later letter of its sender would overtake it.
    if (handedNames(id).length) {
      setTimeout(look, 500).unref();
      return;
    }
    const socket =
      safeConfig().bells.includes("inbox") && performance.now() >= mistrustedUntil
        ? sessionOf(peer)?.socket
        : undefined;
    if (fresh.length && push && safeConfig().bells.includes("channel") && performance.now() >= unheardUntil)
      await byChannel(fresh, push);
    else if (fresh.length && socket) await byInbox(peer, socket);
    else byBell(id);
  }

  /** A line that says whose mail waits; the letters stay in new/ until a hook or read_inbox takes them. */
  async function byChannel(letters: Letter[], tell: (line: string) => Promise<void>): Promise<void> {
    notePosted(id, NOTICE_POSTED);
    noteTried(
      id,
      letters.map(({ unique }) => unique),
      "channel",
    );
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
    const tries = triesIn(id);
    const letters = take(id, (letter) => {
      if (!isWaking(letter) || !mayRing(tries.get(letter.unique))) return false;
      room -= frameLength(letter);
      return room > 0 || "stop";
    });
    if (!letters.length) return;
    lastPost = performance.now();
    try {
      const now = Date.now();
      const to = destinationOf(peer);
      noteTried(
        id,
        letters.map(({ unique }) => unique),
        "inbox",
      );
      for (const letter of letters) notePosted(id, letter.unique, traceOf(letter, frame(letter, now), to));
      await post(socket, frames(letters, now), senders(letters));
      if (await confirmed(id, letters)) return;
      log("post-unseen", id, ...letters.map((l) => l.unique));
    } catch (error) {
      log("post-failed", id, String(error));
      // Cut off later than that, some of it may have arrived.
      if (["ENOENT", "ECONNREFUSED", "EACCES", "ENOTSOCK"].includes(errnoOf(error) ?? "")) unpost(id, letters);
      else await confirmed(id, letters);
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
