// One message is one text file of RFC 5322 shape: UTF-8, 8bit, LF, headers neither folded nor encoded, so
// that `cat` and `grep` read it as it lies. Composing is strict; parsing is generous. Pure: no files here.

import { hostname } from "node:os";
import { MeshError } from "../errors.ts";

export const KINDS = ["task", "note", "question", "answer", "bounce"] as const;
export const PRIORITIES = ["now", "next", "low"] as const;
export type Kind = (typeof KINDS)[number];
export type Priority = (typeof PRIORITIES)[number];

export interface Address {
  name: string;
  id: string;
  host: string;
  /** the name is what a file in the sender's repository says */
  byRepository?: boolean;
}

export interface Draft {
  id: string;
  from: Address;
  to: Address[];
  body: string;
  kind?: Kind;
  priority?: Priority;
  subject?: string;
  date?: Date;
  inReplyTo?: string;
  references?: string[];
  expires?: Date;
  hops?: number;
  /** the folder of whose session it waits for, where nobody of that name is there yet */
  waitsFor?: string | undefined;
  /** extra header fields, written first */
  extra?: Record<string, string>;
}

export interface Message {
  id: string;
  /** undefined: the file had no usable From, somebody put it there by hand */
  from: Address | undefined;
  to: string;
  kind: Kind;
  priority: Priority;
  subject: string;
  date: Date | undefined;
  inReplyTo: string | undefined;
  references: string[];
  expires: Date | undefined;
  hops: number;
  waitsFor?: string | undefined;
  body: string;
}

/** The largest message file, in bytes, that is sent or shown. */
export const MAX_BYTES = 1024 * 1024;

/** How soon a message of a kind is shown unless it says otherwise. */
export const DEFAULT_PRIORITY: Record<Kind, Priority> = {
  task: "next",
  note: "low",
  question: "now",
  answer: "now",
  bounce: "now",
};

/** The name of this machine as it stands in addresses and unique names, `/` and `:` escaped as maildir(5) says. */
export function hostName(): string {
  const escaped = hostname().replaceAll("/", "\\057").replaceAll(":", "\\072");
  return escaped.replace(/[^\w.\\-]/g, "-") || "localhost";
}

let lastMicros = 0;
/** A name further ahead than this, in ms, was not made by any clock: nothing is sorted after it. */
const FURTHEST = 400 * 86_400_000;

/**
 * A Maildir unique name, `<sec>.M<usec>P<pid>Q<n>.<host>` (maildir(5)), that sorts after `earlier`, another such name.
 * Names made by one process sort in the order they were made. Both also when the clock steps back.
 */
export function uniqueName(earlier = ""): string {
  const now = Date.now();
  const [, second, rest] = /^(\d+)\.M(\d{6})P/.exec(earlier) ?? [];
  const before = Number(second) * 1000 < now + FURTHEST ? Number(second) * 1_000_000 + Number(rest) : 0;
  lastMicros = Math.max(lastMicros + 1, now * 1000, before + 1);
  const usec = String(lastMicros % 1_000_000).padStart(6, "0");
  return `${Math.floor(lastMicros / 1_000_000)}.M${usec}P${process.pid}Q1.${hostName()}`;
}

/**
 * `<unique name@claudemesh>`: a Message-ID says which file the message is. Other programs' file names may hold what an
 * id can't; such a file is renamed when it is collected.
 */
export const messageIdOf = (unique: string) => `<${unique.replace(/[^!-;=?A-~]/gu, "_")}@claudemesh>`;
/** The unique name inside a Message-ID of ours, with or without its angle brackets; anything else comes back as it is. */
export const uniqueNameOf = (messageId: string) => messageId.replace(/^<|>$/g, "").replace(/@claudemesh$/, "");

/** Text as one header value: CR, LF, tabs and every other control become one space. */
export function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .trim();
}

