// Brakes against two models that talk each other into a loop, on disk so that they outlive a restart: how far mail has
// answered mail, how often two sessions have gone to and fro, the same letter again. What a person began is not slowed.
//
// inbox/<a>/counted/<b>/<n> -> "<ms> <sender> <as> <digest> <unique name>": the n-th letter between a and b (a sorts first), a link
// that leads nowhere, for it is made in one step with what it says, and fails if another process made the n-th first:
// who decides by 1 to n-1 and makes n has decided by all there was, however many send at once. So the last is kept.

import { readlinkSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, ignore, MeshError } from "../errors.ts";
import { namesIn } from "./files.ts";
import { mailbox, makeDir } from "./home.ts";
import { log } from "./log.ts";
import { isSafeName, locate } from "./maildir.ts";
import { type Turn, touchedAt } from "./turn.ts";

/** How many times mail may be sent in answer to mail, one letter because of the other. */
export const MOST_HOPS = 20;
/** How often two sessions may go to and fro within MINUTE ms; letters with none of the other's in between are one. */
export const MOST_A_MINUTE = 20;
/** Letters from one session to another within MINUTE ms, whatever they are. */
export const FLOOD = 200;
/**
 * How often within an hour, and within a day, two sessions may write to each other because of mail while nobody has
 * given either a prompt or a letter. A chain of mail ends after MOST_HOPS, so this is for what begins chains without a
 * person (a script that drops files, timers) and for letters that come in turns that never end. A letter counts if it
 * is no answer and other mail than an answer has been shown to its sender since the last: so all that goes to one
 * recipient at once is one, and what a person asks for hardly ever comes here, nor do questions one after the other or
 * the answers to any number of tasks. Sixty is once a minute for an hour on end, of two that nobody looks at; at the
 * pace of models, whose turns take some seconds, a loop comes there within minutes. 240 is ten an hour round the clock:
 * room for a report every few minutes over a night, not for a loop that is slow enough for the hour's.
 */
export const MOST_AN_HOUR = 60;
export const MOST_A_DAY = 240;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** An identical body to the same recipient within so many ms is a repeat. */
export const REPEAT = 10_000;
/** What another process noted may be ahead of this one's clock by so many ms; further ahead, the clock was set back. */
const SKEW = 5000;
/** Each attempt in vain is another process's success; more than so many, and the file system does not show what is there. */
const MOST_ATTEMPTS = 1000;

/**
 * What a letter counts as: `answer` closes a question or a task; `round` was sent because of mail, `again` as well but no
 * mail has been shown to its sender since the last; `person` is what else is sent by a person or in his turn; `void`
 * never went.
 */
type As = "answer" | "person" | "round" | "again" | "void";

interface Entry {
  n: number;
  at: number;
  from: string;
  as: As;
  what: string;
  unique: string;
}

/** One letter on its way from a session or the human to some mailboxes. */
export interface Passage {
  from: string;
  to: string[];
  unique: string;
  /** by what it is known as the same again */
  what: string;
  /** what began the turn in which a model sends it; left out for the human's letters: of those only repeats are refused */
  turn?: Turn | undefined;
  /** it closes a question or a task */
  closes?: boolean | undefined;
}

/**
 * The hops of a letter: those it has in its thread or, if that is more, one more than the mail has that began the turn.
 * Throws MeshError TOO_FAR past MOST_HOPS, but not for the human, whom mail wakes to nothing, nor because of what else
 * came with the question, or the task, that the letter closes.
 */
export function hopsFor({ turn, to, closes }: Passage, inThread: number): number {
  if (!turn) return inThread;
  if (to.every((id) => id === "you")) return Math.min(inThread, MOST_HOPS);
  const inTurn = turn.hops === undefined ? 0 : turn.hops + 1;
  const all = Math.max(inThread, closes ? Math.min(inTurn, MOST_HOPS) : inTurn);
  if (all > MOST_HOPS)
    throw new MeshError("TOO_FAR", `can't send: mail has gone to and fro ${MOST_HOPS} times with no word of a person`);
  return all;
}

/**
 * Counts one more letter, and gives what takes that back for a recipient who did not get it. Throws MeshError REPEATED if all of the recipients were just
 * sent the same; TOO_FAST if it is one too many within a minute for one of them, TOO_FAR within an hour or a day:
 * then it counts for none.
 */
