// Our one key in a Claude Code settings file: put in and cut out as text, so that formatting, order, unknown keys
// and line ends of the user's file stay theirs. Invariant: withoutStatusLine(withStatusLine(text, command)) === text
// for every object that has no status line.

import { isObject } from "../mesh/files.ts";
import { type Member, membersOf, type TopLevel } from "./members.ts";

const KEY = "statusLine";
/** Seconds between two runs while the session is idle; without it an idle session never runs the line again. */
const REFRESH_SECONDS = 2;

/** `text` as one word of POSIX sh. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The status line's command for a plugin linked at `link`: one line of sh, silent once the link is gone. */
export function statusLineCommand(link: string): string {
  const hook = shellQuote(`${link}/hook`);
  return `[ -r ${hook} ] && e=statusline && . ${hook}; exit 0`;
}

/** True for a `statusLine` value that this or an older version wrote; a user's own line that calls ours is not. */
export function isOurStatusLine(value: unknown): boolean {
  const command = isObject(value) ? value.command : undefined;
  return typeof command === "string" && /^\[ -r .*\/skills\/claudemesh\/hook'? .*; exit 0$/s.test(command);
}

/** The object that a settings text holds; `{}` for a blank one. Throws SyntaxError with line and column. */
export function parseSettings(text: string): Record<string, unknown> {
  if (isBlank(text)) return {};
  membersOf(text);
  return JSON.parse(text.replace(/^\ufeff/, ""));
}

/**
 * The settings with our status line in them. A status line of the user's own stays, and nothing is added beside it;
 * one of ours is renewed in place. Throws SyntaxError with line and column if the text is no JSON object.
 */
export function withStatusLine(text: string, command: string): string {
  if (isBlank(text)) return `${text.startsWith("\ufeff") ? "\ufeff" : ""}${withStatusLine("{}", command)}\n`;
  const top = membersOf(text);
  const mine = top.members.find((m) => m.key === KEY);
  if (mine) return renewed(text, mine, command);
  const entry = { type: "command", command, refreshInterval: REFRESH_SECONDS };
  const last = top.members.at(-1);
  return last ? addedAfter(text, top, last, entry) : addedAlone(text, top, entry);
}

/** The settings without our status line; unchanged if there is none or it is the user's. Throws as withStatusLine. */
export function withoutStatusLine(text: string): string {
  if (isBlank(text)) return text;
  const { open, close, members } = membersOf(text);
  const index = members.findIndex((m) => m.key === KEY);
  const mine = members[index];
  if (!mine || !isOurStatusLine(memberValue(text, mine))) return text;
  const before = members[index - 1];
  const after = members[index + 1];
  if (before) return cut(text, before.end, mine.end);
  if (after) return cut(text, mine.start, after.start);
  return cut(text, open + 1, text.slice(open + 1, mine.start) === " " ? mine.end : close);
}

const isBlank = (text: string) => text.trim() === "";
const cut = (text: string, from: number, to: number) => text.slice(0, from) + text.slice(to);
const memberValue = (text: string, { valueStart, end }: Member): unknown => JSON.parse(text.slice(valueStart, end));

function renewed(text: string, mine: Member, command: string): string {
  const value = memberValue(text, mine);
  if (!isObject(value) || !isOurStatusLine(value) || value.command === command) return text;
  const old = text.slice(mine.valueStart, mine.end);
  const line = text.slice(text.lastIndexOf("\n", mine.start) + 1, mine.start);
  const indent = /^[ \t]*/.exec(line)?.[0] ?? "";
  const entry = { ...value, command, refreshInterval: value.refreshInterval ?? REFRESH_SECONDS };
  const renewal = old.includes("\n") ? spread(entry, indent, lineEnd(text)) : onOneLine(entry, old.startsWith("{ "));
  return text.slice(0, mine.valueStart) + renewal + text.slice(mine.end);
}

/** A new last member, laid out like the one before it. */
function addedAfter(text: string, top: TopLevel, last: Member, entry: object): string {
  const previous = top.members.at(-2)?.end;
  const gap = text.slice(previous === undefined ? top.open + 1 : text.indexOf(",", previous) + 1, last.start);
  const colon = text.slice(last.keyEnd, last.valueStart);
  const indent = /\r?\n([ \t]*)$/.exec(gap);
  const member = indent
    ? `${indent[0]}"${KEY}": ${spread(entry, indent[1] ?? "", lineEnd(text))}`
    : `${colon === ":" ? "" : " "}"${KEY}"${colon}${onOneLine(entry, colon !== ":")}`;
  return `${text.slice(0, last.end)},${member}${text.slice(last.end)}`;
}

/**
 * The first member. An object of nothing gets lines of its own; one that holds blanks keeps them all behind the
 * member, which then stands on the brace's line: by that the cut knows which of the two it was.
 */
function addedAlone(text: string, { open, close }: TopLevel, entry: object): string {
  const eol = lineEnd(text);
  const member =
    close === open + 1 ? `${eol}  "${KEY}": ${spread(entry, "  ", eol)}${eol}` : ` "${KEY}": ${onOneLine(entry, true)}`;
  return text.slice(0, open + 1) + member + text.slice(open + 1);
}

/** The file's own line end, that of its first line. */
function lineEnd(text: string): string {
  return /\r?\n/.exec(text)?.[0] ?? "\n";
}

/** JSON over several lines; `indent` is that of the line it begins on, at depth one, so it is also the step. */
function spread(value: object, indent: string, eol: string): string {
  return JSON.stringify(value, null, indent).replaceAll("\n", eol + indent);
}

function onOneLine(value: object, spaced: boolean): string {
  return spaced ? JSON.stringify(value, null, 1).replace(/\n\s*/g, " ") : JSON.stringify(value);
}
