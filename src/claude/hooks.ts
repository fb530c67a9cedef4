// Claude Code's hooks (code.claude.com/docs/hooks): one function an event, hook JSON in, hook JSON out. What is handed
// out has been collected first and is marked seen by `shown`, which the caller runs once the output is flushed.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { safeConfig } from "../mesh/config.ts";
import { FILE_MODE, mailbox } from "../mesh/home.ts";
import { type Arrival, joinMesh, leave } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { bellOf as bellFile, curPath, locate, recover, ring } from "../mesh/maildir.ts";
import { markSeen, remindOf } from "../mesh/owed.ts";
import { isLinked, type Peer, peerOfProcess } from "../mesh/peers.ts";
import { clearPosted, heldForNotice, NOTICE_POSTED, notePosted } from "../mesh/posted.ts";
import { commandOf, isRunning } from "../mesh/process.ts";
import { isWaking, type Letter, onTheirWay, peek, readLetter, readSeen, standStill, take } from "../mesh/receive.ts";
import { ORPHANED } from "../mesh/sweep.ts";
import { waitWhile } from "../wait.ts";
import {
  CONTEXT_LIMIT,
  framedNames,
  frameLength,
  frames,
  isFramed,
  isNotice,
  notice,
  primer,
  reminder,
  summaryLine,
} from "./prompt.ts";
import { bellOf, claudePid, expectsInbox, isUnlisted, readSessionFile, sessionFileOf, stateOf } from "./session.ts";

/** The fields of a hook's stdin that are used here; all are optional, for versions differ. */
export interface HookInput {
  hook_event_name?: string;
  session_id?: string;
  transcript_path?: string;
  cwd?: string;
  source?: string;
  reason?: string;
  prompt?: string;
  agent_id?: string;
  file_path?: string;
  stop_hook_active?: boolean;
}

export interface HookOutput {
  /** JSON for stdout */
  json?: Record<string, unknown>;
  stderr?: string;
  /** 2 wakes an idle session (asyncRewake) */
  exit?: 2;
  /** letters that the output shows: to be marked once it is flushed */
  shown?: { id: string; letters: Letter[] };
}

/** Answers one hook call. Throws only on what the caller should log; the caller fails open. */
export async function answerHook(event: string, input: HookInput): Promise<HookOutput> {
  if (input.agent_id) return {};
  const pid = claudePid();
  if (pid === undefined || isUnlisted(pid)) return {};
  if (event === "SessionEnd") return sessionEnd(pid, input);
  const peer = await registered(event, pid, input);
  switch (event) {
    case "SessionStart":
      return sessionStart(peer, input);
    case "CwdChanged":
      return { json: output(event, { watchPaths: [bellFile(mailbox(peer.id))] }) };
    case "UserPromptSubmit":
      return userPromptSubmit(peer, input.prompt ?? "");
    case "PostToolUse":
      return hand(event, peer, (letter) => letter.message.priority === "now");
    case "Stop":
      return stop(peer, input);
    case "FileChanged":
      return fileChanged(peer, input);
    default:
      return {};
  }
}

const output = (hookEventName: string, fields: Record<string, unknown>) => ({
  hookSpecificOutput: { hookEventName, ...fields },
});

/** The peer of this claude, joined or brought up to date if it carries another session than we knew. */
async function registered(event: string, pid: number, input: HookInput): Promise<Peer> {
  const known = peerOfProcess(pid, input.session_id);
  // The link is the last that a join makes: until then the start's hook, which may run beside this one, is at it.
  const isJoined = known && known.session_id === input.session_id && isLinked(known);
  if (isJoined && event !== "SessionStart") return known;
  return joinMesh(arrivalOf(pid, input));
}

/** All that can be known of a session from its hook's input and its process. */
export function arrivalOf(pid: number, input: HookInput): Arrival {
  const file = sessionFileOf(pid);
  const session = readSessionFile(file);
  const supervisor = Number(process.env.CLAUDEMESH_SUPERVISOR);
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
    ...(supervisor > 1 ? { supervisor } : {}),
  };
}

/**
 * Arms the watcher and says once who this session is. Mail is not handed out here: what a SessionStart hook says is
 * read only with the user's first prompt, so it would be called seen before it was. A bell rings for it at once.
 */
function sessionStart(peer: Peer, input: HookInput): HookOutput {
  const box = mailbox(peer.id);
  recover(box, ORPHANED);
  ring(box);
  const context = input.source === "compact" ? {} : { additionalContext: primer(peer) };
  return { json: output("SessionStart", { watchPaths: [bellFile(box)], ...context }) };
}

