// Which of a model's tool calls need no question: our own tools, and of those none that reach beyond what the session
// may see without one. On everything else we are silent, and Claude Code asks its user as it would without us.
// bin/plugin/hook answers the plain calls by itself, by the same rules.

import { findPeer } from "../mesh/address.ts";
import { isLocal, type Peer } from "../mesh/peers.ts";
import { TOOL_PREFIX } from "./prompt.ts";

/** What PreToolUse tells of a call; `mcp_server` only on clients that name the tool's server. */
export interface Call {
  tool_name?: string;
  tool_input?: Record<string, unknown>;
  /** set in a subagent */
  agent_id?: string;
  mcp_server?: Record<string, unknown>;
}

/** `deny` is for the model, and says what to do instead; undefined leaves it to the client's own dialog. */
export type Verdict = { allow: true } | { deny: string } | undefined;

/** Tools that only write mail, or tell what every session is told anyway. */
export const FREE = ["whoami", "list_instances", "send_message", "ask_peer", "reply_to_peer", "set_summary"];
/** Tools that read a session's transcript, where Claude Code would ask before it reads the same file. */
export const TRANSCRIPT = ["read_history", "search_history", "get_turn"];

const NOT_YOURS =
  "claudemesh: a session's mail is shown to the session itself, by itself; a subagent does not take it. " +
  'Call read_inbox with {"drain":false} to look without taking.';

/** Judges one call of the session that `self` gives, if it is on the mesh. Throws what reading the mesh throws. */
export function verdictOn(call: Call, self: () => Peer | undefined): Verdict {
  const { tool_name = "", tool_input: input = {}, agent_id, mcp_server } = call;
  if (!tool_name.startsWith(TOOL_PREFIX)) return undefined;
  // A server that somebody called plugin_claudemesh_mail has our very names, where ours does not run.
  if (mcp_server && (mcp_server.name !== "plugin:claudemesh:mail" || mcp_server.source !== "plugin")) return undefined;
  const tool = tool_name.slice(TOOL_PREFIX.length);
  if (tool === "read_inbox")
    return agent_id === undefined || input.drain === false ? { allow: true } : { deny: NOT_YOURS };
  if (TRANSCRIPT.includes(tool)) return isNear(input.id, self()) ? { allow: true } : undefined;
  if (!FREE.includes(tool)) return undefined;
  // Everyone is for the user to say: also as one of several, however it is put.
  return tool === "send_message" && String(input.to).includes("*") ? undefined : { allow: true };
}

/** True if `who` is a session of the same repository, worktrees included, or of the same folder where there is none. */
function isNear(who: unknown, self: Peer | undefined): boolean {
  if (typeof who !== "string" || !self) return false;
  let peer: Peer;
  try {
    peer = findPeer(who, { from: self });
  } catch {
    // The tool says why; there is nothing to be allowed.
    return false;
  }
  if (peer.id === self.id) return true;
  // In another container the same path is another folder.
  if (!isLocal(peer) || !isLocal(self)) return false;
  return self.repo === undefined ? peer.repo === undefined && peer.cwd === self.cwd : peer.repo === self.repo;
}

/** A verdict as a PreToolUse hook says it; undefined says nothing. */
export function wordsOf(verdict: Verdict): Record<string, unknown> | undefined {
  if (!verdict) return undefined;
  const [permissionDecision, permissionDecisionReason] =
    "deny" in verdict ? ["deny", verdict.deny] : ["allow", "claudemesh mail"];
  return { hookSpecificOutput: { hookEventName: "PreToolUse", permissionDecision, permissionDecisionReason } };
}
