// `claudemesh reply <message-id> <text…>`: answer in thread, from one's own mailbox.

import { ownBox, sender } from "../claude/dispatch.ts";
import { reply } from "../mesh/reply.ts";
import { print } from "../print.ts";
import { bodyFrom } from "../words.ts";

/** Sends the answer; prints its message id. Throws MeshErrors of reply, or NOT_IN_A_SESSION as ownBox. */
export async function run([id = "", ...words]: string[], options: Record<string, unknown>): Promise<void> {
  ownBox();
  const { from, byModel } = sender();
  const sent = reply(from, id, bodyFrom(words), byModel);
  const to = sent.to.map(({ id, name }) => ({ id, name }));
  await print(options, { message_id: sent.message_id, to, kind: "answer" }, sent.message_id);
}
