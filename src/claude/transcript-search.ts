// Searching a transcript from its beginning. Lines that can't hold the words of the query are never parsed, so a
// gigabyte goes by in about a second; copies of the conversation (api-request*) are no hits.

import { createContext, Script } from "node:vm";
import { MeshError } from "../errors.ts";
import { isAnswer, REDACT, type ReadOptions } from "./transcript.ts";
import { cut, type Entry, read, type Said, startsTurn } from "./transcript-entries.ts";
import { BLOCK, blocks, openBytes, type Place } from "./transcript-lines.ts";
import { allLines, escapeRegExp, linesWith, sought } from "./transcript-scan.ts";

export interface Hit {
  /** from 1 at the beginning */
  turn: number;
  role: "user" | "assistant" | "tool" | "system";
  kind: Entry["kind"] | "prompt";
  when?: string;
  before: string;
  match: string;
  after: string;
}

export interface SearchOptions extends Pick<ReadOptions, "open" | "redact"> {
  /** characters shown before and after each match */
  context?: number;
  /** most hits */
  limit?: number;
}

export const CONTEXT = 80;
export const LIMIT = 20;
/** How long, in ms, a regex may take with one block; a good one takes a fiftieth of it. */
const REGEX_MS = 3000;

const ROLES: Partial<Record<Hit["kind"], Hit["role"]>> = {
  prompt: "user",
  queued: "user",
  command: "user",
  text: "assistant",
  thinking: "assistant",
  tool_use: "assistant",
  tool_result: "tool",
};

/**
 * Hits in the order of the file, at most one for each line of text.
 * `query` is a substring in any case, or `/regex/flags`. Throws MeshError BAD_PATTERN or NO_TRANSCRIPT.
 */
export async function* searchTurns(path: string, query: string, options: SearchOptions = {}): AsyncGenerator<Hit> {
  const { pattern, words, isRegex } = compile(query);
  const file = await (options.open ?? openBytes)(path);
  let left = options.limit ?? LIMIT;
  let turn = 0;
  function* hitsOf(block: Place): Generator<Hit> {
    for (const { line, text, matching } of words.length ? linesWith(block, words) : allLines(block)) {
      if (!matching) {
        if (startsTurn(text)) turn++;
        continue;
      }
      const said = read(line.bytes, Number.POSITIVE_INFINITY);
      if (said?.start) turn++;
      if (said) yield* hitsIn(said, pattern, turn, options);
    }
  }
  try {
    for await (const block of blocks(file)) {
      const most = left;
      const some = () => firstOf(hitsOf(block), most);
      for (const hit of isRegex ? inTime(query, some) : some()) {
        yield hit;
        if (--left <= 0) return;
      }
    }
  } finally {
    await file.close();
  }
}

function firstOf<T>(all: Iterable<T>, most: number): T[] {
  const first: T[] = [];
  if (most > 0) for (const one of all) if (first.push(one) >= most) break;
  return first;
}

/**
 * Runs `search`, but not for ever: a regex may backtrack for longer than a life, and nothing of JavaScript stops it.
 * What runs in a vm script can be ended, its regexes too. Throws MeshError BAD_PATTERN.
 */
function inTime<T>(query: string, search: () => T): T {
  try {
    return new Script("search()").runInContext(createContext({ search }), { timeout: REGEX_MS });
  } catch (error) {
    // Of the script's own realm: no instance of our Error.
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new MeshError(
      "BAD_PATTERN",
      `can't search for ${query}: it was not done with ${BLOCK >> 20} MB after ${REGEX_MS / 1000} s`,
      "a regex in which repetitions are nested, as in (a+)+, may take for ever: write it without, or leave out the slashes",
    );
  }
}

/** What a query means: a global pattern, and words that any line it matches must hold. Throws MeshError BAD_PATTERN. */
export function compile(query: string): { pattern: RegExp; words: RegExp[]; isRegex: boolean } {
  if (!query) throw new MeshError("BAD_PATTERN", "can't search: the query is empty", "give some text, or /a regex/i");
  const [, source, flags] = /^\/(.+)\/([dgimsuvy]*)$/s.exec(query) ?? [];
  if (source !== undefined) {
    try {
      const pattern = new RegExp(source, flags);
      return { pattern: new RegExp(pattern, `${pattern.flags.replace(/[gy]/g, "")}g`), words: [], isRegex: true };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MeshError(
        "BAD_PATTERN",
        `can't search for ${query}: ${reason}`,
        "mend the regex, or leave out the slashes",
      );
    }
  }
  const words = query.match(/[A-Za-z0-9_./-]{2,}/g) ?? [];
  const pattern = new RegExp(escapeRegExp(query), "gi");
  return { pattern, words: sought(words.sort((a, b) => b.length - a.length)), isRegex: false };
}

function* hitsIn(said: Said, pattern: RegExp, turn: number, options: SearchOptions): Generator<Hit> {
  const when = said.at ? { when: said.at } : {};
  const most = options.redact ?? REDACT;
  const texts: { kind: Hit["kind"]; text: string }[] = said.entries
    .filter((entry) => entry.kind !== "image" && (turn > 0 || isAnswer(entry)))
    .map((entry) => ({ kind: entry.kind, text: entry.tool ? `${entry.tool} ${entry.text}` : entry.text }));
  if (said.start) texts.unshift({ kind: "prompt", text: said.start.prompt });
  for (const { kind, text } of texts) {
    for (const found of matchesIn(text, pattern, Math.min(options.context ?? CONTEXT, most))) {
      yield {
        turn: Math.max(turn, 1),
        role: ROLES[kind] ?? "system",
        kind,
        ...when,
        ...found,
        match: cut(found.match, most),
      };
    }
  }
}

function* matchesIn(
  text: string,
  pattern: RegExp,
  context: number,
): Generator<Pick<Hit, "before" | "match" | "after">> {
  pattern.lastIndex = 0;
  for (let found = pattern.exec(text); found; found = pattern.exec(text)) {
    const end = found.index + found[0].length;
    if (end === found.index) {
      pattern.lastIndex = end + 1;
      continue;
    }
    yield {
      before: text.slice(whole(text, Math.max(0, found.index - context)), found.index),
      match: found[0],
      after: text.slice(end, whole(text, Math.min(text.length, end + context))),
    };
    const newline = text.indexOf("\n", end);
    if (newline < 0) return;
    pattern.lastIndex = newline + 1;
  }
}

/** `at`, or one further where that is inside a character. */
const whole = (text: string, at: number): number => (text.charCodeAt(at) >> 10 === 0x37 ? at + 1 : at);
