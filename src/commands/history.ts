// `history <who> [-n N] [--raw]`: the last turns of another session, oldest first.

import { describe } from "../claude/dispatch.ts";
import { lastTurns, REDACT } from "../claude/transcript.ts";
import { formatTurn } from "../claude/transcript-format.ts";
import { needed, transcriptOf, wholeNumber } from "../claude/transcript-request.ts";
import { findPeer } from "../mesh/address.ts";
import { print, say } from "../print.ts";

const USAGE = "claudemesh history <who> [-n N] [--raw] [--json]";

/** Prints turns as text, or with --json as an array of Turn. Turns are numbered from the end: -1 is the last. */
export async function run(args: string[], options: Record<string, unknown>): Promise<void> {
  const who = needed(args[0], "session", USAGE);
  const n = wholeNumber(options.n, "-n", 1, 5);
  const path = transcriptOf(findPeer(who, { describe }));
  const turns = await lastTurns(path, n, { redact: options.raw ? Number.POSITIVE_INFINITY : REDACT });
  await print(options, turns, turns.map(formatTurn).join("\n\n"));
  if (!turns.length) say(`no turns yet in ${path}`);
}
