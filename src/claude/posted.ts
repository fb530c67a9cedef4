// inbox/<id>/posted/: what a bell has put on its way through the client, so that the prompt hook, which the sh script
// starts only if it has something to do, looks for it.

import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { FILE_MODE, mailbox, makeDir } from "../mesh/home.ts";

/** The note for a line that announces mail and carries none; in it the names of the letters held for it, if any. */
export const NOTICE_POSTED = "notice";

/** Notes that a letter (by its unique name), or a notice with `held` letters, is on its way. */
export function notePosted(id: string, name: string, held: string[] = []): void {
  const dir = join(mailbox(id), "posted");
  makeDir(dir);
  writeFileSync(join(dir, name), held.join("\n"), { mode: FILE_MODE });
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
