// One transcript line → what it says. Only top-level `type` user and assistant, and queued commands, are conversation;
// api-request* lines hold copies of it and are never looked into. Texts leave here cleaned and cut.

import { stripVTControlCharacters } from "node:util";
import { oneLine } from "../mesh/message.ts";

export type EntryKind =
  | "text"
  | "thinking"
  | "tool_use"
  | "tool_result"
  | "image"
  | "queued" // typed, or a notice that came, while the turn ran
  | "meta" // put in by Claude Code: a Stop hook's feedback, what a slash command stands for
  | "command" // a local command such as /model
  | "output" // what a local command or `!` printed
  | "compaction" // the summary the conversation went on with
  | "interrupted";

export interface Entry {
  kind: EntryKind;
  text: string;
  at?: string;
  /** the API message this block belongs to */
  message?: string;
  tool?: string;
  tool_use_id?: string;
  error?: true;
  /** the subagent whose result this is */
  agent?: string;
}

export interface Said {
  at?: string;
  /** set where a turn starts: who began it, and with what */
  start?: { from: string; prompt: string };
  entries: Entry[];
}

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const fields = (value: unknown): Fields => (isFields(value) ? value : {});
const string = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

// In compact JSON a quote inside a text is always escaped, so these bytes are structure wherever they stand; at which
// depth, only parsing tells.
export const USER = Buffer.from('"type":"user"');
export const RESULT = '"type":"tool_result"';
const OTHERS = [Buffer.from('"type":"assistant"'), Buffer.from('"type":"queued_command"')];
const TYPE_FIRST = '{"type":"';

/** The line as an object if it can be conversation; undefined for other types, and for half-written lines. */
export function conversation(line: Buffer): Fields | undefined {
  if (line.toString("latin1", 0, TYPE_FIRST.length) === TYPE_FIRST) {
    const type = line.toString("latin1", TYPE_FIRST.length, line.indexOf('"', TYPE_FIRST.length));
    if (type !== "user" && type !== "assistant" && type !== "attachment") return undefined;
  }
  if (!line.includes(USER) && !OTHERS.some((bytes) => line.includes(bytes))) return undefined;
  const found = parse(line);
  if (found?.type === "attachment") return fields(found.attachment).type === "queued_command" ? found : undefined;
  return found?.type === "user" || found?.type === "assistant" ? found : undefined;
}

