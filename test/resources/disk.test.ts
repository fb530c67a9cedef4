// A disk that is full, read-only, or limited: a send is acknowledged and durable, or fails with a sentence. Never half.
// A flush that fails is tried in test/mesh/fsync.test.ts.

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "../../src/mesh/message.ts";
import { cli, type TempHome, tempHome } from "../temp-home.ts";
import { canLimit, canMount, limitedDisk, remount, smallDisk } from "./places.ts";

const claude = fileURLToPath(new URL("../claude/claude.mjs", import.meta.url));
const you = (mesh: string, room: string) => join(mesh, "inbox", "you", room);
const rooms = (mesh: string) =>
  Object.fromEntries(["tmp", "new", "cur"].map((room) => [room, readdirSync(you(mesh, room)).length]));

/** The mesh folder on such a disk, with one letter for `you` in it. */
async function meshOn(disk: () => string) {
  const home = tempHome();
  const mesh = disk();
  const env = { CLAUDEMESH_HOME: mesh };
  const send = (body: string) => home.run(["send", "you", "-"], { env, input: body });
  expect(await send("the first")).toMatchObject({ code: 0 });
  return { home, mesh, env, send };
}

const small = (size: string) => meshOn(() => smallDisk(size));

/** Fills the disk until just `left` bytes are free. */
function fill(mesh: string, left: number): void {
  const { bavail, bsize } = statfsSync(mesh);
  writeFileSync(join(mesh, "filler"), Buffer.alloc(bavail * bsize - left));
}

/** Runs a hook under a process that stands for claude. */
async function hook(home: TempHome, event: string, env: Record<string, string>, before: string[] = []) {
  const child = home.start(
    before[0] ?? process.execPath,
    [
      ...(before.length ? [...before.slice(1), process.execPath] : []),
      ...[claude, process.execPath, cli, "hook", event],
    ],
    { env: { ...env, CLAUDE_CODE_SESSION_ID: "s-1" } },
  );
  const out: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
  child.stdin?.end(JSON.stringify({ session_id: "s-1", cwd: home.home, prompt: "hello" }));
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, stdout: Buffer.concat(out).toString() };
}

