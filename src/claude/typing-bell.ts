// The supervisor's bell: chooses what to type and holds it as collected until the prompt hook has seen it. How to type
// safely is the typist's business; it comes in as a function. A better bell goes first.

import { mailbox } from "../mesh/home.ts";
import { log } from "../mesh/log.ts";
import { locate } from "../mesh/maildir.ts";
import { readPeer } from "../mesh/peers.ts";
import { isWaking, type Letter, peek, STILL, take } from "../mesh/receive.ts";
import { oneAtATime } from "../mesh/watch.ts";
import { NOTICE_POSTED, notePosted } from "./posted.ts";
import { frame, notice, SENTINEL, shortFrame, summaryLine } from "./prompt.ts";
import { CONFIRM, confirmed, type Ringer, unpost } from "./ringer.ts";
import { bellOf, safeConfig, stateOf } from "./session.ts";

/** Types a prompt; `begin` is called when the way is clear, false from it calls it off. */
export type Type = (text: string, begin?: () => boolean) => Promise<"entered" | "not clear" | "withdrawn">;

/** How long, in ms, the inbox socket gets before typing is tried in its place. */
const BETTER_FIRST = 6000;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

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
    const waking = letters.filter(isWaking);
    if (unready) again(STILL);
    if (!waking.length) {
      waitingSince = undefined;
      misses = notBefore = 0;
      return;
    }
    waitingSince ??= Date.now();
    const wait = waitingSince + BETTER_FIRST - Date.now();
    if (bellOf(peer) === "inbox" && wait > 0) return again(wait);
    if (Date.now() < notBefore) return;
    if (await deliver(waking)) misses = 0;
    else {
      const first = waking[0]?.unique ?? "";
      if (told !== first) tell(summaryLine(waking));
      told = first;
      const rest = Math.min(15_000, 500 * 2 ** misses++);
      notBefore = Date.now() + rest;
      again(rest + 1);
    }
  }

  /** One prompt typed. False: it could not be, or no hook saw it. */
  async function deliver(waking: Letter[]): Promise<boolean> {
    const { inject } = safeConfig();
    const [only, ...more] = waking;
    if (!only) return true;
    const whole = inject === "body" ? frame(only) : inject === "auto" && !more.length ? shortFrame(only) : undefined;
    if (whole === undefined) return announce(inject === "sentinel" ? SENTINEL : notice(waking), waking);
    let taken: Letter[] = [];
    let typed: Awaited<ReturnType<Type>> = "not clear";
    try {
      typed = await type(whole, () => {
        taken = take(id, (letter) => letter.unique === only.unique);
        for (const { unique } of taken) notePosted(id, unique);
        return taken.length > 0;
      });
    } finally {
      if (typed !== "entered") unpost(id, taken);
    }
    if (typed !== "not clear") log("typed", id, typed, only.unique);
    return typed === "entered" && confirmed(id, taken);
  }

  /** Types one line; the prompt hook attaches the letters, which stay in new/ until then. */
  async function announce(line: string, waking: Letter[]): Promise<boolean> {
    notePosted(id, NOTICE_POSTED);
    const typed = await type(line);
    if (typed !== "not clear") log("typed", id, typed, `${waking.length} announced`);
    if (typed !== "entered") return false;
    const waits = () => waking.some((l) => locate(mailbox(id), l.unique)?.at === "new");
    for (const end = Date.now() + CONFIRM; waits() && Date.now() < end; ) await pause(20);
    return !waits();
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
