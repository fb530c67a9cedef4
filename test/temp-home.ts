// A throw-away HOME for one test, and the built CLI run in it. Nothing of the caller's environment goes in but PATH,
// LANG and TERM; everything made or started here is gone when the test is finished, failed or not.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { below } from "./claude/below.ts";

/** The built command as shipped. */
export const cli = fileURLToPath(new URL("../bin/claudemesh.cjs", import.meta.url));

export type Environment = Record<string, string>;

export interface RunOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Environment;
  /** Milliseconds until the command is killed; 15,000 unless told. */
  readonly timeout?: number;
  /** Not below the stand-in claude whose pid is in `env`, as all else that has it: somebody only says so. */
  readonly apart?: boolean;
  /** What the program is told its name is. */
  readonly argv0?: string;
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TempHome {
  readonly home: string;
  readonly env: Environment;
  /** A path inside the home. */
  path(...parts: string[]): string;
  /** Makes a folder inside the home and gives its path. */
  folder(...parts: string[]): string;
  /** Runs `claudemesh <args>` to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Starts any program in this home with piped stdio, below the claude that CLAUDE_PID names; killed when the test is finished. */
  start(command: string, args: readonly string[], options?: Omit<RunOptions, "input" | "timeout">): ChildProcess;
}

/** Polls until `check` gives a truthy value, and gives that back; throws after `ms` naming `what` was waited for. */
export async function until<T>(
  check: () => T | Promise<T>,
  what: string,
  ms = 10_000,
): Promise<Exclude<T, undefined | null | false | 0 | "">> {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value as Exclude<T, undefined | null | false | 0 | "">;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function finished(child: ChildProcess, input: string | undefined, timeout: number): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    // A command that ends without reading its input is no failure of the test.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input ?? "");
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

/** Makes a home for the running test; call it inside a test. */
export function tempHome(): TempHome {
  const home = realpathSync(mkdtempSync(join(tmpdir(), "claudemesh-test-")));
  const children: ChildProcess[] = [];
  onTestFinished(async () => {
    await Promise.all(children.map(ended));
    // A process that is just ending may still write one more file while the tree is being removed.
    rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  const env: Environment = { HOME: home };
  for (const name of ["PATH", "LANG", "TERM"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  const start: TempHome["start"] = (command, args, options = {}) => {
    const cwd = options.cwd ?? home;
    const all = { ...env, ...options.env };
    const startBelow = options.apart ? undefined : below(all.CLAUDE_PID);
    const { argv0 = command } = options;
    const child = startBelow
      ? startBelow(command, args, cwd, all)
      : spawn(command, args, { argv0, cwd, env: all, stdio: ["pipe", "pipe", "pipe"] });
    children.push(child);
    return child;
  };
  return {
    home,
    env,
    path: (...parts) => join(home, ...parts),
    folder(...parts) {
      const folder = join(home, ...parts);
      mkdirSync(folder, { recursive: true });
      return folder;
    },
    run: (args, options = {}) =>
      finished(start(process.execPath, [cli, ...args], options), options.input, options.timeout ?? 15_000),
    start,
  };
}
