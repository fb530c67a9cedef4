// One interactive session of the real client, or of the client under our supervisor, in a PTY. Every wait has a
// deadline and fails with the screen in its message; whatever the session started is gone when the test is finished.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Environment, until } from "../temp-home.ts";
import { type ClaudeFile, claudeFileOf, type Status } from "./claude-file.ts";
import { clientEnv } from "./client.ts";
import type { ApiRequest, FakeApi } from "./fake-api.ts";
import { descendants, kill, leftOf } from "./processes.ts";
import { draftOn, holds } from "./prompt-box.ts";
import { newestText } from "./shown.ts";
import { type Exit, type Key, openTerminal } from "./terminal.ts";

export interface SessionOptions {
  /** The program in the PTY: the client itself, or a program that starts it. */
  readonly command: string;
  readonly args?: readonly string[];
  readonly home: string;
  readonly cwd: string;
  readonly api: FakeApi;
  /** Added to the client's otherwise empty environment. */
  readonly env?: Environment;
  /** Folders put in front of the PATH. */
  readonly path?: readonly string[];
  readonly cols?: number;
  readonly rows?: number;
}

export interface Session {
  /** The process in the PTY. */
  readonly pid: number;
  readonly home: string;
  readonly cwd: string;
  screen(): string;
  rows(): readonly string[];
  scrollback(): string;
  type(text: string): void;
  key(key: Key): void;
  paste(text: string): void;
  /** Every byte that went into the terminal: keys, pastes, and its own answers to queries. */
  sent(): string;
  /** The notices (OSC 9) that came out of it. */
  notices(): readonly string[];
  resize(cols: number, rows: number): void;
  /** The text in the prompt box with all white space taken out, or undefined if no box is on the screen. */
  draft(): string | undefined;
  /** The session file of the claude that runs in this PTY, or undefined before it is there or after it has gone. */
  claude(): ClaudeFile | undefined;
  status(): Status | undefined;
  /** The session id; throws before the client has written it. */
  id(): string;
  /** Resolves when the client is idle at its prompt box. */
  ready(ms?: number): Promise<void>;
  waitStatus(status: Status, ms?: number): Promise<void>;
  waitScreen(pattern: RegExp | string, ms?: number): Promise<void>;
  waitFor<T>(check: () => T | Promise<T>, what: string, ms?: number): Promise<NonNullable<T>>;
  /** Pastes a prompt, sees it in the box, presses Enter, and gives the model turn that carries it. */
  prompt(text: string, ms?: number): Promise<ApiRequest>;
  /** The same, and then waits until the session is idle again. */
  ask(text: string, ms?: number): Promise<ApiRequest>;
  /** Types a slash command, sees it in the box and presses Enter. */
  command(text: string, ms?: number): Promise<void>;
  exit(ms?: number): Promise<Exit>;
  /** Ends the session; throws if something it started had to be killed after it. */
  stop(): Promise<void>;
}