/** A line as a JSON object; undefined if it is anything else, or half-written. */
export function parse(line: Buffer | string): Fields | undefined {
  try {
    const found: unknown = JSON.parse(line.toString());
    return isFields(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** What a line says, each text cut to `redact` bytes; undefined if it is no conversation of the session itself. */
export function read(line: Buffer, redact: number): Said | undefined {
  const found = conversation(line);
  if (!found || found.isSidechain === true) return undefined;
  const at = timeOf(found.timestamp);
  const said = found.type === "user" ? userSaid(found, redact) : { entries: spoken(found, redact) };
  if (!at) return said;
  for (const entry of said.entries) entry.at = at;
  return { ...said, at };
}

/** A time as Claude Code writes it; anything else is no time. */
const timeOf = (value: unknown): string | undefined =>
  typeof value === "string" && /^\d{4}-[\dT:.Z+-]{1,30}$/.test(value) ? value : undefined;

/**
 * Whether a turn starts at this line, given as Latin-1: cheaper than reading it, for no text is decoded or cleaned. All
 * that tells is ASCII.
 */
export function startsTurn(line: string): boolean {
  if (line.includes(RESULT)) return false;
  const found = parse(line);
  if (found?.type !== "user" || found.isSidechain === true) return false;
  const blocks = blocksOf(fields(found.message).content);
  return blocks.length > 0 && !blocks.some(isResult) && asideOf(found, flat(blocks)) === undefined;
}

function spoken(found: Fields, redact: number): Entry[] {
  if (found.type === "attachment") {
    return [{ kind: "queued", text: shown(flat(fields(found.attachment).prompt), redact) }];
  }
  const message = fields(found.message);
  const id = string(message.id);
  return blocksOf(message.content).flatMap((block): Entry[] => {
    const kind = String(block.type);
    const about = id ? { message: id } : {};
    if (kind === "thinking" && !block.thinking) return [];
    if (kind === "thinking") return [{ kind, text: shown(String(block.thinking), redact), ...about }];
    if (!kind.endsWith("tool_use")) {
      const failed = found.isApiErrorMessage === true ? { error: true as const } : {};
      return [{ kind: "text", text: shown(flat([block]), redact), ...about, ...failed }];
    }
    const use = { tool: oneLine(clean(String(block.name))), tool_use_id: String(block.id) };
    return [{ kind: "tool_use", text: shown(JSON.stringify(block.input ?? {}), redact), ...about, ...use }];
  });
}

function userSaid(found: Fields, redact: number): Said {
  const blocks = blocksOf(fields(found.message).content);
  const text = flat(blocks);
  if (!blocks.length) return { entries: [] };
  if (found.isCompactSummary !== true && blocks.some(isResult)) {
    const agent = string(fields(found.toolUseResult).agentId);
    const entries = blocks.flatMap((block) => resultOf(block, redact));
    if (agent && entries[0]) entries[0].agent = agent;
    return { entries };
  }
  const kind = asideOf(found, text);
  if (kind === "caveat") return { entries: [] };
  if (!kind) return { start: { from: beganBy(found, text), prompt: shown(commandOf(text), redact) }, entries: [] };
  const said = kind === "command" ? commandOf(text) : kind === "output" ? text.replace(OUTPUT_TAGS, "") : text;
  return { entries: [{ kind, text: shown(said, redact) }] };
}

const isResult = (block: Fields): boolean => String(block.type).endsWith("tool_result");

/** What a user line without results is if it starts no turn. */
function asideOf(found: Fields, text: string): EntryKind | "caveat" | undefined {
  if (found.isCompactSummary === true) return "compaction";
  if (isInterrupt(text)) return "interrupted";
  if (text.startsWith("<local-command-caveat>")) return "caveat";
  if (text.startsWith("<command-name>")) return "command";
  if (/^<(local-command|bash)-std(out|err)>/.test(text)) return "output";
  return found.isMeta === true && fields(found.origin).kind !== "peer" ? "meta" : undefined;
}

function resultOf(block: Fields, redact: number): Entry[] {
  if (!isResult(block)) {
    const text = flat([block]);
    return [{ kind: isInterrupt(text) ? "interrupted" : "meta", text: shown(text, redact) }];
  }
  const parts = blocksOf(block.content);
  const images = parts.filter((part) => part.type === "image");
  const texts = parts.filter((part) => part.type !== "image");
  const about = {
    tool_use_id: String(block.tool_use_id),
    ...(block.is_error === true ? { error: true as const } : {}),
  };
  const entries = images.map((part): Entry => ({ kind: "image", text: placeholder(part), ...about }));
  if (!texts.length && images.length) return entries;
  return [{ kind: "tool_result", text: shown(flat(texts), redact), ...about }, ...entries];
}

const OUTPUT_TAGS = /<\/?(?:local-command|bash)-std(?:out|err)>/g;
const isInterrupt = (text: string): boolean => /^\[Request interrupted by user[^\]\n]*\]$/.test(text);

function beganBy(found: Fields, text: string): string {
  const kind = string(fields(found.origin).kind);
  if (kind === "peer") return "mail";
  if (kind === "task-notification") return "notification";
  if (kind) return oneLine(clean(kind));
  // older clients name no origin
  if (/^<(task-notification|system-reminder)>/.test(text)) return "notification";
  return found.promptSource === "sdk" ? "sdk" : "human";
}

/** `/name args` or `! line` from the tags that Claude Code writes for them; any other text as it is. */
function commandOf(text: string): string {
  const tag = (name: string): string => {
    const begin = text.indexOf(`<${name}>`) + name.length + 2;
    const end = text.indexOf(`</${name}>`, begin);
    return begin < name.length + 2 || end < 0 ? "" : text.slice(begin, end).trim();
  };
  if (text.startsWith("<bash-input>")) return `! ${tag("bash-input")}`;
  if (!/^<command-(name|message)>/.test(text)) return text;
  return `${tag("command-name") || tag("command-message")} ${tag("command-args")}`.trim();
}

function blocksOf(content: unknown): Fields[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  return Array.isArray(content) ? content.filter(isFields) : [];
}

const flat = (content: unknown): string =>
  blocksOf(content)
    .map((block) => string(block.text) ?? placeholder(block))
    .join("\n");

/** `[image image/png, 70 bytes]`: what stands for a block that is no text. */
function placeholder(block: Fields): string {
  const source = fields(block.source);
  const data = string(source.data);
  const media = string(source.media_type) ?? string(block.tool_name);
  const name = clean([String(block.type), media].filter(Boolean).join(" "));
  return data === undefined ? `[${name}]` : `[${name}, ${Buffer.byteLength(data, "base64")} bytes]`;
}

const shown = (text: string, redact: number): string => cut(text, redact, clean);

/** `text` cut to `limit` bytes between two characters, with a word on how much is missing; `then` is done to the rest. */
export function cut(text: string, limit: number, then: (text: string) => string = (kept) => kept): string {
  const total = text.length > limit / 3 ? Buffer.byteLength(text) : 0;
  if (total <= limit) return then(text);
  const head = Buffer.from(text.slice(0, limit));
  let end = Math.min(limit, head.length);
  while (end > 0 && ((head[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${then(head.toString("utf8", 0, end))}… [${total - end} bytes cut]`;
}

/** `text` without escape sequences and control characters other than newline and tab. */
export const clean = (text: string): string => stripVTControlCharacters(text).replace(/(?![\n\t])\p{Cc}/gu, "");
