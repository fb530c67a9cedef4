// Turns and hits as plain text for a terminal without colour. Whatever was said stands indented, so that no text can
// pass itself off as a heading.

import type { Turn } from "./transcript.ts";
import type { Entry } from "./transcript-entries.ts";
import type { Hit } from "./transcript-search.ts";

/** One turn, several lines, no newline at its end. */
export function formatTurn(turn: Turn): string {
  const head = [`turn ${turn.index}`, turn.from, turn.started_at].filter(Boolean).join(" · ");
  const agents = (turn.subagents ?? []).map(
    ({ id, description, lines }) =>
      `[subagent ${id}] ${[description, `${lines} lines of its own`].filter(Boolean).join(", ")}`,
  );
  return [
    head,
    indent(`> ${turn.prompt}`),
    ...turn.entries.map((entry) => indent(said(entry))),
    ...agents.map(indent),
  ].join("\n");
}

/** One hit on one line. */
export function formatHit(hit: Hit): string {
  const line = `${hit.before}«${hit.match}»${hit.after}`.replace(/\s+/g, " ").trim();
  return [`turn ${hit.turn}`, hit.kind.replace("_", " "), hit.when, line].filter(Boolean).join(" · ");
}

function said({ kind, text, tool, error }: Entry): string {
  if (kind === "text") return error ? `[error] ${text}` : text;
  const label = { tool_use: "tool", tool_result: "result", image: "result" }[kind as string] ?? kind;
  return `[${[label, tool, error && "failed"].filter(Boolean).join(" ")}] ${text}`;
}

const indent = (text: string): string => text.replace(/^/gm, "  ").trimEnd();
