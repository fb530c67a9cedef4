// Which processes belong to a session: its descendants, and whatever carries its mark in the environment (a hook
// starts in a session of its own and is reparented when claude dies, so the tree alone would miss it).

import { execFileSync } from "node:child_process";
import { ignore } from "../../src/errors.ts";

export interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

// `e` shows the environment behind the command, in Linux's ps and in the BSDs' alike.
function processes(withEnvironment: boolean): readonly Row[] {
  const text = execFileSync("ps", [withEnvironment ? "axeww" : "axww", "-o", "pid=,ppid=,stat=,command="], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const rows: Row[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s(.*)$/.exec(line);
    if (!match || match[3]?.startsWith("Z")) continue;
    rows.push({ pid: Number(match[1]), parent: Number(match[2]), command: match[4] ?? "" });
  }
  return rows;
}

/** The pids below `pid`, nearest first. */
export function descendants(pid: number): readonly number[] {
  const rows = processes(false);
  const below: number[] = [];
  let level = [pid];
  while (level.length > 0) {
    level = rows.filter((row) => level.includes(row.parent)).map((row) => row.pid);
    below.push(...level);
  }
  return below;
}

/** The running processes that carry `mark` (`NAME=value`) in their environment or are among `pids`; not this one. */
export function leftOf(mark: string, pids: readonly number[] = []): readonly Row[] {
  return processes(true)
    .filter((row) => row.pid !== process.pid && (row.command.includes(mark) || pids.includes(row.pid)))
    .map((row) => ({ ...row, command: row.command.slice(0, 120) }));
}

/** Whether that process runs; one that is dead and only not yet reaped does not. */
export function isRunning(pid: number): boolean {
  return processes(false).some((row) => row.pid === pid);
}

/** Kills by pid; one that is already gone is fine. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  ignore(["ESRCH"], () => process.kill(pid, signal));
}
