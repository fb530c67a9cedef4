// The user's terminal, for tests: a PTY in which a program runs, its output kept byte for byte.

import { writeFileSync } from "node:fs";
import { onTestFinished } from "vitest";
import { type Ending, openPty, type Size } from "../../src/terminal/pty.ts";
import { cli, type TempHome, until } from "../temp-home.ts";

export const superviseScript = new URL("./supervise.mjs", import.meta.url).pathname;

export type Outer = {
  pid: number;
  output(): Buffer;
  text(): string;
  write(data: string | Buffer): void;
  resize(size: Size): void;
  /** From here on the terminal takes nothing, until `reads` is called: a stalled connection. */
  stalls(): void;
  reads(): void;
  ended(): Promise<Ending>;
  /** Waits until the output holds `text` (after the first `from` characters). */
  shows(text: string | RegExp, from?: number): Promise<void>;
};

/** Starts a program in a terminal, of 80x24 unless told; it is killed when the test is finished. */
export async function openOuter(
  file: string,
  args: string[],
  extra: NodeJS.ProcessEnv = {},
  size: Size = { cols: 80, rows: 24 },
): Promise<Outer> {
  const env = { PATH: process.env.PATH, HOME: "/nonexistent", TERM: "xterm-256color", LANG: "C.UTF-8", ...extra };
  const pty = await openPty({ file, args, env, cwd: process.cwd() }, size);
  const chunks: Buffer[] = [];
  let ending: Ending | undefined;
  pty.onData((chunk) => chunks.push(chunk));
  pty.onExit((how) => {
    ending = how;
  });
  onTestFinished(async () => {
    if (ending) return;
    process.kill(pty.pid, "SIGKILL");
    await until(() => ending, "the terminal to close");
  });
  const output = () => Buffer.concat(chunks);
  const text = () => output().toString();
  return {
    pid: pty.pid,
    output,
    text,
    write: pty.write,
    resize: pty.resize,
    stalls: pty.pause,
    reads: pty.resume,
    ended: () => until(() => ending, `the end of ${args.join(" ")}; it says: ${text().slice(-500)}`),
    async shows(wanted, from = 0) {
      const found = () => {
        const seen = text().slice(from);
        return typeof wanted === "string" ? seen.includes(wanted) : wanted.test(seen);
      };
      try {
        await until(found, `${wanted}`);
      } catch (error) {
        throw new Error(`${error}; the terminal shows: ${JSON.stringify(text().slice(-1000))}`);
      }
    },
  };
}

/** Starts a program under the supervisor, in such a terminal. */
export const supervised = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  openOuter(process.execPath, [superviseScript, ...args], env);

/** Runs `claudemesh` as shipped in such a terminal, in this home, with a shell script in place of claude. */
export function underMesh(home: TempHome, script: string, size?: Size): Promise<Outer> {
  return openOuter(
    process.execPath,
    [cli],
    { HOME: home.home, CLAUDEMESH_CLAUDE_BIN: inPlaceOfClaude(home, script) },
    size,
  );
}

/** A shell script where claude would be; gives its path. */
export function inPlaceOfClaude(home: TempHome, script: string): string {
  const file = home.path("claude");
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}
