// What the client says of itself in `<config>/sessions/<pid>.json`, found from the process in the PTY.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ignore } from "../../src/errors.ts";
import { descendants } from "./processes.ts";

export type Status = "idle" | "busy" | "waiting";

export interface ClaudeFile {
  readonly pid: number;
  readonly sessionId: string;
  readonly cwd: string;
  readonly version: string;
  readonly name?: string;
  readonly status?: Status;
  readonly statusUpdatedAt?: number;
  readonly waitingFor?: string;
  readonly messagingSocketPath?: string;
  readonly [field: string]: unknown;
}

function readClaudeFile(file: string): ClaudeFile | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ClaudeFile;
  } catch {
    // Gone, or just being written: the next look tells.
    return undefined;
  }
}

/**
 * A reader of the session file of the claude that is process `pid` or runs below it. Gives undefined before that file
 * is there and after it has gone.
 */
export function claudeFileOf(pid: number, configDir: string): () => ClaudeFile | undefined {
  const folder = join(configDir, "sessions");
  let found: number | undefined;
  const find = () => {
    const names = ignore(["ENOENT"], () => readdirSync(folder)) ?? [];
    const pids = names.map((name) => Number.parseInt(name, 10)).filter((n) => n > 0);
    if (pids.includes(pid)) return pid;
    return pids.length > 0 ? descendants(pid).find((n) => pids.includes(n)) : undefined;
  };
  return () => {
    found ??= find();
    return found === undefined ? undefined : readClaudeFile(join(folder, `${found}.json`));
  };
}
