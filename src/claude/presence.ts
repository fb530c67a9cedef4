// What a session's own MCP server (and, while that is missing, its supervisor) does all along: beat, follow the session
// file, ring for mail. One watcher on the mailbox, one on the session file, one slow timer.

import { mailbox } from "../mesh/home.ts";
import { updatePeer } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { makeMailbox } from "../mesh/maildir.ts";
import { BEAT, beat, readPeer } from "../mesh/peers.ts";
import { projectOf } from "../mesh/project.ts";
import { sweep, sweepMailbox } from "../mesh/sweep.ts";
import { type Watch, watch } from "../mesh/watch.ts";
import { safeConfig, sessionOf } from "./session.ts";

const SWEEP = 3_600_000;

/** Calls `look` when the peer's mailbox or session file changes, beats, sweeps, and follows a /rename. */
export async function attend(id: string, look: () => void): Promise<Watch> {
  const box = mailbox(id);
  let swept = Date.now();
  const keepUp = async () => {
    beat(id);
    sweepMailbox(id, safeConfig());
    if (Date.now() - swept > SWEEP) {
      swept = Date.now();
      await sweep();
    }
  };
  const onSession = async () => {
    look();
    const peer = readPeer(id);
    const name = peer && sessionOf(peer)?.name;
    if (name && name !== peer.name && !projectOf(peer.cwd).name) await updatePeer(id, { name });
  };
  const file = readPeer(id)?.claude_session_file;
  const watches = [
    await watch(`${box}/new`, look, { make: () => makeMailbox(box) }),
    ...(file ? [await watch(file, onSession)] : []),
  ];
  const timer = setInterval(() => keepUp().catch((error: unknown) => log("sweep-error", String(error))), BEAT);
  timer.unref();
  beat(id);
  return {
    async close() {
      clearInterval(timer);
      await Promise.all(watches.map((w) => w.close()));
    },
  };
}
