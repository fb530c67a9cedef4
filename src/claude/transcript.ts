// Another session's transcript as turns. Never reads the whole file to show its end, never holds more than one turn
// and one line; what is half-written is left out. In file order: a branch that was rewound stays where it was written.

import { MeshError } from "../errors.ts";
import { clean, type Entry, parse, read, type Said } from "./transcript-entries.ts";
import {
  type ByteFile,
  blocks,
  lineAround,
  linesBackward,
  linesOf,
  openBytes,
  type Place,
  readTail,
} from "./transcript-lines.ts";
import { startsOf } from "./transcript-scan.ts";
import { attachSubagents, type Subagent } from "./transcript-subagents.ts";

export interface Turn {
  /** from 1 at the beginning if it was asked for so, else from -1 at the end */
  index: number;
  started_at?: string;
  /** `human`, `mail` (another session), `notification`, `sdk`, or what else Claude Code calls it */
  from: string;
  prompt: string;
  entries: Entry[];
  subagents?: Subagent[];
}

export interface ReadOptions {
  /** most bytes of each text; the rest is cut, and the text says so. Infinity cuts nothing */
  redact?: number;
  /** bytes a read from the end; for tests */
  chunk?: number;
  /** how the file is opened; for tests */
  open?: (path: string) => Promise<ByteFile>;
}

export const REDACT = 2000;
/** 2.1.197 can write the first answer before the first prompt: what stands above a start this near the top is its. */
const TOP = 1024 * 1024;
/** Claude Code repeats titles and prompts as it goes, so what is not this near the end is not there. */
const LOOK_BACK = 1024 * 1024;

/** The last `n` turns, oldest first, indexed -n…-1. Reads from the end only. Throws MeshError NO_TRANSCRIPT. */
export async function lastTurns(path: string, n: number, options: ReadOptions = {}): Promise<Turn[]> {
  const turns: Turn[] = [];
  if (n < 1) return turns;
  for await (const turn of turnsBackward(path, options)) {
    turns.unshift(turn);
    if (turns.length >= n) break;
  }
  return attachSubagents(path, turns);
}

/**
 * The turn at `index`: 1 is the first, -1 the last.
 * Throws MeshError NO_SUCH_TURN, which says how many there are, or NO_TRANSCRIPT.
 */
export async function turnAt(path: string, index: number, options: ReadOptions = {}): Promise<Turn> {
  const { turn, count } = index < 0 ? await fromEnd(path, index, options) : await fromTop(path, index, options);
  if (!turn) {
    const range = count ? `use 1 to ${count}, or -1 to -${count} from the end` : "nothing has been asked of it yet";
    throw new MeshError(
      "NO_SUCH_TURN",
      `can't show turn ${index}: the transcript has ${count} turn${count === 1 ? "" : "s"}`,
      range,
    );
  }
  await attachSubagents(path, [turn]);
  return turn;
}

/** What a transcript calls its session; each undefined if there is none, or no transcript. */
export interface Captions {
  /** the one its user gave it, else the one Claude Code did */
  title: string | undefined;
  /** the beginning of the last prompt, as Claude Code notes it */
  lastPrompt: string | undefined;
}

/** Title and last prompt of a session, in one look at the end of its transcript. */
export function captions(path: string): Captions {
  const tail = readTail(path, LOOK_BACK);
  const last = (type: string, key: string) => tail && lastValue(tail, type, key);
  return {
    title: last("custom-title", "customTitle") ?? last("ai-title", "aiTitle"),
    lastPrompt: last("last-prompt", "lastPrompt"),
  };
}

async function fromEnd(path: string, index: number, options: ReadOptions): Promise<{ turn?: Turn; count: number }> {
  let count = 0;
  for await (const turn of turnsBackward(path, options)) {
    count++;
    if (turn.index === index) return { turn, count };
  }
  return { count };
}

async function fromTop(path: string, index: number, options: ReadOptions): Promise<{ turn?: Turn; count: number }> {
  const file = await (options.open ?? openBytes)(path);
  try {
    let count = 0;
    for await (const offset of startsOf(file)) {
      if (++count !== index) continue;
      const top = index === 1 && offset < TOP ? 0 : offset;
      return { turn: await turnFrom(file, top, offset, { ...options, index }), count };
    }
    return { count };
  } finally {
    await file.close();
  }
}

async function turnFrom(
  file: ByteFile,
  top: number,
  offset: number,
  { index, redact = REDACT }: ReadOptions & { index: number },
) {
  const said: Said[] = [];
  for await (const block of blocks(file, top)) {
    for (const line of linesOf(block)) {
      const one = read(line.bytes, redact);
      if (one?.start && line.offset > offset) return turnOf(index, said);
      if (one) said.push(one);
    }
  }
  return turnOf(index, said);
}

async function* turnsBackward(path: string, options: ReadOptions): AsyncGenerator<Turn> {
  const file = await (options.open ?? openBytes)(path);
  try {
    let index = 0;
    let said: Said[] = [];
    let waiting: Said[] | undefined;
    for await (const line of linesBackward(file, options.chunk)) {
      const one = read(line.bytes, options.redact ?? REDACT);
      if (!one) continue;
      said.push(one);
      if (!one.start) continue;
      if (waiting) yield turnOf(--index, waiting);
      waiting = said.reverse();
      said = [];
      if (line.offset < TOP) continue;
      yield turnOf(--index, waiting);
      waiting = undefined;
    }
    if (waiting) yield turnOf(--index, [...said.reverse(), ...waiting]);
  } finally {
    await file.close();
  }
}

/** Joins what was said into a turn. What stands before its start is an answer that was written too early. */
function turnOf(index: number, said: Said[]): Turn {
  const at = said.findIndex((one) => one.start);
  const begun = said[at];
  const early = said.slice(0, at).filter((one) => one.entries.some(isAnswer));
  const entries: Entry[] = [];
  const tools = new Map<string, string>();
  for (const entry of [...early, ...said.slice(at)].flatMap((one) => one.entries)) {
    const mate = entry.message ? entries.findLastIndex((other) => other.message === entry.message) : -1;
    if (mate >= 0) entries.splice(mate + 1, 0, entry);
    else entries.push(entry);
    if (entry.tool && entry.tool_use_id) tools.set(entry.tool_use_id, entry.tool);
  }
  for (const entry of entries) {
    const tool = entry.tool_use_id && tools.get(entry.tool_use_id);
    if (tool) entry.tool = tool;
  }
  return {
    index,
    ...(begun?.at ? { started_at: begun.at } : {}),
    from: begun?.start?.from ?? "human",
    prompt: begun?.start?.prompt ?? "",
    entries,
  };
}

export const isAnswer = (entry: Entry): boolean =>
  ["text", "thinking", "tool_use", "tool_result", "image"].includes(entry.kind);

/** The last value under `key` of the lines of that type. */
function lastValue(tail: Place, type: string, key: string): string | undefined {
  const mark = `"type":"${type}"`;
  for (let end = tail.bytes.length; end > 0; ) {
    const at = tail.bytes.lastIndexOf(mark, end - 1);
    if (at < 0) break;
    const line = lineAround(tail, at);
    const found = parse(line.bytes);
    const value = found?.type === type ? found[key] : undefined;
    if (typeof value === "string" && value) return clean(value);
    end = line.offset - tail.offset;
  }
  return undefined;
}
