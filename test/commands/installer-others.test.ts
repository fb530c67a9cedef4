// install and uninstall where others write too, and where they may not write themselves.

import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { finish } from "../claude/stand-in.ts";
import { cli, type TempHome, tempHome, until } from "../temp-home.ts";
import { tree } from "./tree.ts";

/**
 * Counts up in settings.json by temp file and rename, keeping whatever else is there, every `pause` ms. Ends with 3 if a
 * count of its own has gone when it looks again: then its write was lost.
 */
const WRITER = `
  const fs = require("node:fs");
  const [file, pause] = process.argv.slice(1);
  let n = 0;
  const write = () => {
    const now = JSON.parse(fs.readFileSync(file, "utf8"));
    if (n && now.n !== n) { console.log("lost " + n + ", found " + now.n); process.exit(3); }
    now.n = ++n;
    fs.writeFileSync(file + ".theirs", JSON.stringify(now, null, 2) + "\\n");
    fs.renameSync(file + ".theirs", file);
    setTimeout(write, Number(pause));
  };
  write();
`;

const settings = (home: TempHome) => home.path(".claude", "settings.json");
function withClaude(home: TempHome) {
  writeFileSync(`${home.folder("bin")}/claude`, "#!/bin/sh\necho '2.1.329 (Claude Code)'\n", { mode: 0o755 });
  return { PATH: `${home.path("bin")}:${process.env.PATH}` };
}

async function writing(pause: number) {
  const home = tempHome();
  const env = withClaude(home);
  home.folder(".claude");
  writeFileSync(settings(home), '{\n  "theirs": "kept"\n}\n');
  const writer = home.start(process.execPath, ["-e", WRITER, settings(home), String(pause)]);
  const ended = finish(writer);
  const read = () =>
    JSON.parse(readFileSync(settings(home), "utf8")) as { n?: number; theirs: string; statusLine?: object };
  await until(() => (read().n ?? 0) > 2, "the other to write");
  const verb = (name: string) => home.run([name], { env });
  /** Runs the verb again as long as it says that another try may do. */
  const done = (name: string) =>
    until(async () => {
      const { code, stderr } = await verb(name);
      expect([0, 75], stderr).toContain(code);
      return code === 0;
    }, `${name} to be done`);
  return { home, read, writer, ended, verb, done };
}

describe("another process that writes settings.json all the time", () => {
  // No lock that both took closes the gap between the last look and the rename: it is some 20 µs wide, more on a busy machine.
  it("loses none of its writes to install and uninstall", { retry: 2, timeout: 60_000 }, async () => {
    const { read, writer, ended, done } = await writing(50);
    for (let round = 0; round < 4; round++) {
      await done("install");
      expect(read().statusLine).toBeDefined();
      await done("uninstall");
      expect(read().statusLine).toBeUndefined();
    }
    expect(read().theirs).toBe("kept");
    const count = read().n ?? 0;
    await until(() => (read().n ?? 0) > count, "the other to go on");
    writer.kill();
    expect((await ended).stdout).toBe("");
  });

  it("at full speed: the key is added, or it is refused with 75, and the file is whole", async () => {
    const { read, verb } = await writing(0);
    for (let round = 0; round < 4; round++) {
      for (const name of ["install", "uninstall"]) {
        const { code, stderr } = await verb(name);
        expect([0, 75], stderr).toContain(code);
        if (code === 75) expect(stderr).toContain("nothing of it was overwritten");
        expect(read().theirs).toBe("kept");
      }
    }
  });
});

describe.skipIf(process.getuid?.() !== 0)("a user who may not write", () => {
  const NOBODY = 65_534;
  const asNobody = (home: TempHome, verb: string) => {
    const args = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", process.execPath, cli, verb];
    return finish(home.start("setpriv", args, { cwd: "/", env: withClaude(home) }));
  };
  const closed: [what: string, make: (home: TempHome) => void, why: RegExp][] = [
    [
      "in ~/.claude",
      (home) => chmodSync(home.folder(".claude"), 0o555),
      /can't link .*\.claude\/skills\/claudemesh: .*\.claude can't be written to/,
    ],
    [
      "in ~/.claude/skills",
      (home) => chmodSync(home.folder(".claude", "skills"), 0o555),
      /can't link .*skills\/claudemesh: .*skills can't be written to/,
    ],
    ["at home", (home) => chmodSync(home.home, 0o555), /can't link .*: .* can't be written to/],
    [
      "in the mesh folder's place",
      (home) => {
        mkdirSync(home.path(".claude"));
        chownSync(home.path(".claude"), NOBODY, NOBODY);
        chmodSync(home.home, 0o555);
      },
      /can't use .*\.claudemesh: no permission/,
    ],
  ];
  it.each(closed)("%s: install refuses before it touches anything", async (_, make, why) => {
    const home = tempHome();
    withClaude(home);
    chownSync(home.home, NOBODY, NOBODY);
    make(home);
    const before = tree(home.home);
    const done = await asNobody(home, "install");
    expect(done.stderr).toMatch(why);
    expect(done.stderr).not.toMatch(/\n +at /);
    expect(done.code).toBe(1);
    expect(tree(home.home)).toEqual(before);
    expect(readdirSync(home.home)).not.toContain(".claudemesh");
    chmodSync(home.home, 0o755);
  });

  it("settings.json: install leaves it alone and says so, and all the rest is done and undone", async () => {
    const home = tempHome();
    withClaude(home);
    for (const dir of [home.home, home.folder(".claude")]) chownSync(dir, NOBODY, NOBODY);
    writeFileSync(settings(home), '{"a": 1}', { mode: 0o444 });
    const before = tree(home.home);
    const done = await asNobody(home, "install");
    expect(done).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("is read-only, so no status line was added"),
    });
    expect(existsSync(home.path(".claude", "skills", "claudemesh"))).toBe(true);
    expect(await asNobody(home, "uninstall")).toMatchObject({ code: 0 });
    expect(tree(home.home)).toEqual(before);
  });
});
