// What a session owes: questions it has been shown and has not answered. owed/<unique name> while it has not been
// reminded, told/ after that, bounced/ once the asker has heard that no answer comes. An index; the letters and
// their flags in cur/ are the truth. In such a file: the unique name of the letter that is just answering it, if any.

import { existsSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { bounce } from "./dead.ts";
import { namesIn, readSmall } from "./files.ts";
import { handedIn } from "./handed.ts";
import { FILE_MODE, mailbox, makeDir } from "./home.ts";
import { log } from "./log.ts";
import { collect, isSafeName, locate, mark } from "./maildir.ts";
import { type Letter, readLetter } from "./receive.ts";
import { forget } from "./tried.ts";

const ROOMS = ["owed", "told"] as const;
const list = (id: string, room: string) => namesIn(join(mailbox(id), room));

/** True for what owes an answer once it has been shown: a question, by somebody who can be answered. */
export const owesAnswer = ({ message }: Letter): boolean => message.kind === "question" && message.from !== undefined;

/** Notes that a letter has been shown that owes an answer. The human is not reminded. */
function noteOwed(id: string, letter: Letter): void {
  const { unique } = letter;
  if (!owesAnswer(letter) || id === "you") return;
  try {
    makeDir(join(mailbox(id), "owed"));
    writeFileSync(join(mailbox(id), "owed", unique), "", { mode: FILE_MODE });
  } catch (error) {
    // On a full disk the reminder is lost, but the letter must still be marked: else it would be shown again.
    log("owed-error", id, unique, String(error));
  }
}

/** Marks letters that have been shown, wherever they are by now; the questions among them are owed an answer from now on. */
export function markSeen(id: string, letters: Letter[]): void {
  const box = mailbox(id);
  for (const letter of letters) {
    const { unique } = letter;
    noteOwed(id, letter);
    // Someone took it for lost and put it back; it was shown, so mark it.
    const isMarked = mark(box, unique, "S") || (collect(box, unique) && mark(box, unique, "S"));
    if (!isMarked) log("mark-failed", id, unique);
    forget(id, unique);
  }
}

/** Marks as seen what is in the conversation, by the unique names, wherever it is by now. */
export function markKept(id: string, names: string[]): void {
  markSeen(
    id,
    names.flatMap((unique) => readLetter(id, unique) ?? []),
  );
  // What can't be read any more is in nobody's hands either.
  for (const unique of names) forget(id, unique);
}

/**
 * The turn in which letters were handed over has gone on, as one of its hooks tells: they are in the conversation. A tool
 * that ran beside another one says nothing about what came with that one's result; a prompt that was queued may still be.
 */
export function keepHanded(id: string, event: "PostToolUse" | "Stop", turn: string | undefined): void {
  const kept = handedIn(id).filter(
    ({ road, turn: its }) =>
      road !== "queued" && (event === "Stop" || road !== "tool") && (!turn || !its || its === turn),
  );
  markKept(
    id,
    kept.map(({ unique }) => unique),
  );
}

/**
 * Notes which letter is about to answer a question. Who dies between its delivery and the flag R has answered all the
 * same: nobody is reminded, or told that no answer comes.
 */
export function noteAnswer(id: string, question: string, answer: string): void {
  for (const room of ROOMS)
    try {
      // Never made here: it may just have been moved from the one room to the other.
      ignore(["ENOENT"], () => writeFileSync(join(mailbox(id), room, question), `${answer}\n`, { flag: "r+" }));
    } catch (error) {
      // On a full disk: the answer matters more.
      log("owed-error", id, question, String(error));
    }
}

/** True if the letter that was about to answer this question has been delivered. */
function isAnswered(id: string, room: string, { message, unique }: Letter): boolean {
  const [answer] = ignore(["ENOENT"], () => readSmall(join(mailbox(id), room, unique)))?.split("\n") ?? [];
  const asker = message.from?.id;
  if (!answer || !asker || !isSafeName(answer) || !isSafeName(asker)) return false;
  return locate(mailbox(asker), answer) !== undefined;
}

/** The answer has been sent. */
export function settleAnswer(id: string, unique: string): void {
  for (const room of [...ROOMS, "bounced"]) ignore(["ENOENT"], () => unlinkSync(join(mailbox(id), room, unique)));
}

/** The questions of which the session has not been reminded yet; from now on it has. */
export function remindOf(id: string): Letter[] {
  return open(id, "owed").filter(({ unique }) => move(id, "owed", "told", unique));
}

/** The session has ended: tells every asker, once, that no answer comes. */
export function bounceOwed(id: string, who: string, reason: string): void {
  for (const room of ROOMS)
    for (const { message, unique } of open(id, room))
      if (has(id, room, unique)) {
        // Told first: who dies in between tells it again, never not at all.
        bounce(message, who, reason, "answered");
        move(id, room, "bounced", unique);
      }
}

function open(id: string, room: string): Letter[] {
  return list(id, room)
    .sort()
    .flatMap((unique) => {
      const place = locate(mailbox(id), unique);
      const isOpen = place?.at === "cur" && !place.flags.includes("R");
      const letter = isOpen ? readLetter(id, unique) : undefined;
      if (letter && !isAnswered(id, room, letter)) return letter;
      if (letter) mark(mailbox(id), unique, "R");
      if (letter || place?.at !== "new") settleAnswer(id, unique);
      return [];
    });
}

const has = (id: string, room: string, unique: string) => existsSync(join(mailbox(id), room, unique));

function move(id: string, from: string, to: string, unique: string): boolean {
  makeDir(join(mailbox(id), to));
  return succeeds(["ENOENT"], () => renameSync(join(mailbox(id), from, unique), join(mailbox(id), to, unique)));
}
