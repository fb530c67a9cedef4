// Finds the few lines of a transcript that matter without cutting out the others: where turns start, and where a
// word occurs. Looks at raw bytes; the caller reads what is found.

import { RESULT, startsTurn, USER } from "./transcript-entries.ts";
import { type ByteFile, blocks, lineAround, linesOf, type Place } from "./transcript-lines.ts";

export interface Found {
  line: Place;
  /** every word is in it; false for a line that only may start a turn */
  matching: boolean;
}

/** Where each turn of the file starts, in bytes. */
export async function* startsOf(file: ByteFile): AsyncGenerator<number> {
  for await (const block of blocks(file)) {
    for (const { line } of linesWith(block, [])) if (startsTurn(line.bytes)) yield line.offset;
  }
}

/** Every line of a block: for patterns that name no word. */
export function* allLines(block: Place): Generator<Found> {
  for (const line of linesOf(block)) yield { line, matching: true };
}

/** Words (ASCII, in any case) to look for, the rarest first: the first is sought in every block, so it is made once. */
export const sought = (words: readonly string[]): RegExp[] => words.map((word) => new RegExp(escapeRegExp(word), "gi"));

/** The lines of a block that hold all words, and those that may start a turn. */
export function* linesWith(block: Place, [first, ...others]: readonly RegExp[]): Generator<Found> {
  const text = first ? block.bytes.toString("latin1") : "";
  const nextWord = (from: number): number => {
    if (!first) return -1;
    first.lastIndex = from;
    return first.exec(text)?.index ?? -1;
  };
  let user = nextUser(block.bytes, 0);
  let word = nextWord(0);
  while (user >= 0 || word >= 0) {
    const line = lineAround(block, word < 0 || (user >= 0 && user < word) ? user : word);
    const start = line.offset - block.offset;
    const end = start + line.bytes.length;
    const here = word >= 0 && word < end ? text.slice(start, end) : undefined;
    yield { line, matching: here !== undefined && others.every((other) => here.search(other) >= 0) };
    if (user >= 0 && user < end) user = nextUser(block.bytes, end);
    if (here !== undefined) word = nextWord(end);
  }
}

/** How far behind its type a line that brings a tool's result says so. */
const HEAD = 256;

/** Where the next user line is of which it is not plain at a glance that it brings a result: such a one starts no turn. */
function nextUser(bytes: Buffer, from: number): number {
  let at = bytes.indexOf(USER, from);
  for (; at >= 0; at = bytes.indexOf(USER, at + USER.length)) {
    const head = bytes.toString("latin1", at, at + HEAD);
    const result = head.indexOf(RESULT);
    if (result < 0 || head.lastIndexOf("\n", result) >= 0) break;
  }
  return at;
}

/** `text` as a pattern that matches it and nothing else. */
export const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
