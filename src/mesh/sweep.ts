// Retention, run by whichever process has time. Holds no lock over messages; never touches unseen mail before its term.

import { lstatSync, readlinkSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ignore, succeeds } from "../errors.ts";
import { look, noteWaiting } from "./clock.ts";
import { type Config, safeConfig } from "./config.ts";
import { exhume } from "./dead.ts";
import { namesIn } from "./files.ts";
import { tellHeld } from "./held.ts";
import {
  addressBook,
  deadBox,
  inboxRoot,
  mailbox,
  meshHome,
  peerFile,
  peersDir,
  sessionLink,
  sessionsDir,
} from "./home.ts";
import { publish } from "./join.ts";
import { locked } from "./lock.ts";
import { log } from "./log.ts";
import { curPath, isSafeName, listNew, listUnseen, makeMailbox, newPath, recover } from "./maildir.ts";
import { isAlive, isLocal, listPeers } from "./peers.ts";
import { isRunning } from "./process.ts";
import { expire, peek } from "./receive.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A collector that has not marked within this many ms is dead or hung. */
export const ORPHANED = 30_000;
/** Files in tmp/ older than this were never delivered: 36 hours, as maildir(5) says. */
const TMP_AGE = 36 * HOUR;

/** Age in ms of a file by its mtime; undefined if it has gone. */
function ageOf(path: string, now: number): number | undefined {
  const mtime = ignore(["ENOENT"], () => lstatSync(path).mtimeMs);
  return mtime === undefined ? undefined : now - mtime;
}

/** How long, in ms, a file has been where it is, whatever mtime it brought along. */
function hereFor(path: string, now: number): number {
  const stat = ignore(["ENOENT"], () => lstatSync(path));
  return stat ? now - Math.max(stat.mtimeMs, stat.ctimeMs) : 0;
}

function removeOlder(dir: string, age: number, now: number, only: (name: string) => boolean = () => true): number {
  let removed = 0;
  for (const name of namesIn(dir)) {
    if (!only(name) || (ageOf(join(dir, name), now) ?? 0) < age) continue;
    rmSync(join(dir, name), { recursive: true, force: true });
    removed++;
  }
  return removed;
}

/** Sweeps one mailbox: what dead collectors left, expired mail, and mail past its term. `now` as for `sweep`. */
export function sweepMailbox(id: string, config: Config, now?: number): void {
  const box = mailbox(id);
  recover(box, ORPHANED, now);
  exhume(box, ORPHANED, now);
  tellHeld(id, now);
  endTerms(id, config, timesOf(now));
}

/** Both ages of things, by `now` alone if it is given. */
const timesOf = (now?: number) => (now === undefined ? look() : { time: now, running: now });

/** What has been in a mailbox for its term goes. */
function endTerms(id: string, config: Config, { time: now, running }: { time: number; running: number }): void {
  const box = mailbox(id);
  removeOlder(join(box, "tmp"), TMP_AGE, now);
  // While such a note lies there every prompt starts a node to look for the letter in it.
  removeOlder(join(box, "posted"), HOUR, now);
  for (const room of ["rung", "counted", "braked", "bounced", "awaited", "handed", "tried", "whole"])
    removeOlder(join(box, room), config.keep_unseen_days * DAY, now);
  removeOlder(join(box, "cur"), config.keep_seen_days * DAY, now, (name) => !name.endsWith(":2,"));
  const term = config.keep_unseen_days * DAY;
  const { letters } = peek(id);
  const since = noteWaiting(box, listNew(box), running);
  for (const { unique, message } of letters)
    if (running - (since.get(unique) ?? running) >= term && hereFor(join(box, "new", unique), now) >= term)
      expire(id, unique, message, `expired: unread for ${config.keep_unseen_days} days`);
}

/**
 * One sweep over everything: each mailbox, dead/, and peers that are gone past their term with nothing unread.
 * `now` in ms, as if every clock said so; without it, the time that the clocks vouch for together. Throws MeshError TRY_AGAIN.
 */
