// Claude Code's hooks (code.claude.com/docs/hooks): one function an event, hook JSON in, hook JSON out. What is handed
// over has been collected first, and is noted in handed/ once the output is flushed. It is marked seen by a later hook of
// the same turn, or by what the transcript says (evidence.ts): a flushed output is not yet one that the model is shown.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { safeConfig } from "../mesh/config.ts";
import { clearHanded, type Destination, handedNames, noteHanded, type Road } from "../mesh/handed.ts";
import { FILE_MODE, inboxRoot, mailbox } from "../mesh/home.ts";
import { type Arrival, joinMesh, leave } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { bellOf as bellFile, collect, locate, noteWatched, putBack, recover, ring } from "../mesh/maildir.ts";
import { keepHanded, remindOf } from "../mesh/owed.ts";
import { isLinked, type Peer, peerOfProcess } from "../mesh/peers.ts";
import { clearPosted, heldForNotice, NOTICE_POSTED, notePosted } from "../mesh/posted.ts";
import { commandOf, isRunning } from "../mesh/process.ts";
import {
  isWaitingFor,
  isWaking,
  type Letter,
  onTheirWay,
  peek,
  readLetter,
  readSeen,
  standStill,
  take,
} from "../mesh/receive.ts";
import { ORPHANED } from "../mesh/sweep.ts";
import { mayAnnounce, mayHand, noteTried, triesIn, triesOf } from "../mesh/tried.ts";
import { mailBegan, mailJoined, personBegan } from "../mesh/turn.ts";
import { waitWhile } from "../wait.ts";
import { type Own, ownClaude, supervisorOf } from "./own-peer.ts";
import {
  beganBy,
  CONTEXT_LIMIT,
  type Framed,
  frameLength,
  frames,
  framesIn,
  headOf,
  isBodyOf,
  isFramed,
  isNotice,
  notice,
  primer,
  reminder,
  summaryLine,
} from "./prompt.ts";
import { bellOf, type Doing, destinationOf, expectsInbox, readSessionFile, sessionFileOf, stateOf } from "./session.ts";

/** The fields of a hook's stdin that are used here; all are optional, for versions differ. */
export interface HookInput {
  hook_event_name?: string;
  session_id?: string;
  transcript_path?: string;
  cwd?: string;
  source?: string;
  reason?: string;
  prompt?: string;
  /** names the turn */
  prompt_id?: string;
  agent_id?: string;
  file_path?: string;
  stop_hook_active?: boolean;
  tool_name?: string;
  tool_input?: Record<string, unknown>;
  mcp_server?: Record<string, unknown>;
}

export interface HookOutput {
  /** JSON for stdout */
  json?: Record<string, unknown>;
  stderr?: string;
  /** 2 wakes an idle session (asyncRewake) */
  exit?: 2;
  /** letters that the output shows, with the heads of their notes: for `handedOver` once it is flushed, else `notHanded` */
  handed?: { id: string; letters: Letter[]; heads: string[][] };
}

/**
 * Answers one hook call of its claude, which began at `began` (ms). Throws only on what the caller should log; the caller
 * fails open.
 */
export async function answerHook(
  event: string,
  input: HookInput,
  began: number = Date.now(),
  own: Own = ownClaude(),
): Promise<HookOutput> {
  if (event === "PreToolUse") return preToolUse(input, own);
  if (input.agent_id || !("claude" in own)) return {};
  const { claude: pid } = own;
  if (event === "SessionEnd") return sessionEnd(pid, input);
  // The bell went with all of its mailbox: who attends to that registers the session again, with its id.
  const isGone = input.file_path?.startsWith(inboxRoot()) && !existsSync(input.file_path);
  if (event === "FileChanged" && isGone) return {};
  const peer = await registered(event, pid, input);
  const { transcript_path = peer.transcript_path } = input;
  const turn = input.prompt_id;
  const doing = stateOf(peer);
  const to = {
    ...destinationOf({ ...peer, ...(transcript_path ? { transcript_path } : {}) }, doing),
    ...(turn ? { turn } : {}),
  };
  if (event === "PostToolUse" || event === "Stop") keepHanded(peer.id, event, turn);
  switch (event) {
    case "SessionStart":
      return sessionStart(peer, input, began);
    case "CwdChanged":
      return { json: output(event, watching(peer)) };
    case "UserPromptSubmit":
      return userPromptSubmit(peer, input.prompt ?? "", to, isMidTurn(doing, began));
    case "PostToolUse":
      return during(peer, await hand(event, peer, to, (letter) => letter.message.priority === "now"));
    case "Stop":
      return stop(peer, input, to);
    case "FileChanged":
      return fileChanged(peer, input);
    default:
      return {};
  }
}