/** A failed test leaves its pending waits behind: their failure is no news then. */
function kept<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Starts a session for the running test; call it inside a test. Resolves at once: see `ready`. */
export async function startSession(options: SessionOptions): Promise<Session> {
  const { home, cwd, api } = options;
  const mark = `CLAUDEMESH_TEST_SESSION=${randomUUID()}`;
  const env = clientEnv(home, api, { ...options.env, CLAUDEMESH_TEST_SESSION: mark.split("=")[1] ?? "" }, options.path);
  const terminal = openTerminal({
    command: options.command,
    args: options.args ?? [],
    cwd,
    env,
    cols: options.cols ?? 120,
    rows: options.rows ?? 40,
  });
  const { pid } = terminal;
  const claude = claudeFileOf(pid, env.CLAUDE_CONFIG_DIR ?? join(home, ".claude"));
  let stopped: Promise<void> | undefined;

  const screen = () => terminal.rows().join("\n").trimEnd();
  const draft = () => draftOn(terminal);
  const status = () => claude()?.status;

  async function waitFor<T>(check: () => T | Promise<T>, what: string, ms = 20_000): Promise<NonNullable<T>> {
    try {
      return (await until(check, what, ms)) as NonNullable<T>;
    } catch (error) {
      const end = terminal.exited();
      const state = end ? `exited with ${end.code}, signal ${end.signal}` : `status ${status() ?? "unknown"}`;
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${reason}\n-- session ${pid}: ${state}; screen:\n${screen()}\n--`);
    }
  }

  /** Waits for a box that holds the text (or stands for it), then presses Enter. */
  async function submit(text: string, ms: number): Promise<void> {
    await waitFor(() => holds(terminal, text), `the box to hold "${text}"`, ms);
    terminal.key("enter");
  }

  const box = (ms: number) =>
    waitFor(() => terminal.takesPastes() && draft() !== undefined && status() !== "waiting", "the prompt box", ms);

  async function prompt(text: string, ms = 20_000): Promise<ApiRequest> {
    const before = api.turns().length;
    await box(ms);
    terminal.paste(text);
    await submit(text, ms);
    const carries = (turn: ApiRequest) =>
      turn.session === claude()?.sessionId && newestText(turn).includes(text.trim());
    return waitFor(() => api.turns().slice(before).find(carries), `"${text}" to reach the model`, ms);
  }

  /**
   * The session file may still say `idle` from before the prompt, and a short turn may never show in it at all: an
   * `idle` counts if it was written since, or if it stood while nothing happened for longer than the file lags.
   */
  async function answered(turn: ApiRequest, ms?: number): Promise<ApiRequest> {
    let quiet = Date.now();
    let seen = "";
    const settled = () => {
      const file = claude();
      const turns = api.turns(file?.sessionId);
      const now = `${file?.status} ${turns.map((one) => one.outcome)}`;
      if (now !== seen) quiet = Date.now();
      seen = now;
      if (file?.status !== "idle" || turns.some((one) => one.outcome === "open")) return false;
      return Number(file.statusUpdatedAt) >= turn.at || Date.now() - quiet > 300;
    };
    await waitFor(settled, "the session to be idle after its answer", ms);
    return turn;
  }

  const session: Session = {
    pid,
    home,
    cwd,
    screen,
    rows: terminal.rows,
    scrollback: terminal.scrollback,
    type: terminal.write,
    key: terminal.key,
    paste: terminal.paste,
    sent: terminal.sent,
    notices: terminal.notices,
    resize: terminal.resize,
    draft,
    claude,
    status,
    id() {
      const id = claude()?.sessionId;
      if (!id) throw new Error(`session ${pid} has no id yet; screen:\n${screen()}`);
      return id;
    },
    async ready(ms = 20_000) {
      await box(ms);
      await session.waitStatus("idle", ms);
    },
    async waitStatus(wanted, ms) {
      await waitFor(() => status() === wanted, `status ${wanted}`, ms);
    },
    async waitScreen(pattern, ms) {
      const shown = () => (typeof pattern === "string" ? screen().includes(pattern) : pattern.test(screen()));
      await waitFor(shown, `the screen to show ${pattern}`, ms);
    },
    waitFor,
    prompt: (text, ms) => kept(prompt(text, ms)),
    ask: (text, ms) => kept(prompt(text, ms).then((turn) => answered(turn, ms))),
    async command(text, ms = 20_000) {
      await box(ms);
      terminal.write(text);
      await submit(text, ms);
    },
    async exit(ms) {
      return waitFor(() => terminal.exited(), "the session to exit", ms);
    },
    stop() {
      stopped ??= end();
      return stopped;
    },
  };

  async function gone(check: () => boolean, ms: number): Promise<boolean> {
    return until(check, "processes to end", ms).then(
      () => true,
      () => false,
    );
  }

  async function end(): Promise<void> {
    const below = descendants(pid);
    if (!terminal.exited()) kill(pid, "SIGTERM");
    if (!(await gone(() => terminal.exited() !== undefined, 5000))) kill(pid, "SIGKILL");
    await gone(() => terminal.exited() !== undefined, 2000);
    const left = () => leftOf(mark, below);
    if (await gone(() => left().length === 0, 3000)) return;
    const rest = left();
    for (const one of rest) kill(one.pid, "SIGKILL");
    const names = rest.map((one) => `${one.pid} ${one.command}`).join("\n");
    throw new Error(`session ${pid} left processes behind (killed now):\n${names}`);
  }

  // A test that called stop() itself has seen what it threw.
  onTestFinished(() => (stopped ? stopped.catch(() => {}) : session.stop()));
  return session;
}
