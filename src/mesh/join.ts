// Joining and leaving the mesh, and what follows from it for those who read without parsing: sessions/, to/ and the
// badge. Each locked section is an idempotent merge, written whole, so that two holders of the lock do no harm.

import { mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { look } from "./clock.ts";
import { moveFile, namesIn, readSmall, replaceFile, replaceLink } from "./files.ts";
import {
  addressBook,
  addressLink,
  badgeFile,
  DIR_MODE,
  mailbox,
  openHome,
  peerFile,
  queuedBox,
  sessionLink,
} from "./home.ts";
import { locked } from "./lock.ts";
import { log } from "./log.ts";
import { isOurName, isSafeName, listNew, locate, makeMailbox, newPath, ring } from "./maildir.ts";
import { hostName, oneLine, parse, uniqueName } from "./message.ts";
import { nameFor } from "./name.ts";
import { bounceOwed } from "./owed.ts";
import { beat, isAlive, isLocal, listPeers, type Peer, readPeer } from "./peers.ts";
import { bootId, startedAt } from "./process.ts";
import { projectOf } from "./project.ts";

/** What is known of a session when it joins. `fork`: it continues another session's text under an id of its own. */
export interface Arrival {
  pid: number;
  cwd: string;
  name?: string;
  fork?: boolean;
  session_id?: string;
  transcript_path?: string;
  client?: string;
  claude_session_file?: string;
  supervisor?: number;
  mcp?: number;
  /** a hook of this very process tells */
  hooked?: true;
  /** what was known of this very process, should its file have been removed */
  known?: Peer;
}

/**
 * Registers a session's process, or merges what is newly known of it. A process keeps its id for life; a new process
 * takes the id of a gone peer whose session it resumes. Returns the peer as it is on disk now.
 */
export async function joinMesh(arrival: Arrival): Promise<Peer> {
  openHome();
  // From here on a clock that is set is known to have been.
  look();
  return locked("peers", () => {
    const peers = listPeers();
    const started = startedAt(arrival.pid) ?? "";
    const isIt = (p: Peer | undefined) => p?.pid === arrival.pid && p.pid_started === started && isLocal(p);
    const { known } = arrival;
    // Others hold its id: it is the same after all of ~/.claudemesh has been removed.
    const lost = isIt(known) && known && !peers.some((p) => p.id === known.id) ? known : undefined;
    const same = peers.find(isIt) ?? lost;
    const heir = same ?? (arrival.fork ? undefined : goneWith(peers, arrival.session_id));
    const project = projectOf(arrival.cwd);
    const peer: Peer = {
      ...(heir ?? { id: claimId(), started_at: new Date().toISOString(), previous_sessions: [] }),
      ...nameFor({ file: project.name, user: arrival.name ?? given(same), cwd: same?.cwd ?? arrival.cwd }),
      // A `cd` inside the session moves claude, not the project it is known by.
      cwd: same?.cwd ?? arrival.cwd,
      host: hostName(),
      boot: bootId(),
      pid: arrival.pid,
      pid_started: started,
    };
    delete peer.left_at;
    if (!same) {
      delete peer.supervisor;
      delete peer.mcp;
      delete peer.hooked;
      peer.started_at = new Date().toISOString();
    }
    delete peer.repo;
    delete peer.branch;
    if (project.repo) peer.repo = project.repo;
    if (project.branch) peer.branch = project.branch;
    for (const key of ["session_id", "transcript_path", "client", "claude_session_file"] as const) {
      const value = arrival[key];
      if (value) peer[key] = value;
    }
    for (const key of ["supervisor", "mcp"] as const) {
      const value = arrival[key];
      if (value) peer[key] = value;
    }
    if (arrival.hooked) peer.hooked ??= new Date().toISOString();
    const old = heir?.session_id;
    if (old && old !== peer.session_id)
      peer.previous_sessions = [...peer.previous_sessions.filter((s) => s !== old), old].slice(-50);
    makeMailbox(mailbox(peer.id));
    replaceFile(peerFile(peer.id), `${JSON.stringify(peer, null, 2)}\n`);
    // Before the link by which a prompt's hook, which may run beside the start's, finds the mailbox: it gives up at an empty one.
    inheritQueued(peer, project.root);
    replaceFile(join(mailbox(peer.id), "place"), `${placeOf(peer)}\n`);
    replaceFile(join(mailbox(peer.id), "pid"), `${peer.pid}\n`, false);
    beat(peer.id);
    const all = [...peers.filter((p) => p.id !== peer.id), peer];
    linkSession(peer.session_id, all);
    if (old !== peer.session_id) linkSession(old, all);
    publish(all);
    if (!same || lost === same)
      log("join", peer.id, peer.name, `pid=${peer.pid}`, same ? "again" : heir ? "resumed" : "new");
    return peer;
  });
}

/** Changes some fields of a peer, under the lock. Undefined if it is not registered. */
export async function updatePeer(
  id: string,
  change: Partial<Pick<Peer, "name" | "named" | "summary" | "mcp">>,
): Promise<Peer | undefined> {
  return locked("peers", () => {
    const peer = readPeer(id);
    if (!peer) return undefined;
    const changed = { ...peer, ...change };
    replaceFile(peerFile(id), `${JSON.stringify(changed, null, 2)}\n`);
    if (changed.name !== peer.name) {
      inheritQueued(changed, projectOf(changed.cwd).root);
      publish(listPeers());
    }
    return changed;
  });
}

/** The name that the session's user gave it earlier, if any did. */
const given = (peer: Peer | undefined) =>
  peer?.named === "repository" || peer?.named === "folder" ? undefined : peer?.name;

/** Notes that the session has ended with its process `pid`. Its mailbox stays, for the process that may resume it. */
export async function leave(id: string, pid: number): Promise<void> {
  await locked("peers", () => {
    const peer = readPeer(id);
    // Another process may have taken it up already.
    if (!peer || peer.pid !== pid || peer.left_at !== undefined) return;
    const left = { ...peer, left_at: new Date().toISOString() };
    const peers = listPeers().map((other) => (other.id === id ? left : other));
    bounceOwed(id, peer.name, "it ended without answering");
    linkSession(peer.session_id, peers);
    publish(peers);
    // The goodbye last: if this process dies over it, whoever notices the death goes on.
    replaceFile(peerFile(id), `${JSON.stringify(left, null, 2)}\n`);
    log("leave", id, peer.name);
  });
}

/** Says goodbye for the sessions of this machine that died without doing so; true if there were any. */
export async function noticeDeaths(peers: Peer[] = listPeers()): Promise<boolean> {
  const dead = peers.filter((peer) => peer.left_at === undefined && isLocal(peer) && !isAlive(peer));
  for (const { id, pid } of dead) await leave(id, pid);
  return dead.length > 0;
}

/** A peer that is gone and had this session open: last, or at some time. */
function goneWith(peers: Peer[], sessionId: string | undefined): Peer | undefined {
  if (!sessionId) return undefined;
  const having = peers.filter((p) => p.session_id === sessionId || p.previous_sessions.includes(sessionId));
  // Live elsewhere: this is a second window on the same text, and a peer of its own.
  if (having.some((p) => p.session_id === sessionId && isAlive(p))) return undefined;
  return having
    .filter((p) => !isAlive(p))
    .sort((a, b) => Number(b.session_id === sessionId) - Number(a.session_id === sessionId))[0];
}

/** 8 characters of lower-case Crockford base32, at least one a letter, claimed by the exclusive making of its mailbox. */
function claimId(): string {
  const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  for (;;) {
    const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => alphabet[byte & 31]).join("");
    if (!/[a-z]/.test(id)) continue;
    if (succeeds(["EEXIST"], () => mkdirSync(mailbox(id), { mode: DIR_MODE }))) return id;
  }
}