/** Judges a call that bin/plugin/hook has left to us. */
async function preToolUse(input: HookInput, own: Own): Promise<HookOutput> {
  const { verdictOn, wordsOf } = await import("./rights.ts");
  const self = () => ("claude" in own ? peerOfProcess(own.claude, input.session_id) : undefined);
  const json = wordsOf(verdictOn(input, self));
  return json ? { json } : {};
}

const output = (hookEventName: string, fields: Record<string, unknown>) => ({
  hookSpecificOutput: { hookEventName, ...fields },
});

/** The peer of this claude, joined or brought up to date if it carries another session than we knew. */
async function registered(event: string, pid: number, input: HookInput): Promise<Peer> {
  const known = peerOfProcess(pid, input.session_id);
  // The link is the last that a join makes: until then the start's hook, which may run beside this one, is at it.
  const isJoined = known?.hooked && known.session_id === input.session_id && isLinked(known);
  if (isJoined && event !== "SessionStart") return known;
  return joinMesh({ ...arrivalOf(pid, input), hooked: true });
}

/** All that can be known of a session from its hook's input and its process. */
export function arrivalOf(pid: number, input: HookInput): Arrival {
  const file = sessionFileOf(pid);
  const session = readSessionFile(file);
  const supervisor = supervisorOf(pid);
  return {
    pid,
    cwd: process.env.CLAUDE_PROJECT_DIR || input.cwd || process.cwd(),
    // 2.1.197 gives the old id at --fork-session and names no source: only the command line tells.
    fork: input.source === "fork" || / --fork-session\b/.test(commandOf(pid)),
    claude_session_file: file,
    ...(input.session_id ? { session_id: input.session_id } : {}),
    ...(input.transcript_path ? { transcript_path: input.transcript_path } : {}),
    ...(session?.name ? { name: session.name } : {}),
    ...(session?.version ? { client: session.version } : {}),
    ...(supervisor ? { supervisor } : {}),
  };
}

/**
 * Arms the watcher and says once who this session is. Mail is not handed over here: what a SessionStart hook says is
 * read only with the user's first prompt. A bell rings for it at once.
 */
async function sessionStart(peer: Peer, input: HookInput, began: number): Promise<HookOutput> {
  const box = mailbox(peer.id);
  if (input.source === "resume" && (handedNames(peer.id).length || triesIn(peer.id).size)) {
    const { keepWritten } = await import("./evidence.ts");
    keepWritten(peer.id, input.transcript_path, began);
  }
  recover(box, ORPHANED);
  ring(box);
  const context = input.source === "compact" ? {} : { additionalContext: primer(peer) };
  return { json: output("SessionStart", { ...watching(peer), ...context }) };
}

/** Has Claude Code watch the peer's bell, and notes that it does. */
function watching({ id }: Peer): { watchPaths: string[] } {
  noteWatched(mailbox(id));
  return { watchPaths: [bellFile(mailbox(id))] };
}

async function sessionEnd(pid: number, input: HookInput): Promise<HookOutput> {
  if (input.reason === "clear" || input.reason === "resume") return {};
  const peer = peerOfProcess(pid, input.session_id);
  if (peer && handedNames(peer.id).length) (await import("./evidence.ts")).keepEvident(peer.id);
  if (peer) await leave(peer.id, pid);
  return {};
}

/** Takes note of what a bell has put into this prompt, and hands over the rest of the mailbox with it. */
async function userPromptSubmit(peer: Peer, prompt: string, to: Destination, isMid: boolean): Promise<HookOutput> {
  const held = isNotice(prompt) ? heldFor(peer) : [];
  const isQueued = !isNotice(prompt) && isMid;
  const framed = framesIn(prompt);
  const names = framed.map(({ unique }) => unique);
  // Only where there are any: what looks into a transcript takes longer to load than all else here.
  const isPending = !isQueued && handedNames(peer.id).length > 0;
  const again = isPending ? await (await import("./evidence.ts")).thrownAway(peer, to, names) : [];
  const inPrompt = framed.map((one) => arrived(peer, one, to));
  if (inPrompt.length && isFramed(prompt) && inPrompt.every((found) => found === "again")) {
    giveUp(peer.id, again);
    log("repeat-blocked", peer.id, ...names);
    return {
      json: {
        decision: "block",
        reason: "claudemesh: this mail has already been shown to this session.",
      },
    };
  }
  await takenBack(peer);
  const letters = names.flatMap((unique, i) =>
    inPrompt[i] === "first" ? (readSeen(peer.id, `${unique}:2,`) ?? []) : [],
  );
  const handed = await hand("UserPromptSubmit", peer, to, () => !isQueued, {
    arrived: letters,
    held: [...again, ...held],
  });
  const shown = [...letters, ...(handed.handed?.letters ?? [])];
  const who = beganBy(prompt);
  if (who === "person") personBegan(peer.id);
  else if (who === "mail") mailBegan(peer.id, shown);
  else mailJoined(peer.id, shown);
  if (!handed.handed && !inPrompt.length && isNotice(prompt)) {
    log("empty-bell-blocked", peer.id);
    return {
      json: { decision: "block", reason: "claudemesh: the mail that this line announced has been read by now." },
    };
  }
  return handed;
}

