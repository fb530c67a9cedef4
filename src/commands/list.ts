// `claudemesh list`: who is there.

import { existsSync } from "node:fs";
import { rowOf, table } from "../claude/roster.ts";
import { ownPeer } from "../claude/session.ts";
import { checkHome, meshHome } from "../mesh/home.ts";
import { publish } from "../mesh/join.ts";
import { isAlive, readPeers } from "../mesh/peers.ts";
import { print, say } from "../print.ts";

/** Prints live sessions, with `--all` also those that are gone; `--json`: an array of rows. */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  checkHome(meshHome());
  const { peers, broken } = readPeers();
  for (const file of broken)
    say(`can't read ${file}: it is no peer file; its mail is untouched; remove the file when you have looked at it`);
  const shown = peers.filter((p) => options.all || isAlive(p));
  // Who has died since the last look is found here: put it right for those who read to/ and the badge.
  if (existsSync(meshHome())) publish(peers);
  const rows = shown.map(rowOf);
  print(options, rows, table(rows, ownPeer()?.id));
  if (!rows.length) say("nobody is there; start a session with `claudemesh`");
}
