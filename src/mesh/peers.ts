// peers/<id>.json: one session, who and where it is, which process. The peer is the process; a session id is only
// something it carries at the moment. Reading only: join.ts writes.

import { lstatSync, readFileSync, readlinkSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { clocks, fileTime, hasStood, touch } from "./clock.ts";
import { namesIn, readJsonObject } from "./files.ts";
import { FILE_MODE, mailbox, peerFile, peersDir, sessionLink, wokeFile } from "./home.ts";
import { isSafeName } from "./maildir.ts";
import { hostName } from "./message.ts";
import { cleanName } from "./name.ts";
import { bootId, isRunning, startedAt } from "./process.ts";

export interface Peer {
  id: string;
  name: string;
  /** who gave it, where that is known: by what its name stands behind mail that waits for that name */
  named?: "repository" | "user" | "folder";
  cwd: string;
  repo?: string;
  branch?: string;
  host: string;
  boot: string;
  pid: number;
  pid_started: string;
  session_id?: string;
  transcript_path?: string;
  client?: string;
  claude_session_file?: string;
  /** pid of the claudemesh that runs this session in its terminal */
  supervisor?: number;
  /** pid of the session's own MCP server */
  mcp?: number;
  /** when the first hook of this process ran, as ISO time: before that nothing can confirm what a bell puts before it */
  hooked?: string;
  started_at: string;
  /** when it said goodbye */
  left_at?: string;
  summary?: string;
  previous_sessions: string[];
}

/** How long, in ms, a peer whose pid means nothing here counts as alive after its last beat. */
export const LEASE = 90_000;
/** How often, in ms, a session's own processes beat. */
export const BEAT = 30_000;

/** A peer from its file; undefined if the file is missing or is no peer. */
export function readPeer(id: string): Peer | undefined {
  // The id may come from a letter's header or a link: it is not to be a path.
  const found = isSafeName(id) ? readJsonObject(peerFile(id)) : undefined;
  return found && isPeer(found) && found.id === id
    ? { ...found, name: cleanName(found.name)?.name ?? "session", previous_sessions: found.previous_sessions ?? [] }
    : undefined;
}

function isPeer(value: Record<string, unknown>): value is Record<string, unknown> & Peer {
  const texts = ["id", "name", "cwd", "host", "boot", "pid_started", "started_at"];
  const optional = [
    "named",
    "repo",
    "branch",
    "session_id",
    "transcript_path",
    "client",
    "claude_session_file",
    "hooked",
    "left_at",
    "summary",
  ];
  return (
    texts.every((key) => typeof value[key] === "string") &&
    optional.every((key) => value[key] === undefined || typeof value[key] === "string") &&
    [value.started_at, value.left_at ?? value.started_at].every((at) => !Number.isNaN(Date.parse(String(at)))) &&
    Number.isInteger(value.pid) &&
    (value.previous_sessions === undefined ||
      (Array.isArray(value.previous_sessions) && value.previous_sessions.every((s) => typeof s === "string")))
  );
}

/** Every peer, live and gone, by id; and the files among them that can't be read. */
export function readPeers(): { peers: Peer[]; broken: string[] } {
  const names = namesIn(peersDir());
  const peers: Peer[] = [];
  const broken: string[] = [];
  for (const name of names.sort()) {
    if (!name.endsWith(".json")) continue;
    const peer = readPeer(name.slice(0, -5));
    if (peer) peers.push(peer);
    // A file that vanished since readdir is no broken one.
    else if (ignore(["ENOENT"], () => lstatSync(join(peersDir(), name)))) broken.push(join(peersDir(), name));
  }
  return { peers, broken };
}

/** Every peer, live and gone, by id. */
export const listPeers = (): Peer[] => readPeers().peers;

/** True if the peer's pid is one this process can look up: same machine, same boot, same PID namespace. */
export const isLocal = (peer: Peer): boolean => peer.boot === bootId() && peer.host === hostName();

/** How far ahead, in ms, of the file system a host's clock may be that stamps its beats by itself, as an older claudemesh does. */
const AHEAD = 900_000;

/**
 * True while the session runs; for one of another host or container, while it has beaten within LEASE. Its beats and
 * `now` (ms) are the file system's time: no host's own clock counts.
 */
export function isAlive(peer: Peer, now?: number): boolean {
  if (peer.left_at !== undefined) return false;
  if (isLocal(peer)) return isRunning(peer.pid, peer.pid_started);
  const beaten = ignore(["ENOENT"], () => statSync(join(mailbox(peer.id), "beat")).mtimeMs);
  if (beaten === undefined) return false;
  const at = now ?? fileTime();
  const age = at - beaten;
  if ((age < LEASE && age > -AHEAD) || isGraced(beaten, at)) return true;
  // A clock that was set a moment ago: whoever lives has not beaten since.
  return now === undefined && !hasStood(LEASE);
}

/** After a sleep, or when the clock was set, no beat fits: who was alive when it began gets a LEASE to beat again. */
function isGraced(beaten: number, now: number): boolean {
  const text = ignore(["ENOENT"], () => readFileSync(wokeFile(), "utf8"));
  const [slept = 0, woke = 0] = (text ?? "").split(" ").map(Number);
  return Math.abs(now - woke) < LEASE && slept - beaten < LEASE;
}

/** Notes that this machine has slept from `slept` to `woke`, in ms of the file system's time. */
export function noteSleep(slept: number, woke: number): void {
  writeFileSync(wokeFile(), `${slept} ${woke}\n`, { mode: FILE_MODE });
}

/** Says that the session is still there, to those who can't see its pid. */
export function beat(id: string): void {
  const file = join(mailbox(id), "beat");
  // A full disk may take no byte.
  if (succeeds(["ENOENT", "ENOSPC", "EDQUOT"], () => touch(file))) return;
  const now = new Date(clocks.files());
  ignore(["ENOENT"], () => utimesSync(file, now, now));
}

/** The peer that is this process, whatever session it has open; undefined if it has not joined. */
export function peerOfProcess(pid: number, sessionId?: string): Peer | undefined {
  const started = startedAt(pid);
  const isIt = (peer: Peer | undefined) => peer?.pid === pid && peer.pid_started === started && isLocal(peer);
  const linked = linkedTo(sessionId);
  const first = linked ? readPeer(linked) : undefined;
  return isIt(first) ? first : listPeers().find(isIt);
}

/** True if the hooks of the peer's session find its mailbox by their session's id. */
export const isLinked = (peer: Peer): boolean => linkedTo(peer.session_id) === peer.id;

function linkedTo(sessionId: string | undefined): string | undefined {
  if (!sessionId || !isSafeName(sessionId)) return undefined;
  return ignore(["ENOENT", "EINVAL"], () => basename(readlinkSync(sessionLink(sessionId))));
}
