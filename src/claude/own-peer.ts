// Whom this process belongs to: the nearest claude above it decides, whatever its environment says, for that is
// inherited by all that a session starts. A variable counts only where the ancestors can't be seen.

import { basename } from "node:path";
import { isAlive, isLocal, listPeers, type Peer, peerOfProcess } from "../mesh/peers.ts";
import {
  argumentsOf,
  bootId,
  commandOf,
  environmentOf,
  isOutermost,
  isRunning,
  type Lineage,
  leadersOf,
  lineage,
} from "../mesh/process.ts";
import { hasSessionFile, isClaude, readSessionFile, sessionFileOf } from "./session.ts";

interface Above {
  /** the nearest claude's pid */
  claude: number;
  /** what is between it and the process, nearest first */
  between: number[];
}

const namedPid = () => Number(process.env.CLAUDE_PID);

/** The nearest claude above this process, of which this is the lineage; undefined if there is none. */
function nearestClaude({ pids, isWhole }: Lineage): Above | undefined {
  const named = namedPid();
  const between: number[] = [];
  for (const [i, pid] of pids.entries()) {
    if (pid !== named && !isClaude(pid)) between.push(pid);
    else if (pid === named || !isForkOf(pids[i + 1], pid)) return { claude: pid, between };
  }
  return !isWhole && isRunning(named) ? { claude: named, between } : undefined;
}

/** True for a process that another made of itself and that has run no program since: it is that one still. */
const isForkOf = (parent: number | undefined, pid: number): boolean =>
  parent !== undefined && !hasSessionFile(pid) && commandOf(parent) === commandOf(pid) && isClaude(parent);

/** Which claude a hook or a mail server is of, or why of none. */
export type Own = { claude: number } | { why: string };

/**
 * The claude whose hook or mail server this process is: between the two stand only the client's own shells, and what
 * was started to start us. One that a session's Bash runs, and a spare, has none.
 */
export function ownClaude(): Own {
  const above = nearestClaude(lineage());
  if (!above) return { why: "no claude runs above this process" };
  const other = above.between.find((pid) => !isClients(pid));
  if (other !== undefined)
    return { why: `between it and claude runs another program, ${basename(argumentsOf(other)[0] ?? "")} (${other})` };
  return whyUnlisted(above.claude) ?? above;
}

/** Why a claude must not register: it is started inside another's Bash tool, or a pre-warmed spare. */
export function whyUnlisted(pid: number): { why: string } | undefined {
  // The mark is inherited; tmux, for one, makes a full session of who has it.
  const isChild = environmentOf(pid, "CLAUDE_CODE_CHILD_SESSION") === "1" && isClaude(pid);
  if (isChild && lineage(pid).pids.some(isClaude)) return { why: "this claude runs inside another's Bash" };
  const isSpare = readSessionFile(sessionFileOf(pid))?.kind === "bg-spare" || / --?bg-spare\b/.test(commandOf(pid));
  return isSpare ? { why: "this claude is a spare one, no session yet" } : undefined;
}

