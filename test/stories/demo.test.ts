// `npm run demo` as a newcomer sees it, in a terminal and piped: it must tell the story, end by itself, and leave nothing.

import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { kill, leftOf } from "../real/processes.ts";
import { openTerminal } from "../real/terminal.ts";
import { type TempHome, tempHome, until } from "../temp-home.ts";

const demo = fileURLToPath(new URL("../../fixtures/demo.mjs", import.meta.url));

/** A home whose temporary folder shows what the demo leaves behind. */
function place(): { home: TempHome; temp: string; env: Record<string, string>; left(): unknown[] } {
  const home = tempHome();
  const temp = home.folder("t");
  const mark = `TMPDIR=${temp}`;
  onTestFinished(() => {
    for (const { pid } of leftOf(mark)) kill(pid, "SIGKILL");
  });
  return { home, temp, env: { ...home.env, TMPDIR: temp }, left: () => [...leftOf(mark), ...readdirSync(temp)] };
}

async function piped(args: string[]) {
  const where = place();
  const child = where.home.start(process.execPath, [demo, ...args], { env: where.env });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => (out += data));
  return {
    ...where,
    child,
    text: () => out,
    ended: () => until(() => child.exitCode !== null, "the demo's end", 60_000),
  };
}

function expectStory(text: string): void {
  expect(text).toMatch(/\$ cat ~\/\.claudemesh\/inbox\/\w{8}\/(new|cur)\/\S+\nFrom: web <\w{8}@/);
  expect(text).toMatch(/\nX-Mesh-Kind: task\n[\s\S]*\n\ncount the lines of README\.md\n/);
  expect(text).toMatch(/\n +\+[\d.]+ ms {2}seen\n/);
  expect(text).toMatch(/\nX-Mesh-Kind: answer\n[\s\S]*\n\nREADME\.md has 7 lines\n/);
  expect(text).toMatch(/\nanswered \d{4}-\S+ api ~\/\.claudemesh\/inbox\/\w{8}\/cur\/\S+:2,RS\n/);
  expect(text).toMatch(/ms {2}all of it, from your Enter to the answer at web/);
  expect(text).not.toContain("had to kill");
}

describe("the demo", () => {
  it("tells the story as text where there is no terminal, and leaves nothing behind", async () => {
    const run = await piped([]);
    await run.ended();
    expectStory(run.text());
    expect(run.text()).toMatch(
      /--- the screen of web[\s\S]*Thanks, noted: README\.md has 7 lines[\s\S]*--- the screen of api/,
    );
    expect(run.child.exitCode).toBe(0);
    await until(() => run.left().length === 0, "every folder and process to be gone");
  });

  it("shows both sessions side by side in a terminal, and its story stays there when it ends", async () => {
    const where = place();
    const terminal = openTerminal({
      command: process.execPath,
      args: [demo],
      cwd: where.home.home,
      env: where.env,
      cols: 140,
      rows: 32,
    });
    onTestFinished(() => kill(terminal.pid, "SIGTERM"));
    const row = (pattern: RegExp) =>
      until(() => terminal.rows().some((text) => pattern.test(text)), String(pattern), 30_000);
    await row(/^ web · ~\/web +│ api · ~\/api/);
    await row(/^❯.ask api to count the lines of README\.md +│❯/);
    await row(/^ {4}\S+:2,S +│/);
    await row(/Thanks, noted: README\.md has 7 lines +│/);
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 });
    // Rows that are full run on in the next one: the width of the terminal is no part of the story.
    await until(() => terminal.scrollback().includes("all of it"), "the story");
    expectStory(terminal.scrollback());
    await until(() => where.left().length === 0, "every folder and process to be gone");
  });

  it("keeps its folders with --keep and says where they are", async () => {
    const run = await piped(["--keep"]);
    await run.ended();
    const kept = /\nkept: (.*)\n/.exec(run.text())?.[1] ?? "";
    expect(existsSync(`${kept}/home/.claudemesh/inbox`)).toBe(true);
    expect(run.child.exitCode).toBe(0);
  });

  it("ends its sessions and removes its folders when it is stopped half-way, and fails", async () => {
    const run = await piped([]);
    await until(() => /\$ cd web && claudemesh/.test(run.text()), "the start");
    run.child.kill("SIGTERM");
    await run.ended();
    expect(run.text()).toContain("The demo failed. stopped by SIGTERM");
    expect(run.child.exitCode).toBe(1);
    await until(() => run.left().length === 0, "every folder and process to be gone");
  });
});
