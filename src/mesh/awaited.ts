// Answers that somebody stands waiting for: inbox/<id>/awaited/<question's unique name> says which process does. While
// it lives, everybody else leaves that answer in new/; when it is gone the answer is mail like any other.

import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { FILE_MODE, mailbox, makeDir } from "./home.ts";
import { isSafeName } from "./maildir.ts";
import { isRunning, startedAt } from "./process.ts";

const fileOf = (id: string, question: string) => join(mailbox(id), "awaited", question);

/** Says that this process waits in the mailbox `id` for the answer to `question` (a unique name). */
export function startWaiting(id: string, question: string): void {
  makeDir(join(mailbox(id), "awaited"));
  writeFileSync(fileOf(id, question), `${process.pid} ${startedAt(process.pid) ?? ""}\n`, { mode: FILE_MODE });
}

/** From here on the answer is mail for whoever looks. */
export function stopWaiting(id: string, question: string): void {
  ignore(["ENOENT"], () => unlinkSync(fileOf(id, question)));
}

/** True if a process that still runs waits for the answer to `question`, this one or another. */
export function isAwaited(id: string, question: string): boolean {
  // The name comes from a letter's header: it is not to be a path.
  if (!isSafeName(question)) return false;
  const text = ignore(["ENOENT", "ENOTDIR", "ENAMETOOLONG"], () => readFileSync(fileOf(id, question), "utf8"));
  if (text === undefined) return false;
  const [, pid = "", started = ""] = /^(\d+) ?(.*)$/.exec(text.trim()) ?? [];
  if (isRunning(Number(pid), started || undefined)) return true;
  stopWaiting(id, question);
  return false;
}
