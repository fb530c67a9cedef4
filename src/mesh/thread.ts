// The letters of one thread in one mailbox. A thread has no index: the names in cur/ begin with the second in which each
// letter was written, so what is older than the thread's first letter is not even opened.

import { join } from "node:path";
import { namesIn } from "./files.ts";
import { mailbox } from "./home.ts";
import { isOurName, isSafeName } from "./maildir.ts";
import { messageIdOf, uniqueNameOf } from "./message.ts";
import { type Letter, peek, readLetter, readSeen } from "./receive.ts";

/** Letters come from other machines too: how far, in s, their clocks may differ. */
const CLOCKS = 3600;

/** The letters of mailbox `id`, read or not, that belong to the thread of a message (its id or unique name); oldest first. */
export function threadIn(id: string, messageId: string): Letter[] {
  const unique = uniqueNameOf(messageId.trim());
  const wanted = messageIdOf(unique);
  const unread = peek(id).letters;
  const names = namesIn(join(mailbox(id), "cur")).sort();
  const since = (first: string) => {
    const from = isOurName(first) ? Number.parseInt(first, 10) - CLOCKS : 0;
    const written = names.filter((name) => !isOurName(name) || Number.parseInt(name, 10) >= from);
    return [...written.flatMap((name) => readSeen(id, name) ?? []), ...unread];
  };
  // A letter of one's own does not lie here, but those that refer to it do.
  const known =
    (isSafeName(unique) ? readLetter(id, unique) : undefined) ??
    since(unique).find(({ message }) => message.references.includes(wanted));
  const root = known?.message.references[0] ?? wanted;
  return since(uniqueNameOf(root)).filter(({ message }) =>
    [message.id, message.inReplyTo, ...message.references].some((ref) => ref === root || ref === wanted),
  );
}