/** What a folder says that lies where a link should. */
const IN_ITS_PLACE = ["EISDIR", "EPERM", "ENOTEMPTY", "EEXIST", "ENOTDIR"];
/** A name can be 255 bytes long, and a link is made under a longer one. */
const LONGEST_LINK = 200;
const canBeLinked = (name: string) => !/[/\0]|^\.|^$/.test(name) && Buffer.byteLength(name) <= LONGEST_LINK;

/** sessions/<session_id> → the mailbox; absent while two live processes have the same session open, or none has. */
function linkSession(sessionId: string | undefined, peers: Peer[]): void {
  if (!sessionId || !isSafeName(sessionId)) return;
  const [only, ...more] = peers.filter((p) => p.session_id === sessionId && isAlive(p));
  // A folder of somebody's in its place stays: hooks then find their mailbox by the process.
  ignore(IN_ITS_PLACE, () => {
    if (only && !more.length) replaceLink(sessionLink(sessionId), join("..", "inbox", only.id));
    else unlink(sessionLink(sessionId));
  });
}

/** Rewrites what others read without parsing: the address book to/ and the badge. */
export function publish(peers: Peer[] = listPeers()): void {
  const live = peers.filter((peer) => isAlive(peer));
  const byName = new Map<string, Peer | "shared">();
  for (const peer of live) if (canBeLinked(peer.name)) byName.set(peer.name, byName.has(peer.name) ? "shared" : peer);
  // What somebody else has put there, a folder say, stays and is in nobody's way.
  for (const name of namesIn(addressBook()))
    if (!name.startsWith(".") && (!byName.has(name) || byName.get(name) === "shared"))
      ignore(IN_ITS_PLACE, () => unlink(addressLink(name)));
  for (const [name, peer] of byName)
    if (peer !== "shared") ignore(IN_ITS_PLACE, () => replaceLink(addressLink(name), join("..", "inbox", peer.id)));
  const text = badgeOf(live);
  if (ignore(["ENOENT"], () => readFileSync(badgeFile(), "utf8")) !== text) replaceFile(badgeFile(), text);
}