const SHELL = /^-?(ba|da|z|k|mk|a|fi|c|tc|ya|pw)?sh$/;
/** How a command line ends that starts our hook or mail server: that of npx or timeout, or of CLAUDE_CODE_SHELL_PREFIX. */
const STARTS_US =
  /(\bclaudemesh(\.cjs)?["']? (mcp|hook \w+)|\b(claudemesh\S*|bin\/plugin)\/mcp["']?|\/hook["']?( \w+|; exit 0))["']?$/;

/** True for a shell that the client starts commands by, and for what was started to start us. */
function isClients(pid: number): boolean {
  const [program = "", ...words] = argumentsOf(pid);
  const options = words.slice(
    0,
    [...words, ""].findIndex((word) => !word.startsWith("-")),
  );
  if (SHELL.test(basename(program)) && options.some((word) => /^-\w*c$/.test(word))) return true;
  return STARTS_US.test([program, ...words].join(" "));
}

/** Who sends from here: a session; a shell that a session has started and that is none of it; or, with neither, the user. */
export interface Self {
  peer?: Peer;
  /** the shell, in words */
  shell?: string;
}

/** Who this process is to others. */
export function ownSelf(): Self {
  const seen = lineage();
  const above = nearestClaude(seen);
  if (above) {
    const peer = peerOfProcess(above.claude, process.env.CLAUDE_CODE_SESSION_ID);
    if (peer) return { peer };
    // By its name alone it may be another's, in whose folder we have no business.
    return hasSessionFile(above.claude) || isMarked() ? { shell: "a shell, in a claude that is not on the mesh" } : {};
  }
  const peers = listPeers();
  const live = peers.filter((p) => isLocal(p) && seen.pids.includes(p.pid) && isAlive(p));
  const peer = seen.pids.flatMap((pid) => live.find((p) => p.pid === pid) ?? [])[0] ?? peerOutOfSight(peers, seen);
  if (peer) return { peer };
  const whose = detachedFrom(peers, seen);
  return whose === undefined ? {} : { shell: `a shell, detached from ${whose}` };
}

/** The session that this process runs under; undefined outside one. */
export const ownPeer = (): Peer | undefined => ownSelf().peer;

/** The session that the environment names and that no ancestor could be: one outside this PID namespace, or behind what hides. */
function peerOutOfSight(peers: Peer[], { isWhole }: Lineage): Peer | undefined {
  const session = process.env.CLAUDE_CODE_SESSION_ID;
  if (!session || (isWhole && isOutermost())) return undefined;
  const [machine] = bootId().split("/");
  const canBe = (p: Peer) => (isLocal(p) ? !isWhole : p.boot.split("/")[0] === machine);
  return peers.find((p) => p.session_id === session && canBe(p) && isAlive(p));
}

const MARKS = ["CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_CHILD_SESSION", "CLAUDE_PID"] as const;
/** True for what a claude has set in the environment of this process or of one above it. */
const isMarked = () => MARKS.some((name) => process.env[name]);

/** The claude that the leaders of this process's group and session are, or run under, where these are not above it. */
function leadingClaude(above: number[]): number | undefined {
  const leaders = leadersOf(process.pid).filter((pid) => pid !== process.pid && !above.includes(pid));
  return leaders.flatMap((pid) => [pid, ...lineage(pid).pids]).find(isClaude);
}

/** The session that has started this process, none above it any more, in words; undefined if nothing tells of one. */
function detachedFrom(peers: Peer[], { pids }: Lineage): string | undefined {
  const leading = leadingClaude(pids);
  if (!isMarked() && leading === undefined) return undefined;
  const { CLAUDE_CODE_SESSION_ID, CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS, CLAUDE_CODE_MESSAGING_SOCKET } = process.env;
  const ofSocket = Number(/(\d+)\.sock$/.exec(CLAUDE_CODE_MESSAGING_SOCKET ?? "")?.[1]);
  const byPid = [leading, namedPid(), ofSocket].flatMap(
    (pid) => peers.find((p) => p.pid === pid && isLocal(p) && isAlive(p)) ?? [],
  );
  const ids = [CLAUDE_CODE_SESSION_ID, ...(CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS ?? "").split(/[\s,]+/).reverse()];
  const bySession = ids.flatMap(
    (id) => peers.find((p) => id && (p.session_id === id || p.previous_sessions.includes(id))) ?? [],
  );
  return [...byPid, ...bySession][0]?.name ?? "a Claude session";
}

/** The supervisor that runs this claude, of whose terminal no other claude is a part; undefined if there is none. */
export function supervisorOf(claude: number): number | undefined {
  const named = Number(process.env.CLAUDEMESH_SUPERVISOR);
  if (!(named > 0)) return undefined;
  const { pids, isWhole } = lineage(claude);
  const other = pids.findIndex((pid) => isClaude(pid) && pid !== named);
  if ((other < 0 ? pids : pids.slice(0, other)).includes(named)) return named;
  return other < 0 && (!isWhole || !isOutermost()) ? named : undefined;
}
