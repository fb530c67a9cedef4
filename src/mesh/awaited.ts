// Answers that somebody stands waiting for: inbox/<id>/awaited/<question's unique name> says which process does. While
// it lives, everybody else leaves that answer in new/; when it is gone the answer is mail like any other.

import { readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { fileTime } from "./clock.ts";
import { FILE_MODE, mailbox, makeDir } from "./home.ts";
import { isSafeName } from "./maildir.ts";
import { hostName } from "./message.ts";
import { bootId, isRunning, startedAt } from "./process.ts";

const fileOf = (id: string, question: string) => join(mailbox(id), "awaited", question);

/** How long, in ms, one who waits in another container, where pids mean nothing here, is believed after its last word. */
const BELIEVED = 30_000;

/** Says, at the start and every few seconds, that this process waits in the mailbox `id` for the answer to `question`. */
export function startWaiting(id: string, question: string): void {
  makeDir(join(mailbox(id), "awaited"));
  const words = [process.pid, hostName(), bootId().replaceAll(" ", "_"), startedAt(process.pid) ?? ""];
  writeFileSync(fileOf(id, question), `${words.join(" ")}\n`, { mode: FILE_MODE });
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
  const [, pid = "", host, boot, started = ""] = /^(\d+) (\S+) (\S+) ?(.*)$/.exec(text.trim()) ?? [];
  const isHere = host === hostName() && boot === bootId().replaceAll(" ", "_");
  const said = ignore(["ENOENT"], () => statSync(fileOf(id, question)).mtimeMs) ?? 0;
  if (isHere ? isRunning(Number(pid), started || undefined) : fileTime() - said < BELIEVED) return true;
  stopWaiting(id, question);
  return false;
}
