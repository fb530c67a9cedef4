// What a session's own MCP server (and, while that is missing, its supervisor) does all along: beat, follow the session
// file, ring for mail, look for evidence of what was handed over. A watcher for each, and a slow look every 10 s.

import { join } from "node:path";
import { clocks } from "../mesh/clock.ts";
import { safeConfig } from "../mesh/config.ts";
import { mailbox, peerFile } from "../mesh/home.ts";
import { joinMesh, noticeDeaths, publish, updatePeer } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { keepMailbox, keepRoom } from "../mesh/maildir.ts";
import { cleanName, nameFor } from "../mesh/name.ts";
import { claimRing, mayNotify } from "../mesh/notify.ts";
import { BEAT, beat, noteSleep, type Peer, peerOfProcess, readPeer } from "../mesh/peers.ts";
import { isRunning } from "../mesh/process.ts";
import { projectOf } from "../mesh/project.ts";
import { peek } from "../mesh/receive.ts";
import { sweep, sweepMailbox } from "../mesh/sweep.ts";
import { every, oneAtATime, type Watch, watch } from "../mesh/watch.ts";
import { createWitness } from "./evidence.ts";
import { summaryLine } from "./prompt.ts";
import type { Ringer } from "./ringer.ts";
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
    // A mailbox whose session is forgotten is not made again: its session may have another by then.
    await watch(`${box}/new`, look, { make: () => readPeer(id) && keepMailbox(box) }),
    await watch(join(box, "handed"), witness.look, { make: () => readPeer(id) && keepRoom(box, "handed") }),
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

/** How long, in ms, it takes to be sure that all of ~/.claudemesh has been removed that will be. */
const REMOVED = 1000;

/**
 * Attends to the mailbox of a session's process for as long as that runs, with a ringer that `make` gives for it. Where
 * ~/.claudemesh is removed meanwhile, the session is registered again, with its id if it has no other yet.
 */
export async function follow(first: Peer, make: (id: string) => Promise<Ringer> | Ringer): Promise<Watch> {
  let known = first;
  let ringer: Ringer;
  let attending: Watch;
  let closed = false;
  let late: NodeJS.Timeout | undefined;
  let remembering: Watch;
  const begin = async () => {
    // What is set while its mailbox rests, a summary say, is known of it too.
    remembering = await watch(peerFile(known.id), () => void remember());
    ringer = await make(known.id);
    remember();
    attending = await attend(known.id, look);
  };
  const end = async () => {
    await attending.close();
    await remembering.close();
    await ringer.stop();
  };
  /** Whether it is registered still. */
  const remember = (): boolean => {
    const peer = readPeer(known.id);
    if (peer?.pid !== known.pid) return false;
    known = peer;
    return true;
  };
  const look = () => {
    if (remember()) ringer.look();
    else if (!closed) late ??= setTimeout(findAgain, REMOVED).unref();
  };
  const { look: findAgain, settled } = oneAtATime("follow", async () => {
    late = undefined;
    const { id, pid } = known;
    if (closed || readPeer(id)?.pid === pid || !isRunning(pid, known.pid_started)) return;
    const session_id = sessionOf(known)?.sessionId ?? known.session_id;
    const now =
      peerOfProcess(pid) ?? (await joinMesh({ pid, cwd: known.cwd, ...(session_id ? { session_id } : {}), known }));
    await end();
    known = now;
    await begin();
    log("followed", id, now.id);
  });
  await begin();
  return {
    async close() {
      closed = true;
      clearTimeout(late);
      await settled();
      await end();
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
