// Runs a program under a terminal of its own inside the user's terminal, and is otherwise invisible: bytes pass
// untouched both ways; size, signals, job control and exit status are the program's.
// Invariant: whatever ends it, the user's terminal is left as it was found.

import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { ignore } from "../errors.ts";
import { createGuard } from "./guard.ts";
import { hasEnded, startJobControl } from "./job-control.ts";
import { createModes } from "./modes.ts";
import { type Ending, type LoadNodePty, openPty, type Program, type Size } from "./pty.ts";

export type SuperviseOptions = Program & {
  /** Sees each piece of output as it passes; must be quick and must not throw or keep it waiting. */
  onOutput?: (chunk: Buffer) => void;
  /** Sees what the user types first; true means it has taken the piece and will write() it itself, or not. */
  onInput?: (chunk: Buffer) => boolean;
  /** Told the new size before the program is. */
  onResize?: (size: Size) => void;
  /** Replaces the loading of node-pty, in tests. */
  load?: LoadNodePty;
};

export type Supervised = {
  /** The program's process id; it leads its own session and process group. */
  pid: number;
  /** Types into the program, as the user would. */
  write(data: Buffer | string): void;
  /** Makes the program, if it runs, draw itself anew: for a moment it is told of one row less. Resolves after that. */
  nudge(): Promise<void>;
  /** The size of the user's terminal now. */
  size(): Size;
  /** Writes a sequence (a bell, a notice) to the user's terminal where no sequence of the program's is cut in two. */
  tell(sequence: string): void;
  /** Resolves when the program has ended, all its output is written and the terminal is as it was before. */
  exited: Promise<Ending & { status: number }>;
};

const FORWARDED = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"] as const;
/** Unwritten output above this stops the reading of more. */
const HIGH_WATER = 1 << 20;
const BETWEEN_FRAMES_MS = 30;
/** A program that does not run all this time is never told of the row less, for then it has it back. */
const NUDGE_MS = 200;

/** Of Node's streams only the handle inside knows how to write without waiting. */
type WithHandle = { _handle?: { setBlocking?(on: boolean): void } };

/** The exit status a shell reports for an ending: the code, or 128 + the signal. */
export const statusOf = ({ code, signal }: Ending): number => (signal > 0 ? 128 + signal : code);

/** The user's terminal as it is now; 80x24 where it can't be told. */
export const terminalSize = (): Size => ({ cols: process.stdout.columns || 80, rows: process.stdout.rows || 24 });

/**
 * Starts `file` under the user's terminal. Both stdin and stdout must be terminals (else: spawnPlain).
 * Throws MeshError NO_PTY or FAILED as openPty does, before the terminal is touched.
 */
export async function supervise(options: SuperviseOptions): Promise<Supervised> {
  const { onOutput, onInput, onResize, load } = options;
  const { stdin, stdout } = process;
  const pty = await openPty(options, terminalSize(), load);
  const modes = createModes();
  const guard = createGuard(modes);
  let lastOutput = Number.NEGATIVE_INFINITY;
  let hungUp = false;
  let ended = false;

  const signal = (name: NodeJS.Signals) => {
    if (!ended) return void ignore(["ESRCH"], () => process.kill(pty.pid, name));
    // Nobody reads the rest of the output: what would kill a program that is writing kills us.
    setRaw(false);
    stopForwarding();
    process.kill(process.pid, name);
  };
  const hangUp = () => {
    if (!hungUp) signal("SIGHUP");
    hungUp = true;
    pty.resume();
  };
  const resize = () => {
    onResize?.(terminalSize());
    pty.resize(terminalSize());
  };
  const job = startJobControl({ pid: pty.pid, modes, write: pty.write, raw: setRaw, resumed: resize });

  const input = (chunk: Buffer) => {
    if (!onInput?.(chunk)) pty.write(chunk);
    job.sawInput(chunk);
  };
  // Leaving by an exception or process.exit: modes the program had on would stay on for the shell.
  const leave = () => {
    guard.stop();
    if (!ended) stdout.write(modes.undo());
    setRaw(false);
  };

  setRaw(true);
  process.once("exit", leave);
  stdin.on("data", input).on("error", hangUp).resume();
  stdout.on("resize", resize).on("error", hangUp);
  const forward = FORWARDED.map((name) => [name, () => signal(name)] as const);
  for (const [name, listener] of forward) process.on(name, listener);
  const stopForwarding = () => {
    for (const [name, listener] of forward) process.off(name, listener);
  };
  // Node's writes to a terminal wait: one that is not read (a stalled ssh, a held selection) would make us deaf.
  (stdout as unknown as WithHandle)._handle?.setBlocking?.(false);
  let isPaused = false;
  let isLast = false;
  // node-pty closes the terminal 200 ms after the program's end, read or not.
  const drain = () => {
    if (!isPaused) return pty.readRest();
    isLast ||= hasEnded(pty.pid);
    if (isLast) pty.resume();
  };
  process.on("SIGCHLD", drain);

  pty.onData((chunk) => {
    lastOutput = performance.now();
    modes.see(chunk);
    if (!hungUp) stdout.write(chunk);
    if (stdout.writableLength > HIGH_WATER && !isPaused && !isLast) {
      pty.pause();
      isPaused = true;
      stdout.once("drain", () => {
        isPaused = false;
        pty.resume();
      });
    }
    onOutput?.(chunk);
    job.sawOutput();
    guard.sawOutput();
  });

  const finish = async (ending: Ending) => {
    ended = true;
    job.stop();
    guard.stop();
    const last = ending.signal > 0 ? `${modes.undo()}\x1b[0m` : "";
    if (!hungUp) await new Promise<void>((done) => stdout.write(last, () => done()));
    setRaw(false);
    stdin.off("data", input).off("error", hangUp).pause();
    stdout.off("resize", resize).off("error", hangUp);
    process.off("exit", leave).off("SIGCHLD", drain);
    stopForwarding();
    return { ...ending, status: statusOf(ending) };
  };

  const tell = (sequence: string) => {
    const wait = BETWEEN_FRAMES_MS - (performance.now() - lastOutput);
    if (wait > 0) setTimeout(() => tell(sequence), wait).unref();
    else if (!ended && !hungUp) stdout.write(sequence);
  };

  const nudge = async () => {
    const { cols, rows } = terminalSize();
    pty.resize({ cols, rows: rows > 1 ? rows - 1 : rows + 1 });
    await sleep(NUDGE_MS);
    pty.resize(terminalSize());
    await sleep(NUDGE_MS);
  };

  return {
    pid: pty.pid,
    write(data) {
      if (ended) return;
      pty.write(data);
      // A Ctrl-Z that was held back stops the program only now.
      if (Buffer.isBuffer(data)) job.sawInput(data);
    },
    nudge,
    size: terminalSize,
    tell,
    exited: new Promise((resolve) => pty.onExit((ending) => resolve(finish(ending)))),
  };
}

function setRaw(on: boolean): void {
  try {
    process.stdin.setRawMode(on);
    // Node's raw mode still writes \n as \r\n, which would come on top of what the program's own terminal does.
    // Going back restores this too: libuv puts back the settings it found first.
    if (on) spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  } catch {
    // The terminal is gone: nothing is left to set.
  }
}
