// Evidence that a letter's text is in the conversation, and not only that our output was flushed: a hook's context and the
// prompt it came with are forgotten when the user takes the prompt back before the first word, or another hook blocks it.
// docs/evidence.md has the table. Seen alike in 2.1.197, 2.1.329 and 2.1.332:
// - in the transcript a prompt and its context are written at once and stay there, taken back or not; but an `assistant`
//   line or "[Request interrupted by user]" follows them only if they were kept;
// - context of PostToolUse and Stop, and a tool's result, are kept as soon as they are there.

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { ignore } from "../errors.ts";
import { claimHanded, type Handed, handedIn, readNote } from "../mesh/handed.ts";
import { mailbox } from "../mesh/home.ts";
import { log } from "../mesh/log.ts";
import { claim, locate, putBack } from "../mesh/maildir.ts";
import { markKept } from "../mesh/owed.ts";
import { type Peer, readPeer } from "../mesh/peers.ts";
import { clearPosted, postedNames } from "../mesh/posted.ts";
import { type Letter, readSeen } from "../mesh/receive.ts";
import { noteTried, triesIn } from "../mesh/tried.ts";
import { oneAtATime } from "../mesh/watch.ts";
import { waitWhile } from "../wait.ts";
import { hasMailServer, stateOf } from "./session.ts";
import { parse, read } from "./transcript-entries.ts";

/** `kept`: the text is in the conversation. `written`: in the transcript only. `absent`: not even there. `unknown`: nothing can be read. */
export type Verdict = "kept" | "written" | "absent" | "unknown";

/** Nobody writes more than this, in bytes, between a letter's handing over and the first word: what is before is left out. */
const MOST = 64 * 1024 * 1024;

/** Reads what is appended to one transcript, from byte `from` on. */
export function createReader(path: string, from = 0): (names: Iterable<string>) => Map<string, Verdict> {
  const state: Reading = { verdicts: new Map(), isOpen: from > 0 ? undefined : false };
  let offset = from;
  let rest = Buffer.alloc(0);
  return (names) => {
    const wanted = [...names];
    const bytes = appended(path, offset);
    if (bytes) {
      offset = bytes.offset + bytes.data.length;
      const all = Buffer.concat([rest, bytes.data]);
      const end = all.lastIndexOf(10) + 1;
      rest = all.subarray(end);
      for (const line of all.toString("utf8", 0, end).split("\n")) judge(line, wanted, state);
    }
    const otherwise: Verdict = bytes ? "absent" : "unknown";
    return new Map(wanted.map((name) => [name, state.verdicts.get(name) ?? otherwise]));
  };
}

interface Reading {
  verdicts: Map<string, Verdict>;
  /** a prompt has begun a turn and has no answer yet; undefined while that is not known */
  isOpen: boolean | undefined;
}

/** What lies in the file from `offset` on, the last MOST bytes of it; undefined if it can't be read. */
function appended(path: string, offset: number): { data: Buffer; offset: number } | undefined {
  const open = () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  const fd = ignore(["ENOENT", "ENOTDIR", "EACCES", "ENXIO", "ELOOP", "ENAMETOOLONG"], open);
  if (fd === undefined) return undefined;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return undefined;
    const start = Math.max(offset > stat.size ? 0 : offset, stat.size - MOST);
    const data = Buffer.alloc(stat.size - start);
    let done = 0;
    for (let n = 1; n > 0 && done < data.length; done += n)
      n = readSync(fd, data, done, data.length - done, start + done);
    return { data: data.subarray(0, done), offset: start };
  } finally {
    closeSync(fd);
  }
}

