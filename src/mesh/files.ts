// Durable small files: written whole beside their target, flushed, then renamed over it, so that a
// reader sees the old text or the new one and a crash leaves one of them.

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf, ignore, succeeds } from "../errors.ts";
import { FILE_MODE } from "./home.ts";
import { isRunning } from "./process.ts";

let count = 0;
/** A name for a file that is not there yet, hidden: no reader of the folder looks at it. */
const beside = (path: string) => join(dirname(path), `.${basename(path)}.${process.pid}.${++count}.tmp`);

/** The names in a folder, in no order; none where there is no such folder. Throws what else the system says. */
export const namesIn = (dir: string): string[] => ignore(["ENOENT", "ENOTDIR"], () => readdirSync(dir)) ?? [];

/** Flushes a directory's entries to disk; file systems that can't do so (EINVAL, EPERM) are left alone. */
export function syncDir(dir: string): void {
  const fd = openSync(dir, constants.O_RDONLY);
  try {
    ignore(["EINVAL", "EPERM", "EISDIR"], () => fsyncSync(fd));
  } finally {
    closeSync(fd);
  }
}

/** Creates `path` exclusively (EEXIST if it is there), writes `data` and flushes it, if asked to. Leaves nothing behind on failure. */
export function createFile(path: string, data: string | Uint8Array, flush = true): void {
  const fd = openSync(path, "wx", FILE_MODE);
  try {
    writeFileSync(fd, data);
    if (flush) fsyncSync(fd);
  } catch (error) {
    ignore(["ENOENT"], () => unlinkSync(path));
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Replaces `path` with `data`, durably: temp file, fsync, rename, fsync of the directory. Without `flush` only whole. */
export function replaceFile(path: string, data: string | Uint8Array, flush = true): void {
  const temp = beside(path);
  createFile(temp, data, flush);
  try {
    renameSync(temp, path);
  } catch (error) {
    ignore(["ENOENT"], () => unlinkSync(temp));
    throw error;
  }
  if (flush) syncDir(dirname(path));
}

/** Removes what writers that were killed before their rename left in `dir`: beside files of any name, or of `.<base><pid>`. */
export function clearLeftovers(dir: string, base?: string): void {
  for (const name of ignore(["ENOENT", "ENOTDIR", "EACCES"], () => readdirSync(dir)) ?? []) {
    const rest = base !== undefined && name.startsWith(`.${base}`) ? name.slice(base.length + 1) : "";
    const pattern = base === undefined ? /^\..*\.(\d+)\.\d+\.tmp$/ : /^(\d+)(?:\.\d+\.tmp)?$/;
    const pid = pattern.exec(base === undefined ? name : rest)?.[1];
    if (pid && !isRunning(Number(pid))) ignore(["ENOENT"], () => unlinkSync(join(dir, name)));
  }
}

/**
 * Moves a small file, also to another file system: there it is written whole and durably before the old one goes, so
 * who dies in between leaves both, under the one name that tells that they are the same.
 */
export function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== "EXDEV") throw error;
    if (!lstatSync(from).isFile()) return;
    replaceFile(to, readFileSync(from));
    unlinkSync(from);
  }
}

/** Points the symlink `path` at `target`, replacing what link was there. */
export function replaceLink(path: string, target: string): void {
  if (ignore(["ENOENT", "EINVAL"], () => readlinkSync(path)) === target) return;
  const temp = beside(path);
  symlinkSync(target, temp);
  try {
    renameSync(temp, path);
  } catch (error) {
    ignore(["ENOENT"], () => unlinkSync(temp));
    throw error;
  }
}

/** Removes a directory if it is empty. True if it was there, empty, and is gone. */
export function removeEmpty(dir: string): boolean {
  return succeeds(["ENOENT", "ENOTEMPTY", "ENOTDIR", "EEXIST"], () => rmdirSync(dir));
}

/** A small file that others may have put there is not read beyond so many bytes. */
const SMALL = 1024 * 1024;
const UNREADABLE = ["ENOTDIR", "EISDIR", "EACCES", "EPERM", "ELOOP", "ENXIO", "ENAMETOOLONG", "ENODEV"];

/**
 * The text of a small regular file; undefined for anything else: a folder, a pipe that nobody writes to, a device
 * without end. Never waits. A missing file throws ENOENT.
 */
export function readSmall(path: string): string | undefined {
  if (path.includes("\0")) return undefined;
  const fd = ignore(UNREADABLE, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY));
  if (fd === undefined) return undefined;
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && stat.size <= SMALL ? readFileSync(fd, "utf8") : undefined;
  } finally {
    closeSync(fd);
  }
}

/** The JSON object in `path`; undefined if it is missing, no small file, not JSON, or not an object. */
export function readJsonObject(path: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(ignore(["ENOENT"], () => readSmall(path)) ?? "");
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** True for a JSON object, false for null, arrays and scalars. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
