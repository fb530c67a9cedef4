// inbox/<id>/posted/: what a bell has put on its way through the client, so that the prompt hook, which the sh script
// starts only if it has something to do, looks for it.

import { appendFileSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { namesIn } from "./files.ts";
import { FILE_MODE, mailbox, makeDir } from "./home.ts";

/** The note for a line that announces mail and carries none; in it the names of the letters held for it, if any. */
export const NOTICE_POSTED = "notice";

/**
 * Notes that a letter (by its unique name), or a notice, is on its way. `lines`: of a letter, what the script needs to
 * know it in the prompt; of a notice, the names of the letters that are held for it.
 */
export function notePosted(id: string, name: string, lines: string[] = []): void {
  const dir = join(mailbox(id), "posted");
  makeDir(dir);
  // Appended: two bells may announce at once, and what the one holds stays known when the other holds nothing.
  appendFileSync(join(dir, name), lines.map((line) => `${line}\n`).join(""), { mode: FILE_MODE });
}

/** It has arrived, or never will. */
export function clearPosted(id: string, name: string): void {
  ignore(["ENOENT"], () => unlinkSync(join(mailbox(id), "posted", name)));
}

/** The names of the letters that are held for a notice. */
export function heldForNotice(id: string): string[] {
  const text = ignore(["ENOENT"], () => readFileSync(join(mailbox(id), "posted", NOTICE_POSTED), "utf8"));
  return (text ?? "").split("\n").filter(Boolean);
}

/** The unique names of all letters that are on their way, or held for a notice that is; some may have arrived. */
export function postedNames(id: string): string[] {
  const notes = namesIn(join(mailbox(id), "posted"));
  return notes.flatMap((name) => (name === NOTICE_POSTED ? heldForNotice(id) : name));
}
