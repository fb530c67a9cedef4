// Brakes against two models that talk each other into a loop, on disk so that they outlive a restart: how far a thread
// has gone, how many letters a minute from one session to another, the same letter again.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ignore, MeshError } from "../errors.ts";
import { replaceFile } from "./files.ts";
import { mailbox, makeDir } from "./home.ts";

/** Replies made by models in one thread. */
export const MOST_HOPS = 20;
/** Letters from one session to another within MINUTE ms. */
export const MOST_A_MINUTE = 20;
const MINUTE = 60_000;
/** An identical body to the same recipient within so many ms is a repeat. */
export const REPEAT = 10_000;

const ledger = (from: string, to: string) => join(mailbox(from), "sent", to.replace(/[/\0]/g, "-"));

/** Throws MeshError TOO_FAR if the thread has gone on for too long. */
export function checkHops(hops: number): void {
  if (hops > MOST_HOPS)
    throw new MeshError(
      "TOO_FAR",
      `can't reply: this thread has gone to and fro ${MOST_HOPS} times`,
      "end it here; if there is something left to do, tell your user, who can begin a new one",
    );
}

/**
 * Asks whether one more letter may go from a session to some recipients; the human, with `byModel` false, has no limit.
 * Throws MeshError REPEATED if it is the same as all of them were just sent, TOO_FAST if it is one too many for one of
 * them within a minute: then the hint says when to try again.
 */
export function checkSend(from: string, to: string[], body: string, byModel: boolean, now: number = Date.now()): void {
  const ledgers = to.map((id) => recent(from, id, now));
  const isRepeat = (sent: Entry[]) => sent.some((s) => s.what === digestOf(body) && now - s.at < REPEAT);
  if (ledgers.every(isRepeat))
    throw new MeshError(
      "REPEATED",
      "can't send: the same text went to the same recipient a moment ago",
      "once is enough: it is there",
    );
  const firsts = byModel ? ledgers.flatMap((sent) => sent.at(-MOST_A_MINUTE)?.at ?? []) : [];
  if (firsts.length)
    throw new MeshError(
      "TOO_FAST",
      `can't send: ${MOST_A_MINUTE} letters to this recipient within a minute`,
      `try again in ${Math.ceil((Math.max(...firsts) + MINUTE - now) / 1000)} s; put what is left into one letter`,
    );
}

interface Entry {
  at: number;
  what: string;
}

/** Notes one letter that has been sent. */
export function countSend(from: string, to: string, body: string, now: number = Date.now()): void {
  makeDir(join(mailbox(from), "sent"));
  const sent = [...recent(from, to, now), { at: now, what: digestOf(body) }];
  // Not flushed: no minute outlives a loss of power.
  replaceFile(ledger(from, to), sent.map((s) => `${s.at} ${s.what}\n`).join(""), false);
}

/**
 * Tells texts apart: two FNV-1a hashes of 32 bits, in base 36, and the length. Nobody gains by a collision, which would
 * only have his own letter refused; and node:crypto takes longer to load than a letter to send.
 */
function digestOf(body: string): string {
  let [one, two] = [0x811c9dc5, 0x9747b28c];
  for (let i = 0; i < body.length; i++) {
    one = Math.imul(one ^ body.charCodeAt(i), 0x01000193);
    two = Math.imul(two ^ body.charCodeAt(i), 0x85ebca6b);
  }
  return [one, two, body.length].map((part) => (part >>> 0).toString(36)).join(".");
}

/** What went from one to the other within the last minute, oldest first. */
function recent(from: string, to: string, now: number): Entry[] {
  const lines = (ignore(["ENOENT"], () => readFileSync(ledger(from, to), "utf8")) ?? "").split("\n");
  return lines
    .map((line) => line.split(" "))
    .map(([at, what]) => ({ at: Number(at), what: what ?? "" }))
    .filter(({ at }) => at > 0 && at <= now && now - at < MINUTE);
}
