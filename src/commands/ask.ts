// `claudemesh ask <to> <text…>`: send a question, wait, print the answer: `port=$(claudemesh ask api "which port?")`.

import { recipientOf, sender } from "../claude/dispatch.ts";
import { ask } from "../mesh/ask.ts";
import { print, say } from "../print.ts";
import { bodyFrom, milliseconds } from "../words.ts";

/**
 * Prints the answer's text on stdout; `--json`: `{message_id, answer, from, answer_id}`.
 * Throws MeshError NOT_ANSWERED (exit 75) when `--timeout` (5m) is over; the answer then comes by mail.
 */
export async function run([to = "", ...words]: string[], options: Record<string, unknown>): Promise<void> {
  const { from, byModel, peer } = sender();
  const recipient = recipientOf(to, peer);
  const body = bodyFrom(words);
  const over = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => over.abort());
  const { message_id, answer, shown } = await ask(from, recipient, body, {
    byModel,
    timeout: options.timeout === undefined ? 300_000 : milliseconds(String(options.timeout)),
    signal: over.signal,
    held: (why) => say(`still waiting: ${why}`),
    waiting: (id) => process.stderr.isTTY && say(`asked ${recipient.name}: ${id}`),
  });
  const text = answer.message.body;
  await print(options, { message_id, answer: text, from: answer.message.from, answer_id: answer.message.id }, text);
  shown();
}
