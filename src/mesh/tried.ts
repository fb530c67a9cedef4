// inbox/<id>/tried/<unique name>: how often a letter has been put before the client, a line each time: `<who> <ISO time>`.
// The line is written before the text goes out, so no restart sets the count back; the file goes with the flag S, the
// answer or the burial. It keeps a letter that nobody confirms from being put before the client again and again.

import { appendFileSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import type { Bell } from "./config.ts";
import { namesIn } from "./files.ts";
import { clearHanded } from "./handed.ts";
import { FILE_MODE, mailbox, makeDir } from "./home.ts";

/**
 * Who put it there: a bell; `hook`, a hook that handed it over, which the client then threw away; `blind`, the same where
 * nothing tells whether the client threw it away. `told` is no try: its sender has been told that it waits.
 */
export type TriedBy = Bell | "hook" | "blind" | "told";

export interface Tries {
  by: TriedBy[];
  /** the first one */
  since: Date;
}

/** A letter that a hook may have shown this many times without any evidence is left to read_inbox. */
const MOST_BLIND = 2;

const fileOf = (id: string, unique: string) => join(mailbox(id), "tried", unique);

/** Notes one more try of each of these letters (unique names) in the mailbox `id`. Throws what the disk says. */
export function noteTried(id: string, uniques: string[], by: TriedBy): void {
  if (!uniques.length) return;
  makeDir(join(mailbox(id), "tried"));
  const line = `${by} ${new Date().toISOString()}\n`;
  for (const unique of uniques) appendFileSync(fileOf(id, unique), line, { mode: FILE_MODE });
}

/** Forgets the tries of a letter: it has been shown, or it is certain that none of it reached the client. */
export function clearTried(id: string, unique: string): void {
  ignore(["ENOENT", "ENOTDIR", "ENAMETOOLONG"], () => unlinkSync(fileOf(id, unique)));
}

/**
 * The letter has arrived for good, or has gone. A note in posted/ stays: by it the hook knows what a bell has put on its way
 * and what comes late, when it has been shown already.
 */
export function forget(id: string, unique: string): void {
  clearHanded(id, unique);
  clearTried(id, unique);
}

/** The tries of one letter, oldest first; undefined if there was none. */
export function triesOf(id: string, unique: string): Tries | undefined {
  const text = ignore(["ENOENT", "ENOTDIR", "ENAMETOOLONG", "EISDIR"], () => readFileSync(fileOf(id, unique), "utf8"));
  if (text === undefined) return undefined;
  const lines = text.split("\n").filter(Boolean);
  const since = new Date(lines[0]?.split(" ")[1] ?? Number.NaN);
  return {
    by: lines.map((line) => line.split(" ")[0] as TriedBy),
    since: Number.isNaN(since.getTime()) ? new Date(0) : since,
  };
}

/** The tries of every letter in the mailbox that had any, by unique name. */
export const triesIn = (id: string): Map<string, Tries> =>
  new Map(
    namesIn(join(mailbox(id), "tried")).flatMap((unique) => {
      const tries = triesOf(id, unique);
      return tries ? [[unique, tries] as const] : [];
    }),
  );

const isBell = (by: TriedBy) => by !== "hook" && by !== "blind" && by !== "told";

/** True while no bell has put the letter before the client: one may, once. */
export const mayRing = (tries: Tries | undefined): boolean => !tries?.by.some(isBell);

/** True while Claude Code's own watcher may announce the letter: once, and not what a hook has handed over after a bell. */
export const mayAnnounce = (tries: Tries | undefined): boolean =>
  !tries?.by.includes("watcher") && (mayRing(tries) || !tries?.by.some((by) => by === "hook" || by === "blind"));

/** True while a hook may hand the letter over by itself. */
export const mayHand = (tries: Tries | undefined): boolean =>
  (tries?.by.filter((by) => by === "blind").length ?? 0) < MOST_BLIND;

/** Why a letter that has been tried still waits, in words; undefined if it has not been tried. `who` names the session. */
export function whyHeld(tries: Tries | undefined, who: string): string | undefined {
  if (!tries) return undefined;
  const bell = tries.by.find(isBell);
  const handed = tries.by.some((by) => by === "hook" || by === "blind");
  const at = tries.since.toTimeString().slice(0, 5);
  if (!mayHand(tries))
    return `handed to ${who} ${MOST_BLIND} times since ${at}, nothing shows that it arrived: held for read_inbox`;
  if (handed) return `handed to ${who} at ${at} with a prompt that was taken back: comes with its next prompt`;
  return bell ? `put before ${who} once (${bell}, ${at}), no hook answered: held for its hooks` : undefined;
}
