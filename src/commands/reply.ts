// `claudemesh reply <message-id> <text…>`: answer in thread, from one's own mailbox.

import { addressOf } from "../claude/dispatch.ts";
import { ownPeer } from "../claude/session.ts";
import { reply } from "../mesh/reply.ts";
import { print } from "../print.ts";
import { bodyFrom } from "../words.ts";

/** Sends the answer; prints its message id. Throws MeshErrors of reply. */
export async function run([id = "", ...words]: string[], options: Record<string, unknown>): Promise<void> {
  const peer = ownPeer();
  const sent = reply(addressOf(peer), id, bodyFrom(words), peer !== undefined);
  const to = sent.to.map(({ id, name }) => ({ id, name }));
  await print(options, { message_id: sent.message_id, to, kind: "answer" }, sent.message_id);
}
