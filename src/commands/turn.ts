// `turn <who> <n> [--raw]`: one turn of another session, from 1 at the beginning or from -1 at the end.

import { describe } from "../claude/dispatch.ts";
import { REDACT, turnAt } from "../claude/transcript.ts";
import { formatTurn } from "../claude/transcript-format.ts";
import { needed, transcriptOf, wholeNumber } from "../claude/transcript-request.ts";
import { findPeer } from "../mesh/address.ts";
import { print } from "../print.ts";

const USAGE = "claudemesh turn <who> <n> [--raw] [--json]";

/** Prints the turn as text, or with --json as a Turn. */
export async function run(args: string[], options: Record<string, unknown>): Promise<void> {
  const who = needed(args[0], "session", USAGE);
  const n = wholeNumber(needed(args[1], "turn", USAGE), "the turn", Number.NEGATIVE_INFINITY);
  const path = transcriptOf(findPeer(who, { describe }));
  const turn = await turnAt(path, n, { redact: options.raw ? Number.POSITIVE_INFINITY : REDACT });
  await print(options, turn, formatTurn(turn));
}
