// The supervisor's bell: chooses what to type and holds it as collected until the prompt hook has seen it. How to type
// safely is the typist's business; it comes in as a function. A better bell goes first.

import { safeConfig } from "../mesh/config.ts";
import { handedNames } from "../mesh/handed.ts";
import { mailbox } from "../mesh/home.ts";
import { log } from "../mesh/log.ts";
import { claim, isOurName } from "../mesh/maildir.ts";
import { readPeer } from "../mesh/peers.ts";
import { NOTICE_POSTED, notePosted } from "../mesh/posted.ts";
import { isWaking, type Letter, peek, STILL, take } from "../mesh/receive.ts";
import { mayRing, noteTried, triesIn } from "../mesh/tried.ts";
import { oneAtATime } from "../mesh/watch.ts";
import { CONTEXT_LIMIT, frame, frameLength, notice, SENTINEL, shortFrame, summaryLine, traceOf } from "./prompt.ts";
import { CLAIM, confirmed, type Ringer, unpost } from "./ringer.ts";
import { destinationOf, expectsInbox, stateOf } from "./session.ts";

/** Types a prompt; `begin` is called when the way is clear, false from it calls it off; `withdraw` once Enter is out of the question. */
export type Type = (
  text: string,
  begin?: () => boolean,
  withdraw?: () => void,
) => Promise<"entered" | "not clear" | "withdrawn">;

/** How long, in ms, the inbox socket gets before typing is tried in its place. */
const BETTER_FIRST = 6000;

/** A ringer that types. `tell` is called once with what could not be typed. */
export function createTypingBell(id: string, type: Type, tell: (words: string) => void): Ringer {
  let stopped = false;
  let waitingSince: number | undefined;
  let misses = 0;
  let notBefore = 0;
  let told = "";

  async function round(): Promise<void> {
    const peer = readPeer(id);
    const state = peer && stateOf(peer).state;
    if (stopped || !peer || state !== "idle") return;
    const { letters, unready } = peek(id);
    // Where no hook has run, none would confirm what was typed.
    if (!peer.hooked) return;
    const tries = triesIn(id);
    const waking = letters.filter((letter) => isWaking(letter) && mayRing(tries.get(letter.unique)));
    if (unready) again(STILL);
    if (!waking.length) {
      waitingSince = undefined;
      misses = notBefore = 0;
      return;
    }
    waitingSince ??= performance.now();
    const wait = waitingSince + BETTER_FIRST - performance.now();
    if (expectsInbox(peer) && wait > 0) return again(wait);
    if (performance.now() < notBefore) return;
    // What the client may have thrown away is decided about first, or a later letter of its sender would overtake it.
    if (handedNames(id).length) return again(500);
    if (await deliver(waking)) misses = 0;
    else {
      const first = waking[0]?.unique ?? "";
      if (told !== first) tell(summaryLine(waking));
      told = first;
      const rest = Math.min(15_000, 500 * 2 ** misses++);
      notBefore = performance.now() + rest;
      again(rest + 1);
    }
  }

  /** One prompt typed. False: it could not be, or no hook saw it. */
  async function deliver(waking: Letter[]): Promise<boolean> {
    const { inject } = safeConfig();
    const [only, ...more] = waking;
    if (!only) return true;
    // Another program's name changes when the letter is collected: then what is typed can't carry it.
    const isWhole = isOurName(only.unique) && (inject === "body" || (inject === "auto" && !more.length));
    const whole = isWhole ? (inject === "body" ? frame(only) : shortFrame(only)) : undefined;
    if (whole === undefined) return announce(waking);
    const note = () => {
      const peer = readPeer(id);
      notePosted(id, only.unique, traceOf(only, whole, peer ? destinationOf(peer) : { pid: 0 }));
    };
    return hold(whole, [only], note);
  }

  /** Types one line and holds the letters that it announces; the prompt hook attaches them. */
  async function announce(waking: Letter[]): Promise<boolean> {
    let room = CONTEXT_LIMIT;
    const some = waking.filter((letter) => {
      room -= frameLength(letter);
      return room > 0;
    });
    const line = safeConfig().inject === "sentinel" ? SENTINEL : notice(some);
    return hold(line, some, (names) => notePosted(id, NOTICE_POSTED, names));
  }

  /** Types a text once the letters it stands for have been collected, and waits until the hook has seen them. */
  async function hold(text: string, letters: Letter[], post: (names: string[]) => void): Promise<boolean> {
    let taken: Letter[] = [];
    let typed: Awaited<ReturnType<Type>> = "not clear";
    // At once, not when the paste has been cut: a prompt of the user's may be under way, and take them along.
    const putBack = () => unpost(id, taken.splice(0));
    const begin = () => {
      taken = take(id, ({ unique }) => letters.some((l) => l.unique === unique));
      // Less than was announced: another bell was quicker with the rest.
      if (taken.length !== letters.length) return false;
      const names = taken.map(({ unique }) => unique);
      noteTried(id, names, "supervisor");
      post(names);
      return true;
    };
    // As long as the client stands still its Enter may yet take effect: the letter must not count as orphaned.
    let timer: NodeJS.Timeout | undefined;
    const keep = () => {
      for (const { unique } of taken) claim(mailbox(id), unique);
      timer = setTimeout(keep, CLAIM).unref();
    };
    keep();
    try {
      typed = await type(text, begin, putBack);
    } finally {
      clearTimeout(timer);
      if (typed !== "entered") putBack();
    }
    if (typed !== "not clear") log("typed", id, typed, ...letters.map(({ unique }) => unique));
    return typed === "entered" && confirmed(id, taken);
  }

  const { look, settled } = oneAtATime("type", round);
  const again = (ms: number) => void setTimeout(look, ms).unref();
  return {
    look,
    async stop() {
      stopped = true;
      await settled();
    },
  };
}
