// What Claude Code itself says about its sessions, in ~/.claude/sessions/<pid>.json, and how its processes are known.
// That file, not any flag of ours, is the truth about idle: after Esc, for example, no hook fires.

import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { ignore } from "../errors.ts";
import { type Bell, safeConfig } from "../mesh/config.ts";
import { namesIn, readJsonObject } from "../mesh/files.ts";
import type { Destination } from "../mesh/handed.ts";
import { mailbox } from "../mesh/home.ts";
import { isSafeName, isWatched } from "../mesh/maildir.ts";
import { isAlive, isLocal, type Peer } from "../mesh/peers.ts";
import { ancestors, argumentsOf, commandOf, isRunning, startedAt } from "../mesh/process.ts";

/** Claude Code's own folder: CLAUDE_CONFIG_DIR moves it. */
export const claudeDir = () => process.env.CLAUDE_CONFIG_DIR || join(homedir(), ".claude");
export const sessionFileOf = (pid: number) => join(claudeDir(), "sessions", `${pid}.json`);

export type State = "idle" | "busy" | "asking" | "gone";

export interface SessionFile {
  /** undefined before 2.1.162 */
  status: "idle" | "busy" | "waiting" | undefined;
  waitingFor: string | undefined;
  since: Date | undefined;
  /** only a name that the user gave, by --name or /rename */
  name: string | undefined;
  socket: string | undefined;
  version: string | undefined;
  sessionId: string | undefined;
  kind: string | undefined;
}

/** The last time, in ms, that is a Date. */
const LAST_DATE = 8.64e15;

/** Reads a session file; undefined if it is missing or was written by another process than the one that now has that pid. */
export function readSessionFile(path: string, pidStarted?: string): SessionFile | undefined {
  const found = readJsonObject(path);
  if (!found) return undefined;
  const text = (key: string) => (typeof found[key] === "string" ? (found[key] as string) : undefined);
  if (pidStarted !== undefined && text("procStart") !== undefined && text("procStart") !== pidStarted) return undefined;
  const status = text("status");
  const at = found.statusUpdatedAt;
  return {
    // `shell`: idle at the prompt while a shell runs in the background.
    status:
      status === "shell" ? "idle" : status === "idle" || status === "busy" || status === "waiting" ? status : undefined,
    waitingFor: text("waitingFor"),
    since: typeof at === "number" && Math.abs(at) <= LAST_DATE ? new Date(at) : undefined,
    name: text("nameSource") === "user" ? text("name") : undefined,
    socket: text("messagingSocketPath"),
    version: text("version"),
    sessionId: text("sessionId"),
    kind: text("kind"),
  };
}

/** The session file of a peer of this machine, if its process still writes it. */
export function sessionOf(peer: Peer): SessionFile | undefined {
  // Another container's path may exist here, too, and be somebody else's.
  return peer.claude_session_file && isLocal(peer)
    ? readSessionFile(peer.claude_session_file, peer.pid_started)
    : undefined;
}

export interface Doing {
  state: State;
  since: Date;
  /** what its user is asked, where Claude Code tells */
  waitingFor?: string;
  /** what its session file says, where it has one */
  session?: SessionFile | undefined;
}

/** What a session is doing and since when. */
export function stateOf(peer: Peer): Doing {
  if (!isAlive(peer)) return { state: "gone", since: new Date(peer.left_at ?? peer.started_at) };
  const session = sessionOf(peer);
  if (session?.status) {
    const state = session.status === "waiting" ? "asking" : session.status;
    const waiting = session.waitingFor && state === "asking" ? { waitingFor: session.waitingFor } : {};
    return { state, since: session.since ?? new Date(peer.started_at), session, ...waiting };
  }
  // Older than 2.1.162, or in another container: what the hooks last wrote.
  const file = join(mailbox(peer.id), "state");
  const word = ignore(["ENOENT"], () => readFileSync(file, "utf8").trim());
  const since = ignore(["ENOENT"], () => statSync(file).mtime) ?? new Date(peer.started_at);
  return { state: word === "busy" || word === "asking" ? word : "idle", since, session };
}

/** The transcript of a session of which no hook has told its path. */
function findTranscript(peer: Peer): string | undefined {
  const id = sessionOf(peer)?.sessionId ?? peer.session_id;
  if (!id || !isSafeName(id)) return undefined;
  const root = join(claudeDir(), "projects");
  return namesIn(root)
    .map((folder) => join(root, folder, `${id}.jsonl`))
    .find((path) => existsSync(path));
}

