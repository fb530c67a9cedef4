// A program in a real PTY with a screen that can be read: a headless terminal that answers the program's queries as
// a person's terminal would. Knows nothing of Claude.

import { createRequire } from "node:module";
import xterm from "@xterm/headless";
import type { Environment } from "../temp-home.ts";

export interface Exit {
  readonly code: number;
  readonly signal: number;
}

interface Pty {
  readonly pid: number;
  write(data: string): void;
  resize(cols: number, rows: number): void;
  onData(listener: (data: Uint8Array) => void): void;
  onExit(listener: (exit: { exitCode: number; signal?: number }) => void): void;
}

interface PtyOptions {
  readonly cwd: string;
  readonly env: Environment;
  readonly cols: number;
  readonly rows: number;
  readonly name: string;
  readonly encoding: null;
}

const pty = createRequire(import.meta.url)("node-pty") as {
  spawn(file: string, args: readonly string[], options: PtyOptions): Pty;
};

const keys = {
  enter: "\r",
  escape: "\x1b",
  tab: "\t",
  "shift-tab": "\x1b[Z",
  backspace: "\x7f",
  up: "\x1b[A",
  down: "\x1b[B",
  right: "\x1b[C",
  left: "\x1b[D",
} as const;

/** A named key, or `ctrl-` and a letter. */
export type Key = keyof typeof keys | `ctrl-${string}`;

function bytesOf(key: Key): string {
  if (key in keys) return keys[key as keyof typeof keys];
  const letter = key.slice("ctrl-".length);
  if (!/^[a-z]$/.test(letter)) throw new Error(`no such key: ${key}`);
  return String.fromCharCode(letter.charCodeAt(0) - 96);
}

export interface TerminalOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Environment;
  readonly cols: number;
  readonly rows: number;
}

export interface Terminal {
  readonly pid: number;
  /** The rows on the screen now, without trailing blanks. */
  rows(): readonly string[];
  /** The same with dim text blanked out, and the cursor's cell before it: without hints and placeholders. */
  brightRows(): readonly string[];
  /** All text that ever scrolled by and is still kept, with the screen at its end. */
  scrollback(): string;
  write(data: string): void;
  key(key: Key): void;
  /** Pastes as a terminal does: in brackets if the program asked for them. */
  paste(text: string): void;
  takesPastes(): boolean;
  /** Every byte that went in: keys, pastes, and this terminal's own answers to the program's queries. */
  sent(): string;
  /** The notices (OSC 9) that the program has shown, oldest first. */
  notices(): readonly string[];
  resize(cols: number, rows: number): void;
  exited(): Exit | undefined;
  readonly exit: Promise<Exit>;
}

/** Starts a program in a PTY. */
export function openTerminal(options: TerminalOptions): Terminal {
  const { command, args, cwd, env, cols, rows } = options;
  const screen = new xterm.Terminal({ cols, rows, scrollback: 5000, allowProposedApi: true });
  const name = env.TERM ?? "xterm-256color";
  const child = pty.spawn(command, args, { cwd, env, cols, rows, name, encoding: null });
  let last: Exit | undefined;
  let sent = "";
  const write = (data: string) => {
    if (last) return;
    sent += data;
    child.write(data);
  };
  const notices: string[] = [];
  screen.parser.registerOscHandler(9, (text) => {
    notices.push(text);
    return true;
  });
  child.onData((data) => screen.write(data));
  screen.onData(write);
  const exit = new Promise<Exit>((resolve) => {
    child.onExit(({ exitCode, signal }) => {
      last = { code: exitCode, signal: signal ?? 0 };
      resolve(last);
    });
  });
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => screen.buffer.active.getLine(from + i)?.translateToString(true) ?? "");
  const brightRow = (y: number) => {
    const line = screen.buffer.active.getLine(y);
    const dim = (x: number) => (line?.getCell(x)?.isDim() ?? 0) !== 0;
    const hint = (x: number) => dim(x) || ((line?.getCell(x)?.isInverse() ?? 0) !== 0 && dim(x + 1));
    return Array.from({ length: screen.cols }, (_, x) => (hint(x) ? " " : (line?.getCell(x)?.getChars() ?? ""))).join(
      "",
    );
  };
  const takesPastes = () => screen.modes.bracketedPasteMode;
  return {
    pid: child.pid,
    rows: () => lines(screen.buffer.active.viewportY, screen.buffer.active.viewportY + screen.rows),
    brightRows: () => Array.from({ length: screen.rows }, (_, i) => brightRow(screen.buffer.active.viewportY + i)),
    scrollback: () => lines(0, screen.buffer.active.length).join("\n"),
    write,
    key: (key) => write(bytesOf(key)),
    paste: (text) => write(takesPastes() ? `\x1b[200~${text}\x1b[201~` : text),
    takesPastes,
    sent: () => sent,
    notices: () => notices,
    resize(newCols, newRows) {
      child.resize(newCols, newRows);
      screen.resize(newCols, newRows);
    },
    exited: () => last,
    exit,
  };
}