/** What a line of the transcript says about these letters, by their unique names. */
function judge(line: string, names: string[], reading: Reading): void {
  const { verdicts } = reading;
  const written = names.filter((name) => line.includes(name));
  if (!written.length && !/"type":"(?:user|assistant)"/.test(line)) return;
  const found = parse(line);
  if (!found || found.isSidechain === true) return;
  const set = (which: Iterable<string>, verdict: Verdict) => {
    for (const name of which) if (verdicts.get(name) !== "kept") verdicts.set(name, verdict);
  };
  const close = () => {
    reading.isOpen = false;
    set(
      [...verdicts].flatMap(([name, verdict]) => (verdict === "written" ? name : [])),
      "kept",
    );
  };
  if (found.type === "assistant") close();
  else if (found.type === "attachment") {
    const { type, hookEvent } = found.attachment as { type?: unknown; hookEvent?: unknown };
    // What comes while a turn runs is kept, as a tool's result is.
    const isLate = hookEvent === "PostToolUse" || hookEvent === "Stop" || reading.isOpen === false;
    if (type === "queued_command" || type === "hook_additional_context") set(written, isLate ? "kept" : "written");
  } else if (found.type === "user") {
    const said = read(Buffer.from(line), 200);
    const isOf = (kind: string) => said?.entries.some((entry) => entry.kind === kind) === true;
    if (said?.start) {
      // A new prompt: what was written before it and never answered has been taken back.
      for (const [name, verdict] of verdicts) if (verdict === "written") verdicts.delete(name);
      reading.isOpen = true;
    }
    if (isOf("interrupted")) close();
    else set(written, isOf("tool_result") ? "kept" : "written");
  }
}

/** The prompt that a hook's context came with may have been written before the hook has looked. */
const BEFORE = 512 * 1024;
const startOf = (handed: Handed[]) => Math.max(0, Math.min(...handed.map(({ from = 0 }) => from)) - BEFORE);

/** What the transcripts say of letters that were handed over. */
export function verdictsOf(handed: Handed[]): Map<string, Verdict> {
  const all = new Map<string, Verdict>();
  for (const path of new Set(handed.map(({ transcript }) => transcript ?? ""))) {
    const here = handed.filter(({ transcript = "" }) => transcript === path);
    const found = path ? createReader(path, startOf(here))(here.map(({ unique }) => unique)) : undefined;
    for (const { unique } of here) all.set(unique, found?.get(unique) ?? "unknown");
  }
  return all;
}

/** How long, in ms, Claude Code may take to write the transcript: it does so ten times a second. */
const WRITTEN = 300;
/** What came with a tool's result or at a turn's end is not given up sooner, in ms: the transcript may be late. */
const YOUNG = 1500;

/**
 * Decides at a new prompt about what was handed over before: marks what was kept, and gives the letters that the client
 * threw away, which are still collected and are to be handed over again. `inPrompt` are left to the caller.
 */
export async function thrownAway(peer: Peer, { turn }: { turn?: string }, inPrompt: string[]): Promise<Letter[]> {
  const { id, pid } = peer;
  // Another prompt of the same turn takes nothing back.
  const waiting = () =>
    handedIn(id).filter((one) => !inPrompt.includes(one.unique) && !(turn !== undefined && one.turn === turn));
  if (!waiting().length) return [];
  const isOpen = (verdict: Verdict) => verdict === "written" || verdict === "absent";
  await waitWhile(() => [...verdictsOf(waiting()).values()].some(isOpen), WRITTEN);
  const handed = waiting();
  const verdicts = verdictsOf(handed);
  // A tool's result and a Stop hook's context are kept as a rule; without a transcript the rule has to do.
  const comesLate = ({ road }: Handed) => road === "tool" || road === "stop";
  const isKept = (one: Handed) =>
    verdicts.get(one.unique) === "kept" ||
    (comesLate(one) && verdicts.get(one.unique) === "unknown" && one.pid === pid);
  const isYoung = (one: Handed) => comesLate(one) && Math.abs(Date.now() - one.since) < YOUNG;
  markKept(
    id,
    handed.filter(isKept).map(({ unique }) => unique),
  );
  return handed.flatMap((one) => {
    const { unique } = one;
    if (isKept(one) || isYoung(one) || !claimHanded(id, unique)) return [];
    const verdict = verdicts.get(unique);
    log("thrown-away", id, unique, String(verdict));
    noteTried(id, [unique], verdict === "unknown" ? "blind" : "hook");
    const place = locate(mailbox(id), unique);
    claim(mailbox(id), unique);
    return place?.at === "cur" && place.flags === "" ? (readSeen(id, `${unique}:2,`) ?? []) : [];
  });
}

