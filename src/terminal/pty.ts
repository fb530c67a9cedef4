// The few members of node-pty that are used, over Buffers, and a clear error when it can't be loaded.
// Invariant: node-pty is imported only when a terminal is really wanted; no byte is ever decoded.

import { readSync } from "node:fs";
import { ignore, MeshError } from "../errors.ts";

export type Size = { cols: number; rows: number };

/** How a child ended: `code` is its exit code, `signal` the number of the signal that killed it, else 0. */
export type Ending = { code: number; signal: number };

export type Pty = {
  pid: number;
  write(data: Buffer | string): void;
  resize(size: Size): void;
  pause(): void;
  resume(): void;
  /** Reads and delivers at once what there is to be read; not while paused. */
  readRest(): void;
  onData(listener: (chunk: Buffer) => void): void;
  onExit(listener: (ending: Ending) => void): void;
};

/** About 4 MB at the usual 4 KB a read: more than any terminal holds. */
const MOST_READS = 1024;

type NodePty = Pick<typeof import("node-pty"), "spawn">;
export type LoadNodePty = () => Promise<NodePty & { default?: NodePty }>;

export type Program = { file: string; args: string[]; env: NodeJS.ProcessEnv; cwd: string };

/**
 * Starts a program under a new pseudo-terminal of the given size. `file` must exist: a missing program is not
 * an error to node-pty but output and exit 1 (findProgram first).
 * Throws MeshError NO_PTY if node-pty or its binary can't be loaded, FAILED if no terminal can be had.
 */
export async function openPty(
  program: Program,
  size: Size,
  load: LoadNodePty = () => import("node-pty"),
): Promise<Pty> {
  const { spawn } = await loadNodePty(load);
  const { file, args, env, cwd } = program;
  let pty: ReturnType<typeof spawn>;
  try {
    // A copy: given process.env itself, node-pty would drop TMUX, STY, COLUMNS and the like.
    pty = spawn(file, args, { name: env.TERM ?? "xterm", ...size, cwd, env: { ...env }, encoding: null });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MeshError("FAILED", `can't open a terminal for '${file}': ${reason}`, "close some terminals, try again");
  }
  const { fd } = pty as unknown as { fd: number };
  const listeners: ((chunk: Buffer) => void)[] = [];
  const deliver = (chunk: Buffer) => {
    for (const listener of listeners) listener(chunk);
  };
  // Its file descriptor may be someone else's after the end.
  let isOpen = true;
  const readRest = () => {
    for (let reads = 0; isOpen && reads < MOST_READS; reads++) {
      const chunk = ignore(["EIO", "EAGAIN", "EBADF"], () => readChunk(fd));
      if (chunk === undefined || chunk.length === 0) return;
      deliver(chunk);
    }
  };
  // With `encoding: null` it takes and gives Buffers; its types only know strings, and not all its events.
  pty.onData((chunk) => deliver(chunk as unknown as Buffer));
  // libuv takes a hang-up after a short read for the end, though a terminal may well hold more: 5 KB, often lost.
  const events = pty as unknown as NodeJS.EventEmitter;
  events.on("end", readRest);
  events.on("close", () => {
    isOpen = false;
  });
  return {
    pid: pty.pid,
    write: (data) => pty.write(data as string),
    resize({ cols, rows }) {
      if (isOpen) pty.resize(cols, rows);
    },
    pause: () => pty.pause(),
    resume: () => pty.resume(),
    readRest,
    onData: (listener) => void listeners.push(listener),
    onExit: (listener) => void pty.onExit(({ exitCode, signal }) => listener({ code: exitCode, signal: signal ?? 0 })),
  };
}

function readChunk(fd: number): Buffer {
  const chunk = Buffer.allocUnsafe(1 << 16);
  return chunk.subarray(0, readSync(fd, chunk));
}

async function loadNodePty(load: LoadNodePty): Promise<NodePty> {
  try {
    const module = await load();
    // CommonJS: its names are not seen by every loader.
    return module.default ?? module;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new MeshError(
      "NO_PTY",
      `can't open a terminal: node-pty does not load (${reason})`,
      "install again without --omit=optional (npm install -g claudemesh --include=optional), on a system with glibc;\n" +
        "until then run claude itself after `claudemesh install`: mail still comes by hooks",
    );
  }
}
