// `claudemesh status`: health at a glance. Each session with the bell that would reach it, and what waits where.

import { ownPeer } from "../claude/own-peer.ts";
import { linkState, scopeOf } from "../claude/plugin.ts";
import { rowsOf, table } from "../claude/roster.ts";
import { readConfig } from "../mesh/config-file.ts";
import { namesIn } from "../mesh/files.ts";
import { checkHome, deadBox, inboxRoot, mailbox, meshHome } from "../mesh/home.ts";
import { listNew } from "../mesh/maildir.ts";
import { isAlive, readPeers } from "../mesh/peers.ts";
import { print } from "../print.ts";

/** Prints home, install, sessions and mail; `--json`: one object. Exit 1 if config.json is wrong. Throws MeshError BAD_HOME. */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  checkHome(meshHome());
  const {
    config: { bells },
    problems,
  } = readConfig();
  const { peers, broken } = readPeers();
  const sessions = rowsOf(peers.filter((p) => isAlive(p)));
  const waiting = namesIn(inboxRoot())
    .map((id) => ({ id, name: peers.find((p) => p.id === id)?.name ?? id, unread: listNew(mailbox(id)).length }))
    .filter((box) => box.unread > 0);
  const dead = listNew(deadBox()).length;
  const installed = linkState(scopeOf(false).link) === "ours";
  const lines = [
    `home       ${meshHome()}`,
    `installed  ${installed ? "yes: plain `claude` takes part" : "no: only sessions started with `claudemesh` take part"}`,
    ...problems.map((problem) => `config     ${problem}`),
    `bells      ${bells.join(", ") || "none"}`,
    `sessions   ${sessions.length || "none"}`,
    ...(sessions.length
      ? table(sessions, ownPeer()?.id)
          .split("\n")
          .map((line) => `  ${line}`)
      : []),
    `waiting    ${waiting.map((w) => `${w.name} ✉${w.unread}`).join(", ") || "nothing"}`,
    ...(dead ? [`dead       ${dead} that nobody will read: ls ${deadBox()}/new`] : []),
    ...broken.map((file) => `broken     ${file}: no peer file; remove it when you have looked at it`),
  ];
  await print(
    options,
    { home: meshHome(), installed, config: problems, bells, sessions, waiting, dead, broken },
    lines.join("\n"),
  );
  if (problems.length) process.exitCode = 1;
}
