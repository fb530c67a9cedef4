// Reading and replacing a Claude Code settings file that Claude, the user and other tools write as well.
// Invariant: what is replaced is what was read; a file that changed in between is read anew, never written over.

import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lstatSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf, ignore, MeshError } from "../errors.ts";
import { clearLeftovers, createFile, syncDir } from "../mesh/files.ts";

const TRIES = 5;

interface Found {
  /** the file itself, behind any symlinks */
  target: string;
  bytes: Buffer | undefined;
}

/**
 * The text of a settings file, byte order mark included; undefined if there is none.
 * Throws MeshError BAD_SETTINGS if it can't be read as UTF-8 text.
 */
export function readSettings(path: string): string | undefined {
  return textOf(path, find(path).bytes);
}

/**
 * Replaces a settings file by what `change` makes of its text (undefined: no file), through symlinks, keeping mode
 * and owner; its folder must be there. Returns whether anything was written. `change` may be called again.
 * Throws MeshError BAD_SETTINGS if the text does not parse, TRY_AGAIN if others keep writing to the file.
 */
export function editSettings(path: string, change: (text: string | undefined) => string | undefined): boolean {
  for (let left = TRIES; left > 0; left--) {
    const found = find(path);
    const before = textOf(path, found.bytes);
    const after = parsing(path, () => change(before));
    if (after === before) return false;
    if (replace(path, found, after)) return true;
  }
  throw new MeshError(
    "TRY_AGAIN",
    `can't edit ${path}: it changed ${TRIES} times while it was being edited`,
    "something else is writing to it; nothing of it was overwritten. Run this again",
  );
}

/** Runs `action`; its SyntaxError becomes MeshError BAD_SETTINGS about `path`, with the line and what to do. */
export function parsing<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof SyntaxError) throw bad(path, error.message);
    throw error;
  }
}

/** True if the user lets this file be written: not made read-only (0444), not on a read-only file system. */
export function mayWrite(path: string): boolean {
  const target = ignore(["ENOENT"], () => realpathSync(path));
  try {
    if (!target) return true;
    accessSync(dirname(target), constants.W_OK);
    return (statSync(target).mode & 0o200) !== 0;
  } catch {
    return false;
  }
}

function bad(path: string, reason: string): MeshError {
  return new MeshError(
    "BAD_SETTINGS",
    `can't edit ${path}: ${reason}`,
    "mend that and run this again; nothing was touched",
  );
}

function find(path: string): Found {
  try {
    const link = ignore(["ENOENT"], () => lstatSync(path));
    if (!link) return { target: path, bytes: undefined };
    const target = realpathSync(path);
    const found = statSync(target);
    // Reading a FIFO waits for ever, and a rename would put a file in the place of /dev/null.
    if (!found.isFile() && !found.isDirectory()) throw bad(path, "it is no regular file");
    return { target, bytes: readFileSync(target) };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") throw bad(path, "it is a symlink to a file that is not there");
    if (errno === "EISDIR") throw bad(path, "it is a directory");
    if (errno === "EACCES" || errno === "ENOTDIR" || errno === "ELOOP") throw bad(path, `it can't be read (${errno})`);
    throw error;
  }
}

function textOf(path: string, bytes: Buffer | undefined): string | undefined {
  try {
    return bytes && new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw bad(path, "it is not UTF-8 text");
  }
}

const tempBase = (target: string) => `${basename(target)}.claudemesh.`;

/** Removes what an edit of this file has left beside it that was killed half way. */
export function clearEdits(path: string): void {
  const target = ignore(["ENOENT", "ELOOP"], () => realpathSync(path)) ?? path;
  clearLeftovers(dirname(target), tempBase(target));
}

/** False, with nothing written, if the file is no longer what was read. */
function replace(path: string, { target, bytes }: Found, after: string | undefined): boolean {
  const temp = join(dirname(target), `.${tempBase(target)}${process.pid}`);
  const was = ignore(["ENOENT"], () => statSync(target));
  try {
    if (after !== undefined) {
      ignore(["ENOENT"], () => unlinkSync(temp));
      createFile(temp, after);
      if (was) dress(temp, was);
    }
    // Nothing can close the gap between this look and the rename but a lock that every writer took; there is none.
    const now = find(path);
    if (now.target !== target || !(bytes ? now.bytes?.equals(bytes) : now.bytes === undefined)) return false;
    if (after === undefined) unlinkSync(target);
    else renameSync(temp, target);
    syncDir(dirname(target));
    return true;
  } finally {
    if (existsSync(temp)) unlinkSync(temp);
  }
}

function dress(temp: string, was: Stats): void {
  const own = statSync(temp);
  if (own.uid !== was.uid || own.gid !== was.gid) ignore(["EPERM"], () => chownSync(temp, was.uid, was.gid));
  chmodSync(temp, was.mode & 0o7777);
}
