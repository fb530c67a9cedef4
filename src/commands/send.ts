// `claudemesh send <to> <text…>`: the sender is the session this shell runs under, or the human.

import { readFileSync } from "node:fs";
import { dispatch } from "../claude/dispatch.ts";
import { MeshError } from "../errors.ts";
import { print } from "../print.ts";

/** Sends; prints message id, and each recipient with the letter's state and its own. Throws MeshErrors of dispatch. */
export async function run([to = "", ...words]: string[], options: Record<string, unknown>): Promise<void> {
  const piped = words.length === 0 && !process.stdin.isTTY;
  const body =
    piped || (words.length === 1 && words[0] === "-") ? readFileSync(0, "utf8").replace(/\n$/, "") : words.join(" ");
  const expires =
    options.expires === undefined ? undefined : new Date(Date.now() + milliseconds(String(options.expires)));
  const sent = await dispatch({
    to,
    body,
    kind: options.note ? "note" : "task",
    priority: options.now ? "now" : undefined,
    expires,
    queue: Boolean(options.queue),
  });
  const lines = sent.to.map((r) => `${r.name} (${r.id}): ${r.state}; ${r.recipient}`);
  print(options, sent, [sent.message_id, ...lines].join("\n"));
}

/** `90s`, `30m`, `2h`, `1d` in ms. Throws MeshError USAGE for anything else. */
function milliseconds(text: string): number {
  const [, count, unit] = /^(\d+)(s|m|h|d)$/.exec(text) ?? [];
  if (!count || !unit) throw new MeshError("USAGE", `can't read the time '${text}'`, "write it as 90s, 30m, 2h or 1d");
  return Number(count) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as "s" | "m" | "h" | "d"];
}