/** Where a pid means something, as one word: inbox/<id>/place for the status line to know its line of the badge by. */
const placeOf = ({ host, boot }: Peer) => `${host}|${boot}`.replaceAll(/\s/g, "_");

/** For each place a line: its name, the pids there that live, and a star for each session that lives elsewhere. */
function badgeOf(live: Peer[]): string {
  const places = [...new Set(live.map(placeOf))];
  const words = (place: string) => live.map((peer) => (placeOf(peer) === place ? String(peer.pid) : "*"));
  return places.map((place) => `${[place, ...words(place)].join(" ")}\n`).join("");
}

/** Mail that waited under a name where nobody was goes to the first session of that name that it can be meant for. */
function inheritQueued(peer: Peer, root: string): void {
  if (Buffer.byteLength(peer.name) > LONGEST_LINK) return;
  const waiting = queuedBox(peer.name);
  for (const name of listNew(waiting)) {
    if (!isMeantFor(peer, root, newPath(waiting, name), name)) continue;
    const isThere = locate(mailbox(peer.id), name) !== undefined;
    // Under a name of ours it is one letter, sent to the name and to the id; under another program's it is a second one.
    if (isThere && isOurName(name)) unlink(newPath(waiting, name));
    else {
      const free = isThere ? `${name}.${uniqueName()}` : name;
      ignore(["ENOENT"], () => moveFile(newPath(waiting, name), newPath(mailbox(peer.id), free)));
    }
    ring(mailbox(peer.id));
  }
}

/**
 * True for a session in the folder that the letter names. Where it names none, a name that a file in a repository gives
 * is not enough: anybody's repository may say so.
 */
function isMeantFor(peer: Peer, root: string, path: string, unique: string): boolean {
  const text = ignore(["ENOENT"], () => readSmall(path));
  const folder = text === undefined ? undefined : parse(text, unique).waitsFor;
  return folder === undefined ? peer.named !== "repository" : [peer.cwd, root].map(oneLine).includes(folder);
}

const unlink = (path: string) => ignore(["ENOENT"], () => unlinkSync(path));
