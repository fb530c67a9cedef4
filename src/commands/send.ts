// `claudemesh send <to> <text…>`: the sender is the session this shell runs under, or the human.

import { dispatch } from "../claude/dispatch.ts";
import { print } from "../print.ts";
import { bodyFrom, isTerminal, milliseconds } from "../words.ts";

/** Sends; prints message id, and each recipient with the letter's state and its own. Throws MeshErrors of dispatch. */
export async function run([to = "", ...words]: string[], options: Record<string, unknown>): Promise<void> {
  const { expires } = options;
  const sent = await dispatch({
    to,
    body: bodyFrom(words),
    kind: options.note ? "note" : "task",
    priority: options.now ? "now" : undefined,
    expires: expires === undefined ? undefined : new Date(Date.now() + milliseconds(String(expires))),
    queue: Boolean(options.queue),
    asksForMany: () => !options.yes && isTerminal(0),
  });
  const lines = sent.to.map((r) => `${r.name} (${r.id}): ${r.state}; ${r.recipient}`);
  await print(options, sent, [sent.message_id, ...lines].join("\n"));
}
