// `search <who|*> <query> [--context N] [--limit N]`: what was said in another session, or in all that are known.

import { describe } from "../claude/dispatch.ts";
import { formatHit } from "../claude/transcript-format.ts";
import { needed, transcriptOf, wholeNumber } from "../claude/transcript-request.ts";
import { CONTEXT, compile, type Hit, LIMIT, type SearchOptions, searchTurns } from "../claude/transcript-search.ts";
import { searchEach } from "../claude/transcript-threads.ts";
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
  const peers = everyone ? listPeers().filter((peer) => peer.transcript_path) : [findPeer(who, { describe })];
  const paths = peers.map(transcriptOf);
  const hits: (Hit & Pick<Peer, "id" | "name">)[] = [];
  const search = everyone ? searchEach : searchOne;
  for await (const [n, hit] of search(paths, query, { context, limit })) {
    const { id, name } = peers[n] as Peer;
    hits.push({ id, name, ...hit });
    if (!options.json) await print(options, hit, everyone ? `${id} ${name} ${formatHit(hit)}` : formatHit(hit));
    if (hits.length >= limit) break;
  }
  await print(options, hits, "");
  if (!hits.length) say(`nothing found for ${query}`);
  if (hits.length >= limit) say(`stopped at ${limit} hits; --limit takes more`);
}

async function* searchOne([path = ""]: string[], query: string, options: SearchOptions): AsyncGenerator<[0, Hit]> {
  for await (const hit of searchTurns(path, query, options)) yield [0, hit];
}
