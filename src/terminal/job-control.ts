// Ctrl-Z: when the program has suspended itself, the supervisor stops too, and both go on at `fg`. A SIGTSTP sent to the
// supervisor is handed on as a Ctrl-Z, so that the program leaves the screen in order.
// Invariant: nothing is looked at and no timer runs but for a moment after a Ctrl-Z or a death or stop of the child.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { ignore } from "../errors.ts";
import type { Modes } from "./modes.ts";

export type JobControl = {
  /** To be called after the program has been given a piece of input, and of output. */
  sawInput(chunk: Buffer): void;
  sawOutput(): void;
  stop(): void;
};

/** Ctrl-Z as one byte, and as the kitty keyboard protocol and xterm's modifyOtherKeys write it. */
const CTRL_Z = /\x1a|\x1b\[122[\d:]*;[\d:]+u|\x1b\[27;\d+;122~/;
const LOOK_FOR_MS = 1000;
const SETTLED_MS = 60;

/**
 * Starts watching for a stop. `raw` sets the user's terminal raw or back, `resumed` is called after `fg`.
 *
 * Two signs. A program that is really stopped: state T. And one that meant to be: a program that leads the
 * session of its own terminal is in an orphaned process group, where the kernel drops the SIGTSTP it sends itself.
 * Claude Code then waits, modes off, for a SIGCONT that no shell will send. So: Ctrl-Z, and after it all its
 * terminal modes turned off while it lives, is a stop too.
 */
export function startJobControl(options: {
  pid: number;
  modes: Modes;
  write: (data: string) => void;
  raw: (on: boolean) => void;
  resumed: () => void;
}): JobControl {
  const { pid, modes, write, raw, resumed } = options;
  let lookUntil = 0;
  let suspended = false;
  /** Until when a stop of the program's own may still come that was meant for the suspension that is over. */
  let overdue = 0;
  let timer: NodeJS.Timeout | undefined;
  let giveUp: NodeJS.Timeout | undefined;

  const goOn = () => {
    clearTimeout(timer);
    // Off and on: a shell may have changed the terminal behind our back.
    raw(false);
    raw(true);
    // Here we may be twice, by SIGCONT and by the timer.
    process.off("SIGTSTP", asked).on("SIGTSTP", asked);
    resumed();
    if (suspended || isStopped(pid)) signalGroup(pid, "SIGCONT");
    if (suspended && overdue > 0) overdue = performance.now() + LOOK_FOR_MS;
    suspended = false;
  };
  const suspend = () => {
    suspended = true;
    lookUntil = 0;
    // A look that is still to come would stop us again after `fg`.
    clearTimeout(timer);
    clearTimeout(giveUp);
    // It may not have come to stop itself yet, on a busy machine.
    overdue = isStopped(pid) ? 0 : Number.POSITIVE_INFINITY;
    signalGroup(pid, "SIGSTOP");
    raw(false);
    process.off("SIGTSTP", asked);
    // To the whole group, as the terminal's own Ctrl-Z does: npx or a script may stand between us and the shell.
    process.kill(0, "SIGTSTP");
    // Here it stops; `fg` sends SIGCONT. In an orphaned group of our own (no shell to go back to) it never stopped.
    timer = setTimeout(goOn, SETTLED_MS);
  };
  const lookSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const quit = performance.now() < lookUntil && !modes.any() && isAlive(pid);
      if (quit || isStopped(pid)) suspend();
    }, SETTLED_MS);
  };
  // Elsewhere than on Linux looking costs a process, whose own end would be the next SIGCHLD.
  const look = () => {
    if (suspended || process.platform !== "linux" || !isStopped(pid)) return;
    if (performance.now() > overdue) return suspend();
    overdue = 0;
    signalGroup(pid, "SIGCONT");
  };

  const sawCtrlZ = () => {
    // Modes that were off before say nothing about a stop: then only state T counts.
    lookUntil = modes.any() ? performance.now() + LOOK_FOR_MS : 0;
    lookSoon();
  };
  const asked = () => {
    if (suspended) return;
    write("\x1a");
    sawCtrlZ();
    clearTimeout(giveUp);
    // One that knows no Ctrl-Z is stopped all the same.
    giveUp = setTimeout(() => suspended || suspend(), LOOK_FOR_MS);
  };

  process.on("SIGCHLD", look).on("SIGCONT", goOn).on("SIGTSTP", asked);
  return {
    sawInput(chunk) {
      if (!suspended && CTRL_Z.test(chunk.toString("latin1"))) sawCtrlZ();
    },
    sawOutput() {
      if (lookUntil > 0 && !suspended && !modes.any()) lookSoon();
    },
    stop() {
      clearTimeout(timer);
      clearTimeout(giveUp);
      process.off("SIGCHLD", look).off("SIGCONT", goOn).off("SIGTSTP", asked);
    },
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  ignore(["ESRCH", "EPERM"], () => process.kill(-pid, signal));
}

function isAlive(pid: number): boolean {
  return ignore(["ESRCH"], () => process.kill(pid, 0)) ?? false;
}

/** True if the process is stopped (job control), false if it runs or is gone. */
export const isStopped = (pid: number): boolean => stateLetter(pid) === "T";

/** True if the process is gone, or dead and only not yet waited for. */
export const hasEnded = (pid: number): boolean => ["", "Z", "X"].includes(stateLetter(pid));

/** The state of a process as ps abbreviates it; empty if there is none. */
function stateLetter(pid: number): string {
  try {
    if (process.platform !== "linux")
      return execFileSync("ps", ["-o", "state=", "-p", String(pid)], { encoding: "utf8" }).charAt(0);
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2);
  } catch {
    return "";
  }
}