describe.skipIf(!canLimit)("over its quota (needs the right to mount, and btrfs-progs)", () => {
  it("what is acknowledged is there whole, what fails says so with 75 and is not there, and with room again all works", async () => {
    const { mesh, send } = await meshOn(() => limitedDisk(2 << 20));
    const body = (n: number) => `${n} ${"a letter of some length ".repeat(8000)}`;
    let delivered = 1;
    let failed = await send(body(delivered));
    for (; failed.code === 0 && delivered < 50; failed = await send(body(delivered))) delivered++;
    expect(failed, failed.stderr).toMatchObject({ code: 75, stdout: "" });
    expect(failed.stderr).toMatch(/can't deliver to you \(your disk quota is used up\)\nnothing was sent; /);
    expect(delivered).toBeGreaterThan(2);
    expect(rooms(mesh)).toEqual({ tmp: 0, new: delivered, cur: 0 });
    const names = readdirSync(you(mesh, "new")).sort();
    const texts = names.map((name) => parse(readFileSync(join(you(mesh, "new"), name), "utf8"), name).body.trim());
    expect(texts).toEqual(["the first", ...names.slice(1).map((_, i) => body(i + 1).trim())]);
    for (const name of names.slice(1)) rmSync(join(you(mesh, "new"), name));
    // What is removed counts until it is written.
    execFileSync("btrfs", ["filesystem", "sync", mesh]);
    expect(await send(body(0))).toMatchObject({ code: 0 });
    expect(rooms(mesh)).toEqual({ tmp: 0, new: 2, cur: 0 });
  });
});

describe.skipIf(!canMount)("on a full disk (needs the right to mount)", () => {
  it("a send fails with a sentence and 75, nothing of it is there, and with room again it works", async () => {
    const { mesh, send } = await small("512k");
    fill(mesh, 0);
    const failed = await send("the second");
    expect(failed).toMatchObject({ code: 75, stdout: "" });
    expect(failed.stderr).toMatch(/can't deliver to you \(the disk is full\)\nnothing was sent; make room/);
    expect(rooms(mesh)).toEqual({ tmp: 0, new: 1, cur: 0 });
    rmSync(join(mesh, "filler"));
    expect(await send("the second")).toMatchObject({ code: 0 });
    expect(rooms(mesh)).toEqual({ tmp: 0, new: 2, cur: 0 });
  });

  it("however little room is left, what is acknowledged is there whole and what failed is not there", async () => {
    const { mesh, send } = await small("512k");
    let delivered = 1;
    const codes = new Set<number | null>();
    for (let pages = 0; pages <= 12; pages += 2) {
      fill(mesh, pages * 4096);
      const body = `${pages} `.repeat(8000);
      const { code, stderr } = await send(body);
      codes.add(code);
      expect([0, 75], stderr).toContain(code);
      if (code === 0) delivered++;
      const names = readdirSync(you(mesh, "new")).sort();
      expect(names).toHaveLength(delivered);
      expect(readdirSync(you(mesh, "tmp"))).toEqual([]);
      const last = names.at(-1) ?? "";
      const { body: lies } = parse(readFileSync(join(you(mesh, "new"), last), "utf8"), last);
      if (code === 0) expect(lies).toBe(body);
      rmSync(join(mesh, "filler"));
    }
    expect([...codes].sort()).toEqual([0, 75]);
  });

  it("mail that lies there is read and marked, beside a file that there is no room to bury", async () => {
    const { home, mesh, env } = await small("512k");
    writeFileSync(join(you(mesh, "new"), "1.M000001P1Q1.x"), Buffer.alloc(4096));
    fill(mesh, 0);
    const read = await home.run(["inbox"], { env });
    expect(read).toMatchObject({ code: 0 });
    expect(read.stdout).toContain("the first");
    expect(readdirSync(you(mesh, "cur"))).toEqual([expect.stringMatching(/:2,S$/)]);
    expect(readdirSync(you(mesh, "new"))).toEqual(["1.M000001P1Q1.x"]);
    rmSync(join(mesh, "filler"));
    await home.run(["inbox"], { env });
    expect(readdirSync(you(mesh, "new"))).toEqual([]);
    expect(readdirSync(join(mesh, "dead", "new"))).toHaveLength(1);
  });

  it.each(["SessionStart", "UserPromptSubmit", "Stop"])("%s fails open and leaves no half peer", async (event) => {
    const { home, mesh, env } = await small("512k");
    fill(mesh, 0);
    expect(await hook(home, event, env)).toEqual({ code: 0, stdout: "" });
    expect(readdirSync(join(mesh, "peers"))).toEqual([]);
  });

  it("a home that can't even be made is a temporary failure in words", async () => {
    const home = tempHome();
    const mesh = smallDisk("64k");
    writeFileSync(join(mesh, "filler"), Buffer.alloc(0));
    fill(mesh, 0);
    mkdirSync(join(mesh, "x"));
    const failed = await home.run(["send", "you", "x".repeat(100)], { env: { CLAUDEMESH_HOME: mesh } });
    expect(failed).toMatchObject({ code: 75, stdout: "" });
    expect(failed.stderr).toContain("the disk is full");
  });
});

describe.skipIf(!canMount)("on a read-only home (needs the right to mount)", () => {
  it("a send fails for good with a sentence, mail can be looked at, hooks fail open, and writable again it works", async () => {
    const { home, mesh, env, send } = await small("512k");
    remount(mesh, "ro");
    const failed = await send("the second");
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toContain(
      "can't deliver to you (the file system is read-only)\nnothing was sent; make it writable",
    );
    expect(rooms(mesh)).toEqual({ tmp: 0, new: 1, cur: 0 });
    const seen = await home.run(["inbox", "--peek"], { env });
    expect(seen).toMatchObject({ code: 0 });
    expect(seen.stdout).toContain("the first");
    const taken = await home.run(["inbox", "--json"], { env });
    expect(taken.code).toBe(1);
    expect(JSON.parse(taken.stdout)).toMatchObject({
      error: { code: "EROFS", hint: expect.stringContaining("writable") },
    });
    for (const event of ["SessionStart", "UserPromptSubmit", "Stop"])
      expect(await hook(home, event, env), event).toEqual({ code: 0, stdout: "" });
    remount(mesh, "rw");
    expect(await send("the second")).toMatchObject({ code: 0 });
    expect(rooms(mesh)).toEqual({ tmp: 0, new: 2, cur: 0 });
  });
});

describe("past the limit of a file's size (ulimit -f)", () => {
  const limited = (blocks: number) => ["sh", "-c", `ulimit -f ${blocks}; exec "$@"`, "sh"];

  it("a send fails with a sentence instead of being killed, and nothing of it is there", async () => {
    const home = tempHome();
    expect(await home.run(["send", "you", "the first"])).toMatchObject({ code: 0 });
    const [sh = "", ...args] = limited(8);
    const child = home.start(sh, [...args, process.execPath, cli, "send", "you", "x".repeat(20_000)]);
    const err: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin?.end();
    const ended = await new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
    expect(ended).toEqual({ code: 1, signal: null });
    expect(Buffer.concat(err).toString()).toContain("can't deliver to you (a file would grow past the limit");
    expect(rooms(home.path(".claudemesh"))).toEqual({ tmp: 0, new: 1, cur: 0 });
  });

  it("a hook fails open", async () => {
    const home = tempHome();
    // The stand-in claude itself must write its session file: so the limit holds for the hook alone.
    const env = { CLAUDEMESH_HOME: home.path("mesh") };
    const child = home.start(process.execPath, [claude, ...limited(0), process.execPath, cli, "hook", "SessionStart"], {
      env,
    });
    const out: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stdin?.end(JSON.stringify({ session_id: "s-1", cwd: home.home }));
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
    expect(Buffer.concat(out).toString()).toBe("");
    expect(readdirSync(home.path("mesh", "peers"))).toEqual([]);
  });
});

it("a send whose answer can't be printed is sent, says so, and asks for no second try", async () => {
  const home = tempHome();
  const child = home.start("sh", ["-c", 'exec "$@" >/dev/full', "sh", process.execPath, cli, "send", "you", "once"]);
  const err: Buffer[] = [];
  child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin?.end();
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(1);
  expect(Buffer.concat(err).toString()).toContain("can't print: the disk is full");
  expect(rooms(home.path(".claudemesh"))).toEqual({ tmp: 0, new: 1, cur: 0 });
});