export function countSend(passage: Passage, clock: () => number = Date.now): (id: string) => void {
  const to = [...new Set(passage.to)].sort();
  for (let attempts = 0; attempts < MOST_ATTEMPTS; attempts++) {
    const pairs = to.map((id) => pairOf(passage.from, id));
    const now = clock();
    check(passage, pairs, now);
    const counted: { pair: Pair; n: number }[] = [];
    const takeBack = (only?: string) => {
      for (const { pair, n } of counted)
        if (only === undefined || pair.ids[1] === only) replaceLink(pair, n, textOf(now, passage, "void"));
    };
    const isTaken = pairs.every((pair) => {
      const n = (pair.entries.at(-1)?.n ?? 0) + 1;
      const made = makeLink(pair, n, textOf(now, passage, kindOf(passage, pair)));
      if (made) counted.push({ pair, n });
      return made;
    });
    if (isTaken) {
      for (const pair of pairs) prune(pair, now);
      return takeBack;
    }
    // Another process was quicker with one of them: what it sent may leave no room for this.
    takeBack();
  }
  throw new Error(`can't count a letter from ${passage.from} to ${to.join(", ")}: others are always quicker`);
}

interface Pair {
  dir: string;
  /** both ids, the sender's first */
  ids: [from: string, to: string];
  /** oldest first; those that are no record of ours have no time */
  entries: Entry[];
}

function pairOf(from: string, to: string): Pair {
  const [first = "", second = ""] = [from, to].map((id) => id.replace(/[/\0]/g, "-")).sort();
  const dir = join(mailbox(first), "counted", second);
  const numbers = namesIn(dir).filter((name) => /^\d{1,15}$/.test(name));
  const entries = numbers
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((n) => {
      const text = ignore(["ENOENT"], () => ignore(["EINVAL"], () => readlinkSync(join(dir, String(n)))) ?? "");
      if (text === undefined) return [];
      const [at, sender = "", as, what = "", unique = ""] = text.split(" ");
      return { n, at: Number(at) || 0, from: sender, as: as as As, what, unique };
    });
  return { dir, ids: [from, to], entries };
}

const textOf = (at: number, { from, what, unique }: Passage, as: As) =>
  `${at} ${from.replace(/\s/g, "_")} ${as} ${digestOf(what)} ${unique}`;

/** False: another process has made it. */
function makeLink({ dir }: Pair, n: number, text: string): boolean {
  for (;;)
    try {
      symlinkSync(text, join(dir, String(n)));
      return true;
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return false;
      if (errnoOf(error) !== "ENOENT") throw error;
      makeDir(dir);
    }
}

/** Never removed: its number would be given twice. */
function replaceLink({ dir }: Pair, n: number, text: string): void {
  const temp = join(dir, `.${n}.${process.pid}`);
  try {
    symlinkSync(text, temp);
    renameSync(temp, join(dir, String(n)));
  } catch (error) {
    // It counts, though it never went: who tries again may have to wait.
    log("brakes-error", dir, String(error));
  }
}

function kindOf({ turn, closes }: Passage, { ids: [from, to], entries }: Pair): As {
  if (closes) return "answer";
  if (!turn || to === "you" || (turn.hops === undefined && !turn.shown)) return "person";
  const last = entries.findLast((e) => isFrom(e, from) && e.as !== "answer" && e.as !== "void");
  return last && last.at >= turn.shown ? "again" : "round";
}

const isFrom = (entry: Entry, id: string) => entry.from === id.replace(/\s/g, "_");

