// Subagents write files of their own beside the transcript. A turn only says that they were there; what they said is
// never mixed in.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../errors.ts";
import { clean, conversation, type Entry, parse } from "./transcript-entries.ts";
import { blocks, linesOf, openBytes } from "./transcript-lines.ts";

export interface Subagent {
  id: string;
  description?: string;
  /** lines of conversation in its file */
  lines: number;
}

const NOTHING_THERE = ["ENOENT", "ENOTDIR", "EACCES"];

/** Adds to each turn the subagents it started, and gives the turns back. `path` is the session's transcript. */
export async function attachSubagents<T extends { entries: Entry[]; subagents?: Subagent[] }>(
  path: string,
  turns: T[],
): Promise<T[]> {
  const folder = join(path.replace(/\.jsonl$/, ""), "subagents");
  const names = ignore(NOTHING_THERE, () => readdirSync(folder).sort()) ?? [];
  for (const name of names) {
    const id = /^agent-(.+)\.jsonl$/.exec(name)?.[1];
    if (!id) continue;
    const meta = metaOf(join(folder, `agent-${id}.meta.json`));
    const turn = turns.find((one) =>
      one.entries.some((entry) => entry.agent === id || (entry.tool_use_id && entry.tool_use_id === meta.toolUseId)),
    );
    if (!turn) continue;
    const description = typeof meta.description === "string" ? { description: clean(meta.description) } : {};
    turn.subagents = [
      ...(turn.subagents ?? []),
      { id: clean(id), ...description, lines: await count(join(folder, name)) },
    ];
  }
  return turns;
}

const metaOf = (path: string): Record<string, unknown> => ignore(NOTHING_THERE, () => parse(readFileSync(path))) ?? {};

async function count(path: string): Promise<number> {
  const file = await openBytes(path);
  try {
    let lines = 0;
    for await (const block of blocks(file)) {
      for (const { bytes } of linesOf(block)) if (conversation(bytes)) lines++;
    }
    return lines;
  } finally {
    await file.close();
  }
}
