// `claudemesh list`: who is there.

import { ownPeer } from "../claude/own-peer.ts";
import { rowsOf, table } from "../claude/roster.ts";
import { checkHome, meshHome } from "../mesh/home.ts";
import { noticeDeaths } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { type Peer, readPeers } from "../mesh/peers.ts";
import { projectOf } from "../mesh/project.ts";
import { print, say } from "../print.ts";

/**
 * Prints live sessions, with `--all` also those that are gone, with `--repo` or `--dir` those of this repository or
 * folder; `--json`: an array of rows.
 */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  checkHome(meshHome());
  const found = readPeers();
  // Who has died since the last look is found here: put it right for those who read to/ and the badge.
  const changed = await noticeDeaths(found.peers).catch((error: unknown) => {
    log("list-error", String(error));
    return true;
  });
  const { peers, broken } = changed ? readPeers() : found;
  for (const file of broken)
    say(`can't read ${file}: it is no peer file; its mail is untouched; remove the file when you have looked at it`);
  const { repo } = projectOf(process.cwd());
  const isNear = (p: Peer) =>
    (!options.repo || (repo !== undefined && p.repo === repo)) && (!options.dir || p.cwd === process.cwd());
  const all = rowsOf(peers.filter(isNear));
  const rows = all.filter(({ alive }) => options.all || alive);
  await print(options, rows, table(rows, ownPeer()?.id));
  if (!rows.length) say("nobody is there; start a session with `claudemesh`");
}
