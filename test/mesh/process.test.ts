import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ancestors, bootId, commandOf, environmentOf, isRunning, parentOf, startedAt } from "../../src/mesh/process.ts";
import { until } from "../temp-home.ts";
import { inNode, sleeper, tempFolder } from "./temp-mesh.ts";

const onLinux = process.platform === "linux";
const isRoot = process.getuid?.() === 0;

function start(command: string, args: string[], env: Record<string, string> = {}): ChildProcess & { pid: number } {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, ...env } });
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }),
  );
  if (child.pid === undefined) throw new Error(`can't start ${command}`);
  return child as ChildProcess & { pid: number };
}
const firstLine = (child: ChildProcess) =>
  new Promise<string>((resolve) => child.stdout?.once("data", (chunk: Buffer) => resolve(chunk.toString().trim())));

describe("a process", () => {
  it("runs until it is killed, under its own start time only", async () => {
    const { pid, kill } = sleeper();
    const started = startedAt(pid);
    expect(started).toBeTruthy();
    expect(startedAt(pid)).toBe(started);
    expect([isRunning(pid), isRunning(pid, started), isRunning(pid, "1")]).toEqual([true, true, false]);
    await kill();
    expect([isRunning(pid), isRunning(pid, started)]).toEqual([false, false]);
    expect(startedAt(pid)).toBeUndefined();
    expect(parentOf(pid)).toBeUndefined();
    expect(commandOf(pid)).toBe("");
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 22 + 1])("the pid %s is nobody's", (pid) => {
    expect(isRunning(pid)).toBe(false);
  });

  it("that ended and waits for its parent does not run", async () => {
    const parent = start("sh", ["-c", "sleep 0 & echo $!; exec sleep 600"]);
    const child = Number(await firstLine(parent));
    await until(() => !isRunning(child), "a child that has ended");
    expect(isRunning(parent.pid)).toBe(true);
  });

  it("knows its parents, nearest first", async () => {
    const parent = start("sh", ["-c", "sleep 600 & echo $!; wait"]);
    const child = Number(await firstLine(parent));
    onTestFinished(() => void process.kill(child, "SIGKILL"));
    expect(parentOf(child)).toBe(parent.pid);
    expect([...ancestors(child)].slice(0, 2)).toEqual([parent.pid, process.pid]);
    expect([...ancestors()][0]).toBe(process.ppid);
    expect([...ancestors(1)]).toEqual([]);
  });

  it("tells its command line", () => {
    expect(commandOf(sleeper().pid)).toBe("sleep 600");
  });

  it.runIf(onLinux)("of an awkward name is read like any other", async () => {
    const odd = join(tempFolder(), "a) R 1 2 (b");
    copyFileSync("/bin/sleep", odd);
    const { pid } = start(odd, ["600"]);
    await until(() => commandOf(pid).startsWith(odd), "the program");
    expect(parentOf(pid)).toBe(process.pid);
    expect(startedAt(pid)).toMatch(/^\d+$/);
    expect(isRunning(pid, startedAt(pid))).toBe(true);
  });

  it.runIf(onLinux)("tells a variable of its own environment, exactly that one", async () => {
    const { pid } = start("sleep", ["600"], { MESH_X: "a=b\nc", MESH_XY: "other", MESH_EMPTY: "" });
    await until(() => commandOf(pid) === "sleep 600", "the program");
    expect(environmentOf(pid, "MESH_X")).toBe("a=b\nc");
    expect(environmentOf(pid, "MESH_EMPTY")).toBe("");
    expect(environmentOf(pid, "MESH")).toBeUndefined();
    expect(environmentOf(2 ** 22 + 1, "MESH_X")).toBeUndefined();
  });

  it.runIf(isRoot)("of another user runs as well, though no signal may be sent to it", async () => {
    const { pid } = sleeper();
    const seen = await inNode<unknown[]>(
      `const { isRunning, startedAt, environmentOf } = await mesh("process");
       const pid = Number(args[0]);
       let signal = "sent";
       try { process.kill(pid, 0); } catch (error) { signal = error.code; }
       done([signal, isRunning(pid, startedAt(pid)), isRunning(pid, "1"), environmentOf(pid, "PATH") ?? null]);`,
      { uid: 12345, args: [String(pid)] },
    );
    expect(seen).toEqual(["EPERM", true, false, null]);
  });
});

it.runIf(onLinux)("a boot has one name, for every process in this PID namespace", async () => {
  expect(bootId()).toContain(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  expect(bootId()).toContain("pid:[");
  expect(await inNode<string>(`done((await mesh("process")).bootId())`)).toBe(bootId());
});
