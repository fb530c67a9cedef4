// inbox/<id>/handed/<unique name>: a letter that the client has been given, while nothing shows yet that its text is in the
// conversation. Claude Code forgets what a hook attached when the user takes the prompt back before the first word.
// Whoever renames the note away decides what becomes of the letter: the flag S on evidence, else back to new/.

import { lstatSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { isObject, namesIn } from "./files.ts";
import { FILE_MODE, mailbox, makeDir } from "./home.ts";

/**
 * `prompt`: with or in a prompt that begins a turn; `queued`: with or in one that may wait in the client for the running
 * turn's end; `stop`: at the end of a turn; `tool`: with a tool's result.
 */
export type Road = (typeof ROADS)[number];
const ROADS = ["prompt", "queued", "stop", "tool"] as const;

/**
 * To what process it went, in which turn (Claude Code's prompt_id), how long its transcript was, in bytes, and since when
 * it had been in the state that it was in, in ms: by the clock that wrote it, so it can be told from another and no more.
 */
export interface Destination {
  pid: number;
  turn?: string;
  transcript?: string;
  from?: number;
  state_since?: number;
}

export interface Handed extends Destination {
  unique: string;
  road: Road;
  /** when, in ms */
  since: number;
}

/**
 * The first two lines of a note in handed/ or posted/. The first is for the sh hook: `question` if an answer will be owed,
 * else `-`; what the file `turn` is to hold, `-` for nothing; the road; Claude Code's turn, if it is known. The second is
 * JSON.
 */
export const noteHead = (asks: boolean, began: string, road: Road, { turn, ...to }: Destination): string[] => [
  [asks ? "question" : "-", began || "-", road, ...(turn && /^[\w-]+$/.test(turn) ? [turn] : [])].join(" "),
  JSON.stringify(to),
];

const fileOf = (id: string, unique: string) => join(mailbox(id), "handed", unique);

/** Notes that a letter is being handed over, before it is. `lines`: noteHead's. Throws what the disk says. */
export function noteHanded(id: string, unique: string, lines: string[]): void {
  makeDir(join(mailbox(id), "handed"));
  writeFileSync(fileOf(id, unique), lines.map((line) => `${line}\n`).join(""), { mode: FILE_MODE });
}

/** The unique names of all letters that were handed over without evidence so far. */
export const handedNames = (id: string): string[] =>
  namesIn(join(mailbox(id), "handed")).filter((name) => !name.startsWith("."));

/** The same with what their notes say; a note that can't be read counts as one for a prompt. */
export const handedIn = (id: string): Handed[] =>
  handedNames(id).flatMap((unique) => readNote(id, "handed", unique) ?? []);

/** What a note in handed/ or posted/ says; undefined if there is none. */
export function readNote(id: string, room: "handed" | "posted", unique: string): Handed | undefined {
  const path = join(mailbox(id), room, unique);
  const gone = ["ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG"];
  const text = ignore(gone, () => readFileSync(path, "utf8"));
  const since = ignore(gone, () => lstatSync(path).ctimeMs);
  if (text === undefined || since === undefined) return undefined;
  const [words = "", json = ""] = text.split("\n", 2);
  const [, , named, turn] = words.split(" ");
  const road = ROADS.find((one) => one === named) ?? "prompt";
  return { unique, road, since, ...destination(json), ...(turn ? { turn } : {}) };
}

function destination(json: string): Destination {
  try {
    const found: unknown = JSON.parse(json);
    if (!isObject(found)) return { pid: 0 };
    const { pid, transcript, from, state_since } = found;
    return {
      pid: typeof pid === "number" ? pid : 0,
      ...(typeof transcript === "string" ? { transcript } : {}),
      ...(typeof from === "number" && from >= 0 ? { from } : {}),
      ...(typeof state_since === "number" ? { state_since } : {}),
    };
  } catch {
    return { pid: 0 };
  }
}

/** Takes the note away, and with it the decision about the letter; false if somebody else has. */
export function claimHanded(id: string, unique: string): boolean {
  const claimed = fileOf(id, `.${unique}.${process.pid}`);
  if (!succeeds(["ENOENT"], () => renameSync(fileOf(id, unique), claimed))) return false;
  ignore(["ENOENT"], () => unlinkSync(claimed));
  return true;
}

/** There is evidence, or the letter is not in the client's hands any more. */
export function clearHanded(id: string, unique: string): void {
  ignore(["ENOENT", "ENOTDIR", "ENAMETOOLONG"], () => unlinkSync(fileOf(id, unique)));
}