/** Marks what the transcript shows to be in the conversation: for a session that ends. */
export function keepEvident(id: string): void {
  const kept = [...verdictsOf(handedIn(id))].flatMap(([unique, verdict]) => (verdict === "kept" ? unique : []));
  if (kept.length) markKept(id, kept);
}

/**
 * A session was resumed at `began` (ms): what was written in its transcript before is in its conversation, taken back or
 * not; what has been put back for the next prompt, too.
 */
export function keepWritten(id: string, transcript: string | undefined, began: number): void {
  if (transcript === undefined) return;
  const handed = handedIn(id).filter((one) => one.transcript === transcript && one.since < began);
  for (const [unique, { by }] of triesIn(id))
    if (by.some((one) => one === "hook" || one === "blind") && !handed.some((one) => one.unique === unique))
      handed.push({ unique, road: "prompt", since: 0, pid: 0, transcript });
  const verdicts = verdictsOf(handed);
  const kept = handed.filter(({ unique }) => ["kept", "written"].includes(verdicts.get(unique) ?? ""));
  if (kept.length)
    markKept(
      id,
      kept.map(({ unique }) => unique),
    );
}

/** How long, in ms, a session is idle before what it was handed without evidence is unread again. */
const IDLE = 3000;
/** How often, in ms, the transcript is looked at while a letter is under way. */
const PACE = 200;

/** What the client threw away is unread again. */
function giveBack(id: string, unique: string, verdict: Verdict = "unknown"): void {
  if (verdict === "kept" || !claimHanded(id, unique)) return;
  noteTried(id, [unique], verdict === "unknown" ? "blind" : "hook");
  clearPosted(id, unique);
  if (putBack(mailbox(id), unique)) log("thrown-away", id, unique, verdict);
}

export interface Witness {
  look(): void;
  stop(): Promise<void>;
}

/**
 * Looks into the transcript for evidence while letters are in the client's hands, so that their senders hear of it before
 * the turn ends, and hear the truth when it was taken back. For the mail server, or the supervisor where there is none.
 */
export function createWitness(id: string): Witness {
  let stopped = false;
  const readers = new Map<string, ReturnType<typeof createReader>>();

  async function round(): Promise<void> {
    let idle = 0;
    for (let last = performance.now(); !stopped; ) {
      const peer = readPeer(id);
      const handed = handedIn(id);
      const posted = postedNames(id).flatMap((unique) => readNote(id, "posted", unique) ?? []);
      if (!peer || handed.length + posted.length === 0) break;
      if (peer.mcp !== process.pid && hasMailServer(peer)) break;
      const verdicts = judged([...handed, ...posted]);
      const kept = [...verdicts].flatMap(([unique, verdict]) => (verdict === "kept" ? unique : []));
      markKept(id, kept);
      for (const unique of kept) clearPosted(id, unique);
      const now = performance.now();
      const { state, since } = stateOf(peer);
      idle = state === "idle" ? idle + now - last : 0;
      last = now;
      // One that stands still since it was given the letter may be idle by its file as well.
      const isDone = (one: Handed) => one.state_since !== since.getTime();
      if (idle >= IDLE) for (const one of handed.filter(isDone)) giveBack(id, one.unique, verdicts.get(one.unique));
      await new Promise((resolve) => setTimeout(resolve, PACE));
    }
    readers.clear();
  }

  function judged(all: Handed[]): Map<string, Verdict> {
    const verdicts = new Map<string, Verdict>();
    for (const path of new Set(all.map(({ transcript }) => transcript))) {
      if (!path) continue;
      const here = all.filter(({ transcript }) => transcript === path);
      const reader = readers.get(path) ?? createReader(path, startOf(here));
      readers.set(path, reader);
      for (const [unique, verdict] of reader(here.map((one) => one.unique))) verdicts.set(unique, verdict);
    }
    return verdicts;
  }

  const { look, settled } = oneAtATime("witness", round);
  return {
    look,
    async stop() {
      stopped = true;
      await settled();
    },
  };
}