export async function sweep(now?: number): Promise<void> {
  const config = safeConfig();
  const times = timesOf(now);
  takeOutTrash();
  for (const dir of [meshHome(), peersDir(), addressBook(), sessionsDir()])
    removeOlder(dir, TMP_AGE, times.time, (name) => /^\..*\.tmp$/.test(name));
  const peers = listPeers();
  for (const id of namesIn(inboxRoot())) {
    // What another host has collected is stamped by its clock: its own session sees to that.
    if (peers.some((peer) => peer.id === id && !isLocal(peer) && isAlive(peer, now))) endTerms(id, config, times);
    else sweepMailbox(id, config, now);
  }
  for (const room of ["tmp", "new", "cur"]) removeOlder(join(deadBox(), room), config.keep_dead_days * DAY, times.time);
  const done = (id: string, since: number | undefined) =>
    since !== undefined && times.time - since >= config.keep_gone_days * DAY && !listUnseen(mailbox(id)).length;
  const stale = listPeers().filter((p) => !isAlive(p, now) && done(p.id, lastSeen(p.id, p.left_at)));
  if (!stale.length) return;
  await locked("peers", () => {
    for (const peer of stale) {
      // A mailbox that is a mount can't be renamed, nor is it ours to remove.
      if (isMount(mailbox(peer.id))) continue;
      const trash = join(meshHome(), "inbox", `.${peer.id}.${process.pid}`);
      // Renamed away first: mail that arrives, or is collected, in this very moment is then seen, and the peer kept.
      if (succeeds(["ENOENT"], () => renameSync(mailbox(peer.id), trash)) && listUnseen(trash).length) {
        renameSync(trash, mailbox(peer.id));
        continue;
      }
      rmSync(trash, { recursive: true, force: true });
      ignore(["ENOENT"], () => unlinkSync(peerFile(peer.id)));
      for (const session of [peer.session_id ?? "", ...peer.previous_sessions])
        if (isSafeName(session) && pointsTo(sessionLink(session), peer.id))
          ignore(["ENOENT"], () => unlinkSync(sessionLink(session)));
      log("forget", peer.id, peer.name);
    }
    publish();
  });
}

/** True if the folder is on another file system than the one it lies in. */
const isMount = (dir: string) => {
  const device = (path: string) => ignore(["ENOENT"], () => lstatSync(path).dev);
  return device(dir) !== undefined && device(dir) !== device(dirname(dir));
};

/** What one who died has left of a mailbox that it was removing; mail that had come in that moment goes back. */
function takeOutTrash(): void {
  for (const name of namesIn(inboxRoot())) {
    const [, id, pid] = /^\.(.+)\.(\d+)$/.exec(name) ?? [];
    if (!id || isRunning(Number(pid))) continue;
    const trash = join(inboxRoot(), name);
    const unseen = listUnseen(trash);
    if (unseen.length) makeMailbox(mailbox(id));
    for (const unique of unseen)
      for (const from of [curPath(trash, unique, ""), newPath(trash, unique)])
        ignore(["ENOENT"], () => renameSync(from, newPath(mailbox(id), unique)));
    rmSync(trash, { recursive: true, force: true });
  }
}

const pointsTo = (link: string, id: string) =>
  ignore(["ENOENT", "EINVAL", "EISDIR"], () => basename(readlinkSync(link))) === id;

/** When, in ms, a peer was last known to be there: it said goodbye, beat, or wrote its file. */
function lastSeen(id: string, leftAt: string | undefined): number | undefined {
  const left = leftAt === undefined ? Number.NaN : Date.parse(leftAt);
  if (!Number.isNaN(left)) return left;
  const times = [peerFile(id), join(mailbox(id), "beat")].map((path) =>
    ignore(["ENOENT"], () => lstatSync(path).mtimeMs),
  );
  return times.some((t) => t !== undefined) ? Math.max(...times.map((t) => t ?? 0)) : undefined;
}
