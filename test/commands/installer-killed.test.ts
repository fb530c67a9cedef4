// install and uninstall, killed with SIGKILL before every single change of the disk that they make, or many of them: the
// settings are byte for byte the old ones or the new ones, and the next install and uninstall leave nothing behind.

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { finish } from "../claude/stand-in.ts";
import { cli, type TempHome, tempHome } from "../temp-home.ts";
import { tree } from "./tree.ts";

const preload = fileURLToPath(new URL("../chaos/kill-at.mjs", import.meta.url));
const armed = "data:text/javascript,globalThis.armed=true";

const settingsOf = (home: TempHome) => home.path(".claude", "settings.json");
/** `stride`: every so many-th change only, for what goes by the same steps. */
const kinds: [what: string, stride: number, make: (home: TempHome) => void][] = [
  ["no ~/.claude at all", 1, () => {}],
  [
    "settings that are a symlink",
    3,
    (home) => {
      writeFileSync(join(home.folder("dotfiles"), "c.json"), "{ }\n", { mode: 0o640 });
      mkdirSync(home.path(".claude"));
      symlinkSync("../dotfiles/c.json", settingsOf(home));
    },
  ],
];

function stage(make: (home: TempHome) => void) {
  const home = tempHome();
  writeFileSync(join(home.folder("bin"), "claude"), "#!/bin/sh\necho '2.1.329 (Claude Code)'\n", { mode: 0o755 });
  make(home);
  const env = { PATH: `${home.path("bin")}:${process.env.PATH}` };
  const text = () => (existsSync(settingsOf(home)) ? readFileSync(settingsOf(home), "utf8") : undefined);
  return {
    home,
    text,
    before: tree(home.home),
    verb: (name: string) => home.run([name], { env }),
    /** Runs it until it dies before its `at`-th change; false if it came to its end. */
    async killed(name: string, at: number): Promise<boolean> {
      const args = ["--import", preload, "--import", armed, cli, name];
      const { code, signal, stderr } = await finish(
        home.start(process.execPath, args, { env: { ...env, CLAUDEMESH_KILL_AT: String(at) } }),
      );
      expect(signal === "SIGKILL" || code === 0, stderr).toBe(true);
      return signal === "SIGKILL";
    },
  };
}

describe.each(kinds)("killed on the way, with %s", (what, stride, make) => {
  it("install leaves the old settings or the new, and can be done again and undone", { timeout: 300_000 }, async () => {
    const whole = stage(make);
    const old = whole.text();
    expect((await whole.verb("install")).code).toBe(0);
    const made = whole.text()?.replaceAll(whole.home.home, "HOME");
    let rounds = 0;
    for (let at = 1; ; at += stride, rounds++) {
      const { home, text, before, verb, killed } = stage(make);
      const died = await killed("install", at);
      expect([old, made], `killed before change ${at}`).toContain(text()?.replaceAll(home.home, "HOME"));
      // Every other time nobody installs again first.
      if (rounds % 2 === 0) expect((await verb("install")).code, `killed before change ${at}`).toBe(0);
      expect((await verb("uninstall")).code, `killed before change ${at}`).toBe(0);
      expect(tree(home.home), `killed before change ${at}`).toEqual(before);
      if (!died) break;
    }
    process.stdout.write(`installer  ${what}: install killed ${rounds} times on its way, every byte came back\n`);
    expect(rounds).toBeGreaterThan(10);
  });

  it("uninstall leaves the new settings or the old, and can be done again", { timeout: 300_000 }, async () => {
    let rounds = 0;
    for (let at = 1; ; at += stride, rounds++) {
      const { home, text, before, verb, killed } = stage(make);
      const old = text();
      expect((await verb("install")).code).toBe(0);
      const made = text();
      const died = await killed("uninstall", at);
      expect([old, made], `killed before change ${at}`).toContain(text());
      expect((await verb("uninstall")).code, `killed before change ${at}`).toBe(0);
      expect(tree(home.home), `killed before change ${at}`).toEqual(before);
      if (!died) break;
    }
    process.stdout.write(`installer  ${what}: uninstall killed ${rounds} times on its way, every byte came back\n`);
    expect(rounds).toBeGreaterThan(5);
  });
});
