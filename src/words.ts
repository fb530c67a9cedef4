// What people type after a verb: a text, a time.

import { fstatSync, readFileSync } from "node:fs";
import { MeshError } from "./errors.ts";

/** The text of a message: the words, or stdin for `-` alone or when there are none and it is no terminal. */
export function bodyFrom(words: string[]): string {
  // Not process.stdin: opening it makes a pipe non-blocking, and a slow writer an EAGAIN.
  const piped = words.length === 0 && !isTerminal(0);
  if (!piped && !(words.length === 1 && words[0] === "-")) return words.join(" ");
  return readFileSync(0, "utf8").replace(/\n$/, "");
}

/** True for a terminal. What Node asks for it is loaded only where it may be one. */
export const isTerminal = (fd: number): boolean =>
  fstatSync(fd).isCharacterDevice() && process.getBuiltinModule("node:tty").isatty(fd);

/** `90s`, `30m`, `2h`, `1d` in ms. Throws MeshError USAGE for anything else. */
export function milliseconds(text: string): number {
  const [, count, unit] = /^(\d+)(s|m|h|d)$/.exec(text) ?? [];
  if (!count || !unit) throw new MeshError("USAGE", `can't read the time '${text}'`, "write it as 90s, 30m, 2h or 1d");
  return Number(count) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as "s" | "m" | "h" | "d"];
}