/** Where what is handed to the session goes to, while it is `doing` that: in its transcript it can't be before the present end. */
export function destinationOf(peer: Peer, doing: Doing = stateOf(peer)): Destination {
  const { pid, transcript_path: path = findTranscript(peer) } = peer;
  const state_since = doing.since.getTime();
  const size = path ? ignore(["ENOENT", "ENOTDIR", "EACCES", "ENAMETOOLONG"], () => statSync(path).size) : undefined;
  return path ? { pid, transcript: path, from: size ?? 0, state_since } : { pid, state_since };
}

/** True if `version` is at least `least`, both like 2.1.224; an unknown version is not. */
export function isAtLeast(version: string | undefined, least: string): boolean {
  const [a, b] = [version ?? "", least].map((v) => v.split(".").map((n) => Number.parseInt(n, 10)));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? Number.NaN) - (b?.[i] ?? 0);
    if (Number.isNaN(difference)) return false;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** True if the session's own MCP server runs: the only process that its inbox socket lets in unasked. */
export function hasMailServer(peer: Peer): boolean {
  return peer.mcp !== undefined && isLocal(peer) && isRunning(peer.mcp) && ancestors(peer.mcp).includes(peer.pid);
}

/** How long, in ms, after a session's start its mail server may take to be there. */
const STARTING = 5000;

/** True if the session has an inbox socket at which its mail server rings, or will as soon as it has started. */
export function expectsInbox(peer: Peer): boolean {
  if (!safeConfig().bells.includes("inbox") || sessionOf(peer)?.socket === undefined) return false;
  return hasMailServer(peer) || Math.abs(Date.now() - Date.parse(peer.started_at)) < STARTING;
}

/**
 * The fastest bell that can reach the session now, or could while it was `doing` that; `hooks` means: with its next turn
 * or prompt; undefined that none can.
 */
export function bellOf(
  peer: Peer,
  { state, session }: Doing = stateOf(peer),
  { bells, inject } = safeConfig(),
): Bell | undefined {
  // Where no hook has run, none would confirm that it arrived.
  if (state === "gone" || !peer.hooked) return undefined;
  if (bells.includes("inbox") && session?.socket && hasMailServer(peer)) return "inbox";
  if (
    bells.includes("supervisor") &&
    peer.supervisor &&
    isLocal(peer) &&
    isRunning(peer.supervisor) &&
    inject !== "never"
  )
    return "supervisor";
  const canWatch = isAtLeast(session?.version ?? peer.client, "2.1.83") && isWatched(mailbox(peer.id));
  if (bells.includes("watcher") && canWatch) return "watcher";
  return bells.includes("hooks") ? "hooks" : undefined;
}

/** True for a process that is a claude: it has a session file, or the name. */
export function isClaude(pid: number): boolean {
  if (hasSessionFile(pid)) return true;
  const [program = "", script = ""] = argumentsOf(pid);
  // What a program has made its title is a line of words: `npm exec vitest run test/claude`.
  const isName = !/\s/.test(program) || existsSync(program);
  return (isName && basename(program) === "claude") || /claude-code[\\/](cli|start)\.m?js$/.test(script);
}

/** True for a process of which Claude Code keeps a session file. */
export function hasSessionFile(pid: number): boolean {
  const path = sessionFileOf(pid);
  // Most processes have none: an error thrown for each of them would take longer than all else here.
  return existsSync(path) && readSessionFile(path, startedAt(pid)) !== undefined;
}

/** True if claude was started with our server as a channel (docs: channels): only then is what is pushed taken. */
export function hasChannel(pid: number): boolean {
  const [, ...words] = commandOf(pid).split(/ (?=--(?:dangerously-load-development-)?channels\b)/);
  return words.some((word) => /\b(server:claudemesh|plugin:claudemesh)\b/.test(word.split(/ (?=--)/)[0] ?? ""));
}

/** How long, in ms, after its start a session may take to begin with the prompt that it was given. */
const OPENING = 5000;
/** Options without a value, after which a word of its own is a prompt; any other may have it for its value. */
const BARE_OPTION =
  /^(--[\w-]+=.*|-c|--continue|--fork-session|--ide|--verbose|--(allow-)?dangerously-skip-permissions)$/s;

/** True if a session, as far as its command line tells, is about to begin with a prompt of its own: mail goes in with that. */
export function isOpening({ pid, started_at }: Peer): boolean {
  const age = Date.now() - Date.parse(started_at);
  if (age < 0 || age > OPENING) return false;
  const [program = "", ...words] = argumentsOf(pid);
  const given = basename(program) === "claude" ? words : words.slice(1);
  return given.some((word, i) => !/^(-|$)/.test(word) && !/^-/.test((given[i - 1] ?? "").replace(BARE_OPTION, "")));
}
