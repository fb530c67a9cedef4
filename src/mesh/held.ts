// Letters that were put before a session once and that nobody has confirmed: they wait for its next prompt, and their
// senders are told so, once each.

import { deliverNotice } from "./dead.ts";
import { mailbox } from "./home.ts";
import { log } from "./log.ts";
import { locate } from "./maildir.ts";
import { readPeer } from "./peers.ts";
import { type Letter, readLetter } from "./receive.ts";
import { forget, noteTried, type Tries, triesIn, whyHeld } from "./tried.ts";

export interface Held {
  letter: Letter;
  tries: Tries;
  /** why it waits, in words */
  why: string;
}

/** The unread letters in the mailbox `id` that have been tried, oldest first. */
export function heldIn(id: string): Held[] {
  const who = readPeer(id)?.name ?? id;
  return [...triesIn(id)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([unique, tries]) => {
      const place = locate(mailbox(id), unique);
      if (!place || (place.at === "cur" && place.flags)) forget(id, unique);
      if (place?.at !== "new") return [];
      const letter = readLetter(id, unique);
      const why = whyHeld(tries, who);
      return letter && why ? [{ letter, tries, why }] : [];
    });
}

/** Unread for so long, in ms, after the first try, its sender is told. */
const TELL = 60_000;

/** Tells the sender of each letter that is held for long, unless it is claudemesh itself. */
export function tellHeld(id: string, now: number = Date.now()): void {
  for (const { letter, tries, why } of heldIn(id)) {
    if (tries.by.includes("told") || now - tries.since.getTime() < TELL) continue;
    noteTried(id, [letter.unique], "told");
    const { message } = letter;
    const who = readPeer(id)?.name ?? id;
    deliverNotice(
      message,
      "note",
      `still unread: ${message.subject}`,
      `Your ${message.kind} to ${who} is still unread: ${why}.`,
    );
    log("held", id, letter.unique, why);
  }
}
