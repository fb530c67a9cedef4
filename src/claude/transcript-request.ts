// What someone asks of another session's transcript: whose, and how much. Judges the words, reads nothing.

import { MeshError } from "../errors.ts";
import type { Peer } from "../mesh/peers.ts";

/** The path of a peer's transcript. Throws MeshError NO_TRANSCRIPT if the peer has told of none. */
export function transcriptOf({ id, name, transcript_path }: Peer): string {
  if (transcript_path) return transcript_path;
  throw new MeshError(
    "NO_TRANSCRIPT",
    `can't read the transcript of ${name} (${id}): it has told of none yet`,
    "a session tells where it writes with its first hook; try after its next prompt",
  );
}

/** A whole number from `least` up, given as number or text; `fallback` if not given. Throws MeshError USAGE. */
export function wholeNumber(value: unknown, name: string, least: number, fallback?: number): number {
  if (value === undefined && fallback !== undefined) return fallback;
  const number = typeof value === "string" && /^[+-]?\d+$/.test(value.trim()) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= least) return number;
  const given = value === undefined ? "nothing" : `'${String(value)}'`;
  const range = Number.isFinite(least) ? ` from ${least} up` : "";
  throw new MeshError(
    "USAGE",
    `can't take ${given} as ${name}: not a whole number${range}`,
    "claudemesh --help shows how",
  );
}

/** A word that has to be there. Throws MeshError USAGE that shows how the verb is used. */
export function needed(value: string | undefined, what: string, usage: string): string {
  if (value) return value;
  throw new MeshError("USAGE", `can't ${usage.split(" ")[1] ?? "start"}: no ${what} given`, usage);
}
