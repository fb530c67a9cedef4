import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { locked } from "../../src/mesh/lock.ts";
import { until } from "../temp-home.ts";
import { inNode, tempMesh } from "./temp-mesh.ts";

it("gives what the section gives, and is free again afterwards", async () => {
  const home = tempMesh();
  expect(await locked("peers", () => 7)).toBe(7);
  expect(await locked("peers", () => 8)).toBe(8);
  expect(readdirSync(join(home, "locks"))).toEqual([]);
});

it("is free again after a section that throws, and the error is the section's own", async () => {
  const home = tempMesh();
  const boom = new Error("boom");
  await expect(
    locked("peers", () => {
      throw boom;
    }),
  ).rejects.toBe(boom);
  expect(readdirSync(join(home, "locks"))).toEqual([]);
});

it("sections of one process do not meet; those of two names do not wait for each other", async () => {
  tempMesh();
  let inside = 0;
  const sections = Array.from({ length: 10 }, () =>
    locked("peers", () => {
      expect(++inside).toBe(1);
      inside--;
    }),
  );
  await Promise.all([...sections, locked("other", () => {})]);
});

it("many processes that add to one file under it lose nothing", async () => {
  const home = tempMesh();
  const file = join(home, "count");
  writeFileSync(file, "0");
  const code = `
    const { readFileSync, writeFileSync } = await import("node:fs");
    process.env.CLAUDEMESH_HOME = args[0];
    const { locked } = await mesh("lock");
    for (let n = 0; n < 15; n++)
      await locked("peers", () => writeFileSync(args[1], String(Number(readFileSync(args[1], "utf8")) + 1)));
    done(true);`;
  await Promise.all([1, 2, 3, 4].map(() => inNode(code, { args: [home, file] })));
  expect(readFileSync(file, "utf8")).toBe("60");
});

it("a holder that was killed keeps nobody out for long", async () => {
  const home = tempMesh();
  const lock = new URL("../../dist/mesh/lock.js", import.meta.url).href;
  const code = `import { locked } from ${JSON.stringify(lock)}; await locked("peers", () => { for (;;); });`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "ignore", env: process.env });
  const gone = new Promise((resolve) => holder.once("exit", resolve));
  onTestFinished(() => void holder.kill("SIGKILL"));
  await until(() => existsSync(join(home, "locks/peers.lock")), "the lock");
  holder.kill("SIGKILL");
  await gone;
  expect(existsSync(join(home, "locks/peers.lock"))).toBe(true);
  expect(await locked("peers", () => "had")).toBe("had");
});

it("a holder that goes on and on makes the next one say TRY_AGAIN", async () => {
  const home = tempMesh();
  const lockfile = join(home, "locks/peers.lock");
  // Another process holds it and keeps it fresh.
  const code = `
    const { mkdirSync, utimesSync } = await import("node:fs");
    mkdirSync(${JSON.stringify(lockfile)});
    setInterval(() => utimesSync(${JSON.stringify(lockfile)}, new Date(), new Date()), 100);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "ignore" });
  onTestFinished(() => void holder.kill("SIGKILL"));
  await until(() => existsSync(lockfile), "the lock");
  await expect(locked("peers", () => "never")).rejects.toMatchObject({ code: "TRY_AGAIN" });
});
