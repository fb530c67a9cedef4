// `search <who|*> <query> [--context N] [--limit N]`: what was said in another session, or in all that are known.

import { describe } from "../claude/dispatch.ts";
import { formatHit } from "../claude/transcript-format.ts";
import { needed, transcriptOf, wholeNumber } from "../claude/transcript-request.ts";
import { CONTEXT, compile, type Hit, LIMIT, searchTurns } from "../claude/transcript-search.ts";
import { MeshError } from "../errors.ts";
import { findPeer, listPeers } from "../mesh/address.ts";
import type { Peer } from "../mesh/peers.ts";
import { print, say } from "../print.ts";

const USAGE = "claudemesh search <who|*> <query> [--context N] [--limit N] [--json]";

/** Prints a line for each hit as it is found, or with --json an array of Hit with the peer's id and name. */
export async function run(args: string[], options: Record<string, unknown>): Promise<void> {
  const who = needed(args[0], "session", USAGE);
  const query = needed(args.slice(1).join(" "), "query", USAGE);
  const context = wholeNumber(options.context, "--context", 0, CONTEXT);
  const limit = wholeNumber(options.limit, "--limit", 1, LIMIT);
  compile(query);
  const everyone = who === "*";
  const hits: (Hit & Pick<Peer, "id" | "name">)[] = [];
  for (const peer of everyone ? listPeers() : [findPeer(who, { describe })]) {
    if (hits.length >= limit) break;
    for await (const hit of hitsOf(peer, query, { context, limit: limit - hits.length }, everyone)) {
      hits.push({ id: peer.id, name: peer.name, ...hit });
      if (!options.json)
        await print(options, hit, everyone ? `${peer.id} ${peer.name} ${formatHit(hit)}` : formatHit(hit));
    }
  }
  await print(options, hits, "");
  if (!hits.length) say(`nothing found for ${query}`);
  if (hits.length >= limit) say(`stopped at ${limit} hits; --limit takes more`);
}

async function* hitsOf(
  peer: Peer,
  query: string,
  options: { context: number; limit: number },
  skipMissing: boolean,
): AsyncGenerator<Hit> {
  try {
    yield* searchTurns(transcriptOf(peer), query, options);
  } catch (error) {
    if (!skipMissing || !(error instanceof MeshError) || error.code !== "NO_TRANSCRIPT") throw error;
  }
}
