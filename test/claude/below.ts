// Programs started as children of a process that stands for claude, for that decides who they are. A shell there reads
// what to start; the program's streams are pipes that have a name, so that this process can open their other ends.

import { type ChildProcess, spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { constants as os, tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { ignore } from "../../src/errors.ts";
import { isRunning } from "../../src/mesh/process.ts";

/** What a shell below claude runs to be told, at its stdin, what to start; by itself bash ends a command at a line's end. */
export const RUNNER = { script: `while IFS= read -r -d "" c; do eval "$c"; done`, end: "\0" };

/** Starts a program in `cwd` with exactly this environment. */
export type StartBelow = (
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
) => ChildProcess;

const runners = new Map<string, StartBelow>();
/** What starts programs below the stand-in claude that has this pid, while there is one. */
export const below = (pid: string | undefined): StartBelow | undefined => runners.get(pid ?? "");

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
const signals = Object.entries(os.signals) as [NodeJS.Signals, number][];

/** How often, in ms, it is looked whether a program has ended: only the shell above it knows with what status. */
const PACE = 4;

/** One program below a claude, with as much of a ChildProcess as the tests use. */
class Below extends EventEmitter {
  pid: number | undefined;
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  private readonly folder = mkdtempSync(join(tmpdir(), "claudemesh-below-"));
  readonly names = ["in", "out", "err"].map((name) => join(this.folder, name));
  private readonly ends: number[];
  private readonly wanted: NodeJS.Signals[] = [];

  constructor() {
    super();
    spawnSync("mkfifo", this.names);
    const [stdin = "", ...outputs] = this.names;
    // Both ends, so that it opens before anybody reads.
    this.ends = [openSync(stdin, constants.O_RDWR | constants.O_NONBLOCK)];
    for (const name of outputs) this.ends.push(openSync(name, constants.O_RDONLY | constants.O_NONBLOCK));
  }
  /** The program has its ends of the pipes. */
  began(pid: number): void {
    this.pid = pid;
    const [input = 0, ...outputs] = this.ends.splice(0);
    const fd = openSync(this.names[0] ?? "", constants.O_WRONLY | constants.O_NONBLOCK);
    closeSync(input);
    const stdin = new Socket({ fd, readable: false, writable: true });
    this.stdin.on("close", () => this.stdin.readableEnded || stdin.destroy()).pipe(stdin.on("error", () => {}));
    this.once("exit", () => stdin.destroy());
    for (const stream of [this.stdout, this.stderr]) {
      const fd = outputs.shift() ?? 0;
      if (stream.destroyed) {
        closeSync(fd);
        continue;
      }
      const output = new Socket({ fd, readable: true, writable: false });
      stream.on("close", () => output.destroy());
      output.on("error", () => {}).pipe(stream);
    }
    rmSync(this.folder, { recursive: true, force: true });
    for (const signal of this.wanted.splice(0)) this.kill(signal);
  }
  ended(status: number): void {
    const [signal] = status > 128 ? (signals.find(([, n]) => n === status - 128) ?? []) : [];
    if (signal) this.signalCode = signal;
    else this.exitCode = status;
    this.stdin.destroy();
    this.emit("exit", this.exitCode, this.signalCode);
    const open = [this.stdout, this.stderr].filter((stream) => !stream.closed && !stream.readableEnded);
    let left = open.length;
    const close = () => --left <= 0 && this.emit("close", this.exitCode, this.signalCode);
    if (!left) close();
    for (const stream of open) stream.once("close", close);
    // Like a child's: what nobody listens to is thrown away.
    for (const stream of open) if (stream.readableFlowing === null) stream.resume();
  }
  /** Nobody will start it any more. */
  lost(): void {
    for (const fd of this.ends.splice(0)) closeSync(fd);
    rmSync(this.folder, { recursive: true, force: true });
    if (this.pid === undefined) this.ended(255);
  }
  kill(signal: NodeJS.Signals | number = "SIGTERM"): boolean {
    if (this.exitCode !== null || this.signalCode !== null) return false;
    if (this.pid === undefined) return this.wanted.push(signal as NodeJS.Signals) > 0;
    ignore(["ESRCH"], () => process.kill(this.pid ?? 0, signal));
    return true;
  }
}

/** From now on programs are started below the claude `pid` by the bash at these streams. Returns what ends that. */
export function startsBelow(pid: number, input: Writable, output: Readable, end = "\n"): () => void {
  const running = new Map<number, Below>();
  let started = 0;
  let isOver = false;
  let rest = "";
  const tell = (command: string) => input.write(`${command}${end}`);
  const whenEnded = (pid: number, command: string) => {
    const looking = setInterval(() => {
      if (isRunning(pid)) return;
      clearInterval(looking);
      if (!isOver) tell(command);
      else for (const child of running.values()) if (child.pid === pid) child.ended(255);
    }, PACE);
  };
  input.on("error", () => {});
  output.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [what, n, value] = line.split(" ");
      const child = running.get(Number(n));
      if (what === "began") child?.began(Number(value));
      if (what === "began") whenEnded(Number(value), `wait ${value}; echo "ended ${n} $?"`);
      if (what === "ended") child?.ended(Number(value));
      if (what === "ended") running.delete(Number(n));
    }
  });
  runners.set(String(pid), (command, args, cwd, env) => {
    const n = ++started;
    const child = new Below();
    running.set(n, child);
    const script = `echo "began ${n} $$" >&9; cd "$1" && shift && exec "$@" 9>&-`;
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const words = ["env", "-i", ...variables, "/bin/sh", "-c", script, "sh", cwd, command, ...args];
    const [stdin = "", stdout = "", stderr = ""] = child.names.map(quoted);
    tell(`${words.map(quoted).join(" ")} 9>&1 <${stdin} >${stdout} 2>${stderr} &`);
    return child as unknown as ChildProcess;
  });
  return () => {
    isOver = true;
    runners.delete(String(pid));
    for (const child of running.values())
      if (child.pid === undefined) child.lost();
      else if (!isRunning(child.pid)) child.ended(255);
  };
}
