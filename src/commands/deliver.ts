// `claudemesh deliver <to>`: for feeders (another machine, a mail filter). A whole message file on stdin goes into the
// mailbox as it is, under a name of ours; plain words get our headers.

import { readFileSync } from "node:fs";
import { describe, sender } from "../claude/dispatch.ts";
import { MeshError } from "../errors.ts";
import { resolveAddress } from "../mesh/address.ts";
import { mailbox, openHome } from "../mesh/home.ts";
import { deliver, makeMailbox } from "../mesh/maildir.ts";
import { MAX_BYTES, messageIdOf, parse } from "../mesh/message.ts";
import { letterNameFor, send } from "../mesh/send.ts";
import { print } from "../print.ts";

/** Delivers stdin; prints the message id. Throws MeshError EMPTY_BODY, TOO_LARGE or FAILED for what is no letter. */
export async function run([to = ""]: string[], options: Record<string, unknown>): Promise<void> {
  const bytes = readFileSync(0);
  if (bytes.length > MAX_BYTES)
    throw new MeshError(
      "TOO_LARGE",
      `can't deliver: ${bytes.length} bytes, the limit is ${MAX_BYTES}`,
      "deliver the path of a file instead",
    );
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new MeshError("FAILED", "can't deliver: stdin is not UTF-8 text", "deliver the path of a file instead");
  }
  if (bytes.includes(0))
    throw new MeshError("FAILED", "can't deliver: stdin is not text", "deliver the path of a file instead");
  const recipients = resolveAddress(to, { describe });
  const unique = letterNameFor(recipients);
  const message = parse(text, unique);
  if (message.body.trim() === "")
    throw new MeshError("EMPTY_BODY", "can't deliver: the message is empty", "give it on stdin");
  let message_id = messageIdOf(unique);
  if (message.body === text.replace(/\n$/, "")) {
    const { from, byModel } = sender();
    // A feeder of the user's has no limit; one that a model runs has the model's.
    const sent = { from, ...(byModel ? { byModel } : {}) };
    message_id = send({ ...sent, to: recipients, body: message.body }).message_id;
  } else {
    openHome();
    for (const { id } of recipients) {
      makeMailbox(mailbox(id));
      deliver(mailbox(id), unique, text);
    }
  }
  await print(options, { message_id, to: recipients.map(({ id, name }) => ({ id, name })) }, message_id);
}
