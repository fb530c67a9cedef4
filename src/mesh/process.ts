// Is that process still the one we knew? A pid alone is no identity: it is reused. Pid, start time and boot are.

import { readFileSync, readlinkSync } from "node:fs";
import { errnoOf, ignore } from "../errors.ts";

const onLinux = process.platform === "linux";

/** The fields of /proc/<pid>/stat after the command name, or undefined if there is no such process. */
function procStat(pid: number): string[] | undefined {
  // Under hidepid the processes of others can't be read: they are none of ours.
  const text = ignore(["ENOENT", "ESRCH", "EACCES", "EPERM"], () => readFileSync(`/proc/${pid}/stat`, "utf8"));
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** One column of ps(1) for a pid; undefined if there is no such process. */
function ps(pid: number, column: string): string | undefined {
  // Loaded where it is needed: this takes longer than all that `send` does on Linux.
  const { execFileSync } = process.getBuiltinModule("node:child_process");
  try {
    return execFileSync("ps", ["-o", `${column}=`, "-p", String(pid)], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

/** When the process started, as this system writes it (/proc/<pid>/stat field 22, else `ps -o lstart=`); undefined if it is gone. */
export function startedAt(pid: number): string | undefined {
  return onLinux ? procStat(pid)?.[19] : ps(pid, "lstart");
}

/** How long, in ms, a process has been there, whatever it has become by exec since; 0 where this system does not tell. */
export function ageOf(pid: number): number {
  const ticks = onLinux ? Number(procStat(pid)?.[19]) : Number.NaN;
  const uptime = onLinux ? Number.parseFloat(readFileSync("/proc/uptime", "utf8")) : Number.NaN;
  // In hundredths of a second, whatever the kernel counts in (proc(5), USER_HZ).
  const age = uptime * 1000 - ticks * 10;
  return Number.isFinite(age) ? Math.max(0, age) : pid === process.pid ? process.uptime() * 1000 : 0;
}

/** What /proc/<pid>/stat and ps(1) give for the parent of a process at the top: of pid 1, or of one that came in from outside. */
const NOBODY = 0;

/** The parent's pid, NOBODY at the top, undefined if the process is gone or can't be seen. */
function parentAs(pid: number): number | undefined {
  const text = onLinux ? procStat(pid)?.[1] : ps(pid, "ppid");
  const parent = Number(text);
  return text !== undefined && Number.isInteger(parent) ? parent : undefined;
}

/** The parent's pid, or undefined at the top or if the process is gone. */
export const parentOf = (pid: number): number | undefined => parentAs(pid) || undefined;

export interface Lineage {
  /** the pids above a process, nearest first */
  pids: number[];
  /** false: there are more, which can't be seen: hidepid hides them, or they are in another PID namespace */
  isWhole: boolean;
}

/** All that can be seen above `pid`. */
export function lineage(pid: number = process.pid): Lineage {
  const pids: number[] = [];
  // Where /proc is that of another PID namespace, our pid is somebody else's there.
  if (onLinux && ignore(["ENOENT"], () => readlinkSync("/proc/self")) !== String(process.pid))
    return { pids, isWhole: false };
  for (let at = pid, depth = 0; depth < 64; depth++) {
    const parent = parentAs(at);
    if (parent === NOBODY) return { pids, isWhole: at === 1 };
    // Who can't be seen may have ended this moment: then its child has another parent.
    if (parent === undefined) {
      const child = pids.at(-2) ?? pid;
      pids.pop();
      if (at === pid || parentAs(child) === at) return { pids, isWhole: at === 1 };
      at = child;
      continue;
    }
    pids.push(parent);
    at = parent;
  }
  return { pids, isWhole: false };
}

/** The pids above `pid`, nearest first, as far as they can be seen. */
export const ancestors = (pid: number = process.pid): number[] => lineage(pid).pids;

/** The leaders of the process group and of the session that a process is in, whoever its parent is by now; none outside Linux. */
export const leadersOf = (pid: number): number[] =>
  [...new Set((onLinux ? procStat(pid)?.slice(2, 4) : undefined)?.map(Number))].filter((leader) => leader > 0);

/** True unless processes outside this PID namespace may be above its own: then only they can see these. */
export const isOutermost = (): boolean =>
  !onLinux || ignore(["ENOENT", "EACCES"], () => readlinkSync("/proc/self/ns/pid")) === "pid:[4026531836]";

/** The command line, the program first; outside Linux cut at every space. Empty if it can't be read. */
export function argumentsOf(pid: number): string[] {
  if (!onLinux) return (ps(pid, "command") ?? "").split(" ").filter(Boolean);
  const text = ignore(["ENOENT", "ESRCH", "EACCES"], () => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  return (text ?? "").split("\0").slice(0, -1);
}

/** The command line, arguments separated by spaces; empty if it can't be read. */
export const commandOf = (pid: number): string => argumentsOf(pid).join(" ").trim();

/** One variable of a process's own environment; undefined if unset or unreadable (always so outside Linux). */
export function environmentOf(pid: number, name: string): string | undefined {
  if (!onLinux) return undefined;
  const text = ignore(["ENOENT", "ESRCH", "EACCES", "EPERM"], () => readFileSync(`/proc/${pid}/environ`, "utf8"));
  const entry = text?.split("\0").find((e) => e.startsWith(`${name}=`));
  return entry?.slice(name.length + 1);
}

/**
 * True while the process runs and is still the one that started at `started` (undefined: not known, any will do).
 * EPERM, a process of somebody else, counts as running; a zombie does not.
 */
export function isRunning(pid: number, started?: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (onLinux) {
    const stat = procStat(pid);
    return stat !== undefined && stat[0] !== "Z" && (started === undefined || stat[19] === started);
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) !== "EPERM") return false;
  }
  return started === undefined || startedAt(pid) === started;
}

let boot: string | undefined;
/** Names this boot of this machine and, where there are such, this PID namespace: pids mean something only within it. */
export function bootId(): string {
  boot ??= onLinux
    ? `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${ignore(["ENOENT", "EACCES"], () => readlinkSync("/proc/self/ns/pid")) ?? ""}`
    : (ps(1, "lstart") ?? "unknown");
  return boot;
}
