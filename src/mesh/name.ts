// What a session may be called: one clean form of every name that is given, wherever it comes from, so that a name can
// neither be read as somebody who is no session (the user, claudemesh, everyone) nor as an address of several.
// Invariant: what comes out goes through unchanged.

import { basename } from "node:path";
import { oneLine } from "./message.ts";

/** Words by which no session is called: they mean the human, the program, or all. */
const RESERVED = new Set(
  "you your yours yourself me myself user human claudemesh claude anthropic assistant system all everyone everybody".split(
    " ",
  ),
);
/** What may stand before such a word and changes nothing. */
const ARTICLES = new Set(["a", "an", "the", "this", "that", "your", "my", "our", "real", "actual"]);

/** Most names are so: neither look needs the classes of Unicode, which V8 takes a millisecond to make. */
const PLAIN = /^[A-Za-z0-9_][\w.+-]*$/;

/** By what names are compared: composed, without case. */
export const nameKey = (name: string): string => name.normalize("NFC").toLowerCase();

/** The mailbox where mail waits for the next session of that name. */
export const queueId = (name: string): string => `@${nameKey(name).replace(/[/\0]/g, "-")}`;

/** A name as it may be shown and addressed; undefined if nothing is left of it. `isReserved`: only as `session-…`. */
export function cleanName(given: string): { name: string; isReserved: boolean } | undefined {
  const name = PLAIN.test(given) ? given : addressable(given);
  if (!name) return undefined;
  const isReserved = claimsToBe(name);
  return { name: isReserved ? `session-${name}` : name, isReserved };
}

/** One composed line without what an address, a list or a line of facts is made of. */
function addressable(given: string): string {
  const name = oneLine(given.normalize("NFC"))
    .replace(/[@,]/g, "-")
    .replace(/[*#<>()"]/g, "")
    // What has no width, but for the joiners that scripts and pictures need.
    .replace(/(?![\u200c\u200d])\p{Cf}/gu, "")
    .replace(/\s+/g, " ")
    .replace(/^[-.\s]+|\s+$/g, "");
  return folded(name) ? name : "";
}

/** A name without case, width, marks and what can't be seen. */
function folded(name: string): string {
  if (PLAIN.test(name)) return name.toLowerCase();
  return name
    .normalize("NFKD")
    .replace(/[\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, "")
    .toLowerCase()
    .trim();
}

/** True for a reserved word alone, or at the head of a phrase: `the user`, `you (approved)`; not for `user-service`. */
function claimsToBe(name: string): boolean {
  const text = folded(name);
  const words = (PLAIN.test(text) ? text.split(/[_.+-]+/) : text.split(/[^\p{L}\p{N}]+/u)).filter(Boolean);
  const at = words.findIndex((word) => !ARTICLES.has(word));
  const first = words.at(at) ?? "";
  if (!RESERVED.has(first)) return false;
  return at === -1 || at === words.length - 1 || !(PLAIN.test(text) || /^[\p{L}\p{N}_.+-]+$/u.test(text));
}

export interface Naming {
  /** what a file in the repository says, what the user said by --name or /rename, and where the session is */
  file?: string | undefined;
  user?: string | undefined;
  cwd: string;
}

/** A session's name and who gave it. What a repository says counts as its folder's where the folder says the same. */
export function nameFor({ file, user, cwd }: Naming): { name: string; named: "repository" | "user" | "folder" } {
  const folder = cleanName(basename(cwd))?.name ?? "session";
  const committed = file === undefined ? undefined : cleanName(file);
  if (committed && !committed.isReserved)
    return { name: committed.name, named: nameKey(committed.name) === nameKey(folder) ? "folder" : "repository" };
  const own = user === undefined ? undefined : cleanName(user);
  return own ? { name: own.name, named: "user" } : { name: folder, named: "folder" };
}
