// Puts the user's terminal back after the one death at which nothing can be done, kill -9: a shell waits at the end of
// a pipe that closes with us, and then writes what undoes the modes that were on.
// Invariant: it writes only if we did not end in order. The settings of the line (raw, echo) are the user's shell's to
// put back, which does so for a job that was killed; a second hand at them would disturb its own line editor.

import { spawn } from "node:child_process";
import type { Modes } from "./modes.ts";

export type Guard = {
  /** To be called after each piece of output has been seen by `modes`. */
  sawOutput(): void;
  /** To be called when the terminal is put back, or about to be: from here on it writes nothing. */
  stop(): void;
};

const SCRIPT = `trap '' HUP INT QUIT TERM TSTP TTOU
while IFS= read -r line; do undo=$line; done
[ -z "$undo" ] || printf '%s\\033[0m' "$undo"`;
/** Frames turn modes on and off: only what lasts is told. */
const LASTING_MS = 50;

/** Makes the guard of the terminal on stdout. Its shell is started with the first mode that is on. */
export function createGuard(modes: Modes): Guard {
  let told = "";
  let changes = 0;
  let timer: NodeJS.Timeout | undefined;
  let child: ReturnType<typeof start> | undefined;

  const tell = () => {
    timer = undefined;
    const undo = modes.undo();
    if (undo === told) return;
    child ??= start();
    child.stdin.write(`${undo}\n`);
    told = undo;
  };
  return {
    sawOutput() {
      if (modes.changes() === changes) return;
      changes = modes.changes();
      timer ??= setTimeout(tell, LASTING_MS).unref();
    },
    stop() {
      clearTimeout(timer);
      child?.kill("SIGKILL");
    },
  };
}

/** In a session of its own: what is sent to our whole group does not reach it. */
function start() {
  const child = spawn("/bin/sh", ["-c", SCRIPT], { stdio: ["pipe", "inherit", "ignore"], detached: true });
  // Without a shell to start there is none to put the terminal back for.
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}
