// Runs a program where there is no terminal to supervise: a pipe, a script, CI. Standard streams are inherited.
// Invariant: the status is the program's own; nothing of ours is between it and its streams.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";
import { MeshError } from "../errors.ts";

const ALWAYS = ["SIGTERM", "SIGHUP"] as const;
const FROM_KEYBOARD = ["SIGINT", "SIGQUIT"] as const;

/**
 * Runs `file` with inherited streams and gives its exit status (128 + signal if one killed it).
 * Rejects with MeshError FAILED if it can't be started.
 */
export function spawnPlain(file: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    // With a terminal about, Ctrl-C reaches the child directly; passing it on would make it two.
    const hasTerminal = [0, 1, 2].some((fd) => isatty(fd));
    const pass = (signal: NodeJS.Signals) => void child.kill(signal);
    const stay = () => {};
    for (const signal of ALWAYS) process.on(signal, pass);
    for (const signal of FROM_KEYBOARD) process.on(signal, hasTerminal ? stay : pass);
    const end = () => {
      for (const signal of [...ALWAYS, ...FROM_KEYBOARD]) process.off(signal, pass).off(signal, stay);
    };
    // Signals are heard by now, and passed on once this function has come to its end.
    const child = spawn(file, args, { env, stdio: "inherit" });
    child.once("error", (error) => {
      end();
      reject(new MeshError("FAILED", `can't run ${file}: ${error.message}`));
    });
    child.once("close", (code, signal) => {
      end();
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