async function sessionEnd(pid: number, input: HookInput): Promise<HookOutput> {
  if (input.reason === "clear" || input.reason === "resume") return {};
  const peer = peerOfProcess(pid, input.session_id);
  if (peer) await leave(peer.id, pid);
  return {};
}

/** Confirms what a bell has put into this prompt, and hands over the rest of the mailbox with it. */
async function userPromptSubmit(peer: Peer, prompt: string): Promise<HookOutput> {
  const held = isNotice(prompt) ? heldFor(peer) : [];
  const names = framedNames(prompt);
  const inPrompt = names.map((unique) => confirm(peer, unique));
  if (inPrompt.length && isFramed(prompt) && inPrompt.every((found) => found === "again")) {
    log("repeat-blocked", peer.id, ...names);
    return { json: { decision: "block", reason: "claudemesh: this mail has already been shown to this session." } };
  }
  await takenBack(peer);
  const arrived = names.flatMap((unique) => readSeen(peer.id, `${unique}:2,S`) ?? []);
  const handed = await hand("UserPromptSubmit", peer, () => true, { arrived, held });
  if (!handed.shown && !inPrompt.length && isNotice(prompt)) {
    log("empty-bell-blocked", peer.id);
    return {
      json: { decision: "block", reason: "claudemesh: the mail that this line announced has been read meanwhile." },
    };
  }
  return handed;
}

/** Marks a letter that stands in the prompt. `again`: it had been shown before; `unknown`: it never lay in this mailbox. */
function confirm(peer: Peer, unique: string): "first" | "again" | "unknown" {
  clearPosted(peer.id, unique);
  const place = locate(mailbox(peer.id), unique);
  if (place?.at === "cur" && /[ST]/.test(place.flags)) return "again";
  const letter = readLetter(peer.id, unique);
  if (!letter) return "unknown";
  markSeen(peer.id, [letter]);
  return "first";
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
  return names.flatMap((unique) => {
    const letter = readSeen(peer.id, `${unique}:2,`);
    // Where it will lie once it has been shown: a long letter names its file.
    return letter ? [{ ...letter, path: curPath(mailbox(peer.id), unique, "S") }] : [];
  });
}

/**
 * Collects what `wanted` accepts, as much as one hook may say, and words it after what is `held` already; the user is
 * told of what has `arrived` in the prompt as well.
 */
async function hand(
  event: string,
  peer: Peer,
  wanted: (letter: Letter) => boolean,
  { arrived, held }: { arrived: Letter[]; held: Letter[] } = { arrived: [], held: [] },
): Promise<HookOutput> {
  if (!safeConfig().bells.includes("hooks") && event !== "UserPromptSubmit") return {};
  if (event === "UserPromptSubmit") await standStill(peer.id);
  let room = CONTEXT_LIMIT - held.reduce((sum, letter) => sum + frameLength(letter), 0);
  const taken = take(peer.id, (letter) => {
    // What is held may have been put back meanwhile.
    if (!wanted(letter) || held.some(({ unique }) => unique === letter.unique)) return false;
    room -= frameLength(letter);
    return room > 0 || "stop";
  });
  const letters = [...held, ...taken].sort((a, b) => (a.unique < b.unique ? -1 : 1));
  const systemMessage = summaryLine([...arrived, ...letters]);
  if (!letters.length) return arrived.length ? { json: { systemMessage } } : {};
  return {
    json: { ...output(event, { additionalContext: frames(letters) }), systemMessage },
    shown: { id: peer.id, letters },
  };
}

async function stop(peer: Peer, input: HookInput): Promise<HookOutput> {
  // One continuation with mail a chain: what comes later rings again once the session is idle.
  const handed = input.stop_hook_active ? {} : await hand("Stop", peer, isWaking);
  const answer = handed.shown ? handed : remind(peer);
  if (answer.json) {
    setState(peer, "busy");
    // The client shows the user what continues a turn: a systemMessage would say it twice.
    return { ...answer, json: { hookSpecificOutput: answer.json.hookSpecificOutput } };
  }
  if (peek(peer.id).letters.some(isWaking)) ring(mailbox(peer.id));
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
  const waits = () => stateOf(peer).state === "idle" && peek(peer.id).letters.some(isWaking);
  const isBettered = expectsInbox(peer) || bellOf(peer) === "supervisor";
  await waitWhile(waits, isBettered ? BETTER_FIRST : 0, 50);
  if (!waits()) return {};
  notePosted(peer.id, NOTICE_POSTED);
  return { stderr: `${notice(peek(peer.id).letters)}\n`, exit: 2 };
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
