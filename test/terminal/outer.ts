// The user's terminal, for tests: a PTY in which a program runs, its output kept byte for byte.

import { onTestFinished } from "vitest";
import { type Ending, openPty, type Size } from "../../src/terminal/pty.ts";
import { until } from "../temp-home.ts";

export const superviseScript = new URL("./supervise.mjs", import.meta.url).pathname;

export type Outer = {
  pid: number;
  output(): Buffer;
  text(): string;
  write(data: string | Buffer): void;
  resize(size: Size): void;
  ended(): Promise<Ending>;
  /** Waits until the output holds `text` (after the first `from` characters). */
  shows(text: string | RegExp, from?: number): Promise<void>;
};

/** Starts a program in a terminal of 80x24; it is killed when the test is finished. */
export async function openOuter(file: string, args: string[], extra: NodeJS.ProcessEnv = {}): Promise<Outer> {
  const env = { PATH: process.env.PATH, HOME: "/nonexistent", TERM: "xterm-256color", LANG: "C.UTF-8", ...extra };
  const pty = await openPty({ file, args, env, cwd: process.cwd() }, { cols: 80, rows: 24 });
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
