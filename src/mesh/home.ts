// Every path under ~/.claudemesh, in one place, and the check that the folder is really ours.
// Invariant: directories are 0700 and files 0600, created so.

import { chmodSync, lstatSync, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { errnoOf, ignore, MeshError } from "../errors.ts";
import { queueId } from "./name.ts";

export const DIR_MODE = 0o700;
export const FILE_MODE = 0o600;

/** The mesh folder: `CLAUDEMESH_HOME`, else `~/.claudemesh`. Throws MeshError BAD_HOME as checkHome does. */
export function meshHome(): string {
  const home = process.env.CLAUDEMESH_HOME || join(homedir(), ".claudemesh");
  if (home !== checked) checkHome(home);
  checked = home;
  return home;
}

/** The home that was found to be ours; nothing in another is read or written. */
let checked: string | undefined;

export const peersDir = () => join(meshHome(), "peers");
export const peerFile = (id: string) => join(peersDir(), `${id}.json`);
/**
 * The sender of what a session's shell sends that is no longer below the session: nobody can say that it is the session,
 * and it is not the user. Mail for it is the user's to read.
 */
export const SHELL = "shell";
export const mailbox = (id: string) => join(meshHome(), "inbox", id === SHELL ? "you" : id);
export const inboxRoot = () => join(meshHome(), "inbox");
export const sessionsDir = () => join(meshHome(), "sessions");
export const sessionLink = (sessionId: string) => join(sessionsDir(), sessionId);
export const addressBook = () => join(meshHome(), "to");
export const addressLink = (name: string) => join(addressBook(), name);
/** Where mail waits for the next session that joins under a name. */
export const queuedBox = (name: string) => mailbox(queueId(name));
export const deadBox = () => join(meshHome(), "dead");
export const lockDir = (name: string) => join(meshHome(), "locks", name);
export const configFile = () => join(meshHome(), "config.json");
export const logFile = () => join(meshHome(), "log");
/** Symlink to the node that ran `install`, for hooks that start where PATH is bare. */
export const nodeLink = () => join(meshHome(), "node");
/** Written by a process that found that this machine had slept: since when, and when it woke, in ms. */
export const wokeFile = () => join(meshHome(), "woke");
/** Written only to learn what time the file system says it is. */
export const nowFile = () => join(meshHome(), "now");
/** What each boot of each machine knows of its clocks. */
export const clocksDir = () => join(meshHome(), "clocks");
/** The process ids of the sessions, a line for each machine or container: the status line counts them without a fork. */
export const badgeFile = () => join(meshHome(), "badge");

/** Creates a private directory and its parents; an existing one is left as it is. */
export function makeDir(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: DIR_MODE });
}

/**
 * Makes the mesh folder and its rooms ready for use.
 * Throws MeshError BAD_HOME if another user owns it or may write to it.
 */
export function openHome(): string {
  checked = undefined;
  const home = meshHome();
  try {
    for (const room of ["", "peers", "inbox", "sessions", "to", "locks", "dead/tmp", "dead/new", "dead/cur"])
      makeDir(join(home, room));
  } catch (error) {
    const reason = { EACCES: "no permission", EROFS: "it can't be written to", ENOTDIR: "a file is in its way" };
    const why = reason[errnoOf(error) as keyof typeof reason];
    if (!why) throw error;
    throw new MeshError(
      "BAD_HOME",
      `can't use ${home}: ${why}`,
      "set CLAUDEMESH_HOME to a folder of yours that can be written to",
    );
  }
  return home;
}

/** Throws MeshError BAD_HOME unless `home` is a directory of this user's that nobody else may write to. */
export function checkHome(home: string): void {
  const found = ignore(["ENOENT", "ENOTDIR"], () => statSync(home));
  if (!found) return;
  if (!found.isDirectory())
    throw new MeshError("BAD_HOME", `can't use ${home}: it is not a directory`, `move it away, or set CLAUDEMESH_HOME`);
  const uid = process.getuid?.();
  if (uid !== undefined && found.uid !== uid)
    throw new MeshError(
      "BAD_HOME",
      `can't use ${home}: it belongs to user ${found.uid}, not to you (${uid})`,
      `run: sudo chown -R ${uid} '${home}'   or set CLAUDEMESH_HOME to a folder of yours`,
    );
  if ((found.mode & 0o022) !== 0)
    throw new MeshError("BAD_HOME", `can't use ${home}: other users may write to it`, `run: chmod -R go-rwx '${home}'`);
  if ((found.mode & 0o077) !== 0) chmodSync(home, DIR_MODE);
}

/** True if `path` itself (not what it points to) is a regular file of this user's. */
export function isOwnFile(path: string): boolean {
  const found = ignore(["ENOENT", "ENOTDIR"], () => lstatSync(path));
  return found?.isFile() === true && (process.getuid === undefined || found.uid === process.getuid());
}
