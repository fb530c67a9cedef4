// A letter as `inbox --json` and read_inbox hand it out.

import { formatAddress, messageIdOf } from "../mesh/message.ts";
import { type Letter, receiptIn } from "../mesh/receive.ts";

export interface Mail {
  message_id: string;
  /** null: a file, put there by hand */
  from: string | null;
  to: string;
  kind: string;
  date: string | null;
  subject: string;
  body: string;
  in_reply_to: string | null;
  state: string;
  path: string;
}

/** The letter in the mailbox `id`, with where it is now. */
export function mailOf(id: string, { message, unique, path }: Letter): Mail {
  const receipt = receiptIn(id, unique);
  return {
    message_id: messageIdOf(unique),
    from: message.from ? formatAddress(message.from) : null,
    to: message.to || id,
    kind: message.kind,
    date: message.date?.toISOString() ?? null,
    subject: message.subject,
    body: message.body,
    in_reply_to: message.inReplyTo ?? null,
    state: receipt?.state ?? "seen",
    path: receipt?.path ?? path,
  };
}
