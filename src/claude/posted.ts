// inbox/<id>/posted/: what a bell has put on its way through the client, so that the prompt hook, which the sh script
// starts only if it has something to do, looks for it.

import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { FILE_MODE, mailbox, makeDir } from "../mesh/home.ts";

/** The note for a line that announces mail and carries none. */
export const NOTICE_POSTED = "notice";

/** Notes that a letter (by its unique name) or a notice is on its way. */
export function notePosted(id: string, name: string): void {
  const dir = join(mailbox(id), "posted");
  makeDir(dir);
  writeFileSync(join(dir, name), "", { mode: FILE_MODE });
}

/** It has arrived, or never will. */
export function clearPosted(id: string, name: string): void {
  ignore(["ENOENT"], () => unlinkSync(join(mailbox(id), "posted", name)));
}
