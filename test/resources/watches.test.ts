// Watches that are used up, folders whose changes make no event, a home that goes away: the slow look stands in, the
// log and `doctor` say so, and the events come back by themselves.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { attend } from "../../src/claude/presence.ts";
import { joinMesh } from "../../src/mesh/join.ts";
import { listNew } from "../../src/mesh/maildir.ts";
import { watch } from "../../src/mesh/watch.ts";
import { box, letter, sleeper, tempFolder, tempMesh } from "../mesh/temp-mesh.ts";
import { tempHome, until } from "../temp-home.ts";
import { canMount, canUnshare, mountOver } from "./places.ts";

const dist = new URL("../../dist/mesh/", import.meta.url).href;

afterEach(() => {
  vi.useRealTimers();
});

it.skipIf(!canUnshare).each([
  ["instances", "EMFILE"],
  ["watches", "ENOSPC"],
])(
  "with no inotify %s left mail is found by the slow look, doctor says so, and the events come back",
  async (kind, errno) => {
    const home = tempHome();
    // A process in a user namespace of its own, where the limit is its own to set: nobody else's watches are touched.
    const child = home.start("unshare", [
      "-U",
      "-r",
      process.execPath,
      "--input-type=module",
      "-e",
      `
    import { readdirSync, readFileSync, writeFileSync } from "node:fs";
    import { join } from "node:path";
    const mesh = (file) => import(${JSON.stringify(dist)} + file + ".js");
    const { watch } = await mesh("watch"), { openHome, mailbox } = await mesh("home");
    const { makeMailbox, listNew } = await mesh("maildir"), { send } = await mesh("send");
    const { checkMesh } = await mesh("checkup");
    const limit = (n) => writeFileSync("/proc/sys/user/max_inotify_${kind}", String(n));
    // What the kernel itself says this process watches.
    const watched = () => readdirSync("/proc/self/fdinfo").flatMap((fd) => {
      try { return readFileSync("/proc/self/fdinfo/" + fd, "utf8").match(/^inotify wd:/gm) ?? []; } catch { return []; }
    }).length;
    const until = async (check) => { while (!check()) await new Promise((r) => setTimeout(r, 20)); };
    const log = () => { try { return readFileSync(join(openHome(), "log"), "utf8"); } catch { return ""; } };
    const doctor = () => checkMesh().find((c) => c.check === "watches");
    const you = { id: "you", name: "you", host: "laptop" };
    openHome();
    makeMailbox(mailbox("you"));
    limit(0);
    const seen = new Set();
    await watch(mailbox("you") + "/new", () => listNew(mailbox("you")).forEach((n) => seen.add(n)), { rescan: 300 });
    await until(() => log().includes("watch-error"));
    const { unique } = send({ from: you, to: [you], body: "while deaf" });
    await until(() => seen.has(unique));
    const deaf = { watched: watched(), doctor: doctor(), said: log().split("watch-error").length - 1 };
    limit(1000);
    await until(() => log().includes("watch-back"));
    console.log(JSON.stringify({ deaf, back: { watched: watched(), doctor: doctor() }, log: log() }));
    process.exit(0);
  `,
    ]);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(code, Buffer.concat(err).toString()).toBe(0);
    const { deaf, back, log } = JSON.parse(Buffer.concat(out).toString());
    expect(deaf).toMatchObject({
      watched: 0,
      said: 1,
      doctor: { ok: false, detail: expect.stringContaining("every 10 s") },
    });
    expect(log).toContain(errno);
    expect(back.watched).toBeGreaterThan(0);
    expect(back.doctor).toMatchObject({ ok: true });
  },
);

it.skipIf(!canMount)("in a folder whose changes make no event, as on NFS, the slow look finds the letter", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  // What is written straight into an overlay's upper layer appears in the overlay without an event there.
  const disk = mkdtempSync(join(tmpdir(), "claudemesh-overlay-"));
  onTestFinished(() => rmSync(disk, { recursive: true, force: true }));
  mountOver(disk, "tmpfs", "mode=700");
  for (const dir of ["lower", "upper/new", "upper/tmp", "work"]) mkdirSync(join(disk, dir), { recursive: true });
  const seenFrom = join(disk, "box");
  mountOver(seenFrom, "overlay", `lowerdir=${disk}/lower,upperdir=${disk}/upper,workdir=${disk}/work`);
  const seen = new Set<string>();
  let looks = 0;
  const watching = await watch(
    join(seenFrom, "new"),
    () => {
      looks++;
      for (const name of listNew(seenFrom)) seen.add(name);
    },
    { rescan: 10_000 },
  );
  onTestFinished(() => watching.close());
  await until(() => looks >= 2, "the looks at the start");
  const unique = letter(join(disk, "upper"));
  await until(() => listNew(seenFrom).includes(unique), "the letter to be there");
  const before = looks;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect({ looks, seen: [...seen] }).toEqual({ looks: before, seen: [] });
  vi.advanceTimersByTime(10_000);
  expect([...seen]).toEqual([unique]);
});

it("a home that goes away is not made anew in its place, and when it is back its mail is seen by its events", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const home = tempMesh();
  const peer = await joinMesh({ pid: sleeper().pid, cwd: tempFolder(), name: "api" });
  let looks = 0;
  const attending = await attend(peer.id, () => void looks++);
  onTestFinished(() => attending.close());
  await until(() => looks >= 2, "the looks at the start");
  renameSync(home, `${home}.away`);
  // Longer than a beat, a slow look and a sweep take.
  for (let i = 0; i < 5; i++) {
    vi.advanceTimersByTime(30_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(existsSync(home)).toBe(false);
  renameSync(`${home}.away`, home);
  vi.advanceTimersByTime(10_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const api = box(home, peer.id);
  for (const what of ["first", "second"]) {
    const before = looks;
    letter(api);
    await until(() => looks > before, `an event for the ${what} letter`, 5000);
  }
  expect(JSON.parse(readFileSync(join(home, "peers", `${peer.id}.json`), "utf8"))).toMatchObject({ id: peer.id });
});

it("a verb while the home is away says that nobody is there; back again, its mail is there", async () => {
  const home = tempHome();
  expect(await home.run(["send", "you", "before"])).toMatchObject({ code: 0 });
  renameSync(home.path(".claudemesh"), home.path("away"));
  const failed = await home.run(["send", "api", "to nobody"]);
  expect(failed).toMatchObject({ code: 1, stdout: "" });
  expect(failed.stderr).toMatch(/api/);
  expect(existsSync(home.path(".claudemesh"))).toBe(false);
  renameSync(home.path("away"), home.path(".claudemesh"));
  expect((await home.run(["inbox"])).stdout).toContain("before");
});
