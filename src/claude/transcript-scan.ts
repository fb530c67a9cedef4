// Finds the few lines of a transcript that matter without cutting out the others: where turns start, and where a
// word occurs. Looks at raw bytes; the caller reads what is found.

import { RESULT, startsTurn, USER } from "./transcript-entries.ts";
import { type ByteFile, blocks, lineAround, linesOf, type Place } from "./transcript-lines.ts";

export interface Found {
  line: Place;
  /** the line's bytes as Latin-1, where `matching` may be false */
  text: string;
  /** every word is in it; false for a line that only may start a turn */
  matching: boolean;
}

/** Where each turn of the file starts, in bytes. */
export async function* startsOf(file: ByteFile): AsyncGenerator<number> {
  for await (const block of blocks(file)) {
    for (const { line, text } of linesWith(block, [])) if (startsTurn(text)) yield line.offset;
  }
}

/** Every line of a block: for patterns that name no word. */
export function* allLines(block: Place): Generator<Found> {
  for (const line of linesOf(block)) yield { line, text: "", matching: true };
}

/** Words (ASCII, in any case) to look for, the rarest first: the first is sought in every block, so it is made once. */
export const sought = (words: readonly string[]): RegExp[] => words.map((word) => new RegExp(escapeRegExp(word), "gi"));

/** The lines of a block that hold all words, and those that may start a turn. */
export function* linesWith(block: Place, [first = NEVER, ...others]: readonly RegExp[]): Generator<Found> {
  const all = block.bytes.toString("latin1");
  let user = next(USER_LINE, all, 0);
  let word = next(first, all, 0);
  while (user < all.length || word < all.length) {
    const line = lineAround(block, Math.min(user, word));
    const start = line.offset - block.offset;
    const end = start + line.bytes.length;
    const text = all.slice(start, end);
    yield { line, text, matching: word < end && others.every((other) => text.search(other) >= 0) };
    if (user < end) user = next(USER_LINE, all, end);
    if (word < end) word = next(first, all, end);
  }
}

/** Content that starts no turn, as is plain at a glance: a tool's result, a local command and what it printed. */
const RESULTS = `\\[\\{(?:"tool_use_id":"\\w*",)?${RESULT}`;
const ASIDES = '"<(?:command-name|local-command-caveat|(?:local-command|bash)-std(?:out|err))>';
const USER_LINE = new RegExp(`${USER}(?!,"message":\\{"role":"user","content":(?:${RESULTS}|${ASIDES}))`, "g");
const NEVER = /(?!)/g;

/** Where `pattern` is found next, from `from` on; the end of the text if nowhere. */
function next(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? text.length;
}

/** `text` as a pattern that matches it and nothing else. */
export const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