/** `name <id@host>`; the name is quoted when RFC 5322 (3.2.3) calls for it, and no longer than can be read again. */
export function formatAddress(address: Address): string {
  const name = oneLine(oneLine(address.name).slice(0, 500));
  const phrase = /[()<>[\]:;@\\,"]/.test(name) ? `"${name.replace(/[\\"]/g, "\\$&")}"` : name;
  return `${phrase ? `${phrase} ` : ""}<${address.id}@${address.host}>`;
}

/** The first address of a From or To value; undefined if it names no mailbox. */
export function parseAddress(value: string): Address | undefined {
  // No address is that long, and the pattern's time grows with the square of the blanks in it.
  const match = /^(?:"((?:[^"\\]|\\.)*)"|([^"<]*))\s*<([^<>@\s]+)@([^<>@\s]+)>/.exec(value.slice(0, 2000).trim());
  if (!match) return undefined;
  const name = match[1] === undefined ? (match[2] ?? "").trim() : match[1].replace(/\\(.)/g, "$1");
  return { name, id: match[3] ?? "", host: match[4] ?? "" };
}

/**
 * The text of a message file. The subject defaults to the body's first line.
 * Throws MeshError EMPTY_BODY for a body of nothing but white space, TOO_LARGE past MAX_BYTES.
 */
export function compose(draft: Draft): string {
  // A NUL would make it no text file.
  const body = draft.body.toWellFormed().replaceAll("\0", "");
  if (body.trim() === "")
    throw new MeshError(
      "EMPTY_BODY",
      "can't send: the message is empty",
      "give the text after the address, or pipe it in",
    );
  const kind = draft.kind ?? "task";
  const fields: [string, string | undefined][] = [
    ...Object.entries(draft.extra ?? {}),
    ["From", formatAddress(draft.from)],
    ["To", draft.to.map(formatAddress).join(", ")],
    ["Date", rfc5322Date(draft.date ?? new Date())],
    ["Message-ID", draft.id],
    ["In-Reply-To", draft.inReplyTo],
    ["References", draft.references?.length ? draft.references.join(" ") : undefined],
    ["Subject", draft.subject ?? subjectOf(body)],
    ["X-Mesh-Kind", kind],
    ["X-Mesh-Priority", draft.priority ?? DEFAULT_PRIORITY[kind]],
    ["X-Mesh-Expires", draft.expires && rfc5322Date(draft.expires)],
    ["X-Mesh-Hops", draft.hops ? String(draft.hops) : undefined],
    ["X-Mesh-Name-From", draft.from.byRepository ? "repository" : undefined],
    ["X-Mesh-Waits-For", draft.waitsFor],
    ["MIME-Version", "1.0"],
    ["Content-Type", "text/plain; charset=utf-8"],
    ["Content-Transfer-Encoding", "8bit"],
  ];
  const head = fields.filter((f): f is [string, string] => f[1] !== undefined).map(([k, v]) => `${k}: ${oneLine(v)}\n`);
  const text = `${head.join("")}\n${body}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES)
    throw new MeshError(
      "TOO_LARGE",
      `can't send: the message is ${bytes} bytes, the limit is ${MAX_BYTES}`,
      "write it to a file and send the file's path",
    );
  return text;
}

/** The first line of a body, at most 78 characters (RFC 5322, 2.1.1). */
export function subjectOf(body: string): string {
  const first = oneLine(body.trimStart().split(/\r?\n/, 1)[0] ?? "");
  const chars = Array.from(first);
  return chars.length > 78 ? `${chars.slice(0, 77).join("")}…` : first;
}

const rfc5322Date = (date: Date) => date.toUTCString().replace("GMT", "+0000");

const KNOWN =
  /^(from|to|cc|date|subject|message-id|in-reply-to|references|mime-version|content-type|content-transfer-encoding|received|return-path|reply-to|x-mesh-[\w-]+)$/;

/** Header fields (names in lower case, unfolded) and body of a message text; no fields if it has no header block. */
function split(text: string): { fields: Map<string, string>; body: string } {
  const whole = { fields: new Map<string, string>(), body: text.replaceAll("\r\n", "\n") };
  const mbox = /^From [^\n]*\n/.exec(text)?.[0].length ?? 0;
  const end = /\r?\n\r?\n/.exec(text.slice(mbox));
  if (!end) return whole;
  const head = text.slice(mbox, mbox + end.index);
  const fields = new Map<string, string>();
  for (const line of head.replace(/\r?\n(?=[ \t])/g, "").split(/\r?\n/)) {
    const key = /^[!-9;-~]+(?=:)/.exec(line)?.[0];
    if (key === undefined) return whole;
    if (!fields.has(key.toLowerCase())) fields.set(key.toLowerCase(), line.slice(key.length + 1).trim());
  }
  if (![...fields.keys()].some((key) => KNOWN.test(key))) return whole;
  const body = text.slice(mbox + end.index + end[0].length);
  return { fields, body: end[0].startsWith("\r") ? body.replaceAll("\r\n", "\n") : body };
}

/** A JSON object with a `body` (and perhaps other fields by their lower-case names) as header fields and body. */
function splitJson(text: string): { fields: Map<string, string>; body: string } | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("body" in value) || typeof value.body !== "string")
      return undefined;
    const fields = new Map<string, string>();
    for (const [key, v] of Object.entries(value))
      if (typeof v === "string" && key !== "body")
        fields.set(["kind", "priority", "expires"].includes(key) ? `x-mesh-${key}` : key.toLowerCase(), v);
    return { fields, body: `${value.body}\n` };
  } catch {
    return undefined;
  }
}

/**
 * Reads a message text of any shape: ours, another program's RFC 5322, JSON with a `body`, or plain words.
 * `unique` is the file's unique name: the id of a message that carries none. Never throws.
 */
export function parse(text: string, unique: string): Message {
  const { fields, body } = splitJson(text) ?? split(text);
  const field = (name: string) => oneLine(fields.get(name) ?? "") || undefined;
  const kind = oneOf(KINDS, field("x-mesh-kind")) ?? "task";
  const ids = (value: string | undefined) => value?.match(/<[^<>\s]+>/g) ?? [];
  const from = parseAddress(field("from") ?? "");
  const trimmed = body.endsWith("\n") ? body.slice(0, -1) : body;
  return {
    id: ids(field("message-id"))[0] ?? messageIdOf(unique),
    from: from && field("x-mesh-name-from") === "repository" ? { ...from, byRepository: true } : from,
    to: field("to") ?? "",
    kind,
    priority: oneOf(PRIORITIES, field("x-mesh-priority")) ?? DEFAULT_PRIORITY[kind],
    subject: field("subject") ?? subjectOf(trimmed),
    date: dateOf(field("date")),
    inReplyTo: ids(field("in-reply-to"))[0],
    references: ids(field("references")),
    expires: dateOf(field("x-mesh-expires")),
    hops: Math.max(0, Number.parseInt(field("x-mesh-hops") ?? "0", 10) || 0),
    waitsFor: field("x-mesh-waits-for"),
    body: trimmed,
  };
}

function oneOf<T extends string>(allowed: readonly T[], value: string | undefined): T | undefined {
  return allowed.find((a) => a === value?.toLowerCase());
}

function dateOf(value: string | undefined): Date | undefined {
  const time = value === undefined ? Number.NaN : Date.parse(value);
  return Number.isNaN(time) ? undefined : new Date(time);
}