/**
 * Notes that a letter came in a prompt. `again`: it had been shown before; `unknown`: it is not in this mailbox, or the
 * prompt holds its id without its text.
 */
function arrived(peer: Peer, { unique, body }: Framed, to: Destination): "first" | "again" | "unknown" {
  const letter = readLetter(peer.id, unique);
  if (!letter || !isBodyOf(body, letter)) return "unknown";
  const box = mailbox(peer.id);
  const place = locate(box, unique);
  if (place?.at === "cur" && /[ST]/.test(place.flags)) {
    clearPosted(peer.id, unique);
    return "again";
  }
  noteHanded(peer.id, unique, headOf(letter, roadOf("UserPromptSubmit"), to));
  clearPosted(peer.id, unique);
  // A bell took it for lost and put it back; here it is.
  if (place?.at === "new") collect(box, unique);
  return "first";
}

/** Puts letters back that will not be shown now. */
function giveUp(id: string, letters: Letter[]): void {
  for (const { unique } of letters) {
    clearHanded(id, unique);
    putBack(mailbox(id), unique);
  }
}

/** How long, in ms, the supervisor gets to put back what it was about to type when another prompt came first. */
const TAKE_BACK = 1000;

/** Waits until nothing is on its way from the supervisor any more, so that this prompt has the mail. */
async function takenBack(peer: Peer): Promise<void> {
  if (!peer.supervisor || !isRunning(peer.supervisor) || expectsInbox(peer)) return;
  await waitWhile(() => onTheirWay(peer.id).length > 0, TAKE_BACK);
}

/** The letters that the supervisor holds for the notice it typed. */
function heldFor(peer: Peer): Letter[] {
  const names = heldForNotice(peer.id);
  clearPosted(peer.id, NOTICE_POSTED);
  return names.flatMap((unique) => readSeen(peer.id, `${unique}:2,`) ?? []);
}

/** A hook shows a few letters, and reads no more of them than this, whatever waits: the client waits for it. */
const LOOKED_AT = 300;

/**
 * Collects what `wanted` accepts, as much as one hook may say, and words it with what is `held` already; the user is told
 * of what has `arrived` in the prompt as well.
 */
async function hand(
  event: "UserPromptSubmit" | "PostToolUse" | "Stop",
  peer: Peer,
  to: Destination,
  wanted: (letter: Letter) => boolean,
  { arrived, held }: { arrived: Letter[]; held: Letter[] } = { arrived: [], held: [] },
): Promise<HookOutput> {
  if (!safeConfig().bells.includes("hooks") && event !== "UserPromptSubmit") return {};
  if (event === "UserPromptSubmit") await standStill(peer.id);
  let room = CONTEXT_LIMIT;
  const fits = (letter: Letter) => {
    room -= frameLength(letter);
    return room > 0;
  };
  const kept = held.filter(fits);
  giveUp(
    peer.id,
    held.filter((letter) => !kept.includes(letter)),
  );
  const isHeld = new Set([...arrived, ...held].map(({ unique }) => unique));
  const tries = triesIn(peer.id);
  const taken = take(
    peer.id,
    (letter) => {
      // What is held may have been put back by now.
      if (!wanted(letter) || isHeld.has(letter.unique) || !mayHand(tries.get(letter.unique))) return false;
      return fits(letter) || "stop";
    },
    LOOKED_AT,
  );
  const letters = [...kept, ...taken].sort((a, b) => (a.unique < b.unique ? -1 : 1));
  const systemMessage = summaryLine([...arrived, ...letters]);
  if (!letters.length) return arrived.length ? { json: { systemMessage } } : {};
  const heads = letters.map((letter) => headOf(letter, roadOf(event), to));
  return {
    json: { ...output(event, { additionalContext: frames(letters) }), systemMessage },
    handed: { id: peer.id, letters, heads },
  };
}

