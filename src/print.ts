// Data goes to stdout, words go to stderr; what others wrote moves no cursor and rings no bell on the way. Written
// straight to the descriptor: Node's streams take longer to load than most verbs take for all else.

import { writeSync } from "node:fs";
import { jsonText, printable } from "./clean.ts";
import { errnoOf, MeshError, reasonOf } from "./errors.ts";

/** Writes `text` as it is to stdout (1) or stderr (2). Resolves once it has been taken; rejects with EPIPE if nobody reads. */
export async function write(fd: 1 | 2, text: string): Promise<void> {
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
  } catch (error) {
    if (errnoOf(error) === "EPIPE") throw error;
    // A failure for good, on a full disk too: what was to be done is done, and a second try would do it twice.
    if (errnoOf(error) !== "EAGAIN") throw new MeshError("FAILED", `can't print: ${reasonOf(error)}`);
    // A reader that made its end not wait, and is slow: the stream knows how.
    const stream = fd === 1 ? process.stdout : process.stderr;
    await new Promise<void>((resolve, reject) => stream.write(rest, (failed) => (failed ? reject(failed) : resolve())));
  }
}

/** Writes `data` as JSON to stdout if asked to, else `text` with a final newline (nothing if it is empty). As `write`. */
export async function print(options: Record<string, unknown>, data: unknown, text: string): Promise<void> {
  const line = options.json ? jsonText(data, 2) : printable(text);
  if (line) await write(1, line.endsWith("\n") ? line : `${line}\n`);
}

/** Writes a remark for humans to stderr; where nobody reads those, nothing is lost. */
export function say(words: string): void {
  write(2, printable(`claudemesh: ${words}\n`)).catch(() => {});
}
