// A throw-away mesh folder for one test in this very process, and real processes beside it. Whatever is made or started
// here is gone when the test is finished, failed or not.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { clocks } from "../../src/mesh/clock.ts";
import { openHome } from "../../src/mesh/home.ts";
import { makeMailbox } from "../../src/mesh/maildir.ts";
import { compose, type Draft, messageIdOf, uniqueName } from "../../src/mesh/message.ts";

/** Points CLAUDEMESH_HOME at a fresh folder until the test is finished; gives its path, rooms made unless `open` is false. */
export function tempMesh({ open = true } = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "claudemesh-mesh-")));
  const before = process.env.CLAUDEMESH_HOME;
  const home = join(folder, ".claudemesh");
  process.env.CLAUDEMESH_HOME = home;
  onTestFinished(() => {
    if (before === undefined) delete process.env.CLAUDEMESH_HOME;
    else process.env.CLAUDEMESH_HOME = before;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  if (open) openHome();
  return home;
}

/**
 * Until the test is finished every clock goes with Date: who sets that has time pass, and sets no clock. With `but` some
 * of them go their own way. To be called before a mesh is looked at.
 */
export function clocksFollowDate(but: Partial<typeof clocks> = {}): void {
  const real = { ...clocks };
  const date = () => Date.now();
  // From where they are: a clock that jumped here would count as set.
  const start = Date.now() - clocks.ticks();
  Object.assign(clocks, { wall: date, files: date, boot: date, ticks: () => Date.now() - start }, but);
  onTestFinished(() => void Object.assign(clocks, real));
}

/** A folder outside the mesh, removed with the test. */
export function tempFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "claudemesh-dir-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));
  return folder;
}

/** The path of inbox/<id>, made as a mailbox. */
export function box(home: string, id: string): string {
  const path = join(home, "inbox", id);
  makeMailbox(path);
  return path;
}

/** A complete draft under the given unique name. */
export function draft(fields: Partial<Draft> = {}, unique: string = uniqueName()): Draft {
  return {
    id: messageIdOf(unique),
    from: { name: "web", id: "a8d0m2kq", host: "laptop" },
    to: [{ name: "api", id: "7k3p9q2x", host: "laptop" }],
    body: "rerun the migration check",
    ...fields,
  };
}

/** Puts a file into new/ of a mailbox as another program does: written in tmp/, renamed. Gives its path. */
export function drop(mailbox: string, name: string, text: string | Uint8Array): string {
  const target = join(mailbox, "new", name);
  writeFileSync(join(mailbox, "tmp", name), text);
  renameSync(join(mailbox, "tmp", name), target);
  return target;
}

/** Puts a composed letter into new/; gives its unique name. */
export function letter(mailbox: string, fields: Partial<Draft> = {}): string {
  const unique = uniqueName();
  drop(mailbox, unique, compose(draft(fields, unique)));
  return unique;
}

const gone = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null || child.pid === undefined
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", () => resolve()));

export interface Sleeper {
  pid: number;
  /** Kills it and waits until it is reaped. */
  kill(): Promise<void>;
}

/** A real process that does nothing until killed: what a claude is to the mesh. */
export function sleeper(): Sleeper {
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  const kill = async () => {
    child.kill("SIGKILL");
    await gone(child);
  };
  onTestFinished(kill);
  if (child.pid === undefined) throw new Error("can't start sleep(1)");
  return { pid: child.pid, kill };
}

export interface NodeOptions {
  /** run as this user and group */
  uid?: number;
  args?: readonly string[];
  /** sh that runs before it, to set a limit say */
  limit?: string;
  /** ms until it is killed; then the promise is rejected */
  timeout?: number;
}

/**
 * Runs `code` as a module in a Node process of its own with `mesh(file)` importing a built file of the mesh, and gives
 * the JSON it hands to `done(value)`. Rejects with its stderr if it fails or is not done in time.
 */
export function inNode<T>(code: string, { uid, args = [], limit, timeout = 60_000 }: NodeOptions = {}): Promise<T> {
  const dist = new URL("../../dist/mesh/", import.meta.url).href;
  const prelude = `const mesh = (file) => import(${JSON.stringify(dist)} + file + ".js");
    const done = (value) => process.stdout.write(JSON.stringify(value));
    const args = process.argv.slice(1);`;
  const node = [process.execPath, "--input-type=module", "-e", `${prelude}\n${code}`, "--", ...args];
  const [file = "", ...words] = limit ? ["sh", "-c", `${limit}; exec "$@"`, "sh", ...node] : node;
  const child = spawn(file, words, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: "/",
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await gone(child);
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  const finished = new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(Buffer.concat(out).toString() || "null") as T);
      else
        reject(
          new Error(`the process ended with ${code ?? `${signal} (it had ${timeout} ms)`}: ${Buffer.concat(err)}`),
        );
    });
  });
  // A test that failed for another reason no longer waits for this one.
  finished.catch(() => {});
  return finished;
}

/** The error that `action` throws; fails if it throws none. */
export function thrownBy(action: () => unknown): Error & { code?: string; hint?: string } {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
