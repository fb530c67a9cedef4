// One session as `list`, `status` and list_instances show it.

import { sanitise } from "../clean.ts";
import { type Config, safeConfig } from "../mesh/config.ts";
import { mailbox } from "../mesh/home.ts";
import { listNew } from "../mesh/maildir.ts";
import { oneLine } from "../mesh/message.ts";
import { isLocal, type Peer } from "../mesh/peers.ts";
import { bellOf, stateOf } from "./session.ts";
import { captions } from "./transcript.ts";

export interface Row {
  id: string;
  name: string;
  state: string;
  /** ISO time since when it is in this state */
  since: string;
  unread: number;
  /** the bell that would reach it now; null if it is gone or all are switched off */
  bell: string | null;
  alive: boolean;
  cwd: string;
  repo: string | null;
  branch: string | null;
  summary: string | null;
  started_at: string;
  pid: number;
}

/** What it is working on, in its own words; else its title or last prompt, in one line. */
function summaryOf(peer: Peer, alive: boolean): string | null {
  const path = peer.transcript_path;
  const found = !peer.summary && path && isLocal(peer) && alive ? captions(path) : undefined;
  const own = peer.summary || (found?.title ?? notMail(found?.lastPrompt));
  const chars = Array.from(oneLine(sanitise(own ?? "")));
  return chars.length > 80 ? `${chars.slice(0, 79).join("")}…` : chars.join("") || null;
}

/** What came by mail, in whatever frame, says nothing of the session's own work. */
const notMail = (prompt: string | undefined) =>
  prompt && /^(?:Another Claude session sent|<[\w-]+[ >]|claudemesh)/.test(prompt) ? undefined : prompt;

/** The rows of peers, as of now. */
export function rowsOf(peers: Peer[]): Row[] {
  const config = safeConfig();
  return peers.map((peer) => rowOf(peer, config));
}

function rowOf(peer: Peer, config: Config): Row {
  const doing = stateOf(peer);
  const { state, since } = doing;
  const alive = state !== "gone";
  return {
    id: peer.id,
    name: peer.name,
    state,
    since: since.toISOString(),
    unread: listNew(mailbox(peer.id)).length,
    bell: bellOf(peer, doing, config) ?? null,
    alive,
    cwd: peer.cwd,
    repo: peer.repo ?? null,
    branch: peer.branch ?? null,
    summary: summaryOf(peer, alive),
    started_at: peer.started_at,
    pid: peer.pid,
  };
}

/** Rows as aligned text columns, without a heading; `mine` is marked with `*`. */
export function table(rows: Row[], mine?: string, now: number = Date.now()): string {
  const cells = rows.map((r) =>
    [
      r.id === mine ? "*" : "",
      r.id,
      r.name,
      r.state,
      duration(now - Date.parse(r.since)),
      r.unread ? `✉${r.unread}` : "",
      r.bell ?? "",
      r.branch ?? "",
      r.summary ?? "",
      r.cwd,
    ].map((cell) => oneLine(cell)),
  );
  const columns = (cells[0] ?? []).map((_, i) => i).filter((i) => cells.some((row) => row[i]));
  const width = columns.map((i) => Math.max(...cells.map((row) => Array.from(row[i] ?? "").length)));
  return cells
    .map((row) =>
      columns
        .map((i, c) => `${row[i]}${" ".repeat((width[c] ?? 0) - Array.from(row[i] ?? "").length)}`)
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A time span in ms in its largest unit: `3 s`, `5 min`, `2 h`, `4 d`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