/** Throws as countSend does. */
function check(passage: Passage, pairs: Pair[], now: number): void {
  const { from, what, turn } = passage;
  const digest = digestOf(what);
  // Who was killed before he had delivered it may say it again.
  const isThere = (id: string, { unique }: Entry) => isSafeName(unique) && locate(mailbox(id), unique) !== undefined;
  const isRepeat = ({ entries, ids: [, to] }: Pair) =>
    within(entries, now, REPEAT).some((e) => isFrom(e, from) && e.what === digest && isThere(to, e));
  if (pairs.every(isRepeat))
    throw new MeshError(
      "REPEATED",
      "can't send: the same text went to the same recipient a moment ago",
      "once is enough: it is there",
    );
  if (!turn) return;
  // The last of several to let it through: who obeys what is said of one must not be refused once more for another.
  const waits = pairs.flatMap((pair) => waitFor(passage, pair, now) ?? []).sort((a, b) => a.until - b.until);
  const { until, code, reason } = waits.at(-1) ?? {};
  if (until === undefined || !code) return;
  const after = Math.max(1, Math.ceil((until - now) / 1000));
  throw new MeshError(code, `can't send: ${reason}`, `a letter goes again in ${inWords(after)}`);
}

interface Wait {
  /** in ms */
  until: number;
  code: "TOO_FAST" | "TOO_FAR";
  reason: string;
}

/** What keeps a model's letter from this recipient, and until when; undefined if nothing does. */
function waitFor(passage: Passage, pair: Pair, now: number): Wait | undefined {
  const [from, to] = pair.ids;
  const as = kindOf(passage, pair);
  const minute = within(pair.entries, now, MINUTE).filter((e) => e.as !== "void");
  const own = minute.filter((e) => isFrom(e, from));
  const first = own.at(-FLOOD);
  if (first)
    return {
      until: first.at + MINUTE,
      code: "TOO_FAST",
      reason: `${FLOOD} letters to this recipient within a minute`,
    };
  // No loop goes by way of the human.
  if (to === "you" || as === "answer") return undefined;
  const talk = minute.filter((e) => e.as !== "answer");
  // How many of the oldest have to be a minute old before one more is not one too many.
  const left = talk.findIndex((_, i) => turnsIn([...talk.slice(i).map((e) => isFrom(e, from)), true]) <= MOST_A_MINUTE);
  const last = talk[left - 1];
  if (last)
    return {
      until: last.at + MINUTE,
      code: "TOO_FAST",
      reason: `these two sessions have gone to and fro ${MOST_A_MINUTE} times within a minute`,
    };
  if (as === "person") return undefined;
  const since = Math.max(...pair.ids.map(touchedAt));
  for (const [most, span, words] of [
    [MOST_A_DAY, DAY, "a day"],
    [MOST_AN_HOUR, HOUR, "an hour"],
  ] as const) {
    const rounds = within(pair.entries, now, span).filter((e) => e.as === "round" && e.at >= since);
    const oldest = rounds.at(as === "round" ? -most : -most - 1);
    if (oldest)
      return {
        until: oldest.at + span,
        code: "TOO_FAR",
        reason: `these two sessions have written because of mail ${most} times within ${words}, with no word of a person`,
      };
  }
  return undefined;
}

const within = (entries: Entry[], now: number, span: number) =>
  entries.filter(({ at }) => at > 0 && at <= now + SKEW && now - at < span);

/** How often those who speak in this order take turns: a row of letters of one is one. */
const turnsIn = (speakers: boolean[]) => speakers.filter((who, i) => who !== speakers[i - 1]).length;

const inWords = (seconds: number) => (seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`);

/** Removes what no limit asks for any more. */
function prune({ dir, ids, entries }: Pair, now: number): void {
  const since = Math.max(...ids.map(touchedAt));
  const isNeeded = (e: Entry) => {
    const span = e.as === "round" && e.at >= since ? DAY : e.from === "you" ? REPEAT : MINUTE;
    return within([e], now, span).length > 0;
  };
  for (const entry of entries)
    if (!isNeeded(entry)) ignore(["ENOENT", "EISDIR", "EPERM"], () => unlinkSync(join(dir, String(entry.n))));
}

/**
 * Tells texts apart: two FNV-1a hashes of 32 bits, in base 36, and the length. Nobody gains by a collision, which would
 * only have his own letter refused; and node:crypto takes longer to load than a letter to send.
 */
export function digestOf(body: string): string {
  let [one, two] = [0x811c9dc5, 0x9747b28c];
  for (let i = 0; i < body.length; i++) {
    one = Math.imul(one ^ body.charCodeAt(i), 0x01000193);
    two = Math.imul(two ^ body.charCodeAt(i), 0x85ebca6b);
  }
  return [one, two, body.length].map((part) => (part >>> 0).toString(36)).join(".");
}
