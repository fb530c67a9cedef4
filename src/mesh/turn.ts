// inbox/<id>/turn: what began the session's running turn. A number: mail did, and these are its hops; empty or not
// there: a person did; `-`: a person did, and mail that closes nothing of the session's has been shown to it since. Its
// mtime is when such mail was last shown. inbox/<id>/touched: its mtime is when a person last did. bin/plugin/hook writes
// both as well.

import { statSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { readSmall, replaceFile } from "./files.ts";
import { mailbox } from "./home.ts";
import { log } from "./log.ts";
import type { Letter } from "./receive.ts";

/** Without this word the next prompt, which the script looks at only if the file holds something, would go unnoticed. */
const SHOWN = "-";

/** More hops than any limit, however many a letter may claim. */
const MOST = 999;

/** What `turn` is to hold for a letter: its hops, or nothing for one of the human's, which is as good as his prompt. */
export const turnFor = ({ message }: Pick<Letter, "message">): string =>
  message.from?.id === "you" ? "" : String(Math.min(message.hops, MOST));

export interface Turn {
  /** of the mail that began it; undefined: a person did */
  hops: number | undefined;
  /** when, in ms, mail was last shown in it, but for answers to what the session asked in a person's; 0: none was */
  shown: number;
}

/** What began the session's running turn. */
export function turnOf(id: string): Turn {
  const text = ignore(["ENOENT", "ENOTDIR"], () => readSmall(join(mailbox(id), "turn")))?.trim() ?? "";
  return { hops: /^\d+$/.test(text) ? Number(text) : undefined, shown: text ? timeOf(id, "turn") : 0 };
}

/** When, in ms, a person last gave the session a prompt or a letter; 0 if nobody ever did, as far as it mattered. */
export const touchedAt = (id: string): number => timeOf(id, "touched");

/** A person's prompt: what the session sends from here on is his work. */
export function personBegan(id: string): void {
  write(id, "touched", "");
  if (ignore(["ENOENT"], () => statSync(join(mailbox(id), "turn")).size)) write(id, "turn", "");
}

/** Mail has begun a turn, or goes on with one that was about to end. */
export function mailBegan(id: string, letters: Letter[]): void {
  if (!letters.length) return;
  const hops = letters.map(turnFor);
  if (hops.includes("")) personBegan(id);
  else write(id, "turn", `${Math.max(...hops.map(Number))}\n`);
}

/** The answer to what the session itself asked or handed over, as reply.ts writes it. */
const isAnswer = ({ message }: Letter) =>
  message.kind === "answer" && message.inReplyTo !== undefined && message.priority !== "low";

/** Mail has been shown in the middle of a turn: a person's stays his, mail's goes by the letter that has come furthest. */
export function mailJoined(id: string, letters: Letter[]): void {
  if (!letters.length) return;
  const { hops } = turnOf(id);
  const joined = letters.map(turnFor);
  if (joined.includes("")) personBegan(id);
  else if (hops === undefined) {
    // One question after the other is work he asked for; a letter because of a letter is what the brakes count.
    if (!letters.every(isAnswer)) write(id, "turn", `${SHOWN}\n`);
  } else write(id, "turn", `${Math.max(hops, ...joined.map(Number))}\n`);
}

const timeOf = (id: string, name: string): number =>
  ignore(["ENOENT", "ENOTDIR"], () => statSync(join(mailbox(id), name)).mtimeMs) ?? 0;

function write(id: string, name: string, text: string): void {
  try {
    replaceFile(join(mailbox(id), name), text, false);
  } catch (error) {
    // On a full disk, say: the mail that is just being handed out matters more.
    log("turn-error", id, name, String(error));
  }
}
