// A `claude` on PATH that is claudemesh again, by a link or a script: it is passed over for the next, and nothing goes
// round. Each program says in the file `levels` that it was started.

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { checkClaude } from "../../src/claude/plugin.ts";
import { cli, type TempHome, tempHome } from "../temp-home.ts";
import { openOuter } from "../terminal/outer.ts";

const node = process.execPath;

/** Puts a shell script into a folder of its own, and gives the folder. */
function script(home: TempHome, folder: string, lines: string): string {
  const dir = home.path(folder);
  mkdirSync(dir, { recursive: true });
  const counted = `#!/bin/sh\necho ${folder} >>'${home.path("levels")}'\n[ $(wc -l <'${home.path("levels")}') -gt 30 ] && exit 99\n`;
  writeFileSync(join(dir, "claude"), `${counted}${lines}\n`, { mode: 0o755 });
  return dir;
}
const around = (home: TempHome, how = "exec") => script(home, "around", `${how} '${node}' '${cli}' "$@"`);
const real = (home: TempHome) => script(home, "real", `printf '%s\\n' "$@"; exit 7`);
function linked(home: TempHome): string {
  mkdirSync(home.path("linked"));
  symlinkSync(cli, home.path("linked", "claude"));
  return home.path("linked");
}
const levels = (home: TempHome) =>
  existsSync(home.path("levels")) ? readFileSync(home.path("levels"), "utf8").trim().split("\n") : [];
const pathOf = (...folders: string[]) => [...folders, dirname(node), "/usr/bin", "/bin"].join(":");
const run = (home: TempHome, folders: string[], env: Record<string, string> = {}) =>
  home.run(["run", "hi"], { env: { PATH: pathOf(...folders), ...env } });

describe("a claude that leads back to claudemesh", () => {
  it.each([
    ["a link", linked, []],
    ["a script", around, ["around"]],
    ["a script that waits for it", (home: TempHome) => around(home, ""), ["around"]],
  ] as const)("by %s is passed over for the next on PATH, which gets the plugin once", async (_, back, before) => {
    const home = tempHome();
    const { code, stdout } = await run(home, [back(home), real(home)]);
    expect(code).toBe(7);
    expect(stdout.match(/^--plugin-dir=/gm)).toHaveLength(1);
    expect(stdout.match(/^--settings$/gm)).toHaveLength(1);
    expect(stdout).toMatch(/^hi$/m);
    expect(levels(home)).toEqual([...before, "real"]);
  });

  it("in a terminal, too", async () => {
    const home = tempHome();
    const tty = script(home, "real", "[ -t 0 ] && [ -t 1 ] && echo a terminal; exit 7");
    const outer = await openOuter(node, [cli, "hi"], { HOME: home.home, PATH: pathOf(around(home), tty) });
    expect((await outer.ended()).code).toBe(7);
    expect(outer.text()).toContain("a terminal");
    expect(levels(home)).toEqual(["around", "real"]);
  });

  it("and is the only one: says so, and starts it once at most", async () => {
    for (const [back, times] of [
      [linked, 0],
      [around, 1],
    ] as const) {
      const home = tempHome();
      const { code, stderr } = await run(home, [back(home)]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/can't start claude: \S+\/claude leads back to claudemesh\n.*CLAUDEMESH_CLAUDE_BIN/);
      expect(levels(home)).toHaveLength(times);
    }
  });

  it("by CLAUDEMESH_CLAUDE_BIN is no claude, whatever is on PATH", async () => {
    const home = tempHome();
    const folders = [real(home)];
    for (const CLAUDEMESH_CLAUDE_BIN of [cli, join(around(home), "claude")]) {
      const { code, stderr } = await run(home, folders, { CLAUDEMESH_CLAUDE_BIN });
      expect(code).toBe(1);
      expect(stderr).toContain("leads back to claudemesh");
    }
    expect(levels(home)).toEqual(["around"]);
  });

  it("by a script that sets CLAUDEMESH_CLAUDE_BIN is what its user wants", async () => {
    const home = tempHome();
    const to = join(real(home), "claude");
    const { code } = await run(home, [
      script(home, "around", `CLAUDEMESH_CLAUDE_BIN='${to}' exec '${node}' '${cli}' "$@"`),
    ]);
    expect(code).toBe(7);
    expect(levels(home)).toEqual(["around", "real"]);
  });

  it("from a PATH with relative folders is known, too", async () => {
    const home = tempHome();
    around(home);
    real(home);
    const { code } = await home.run(["run", "hi"], { cwd: home.home, env: { PATH: pathOf("./around", "real", "") } });
    expect(code).toBe(7);
    expect(levels(home)).toEqual(["around", "real"]);
  });

  it("detached from us, so that nobody can tell, comes to an end", async () => {
    const home = tempHome();
    const { code } = await run(home, [around(home, "CLAUDEMESH_SUPERVISOR=1 exec")]);
    expect(code).toBe(1);
    expect(levels(home).length).toBeLessThanOrEqual(8);
  });
});

describe("a claude that leads nowhere but to claude", () => {
  it("is started by a script of a version manager as it is", async () => {
    const home = tempHome();
    const to = join(real(home), "claude");
    expect((await run(home, [script(home, "shim", `exec '${to}' "$@"`)])).code).toBe(7);
    expect(levels(home)).toEqual(["shim", "real"]);
  });

  it("is started again below itself: claudemesh in a session's own shell", async () => {
    const home = tempHome();
    const inside = `[ "$INSIDE" ] && { echo inner; exit 7; }
INSIDE=1 CLAUDECODE=1 CLAUDE_CODE_SESSION_ID=one '${node}' '${cli}' run again`;
    const { stdout } = await run(home, [script(home, "real", inside)]);
    expect(stdout).toContain("inner");
    expect(levels(home)).toEqual(["real", "real"]);
    const named = tempHome();
    const asClaude = `[ "$INSIDE" ] && { echo inner; exit 7; }
INSIDE=1 exec bash -c 'exec -a claude bash -c "\\"\\$0\\" \\"\\$1\\" run again; :" "$@"' x '${node}' '${cli}'`;
    expect((await run(named, [script(named, "real", asClaude)])).stdout).toContain("inner");
    expect(levels(named)).toEqual(["real", "real"]);
  });
});

describe("the version of claude", () => {
  const versionOn = async (...folders: string[]) => {
    vi.stubEnv("PATH", pathOf(...folders));
    onTestFinished(() => void vi.unstubAllEnvs());
    return checkClaude();
  };

  it("is not ours, by a link or a script, but that of the next claude on PATH", async () => {
    const home = tempHome();
    const next = script(home, "next", "echo '2.1.329 (Claude Code)'");
    expect(await versionOn(linked(home), around(home), next)).toEqual({ version: "2.1.329" });
  });

  it("is not known where every claude is ours", async () => {
    const home = tempHome();
    const { version, problem } = await versionOn(linked(home), around(home));
    expect(version).toBeUndefined();
    expect(problem).toMatch(/^there is no `claude` on PATH/);
  });
});