/** A turn has been running for longer, in ms, when a person sends a prompt into it. */
export const MID_TURN = 400;

/**
 * True for a prompt that is sent while a turn runs. Newer clients (seen in 2.1.329, not in 2.1.197) run its hook at once and
 * keep it, with what the hook attached, in a queue out of our sight: mail has other ways into a running turn.
 */
function isMidTurn({ state, since, session }: Doing, began: number): boolean {
  return session?.status !== undefined && state !== "idle" && began - since.getTime() > MID_TURN;
}

/**
 * The road that a hook's words take. A prompt may be queued in the client, with what its hook attached, if the turn before
 * has not ended: $was is what the script found in the state file.
 */
function roadOf(event: "UserPromptSubmit" | "PostToolUse" | "Stop"): Road {
  if (event !== "UserPromptSubmit") return event === "Stop" ? "stop" : "tool";
  return process.env.CLAUDEMESH_WAS && process.env.CLAUDEMESH_WAS !== "idle" ? "queued" : "prompt";
}

/**
 * Notes what a hook has said as handed over. Not before it is flushed: a hook that is killed in between has said nothing,
 * and yet the turn goes on.
 */
export function handedOver({ handed }: HookOutput): void {
  handed?.letters.forEach(({ unique }, i) => void noteHanded(handed.id, unique, handed.heads[i] ?? []));
}

/** What a hook meant to hand over and could not say: nobody has read it. */
export function notHanded({ handed }: HookOutput): void {
  if (handed) giveUp(handed.id, handed.letters);
}

/** What a hook shows in the middle of a turn. */
function during(peer: Peer, handed: HookOutput): HookOutput {
  mailJoined(peer.id, handed.handed?.letters ?? []);
  return handed;
}

async function stop(peer: Peer, input: HookInput, to: Destination): Promise<HookOutput> {
  // One continuation with mail a chain: what comes later rings again once the session is idle.
  const handed: HookOutput = input.stop_hook_active ? {} : await hand("Stop", peer, to, isWaking);
  mailBegan(peer.id, handed.handed?.letters ?? []);
  const answer = handed.handed ? handed : remind(peer);
  if (answer.json) {
    setState(peer, "busy");
    // The client shows the user what continues a turn: a systemMessage would say it twice.
    return { ...answer, json: { hookSpecificOutput: answer.json.hookSpecificOutput } };
  }
  if (isWaitingFor(peer.id, isWaking, LOOKED_AT)) ring(mailbox(peer.id));
  return {};
}

/** Once for each, the questions that this session has been shown and still owes an answer to. */
function remind(peer: Peer): HookOutput {
  const open = safeConfig().bells.includes("hooks") ? remindOf(peer.id) : [];
  return open.length ? { json: output("Stop", { additionalContext: reminder(open) }) } : {};
}

/** How long, in ms, a bell that is quicker, and says nothing twice, gets before this one wakes the session. */
const BETTER_FIRST = 3000;

/** Claude Code's own watcher saw the bell: wake the session, but only if it is idle and there is mail. */
async function fileChanged(peer: Peer, input: HookInput): Promise<HookOutput> {
  const box = mailbox(peer.id);
  if (input.file_path !== undefined && input.file_path !== bellFile(box)) return {};
  if (!safeConfig().bells.includes("watcher")) return {};
  const isWaiting = (letter: Letter) => isWaking(letter) && mayAnnounce(triesOf(peer.id, letter.unique));
  const waits = () => stateOf(peer).state === "idle" && isWaitingFor(peer.id, isWaiting, LOOKED_AT);
  const isBettered = expectsInbox(peer) || bellOf(peer) === "supervisor";
  await waitWhile(waits, isBettered ? BETTER_FIRST : 0, 50);
  if (!waits()) return {};
  notePosted(peer.id, NOTICE_POSTED);
  const { letters } = peek(peer.id, LOOKED_AT);
  const announced = letters.filter(isWaiting).map(({ unique }) => unique);
  noteTried(peer.id, announced, "watcher");
  return { stderr: `${notice(letters)}\n`, exit: 2 };
}

/** The hooks' own view of what the session is doing, for clients that keep no status. */
function setState(peer: Peer, state: "busy" | "idle"): void {
  try {
    writeFileSync(join(mailbox(peer.id), "state"), `${state}\n`, { mode: FILE_MODE });
  } catch (error) {
    // On a full disk, say: the mail that is just being handed out matters more.
    log("state-error", peer.id, String(error));
  }
}
