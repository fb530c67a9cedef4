// The fake model's script, written into the conversation itself: `[[sleep:500]] [[tool:{...}]] [[say:done]]` runs in
// that order, one reply a tool call. The newest text of a non-assistant message that holds a marker decides, until a
// final answer, an interrupt or a newer marker comes after it. Stateless: all is read off the request.

import { createHash } from "node:crypto";
import { type Block, blocksOf, type Message, textOf } from "./conversation.ts";

export interface ToolCall {
  readonly name: string;
  readonly input: Record<string, unknown>;
}

/** One answer of the model. A string is short for `{ text }`; `delay` is in milliseconds; `status` is an HTTP error. */
export interface Reply {
  readonly text?: string;
  readonly tools?: readonly ToolCall[];
  readonly delay?: number;
  readonly status?: number;
  /** The first word of the text comes at once, the others when this resolves. */
  readonly rest?: Promise<void>;
  /** Where the tool call stands in a script of markers; goes into the tool call's id. */
  readonly step?: string;
}

/** The marker of these tool calls, one reply each. */
export const toolMarker = (...calls: readonly ToolCall[]): string => `[[tool:${JSON.stringify(calls)}]]`;

type Marker =
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "sleep"; readonly ms: number }
  | { readonly kind: "error"; readonly status: number }
  | { readonly kind: "tools"; readonly source: string; readonly rounds: readonly (readonly ToolCall[])[] };

/** Where the JSON value that begins at `start` ends, or -1. Brackets inside strings do not count. */
function endOfJson(text: string, start: number): number {
  let depth = 0;
  let quoted = false;
  for (let i = start; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === "\\") i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === "{" || c === "[") depth++;
    else if (c === "}" || c === "]") {
      depth--;
      if (depth === 0) return i + 1;
      if (depth < 0) return -1;
    }
  }
  return -1;
}

function toolsAt(text: string, start: number): { marker: Marker; end: number } | undefined {
  const end = endOfJson(text, start);
  if (end < 0 || !text.startsWith("]]", end)) return undefined;
  const source = text.slice(start, end);
  try {
    const value = JSON.parse(source) as ToolCall | (ToolCall | ToolCall[])[];
    const rounds = (Array.isArray(value) ? value : [value]).map((round) => (Array.isArray(round) ? round : [round]));
    if (rounds.length === 0 || rounds.some((round) => round.some((call) => typeof call?.name !== "string")))
      return undefined;
    return { marker: { kind: "tools", source, rounds }, end: end + 2 };
  } catch {
    return undefined;
  }
}

/**
 * The markers of a text, in order: `[[say:TEXT]]`, `[[sleep:MS]]`, `[[error:STATUS]]`, `[[tool:{name,input}]]`,
 * `[[tools:[a,b,[c,d]]]]` (one after the other; an inner array is called in parallel). A marker inside the JSON of a
 * tool call belongs to whoever gets that text, not to this one. Identical says and tool calls count once, so a mail
 * whose subject repeats its body does not run it twice.
 */
export function markersOf(text: string): readonly Marker[] {
  const found: Marker[] = [];
  const opening = /\[\[(say|sleep|error|tools?):\s*/g;
  for (let match = opening.exec(text); match; match = opening.exec(text)) {
    const start = opening.lastIndex;
    const word = match[1];
    if (word === "tool" || word === "tools") {
      const tools = toolsAt(text, start);
      if (!tools) continue;
      if (!found.some((m) => m.kind === "tools" && m.source === (tools.marker as { source: string }).source)) {
        found.push(tools.marker);
      }
      opening.lastIndex = tools.end;
      continue;
    }
    const close = text.indexOf("]]", start);
    if (close < 0) continue;
    const value = text.slice(start, close);
    if (word === "say" && !found.some((m) => m.kind === "say" && m.text === value))
      found.push({ kind: "say", text: value });
    if (word === "sleep" && Number(value) >= 0) found.push({ kind: "sleep", ms: Number(value) });
    if (word === "error" && Number(value) >= 400) found.push({ kind: "error", status: Number(value) });
    opening.lastIndex = close + 2;
  }
  return found;
}

/** The replies that a list of markers stands for: each tool round ends one, what remains is the last. */
function scriptOf(markers: readonly Marker[]): readonly Reply[] {
  const replies: Reply[] = [];
  const key = createHash("sha256").update(JSON.stringify(markers)).digest("hex").slice(0, 10);
  let says: string[] = [];
  let delay = 0;
  const close = (rest: Omit<Reply, "text" | "delay">) => {
    replies.push({ ...(says.length > 0 ? { text: says.join("\n") } : {}), ...(delay > 0 ? { delay } : {}), ...rest });
    says = [];
    delay = 0;
  };
  for (const marker of markers) {
    if (marker.kind === "say") says.push(marker.text);
    else if (marker.kind === "sleep") delay += marker.ms;
    else if (marker.kind === "error") close({ status: marker.status });
    else for (const tools of marker.rounds) close({ tools, step: `${key}_${replies.length}` });
  }
  if (says.length > 0 || delay > 0 || replies.at(-1)?.tools) close({});
  return replies;
}

const isReminder = (text: string) => /^\s*<system-reminder>/.test(text);
const isInterrupt = (text: string) => text.trimStart().startsWith("[Request interrupted by user");

/** What lies after the last final answer or interrupt, block by block: only that can still ask for a reply. */
function openBlocks(messages: readonly Message[]): readonly (Block & { readonly role: string })[] {
  let open: (Block & { readonly role: string })[] = [];
  messages.forEach((message, i) => {
    for (const block of blocksOf(message)) {
      open.push({ ...block, role: message.role });
      if (message.role !== "assistant" && isInterrupt(block.text ?? "")) open = [];
    }
    if (message.role !== "assistant" || messages[i + 1]?.role === "assistant") return;
    let run = i;
    while (run > 0 && messages[run - 1]?.role === "assistant") run--;
    const calls = messages.slice(run, i + 1).some((m) => blocksOf(m).some((block) => block.type === "tool_use"));
    if (!calls) open = [];
  });
  return open;
}

/** The reply that the conversation's markers ask for now, or undefined if no marker is open. */
export function markedReply(messages: readonly Message[]): Reply | undefined {
  const open = openBlocks(messages);
  const at = open.findLastIndex((b) => b.role !== "assistant" && b.type === "text" && markersOf(textOf(b)).length > 0);
  const block = open[at];
  if (!block) return undefined;
  const script = scriptOf(markersOf(textOf(block)));
  const steps = new Set(
    open.filter((b) => b.type === "tool_use").map((b) => String(b.id).split("_").slice(1, 3).join("_")),
  );
  const reply = script.find((step) => !step.step || !steps.has(step.step));
  // An error leaves no trace in the conversation: a newer prompt must not get the old one's error once more.
  const newer = open.slice(at + 1).some((b) => b.role === "user" && b.type === "text" && !isReminder(textOf(b)));
  return reply?.status && newer ? undefined : reply;
}
