// `claudemesh inbox [who]`: read mail. What is printed is marked seen, for a session once its turn goes on; another's mail
// is only looked at.

import { describe, ownBox } from "../claude/dispatch.ts";
import { type Mail, mailOf } from "../claude/mail.ts";
import { ownPeer } from "../claude/own-peer.ts";
import { headOf } from "../claude/prompt.ts";
import { destinationOf } from "../claude/session.ts";
import { sanitise } from "../clean.ts";
import { MeshError } from "../errors.ts";
import { findPeer } from "../mesh/address.ts";
import { noteHanded } from "../mesh/handed.ts";
import { mailbox } from "../mesh/home.ts";
import { recover } from "../mesh/maildir.ts";
import { markSeen } from "../mesh/owed.ts";
import { peek, standStill, take } from "../mesh/receive.ts";
import { ORPHANED } from "../mesh/sweep.ts";
import { threadIn } from "../mesh/thread.ts";
import { mailJoined } from "../mesh/turn.ts";
import { print, say } from "../print.ts";

/** Prints unread mail, oldest first; with `--thread <id>` every letter of that thread in this mailbox. */
export async function run([who]: string[], options: Record<string, unknown>): Promise<void> {
  const session = ownPeer();
  const own = who !== undefined && options.peek ? undefined : ownBox();
  const id = who === undefined ? (own ?? "you") : who === "you" ? "you" : findPeer(who, { describe }).id;
  if (id !== own && !options.peek)
    throw new MeshError(
      "USAGE",
      `can't take the mail of ${who}: it is not yours`,
      `look at it with: claudemesh inbox ${who} --peek`,
    );
  // What a reader that died had in its hands is unread again.
  if (id === own) recover(mailbox(id), ORPHANED);
  await standStill(id);
  const peeking = Boolean(options.peek) || options.thread !== undefined;
  const found =
    options.thread === undefined
      ? peeking
        ? peek(id).letters
        : take(id, () => true)
      : threadIn(id, String(options.thread));
  const mails = found.map((letter) => {
    const mail = mailOf(id, letter);
    // What is printed is as it will be once it has been printed.
    return peeking || session ? mail : { ...mail, state: "seen", path: letter.path };
  });
  await print(options, mails, mails.map(text).join("\n"));
  if (id === own && own !== "you" && options.thread === undefined) mailJoined(id, found);
  // A session reads it as the output of its Bash tool, which the user may yet stop.
  if (!peeking && session)
    for (const letter of found) noteHanded(id, letter.unique, headOf(letter, "tool", destinationOf(session)));
  else if (!peeking) markSeen(id, found);
  if (!found.length) say("no mail");
}

function text(mail: Mail): string {
  const head = [
    `From: ${mail.from ?? "a file, put there by hand"}`,
    `Date: ${mail.date ?? "unknown"}`,
    `Message-ID: ${mail.message_id}`,
    `Kind: ${mail.kind}`,
  ];
  // As mbox does it: else a body could go on with a letter of its own.
  return `${head.join("\n")}\n\n${sanitise(mail.body).replace(/^(?=>*From: )/gm, ">")}\n`;
}
