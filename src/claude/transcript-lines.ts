// A transcript as bytes: whole lines forwards in blocks, or one by one from the end. Holds one block or one line at a
// time, whatever the file's size; splits only at the newline byte, so a UTF-8 character is never cut.

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { errnoOf, ignore, MeshError } from "../errors.ts";

export interface ByteFile {
  size: number;
  /** fills `into` from `position` on; resolves to the bytes read, fewer only at the end of the file */
  read(into: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

export interface Place {
  bytes: Buffer;
  /** where `bytes` begins in the file */
  offset: number;
}

const NEWLINE = 10;
/** The API takes 32 MB a request and the client writes a result twice at most, so a longer line is no conversation. */
const LONGEST_LINE = 68 * 1024 * 1024;
/** Strings over 1 MB stay outside V8's heap, which makes searching them three times as fast. */
export const BLOCK = 2 * 1024 * 1024;
const CHUNK = 64 * 1024;

const REASONS: Record<string, string> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EISDIR: "it is a directory",
  EACCES: "not allowed to read it",
  ENXIO: "it is no regular file",
  ELOOP: "it is a symlink to itself",
  ENAMETOOLONG: "no file can be called so",
  ERR_INVALID_ARG_VALUE: "no file can be called so",
};

/** A path may name anything: a pipe that nobody writes to would be waited for. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Opens a file for reading as it is now; what is appended later is not seen. Throws MeshError NO_TRANSCRIPT. */
export async function openBytes(path: string): Promise<ByteFile> {
  try {
    const file = await open(path, READ);
    const stats = await file.stat();
    if (!stats.isFile()) {
      await file.close();
      throw Object.assign(new Error("no file"), { code: stats.isDirectory() ? "EISDIR" : "ENXIO" });
    }
    return {
      size: stats.size,
      read: async (into, position) => {
        let done = 0;
        while (done < into.length) {
          const { bytesRead } = await file.read(into, done, into.length - done, position + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return done;
      },
      close: () => file.close(),
    };
  } catch (error) {
    const reason = REASONS[errnoOf(error) ?? ""];
    if (!reason) throw error;
    throw new MeshError(
      "NO_TRANSCRIPT",
      `can't read the transcript ${path}: ${reason}`,
      "Claude Code writes it with a session's first prompt, and deletes old ones after a while",
    );
  }
}

let tail: Buffer | undefined;
/** The last `most` bytes of a file, or all of it, until the next call; undefined where `openBytes` would throw. */
export function readTail(path: string, most: number): Place | undefined {
  const fd = ignore(Object.keys(REASONS), () => openSync(path, READ));
  if (fd === undefined) return undefined;
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return undefined;
    const offset = Math.max(0, stats.size - most);
    // One for all: `list` looks at the ends of a thousand transcripts.
    if (!tail || tail.length < most) tail = Buffer.allocUnsafe(most);
    return { bytes: tail.subarray(0, readSync(fd, tail, 0, stats.size - offset, offset)), offset };
  } finally {
    closeSync(fd);
  }
}

/** Whole lines forwards from `from` on, many to a block. A block is only valid until the next one is asked for. */
export async function* blocks(file: ByteFile, from = 0, size = BLOCK): AsyncGenerator<Place> {
  let buffer = Buffer.allocUnsafe(Math.min(size, Math.max(file.size - from, 1)));
  let kept = 0;
  let skipping = false;
  for (let position = from; position < file.size; ) {
    if (kept === buffer.length) {
      if (kept < LONGEST_LINE) buffer = Buffer.concat([buffer], Math.min(kept * 2, LONGEST_LINE));
      else [skipping, kept] = [true, 0];
    }
    const wanted = Math.min(buffer.length - kept, file.size - position);
    const got = await file.read(buffer.subarray(kept, kept + wanted), position);
    if (got === 0) break;
    position += got;
    const filled = kept + got;
    const end = buffer.lastIndexOf(NEWLINE, filled - 1) + 1;
    const start = skipping && end > 0 ? buffer.indexOf(NEWLINE) + 1 : 0;
    if (end > start) yield { bytes: buffer.subarray(start, end), offset: position - filled + start };
    skipping &&= end === 0;
    kept = skipping ? 0 : filled - end;
    buffer.copyWithin(0, end, filled);
  }
  if (kept > 0) yield { bytes: buffer.subarray(0, kept), offset: file.size - kept };
}

/** The lines of a block, without their newline, beginning at `offset`. */
export function* linesOf({ bytes, offset }: Place): Generator<Place> {
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    yield { bytes: bytes.subarray(start, end), offset: offset + start };
    start = end + 1;
  }
}

/** The line of a block around `position`, without its newline. */
export function lineAround({ bytes, offset }: Place, position: number): Place {
  const start = position > 0 ? bytes.lastIndexOf(NEWLINE, position - 1) + 1 : 0;
  const newline = bytes.indexOf(NEWLINE, position);
  return { bytes: bytes.subarray(start, newline < 0 ? bytes.length : newline), offset: offset + start };
}

/** Lines from the last to the first, without newlines; the first may be half-written. Reads `chunk` bytes at a time. */
export async function* linesBackward(file: ByteFile, chunk = CHUNK): AsyncGenerator<Place> {
  let pieces: Buffer[] = [];
  let held = 0;
  const line = (head: Buffer): Buffer => (pieces.length ? Buffer.concat([head, ...pieces.reverse()]) : head);
  for (let end = file.size; end > 0; ) {
    const start = Math.max(0, end - chunk);
    const bytes = Buffer.allocUnsafe(end - start);
    let right = await file.read(bytes, start);
    for (let newline = lastNewline(bytes, right); newline >= 0; newline = lastNewline(bytes, right)) {
      const head = bytes.subarray(newline + 1, right);
      if (held + head.length < LONGEST_LINE) yield { bytes: line(head), offset: start + newline + 1 };
      [pieces, held, right] = [[], 0, newline];
    }
    held += right;
    if (held < LONGEST_LINE) pieces.push(bytes.subarray(0, right));
    else pieces = [];
    end = start;
  }
  if (held > 0 && held < LONGEST_LINE) yield { bytes: line(Buffer.alloc(0)), offset: 0 };
}

const lastNewline = (bytes: Buffer, before: number): number =>
  before > 0 ? bytes.lastIndexOf(NEWLINE, before - 1) : -1;
