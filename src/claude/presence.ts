// What a session's own MCP server (and, while that is missing, its supervisor) does all along: beat, follow the session
// file, ring for mail, look for evidence of what was handed over. A watcher for each, and a slow look every 10 s.

import { join } from "node:path";
import { clocks } from "../mesh/clock.ts";
import { safeConfig } from "../mesh/config.ts";
import { mailbox } from "../mesh/home.ts";
import { noticeDeaths, publish, updatePeer } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { keepMailbox, keepRoom } from "../mesh/maildir.ts";
import { cleanName, nameFor } from "../mesh/name.ts";
import { claimRing, mayNotify } from "../mesh/notify.ts";
import { BEAT, beat, noteSleep, readPeer } from "../mesh/peers.ts";
import { projectOf } from "../mesh/project.ts";
import { peek } from "../mesh/receive.ts";
import { sweep, sweepMailbox } from "../mesh/sweep.ts";
import { every, type Watch, watch } from "../mesh/watch.ts";
import { createWitness } from "./evidence.ts";
import { summaryLine } from "./prompt.ts";
import { hasMailServer, sessionOf } from "./session.ts";

const SWEEP = 3_600_000;

/** Calls `look` when the peer's mailbox or session file changes, beats, sweeps, and follows a /rename. */
export async function attend(id: string, look: () => void): Promise<Watch> {
  const box = mailbox(id);
  let swept = clocks.ticks();
  let kept = clocks.files();
  const keepUp = async () => {
    const now = clocks.files();
    const before = kept;
    kept = now;
    const peer = readPeer(id);
    // Its own mail server does all this: one of the two is enough.
    if (peer && peer.mcp !== process.pid && hasMailServer(peer)) return;
    if (Math.abs(now - before) > 2 * BEAT) noteSleep(before, now);
    beat(id);
    await noticeDeaths();
    publish();
    sweepMailbox(id, safeConfig());
    if (clocks.ticks() - swept > SWEEP) {
      swept = clocks.ticks();
      await sweep();
    }
  };
  const witness = createWitness(id);
  const onSession = async () => {
    look();
    witness.look();
    const peer = readPeer(id);
    const user = peer && sessionOf(peer)?.name;
    if (!user || cleanName(user)?.name === peer.name) return;
    const naming = nameFor({ file: projectOf(peer.cwd).name, user, cwd: peer.cwd });
    if (naming.name !== peer.name) await updatePeer(id, naming);
  };
  const file = readPeer(id)?.claude_session_file;
  const watches = [
    await watch(`${box}/new`, look, { make: () => keepMailbox(box) }),
    await watch(join(box, "handed"), witness.look, { make: () => keepRoom(box, "handed") }),
    ...(file ? [await watch(file, onSession)] : []),
  ];
  const stop = every(BEAT, () => keepUp().catch((error: unknown) => log("sweep-error", String(error))));
  beat(id);
  return {
    async close() {
      stop();
      await Promise.all(watches.map((w) => w.close()));
      await witness.stop();
    },
  };
}

/** Tells the human of mail for `you`, each letter once, unless somebody has already. */
export async function watchYou(tell: (words: string) => void): Promise<Watch> {
  const box = mailbox("you");
  const look = () => {
    for (const letter of peek("you").letters)
      if (mayNotify() && claimRing(letter.unique)) tell(`claudemesh ${summaryLine([letter])}`);
  };
  return watch(`${box}/new`, look, { make: () => keepMailbox(box) });
}
