import fs, {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pluginFolder } from "../../src/claude/plugin.ts";
import { statusLineCommand } from "../../src/claude/settings.ts";
import { run as install, proveInstall } from "../../src/commands/install.ts";
import { run as uninstall } from "../../src/commands/uninstall.ts";
import { type TempHome, tempHome } from "../temp-home.ts";

const fixtures = new URL("../../fixtures/settings/", import.meta.url);
const namesIn = (dir: string) => readdirSync(new URL(dir, fixtures)).map((file) => basename(file, ".json"));
const fixture = (path: string) => readFileSync(new URL(`${path}.json`, fixtures));

let home: TempHome;
let config: string;
let link: string;
let settings: string;
let out: string;
let err: string;

beforeEach(() => {
  home = tempHome();
  config = home.path(".claude");
  link = join(config, "skills", "claudemesh");
  settings = join(config, "settings.json");
  vi.stubEnv("HOME", home.home);
  vi.stubEnv("CLAUDE_CONFIG_DIR", undefined);
  vi.stubEnv("CLAUDEMESH_HOME", undefined);
  vi.stubEnv("PATH", `${home.folder("bin")}:/usr/bin:/bin`);
  expect(homedir()).toBe(home.home);
  claudeSays("2.1.329 (Claude Code)");
  out = "";
  err = "";
  // What would go to the terminal is kept; all other files are written.
  const { writeSync } = fs;
  vi.spyOn(fs, "writeSync").mockImplementation(((fd: number, data: Buffer, ...rest: []) => {
    if (fd === 1) out += data;
    else if (fd === 2) err += data;
    else return writeSync(fd, data, ...rest);
    return data.length;
  }) as typeof writeSync);
  syncBuiltinESMExports();
});

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

function claudeSays(words: string): void {
  writeFileSync(home.path("bin", "claude"), `#!/bin/sh\necho '${words}'\n`, { mode: 0o755 });
}

/** Everything under a folder: kind, mode, bytes or link target, by path. */
function tree(dir: string): Record<string, string> {
  if (!existsSync(dir)) return {};
  const of = (path: string): [string, string][] => {
    const found = lstatSync(path);
    const mode = (found.mode & 0o7777).toString(8);
    if (found.isSymbolicLink()) return [[path, `link ${readlinkSync(path)}`]];
    if (found.isFile()) return [[path, `file ${mode} ${readFileSync(path).toString("base64")}`]];
    return [[path, `dir ${mode}`], ...readdirSync(path).flatMap((name) => of(join(path, name)))];
  };
  return Object.fromEntries(of(dir));
}

async function json(verb: typeof install, options: Record<string, unknown> = {}) {
  out = "";
  await verb([], { json: true, ...options });
  return JSON.parse(out);
}

async function thrownBy(action: () => Promise<void>): Promise<{ code: string; message: string; hint?: string }> {
  return action().then(
    () => expect.fail("nothing was thrown"),
    (error) => error,
  );
}

function givenSettings(name: string): void {
  mkdirSync(config, { recursive: true });
  writeFileSync(settings, fixture(name), { mode: 0o644 });
}

const older = namesIn("without/");

describe("install, then uninstall", () => {
  it.each(namesIn("before/").filter((name) => !older.includes(name)))("gives back every byte of %s", async (name) => {
    givenSettings(`before/${name}`);
    writeFileSync(join(config, "CLAUDE.md"), "mine");
    const before = tree(config);
    await install([], {});
    expect(readlinkSync(link)).toBe(pluginFolder());
    const line = JSON.parse(readFileSync(settings, "utf8").replace("\ufeff", "")).statusLine;
    if (!/^own-|^escaped/.test(name)) expect(line.command).toBe(statusLineCommand(link));
    await uninstall([], {});
    expect(tree(config)).toEqual(before);
    expect(existsSync(home.path(".claudemesh", "install.json"))).toBe(false);
    expect(existsSync(home.path(".claudemesh", "backup"))).toBe(false);
    expect(existsSync(home.path(".claudemesh", "node"))).toBe(false);
  });

  it("where there was nothing leaves nothing in the home but the mesh", async () => {
    await install([], {});
    expect(statSync(settings).mode & 0o777).toBe(0o600);
    await uninstall([], {});
    expect(existsSync(config)).toBe(false);
    expect(readdirSync(home.home).sort()).toEqual([".claudemesh", "bin"]);
  });

  it("keeps folders that install made and others filled", async () => {
    await install([], {});
    writeFileSync(join(config, "skills", "mine"), "");
    await uninstall([], {});
    expect(Object.keys(tree(config))).toEqual([config, join(config, "skills"), join(config, "skills", "mine")]);
  });

  it("gives back 1 MB of settings behind a symlink, with its mode", async () => {
    const target = join(home.folder("dotfiles"), "claude.json");
    const many = Object.fromEntries(Array.from({ length: 9_000 }, (_, i) => [`key ${i}`, "x".repeat(110)]));
    writeFileSync(target, JSON.stringify(many, null, 4), { mode: 0o640 });
    mkdirSync(config);
    symlinkSync("../dotfiles/claude.json", settings);
    const before = { ...tree(config), ...tree(home.path("dotfiles")) };
    await install([], {});
    expect(readFileSync(target, "utf8")).toContain("statusLine");
    await uninstall([], {});
    expect({ ...tree(config), ...tree(home.path("dotfiles")) }).toEqual(before);
  });

  it("twice is once, and the second says so", async () => {
    givenSettings("before/two-spaces");
    const before = tree(config);
    const first = await json(install);
    const between = tree(config);
    const second = await json(install);
    expect(first.did.map((d: { action: string }) => d.action)).toEqual(["linked", "edited", "linked"]);
    expect(second.did.map((d: { action: string }) => d.action)).toEqual(["unchanged", "unchanged", "unchanged"]);
    expect(tree(config)).toEqual(between);
    await uninstall([], {});
    expect(tree(config)).toEqual(before);
    expect((await json(uninstall)).did).toEqual([]);
  });

  it("cuts only our key out of settings that somebody changed meanwhile", async () => {
    givenSettings("before/four-spaces");
    await install([], {});
    writeFileSync(
      settings,
      readFileSync(settings, "utf8")
        .replace('"opus"', '"sonnet"')
        .replace(/\n}\n$/, ',\n    "new": 1\n}\n'),
    );
    await uninstall([], {});
    const expected = fixture("before/four-spaces")
      .toString()
      .replace('"opus"', '"sonnet"')
      .replace(/\n}\n$/, ',\n    "new": 1\n}\n');
    expect(readFileSync(settings, "utf8")).toBe(expected);
  });

  it("works from the file alone when the mesh home was lost in between", async () => {
    givenSettings("before/tabs");
    await install([], {});
    rmSync(home.path(".claudemesh"), { recursive: true });
    await uninstall([], {});
    expect(readFileSync(settings)).toEqual(fixture("before/tabs"));
    expect(existsSync(link)).toBe(false);
    expect(existsSync(home.path(".claudemesh"))).toBe(false);
  });

  it.each(older)("of a version after an older one (%s) renews its key and takes it out", async (name) => {
    givenSettings(`before/${name}`);
    await install([], {});
    expect(JSON.parse(readFileSync(settings, "utf8")).statusLine.command).toBe(statusLineCommand(link));
    await uninstall([], {});
    expect(readFileSync(settings)).toEqual(fixture(`without/${name}`));
  });

  it("follows CLAUDE_CONFIG_DIR and paths with quotes and blanks in them", async () => {
    config = home.folder("it's my $HOME", "claude");
    link = join(config, "skills", "claudemesh");
    vi.stubEnv("CLAUDE_CONFIG_DIR", config);
    await install([], {});
    const { command } = JSON.parse(readFileSync(join(config, "settings.json"), "utf8")).statusLine;
    const ran = (end: string) =>
      new Promise<string>((resolve) => {
        const child = home.start("sh", ["-c", command]);
        let words = end;
        child.stdout?.on("data", (chunk) => (words += chunk));
        child.stderr?.on("data", (chunk) => (words += chunk));
        child.once("close", (code) => resolve(`${words}${code}`));
      });
    rmSync(link);
    expect(await ran("with the plugin gone: ")).toBe("with the plugin gone: 0");
    mkdirSync(link);
    writeFileSync(join(link, "hook"), 'echo "runs $e"');
    expect(await ran("")).toBe("runs statusline\n0");
    expect(existsSync(home.path(".claude"))).toBe(false);
  });
});

describe("install", () => {
  it.each(namesIn("refused/"))("refuses %s with the line, before anything is touched", async (name) => {
    givenSettings(`refused/${name}`);
    const before = tree(home.home);
    const error = await thrownBy(() => install([], {}));
    expect(error.code).toBe("BAD_SETTINGS");
    expect(error.message).toMatch(/settings\.json: line \d+, column \d+: /);
    expect(error.hint).toContain("nothing was touched");
    expect((await thrownBy(() => uninstall([], {}))).code).toBe("BAD_SETTINGS");
    expect(tree(home.home)).toEqual(before);
  });

  it("leaves read-only settings alone and says so, but links the plugin", async () => {
    givenSettings("before/tabs");
    chmodSync(settings, 0o444);
    const before = tree(config);
    const { did, warnings } = await json(install);
    expect(did).toContainEqual({ action: "kept", path: settings });
    expect(warnings.join()).toContain("read-only");
    expect(readFileSync(settings)).toEqual(fixture("before/tabs"));
    expect(readlinkSync(link)).toBe(pluginFolder());
    await uninstall([], {});
    expect(tree(config)).toEqual(before);
  });

  it("keeps a user's own status line and says how to have both", async () => {
    givenSettings("before/own-status-line");
    await install([], {});
    expect(readFileSync(settings)).toEqual(fixture("before/own-status-line"));
    expect(out).toContain(`kept      ${settings}`);
    expect(err).toContain(`sh '${link}/hook' statusline`);
  });

  it("says that hooks will not run where they are switched off", async () => {
    mkdirSync(config);
    writeFileSync(settings, '{"disableAllHooks":true,"allowManagedHooksOnly":true}');
    const { warnings } = await json(install);
    expect(warnings.filter((w: string) => w.includes("hooks will not run"))).toHaveLength(2);
  });

  it("refuses to replace what is not ours, and uninstall leaves it", async () => {
    const makes: [string, () => void][] = [
      ["a folder", () => mkdirSync(link)],
      ["a file", () => writeFileSync(link, "")],
      ["a link elsewhere", () => symlinkSync(home.folder("other"), link)],
      ["a dangling link elsewhere", () => symlinkSync("/nowhere/plugin", link)],
    ];
    mkdirSync(dirname(link), { recursive: true });
    for (const [what, make] of makes) {
      make();
      const before = tree(home.home);
      const error = await thrownBy(() => install([], {}));
      expect(error.message, what).toContain("something that is not claudemesh's is there");
      await uninstall([], {});
      expect(tree(home.home), what).toEqual(before);
      rmSync(link, { recursive: true });
    }
  });

  it("replaces the link of a package that has moved, and uninstall removes one that dangles", async () => {
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync("/gone/lib/node_modules/claudemesh/bin/plugin", link);
    await install([], {});
    expect(readlinkSync(link)).toBe(pluginFolder());
    rmSync(link);
    symlinkSync("/gone/lib/node_modules/claudemesh/bin/plugin", link);
    await uninstall([], {});
    expect(lstatSync(link, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("refuses a claude that would not load the plugin, and points at the supervisor", async () => {
    for (const version of ["2.1.156 (Claude Code)", "2.0.999", "1.9.200"]) {
      claudeSays(version);
      const error = await thrownBy(() => install([], {}));
      expect(error.message).toContain("older than 2.1.157");
      expect(error.hint).toContain("`claudemesh`");
    }
    expect(readdirSync(home.home)).toEqual(["bin"]);
  });

  it.each(["2.1.157", "2.2.0", "3.0.1", "10.0.0"])("takes claude %s", async (version) => {
    claudeSays(`${version} (Claude Code)`);
    expect((await json(install)).warnings).toEqual([]);
  });

  it("goes on with one sentence when there is no claude or it says nothing known", async () => {
    claudeSays("hello");
    expect((await json(install)).warnings).toEqual([expect.stringContaining("names no version")]);
    rmSync(home.path("bin", "claude"));
    expect((await json(install)).warnings).toEqual([expect.stringContaining("no `claude` on PATH")]);
  });

  it("remembers the node it runs on", async () => {
    await install([], {});
    expect(readlinkSync(home.path(".claudemesh", "node"))).toBe(process.execPath);
    expect(statSync(home.path(".claudemesh", "install.json")).mode & 0o777).toBe(0o600);
  });

  it("with --dry-run prints the links and the diff and touches nothing; so does uninstall", async () => {
    givenSettings("before/two-spaces");
    const before = tree(home.home);
    await install([], { dryRun: true });
    expect(out).toContain(`would link ${link} -> ${pluginFolder()}`);
    expect(out).toContain(`--- ${settings}\n+++ ${settings}\n@@ -4,5 +4,10 @@\n`);
    expect(out).toContain('+  "statusLine": {\n');
    const { dry_run, diff, did } = await json(install, { dryRun: true });
    expect([dry_run, did.length]).toEqual([true, 3]);
    expect(diff).toContain(`--- ${settings}\n`);
    expect(tree(home.home)).toEqual(before);
    await install([], {});
    const installed = tree(home.home);
    out = "";
    await uninstall([], { dryRun: true });
    expect(out).toContain(`would remove ${link}`);
    expect(out).toContain('-  "statusLine": {\n');
    expect(tree(home.home)).toEqual(installed);
  });

  it("names the sessions that must be restarted: those that run and began before it", async () => {
    const child = home.start("sleep", ["60"]);
    const sessions = home.folder(".claude", "sessions");
    const write = (file: string, text: unknown) => writeFileSync(join(sessions, file), JSON.stringify(text));
    write("1.json", { pid: child.pid, name: "api", cwd: "/work/api", startedAt: Date.now() - 60_000 });
    write("2.json", { pid: 2 ** 22 + 1, name: "ghost", cwd: "/" });
    write("3.json", { pid: child.pid, name: "reused", cwd: "/", procStart: "1" });
    write("4.json", ["not", "a", "session"]);
    writeFileSync(join(sessions, "5.json"), "{");
    const session = { pid: child.pid, name: "api", cwd: "/work/api" };
    const expected = process.platform === "linux" ? [session] : [session, { ...session, name: "reused", cwd: "/" }];
    expect((await json(install)).restart).toEqual(expected);
    write("1.json", { pid: child.pid, name: "api", cwd: "/work/api", startedAt: Date.now() + 60_000 });
    rmSync(join(sessions, "3.json"));
    expect((await json(install)).restart).toEqual([]);
  });
});

describe("install --project", () => {
  const inProject = () => {
    const root = home.folder("project");
    home.folder("project", ".git");
    vi.spyOn(process, "cwd").mockReturnValue(home.folder("project", "deep", "down"));
    return root;
  };

  it("goes to the top of the project, into the settings that are not shared, and comes out again", async () => {
    const root = inProject();
    const before = tree(home.home);
    await install([], { project: true });
    expect(readlinkSync(join(root, ".claude", "skills", "claudemesh"))).toBe(pluginFolder());
    expect(readdirSync(join(root, ".claude")).sort()).toEqual(["settings.local.json", "skills"]);
    expect(existsSync(config)).toBe(false);
    expect(err).toContain("out of git");
    await uninstall([], { project: true });
    rmSync(home.path(".claudemesh"), { recursive: true });
    expect(tree(home.home)).toEqual(before);
  });

  it("does not lay a status line over one that the user has", async () => {
    const root = inProject();
    givenSettings("before/own-status-line");
    const { did, warnings } = await json(install, { project: true });
    expect(did[1]).toEqual({ action: "kept", path: join(root, ".claude", "settings.local.json") });
    expect(existsSync(join(root, ".claude", "settings.local.json"))).toBe(false);
    expect(warnings.join()).toContain(`${settings} has a status line`);
  });

  it("shares nothing with the user's own: each gives back its own, the last takes the node link", async () => {
    inProject();
    givenSettings("before/blank");
    await install([], {});
    await uninstall([], { project: true });
    expect(existsSync(home.path(".claudemesh", "node"))).toBe(true);
    await install([], { project: true });
    await uninstall([], {});
    expect(readFileSync(settings)).toEqual(fixture("before/blank"));
    expect(existsSync(home.path(".claudemesh", "node"))).toBe(true);
    await uninstall([], { project: true });
    expect(existsSync(home.path(".claudemesh", "node"))).toBe(false);
  });

  it("is refused where the project is the home itself", async () => {
    home.folder(".git");
    vi.spyOn(process, "cwd").mockReturnValue(home.home);
    expect((await thrownBy(() => install([], { project: true }))).code).toBe("USAGE");
  });
});

describe("the proof", () => {
  const plugin = (hook: string) => {
    writeFileSync(join(home.folder("plugin"), "hook"), hook);
    return home.path("plugin");
  };
  const start = `b=$CLAUDEMESH_HOME/sessions/$CLAUDE_CODE_SESSION_ID
    if [ "$1" = SessionStart ]; then mkdir -p "$b/tmp" "$b/new" "$b/cur"; exit 0; fi
    `;
  const show = `[ "$1" = UserPromptSubmit ] || exit 0
    echo "{\\"hookSpecificOutput\\":{\\"additionalContext\\":\\"$(cat "$b/new/proof")\\"}}"
    `;

  it("passes for a hook that shows the message and marks it, even at the second prompt", async () => {
    const late = `[ -e "$b/once" ] || { : >"$b/once"; exit 0; }\n`;
    const { ok, detail } = await proveInstall(plugin(`${start}${late}${show} mv "$b/new/proof" "$b/cur/proof:2,S"`));
    expect([ok, detail]).toEqual([true, expect.stringContaining("shown and marked")]);
  });

  it.each([
    ["made no mailbox", "exit 0"],
    ["hook ended with 3: boom", "echo boom >&2; exit 3"],
    ["not marked as seen", `${start}${show} mv "$b/new/proof" "$b/cur/proof:2,"`],
    ["JSON", `${start} echo nonsense`],
    [": TypeError: x", "printf 'at y\\n\\nTypeError: x\\n    at z\\n\\nNode.js v20\\n' >&2; exit 1"],
  ])("fails with '%s' in its sentence", async (words, hook) => {
    const { ok, detail } = await proveInstall(plugin(hook));
    expect([ok, detail]).toEqual([false, expect.stringContaining(words)]);
  });

  it("fails when there is no hook at all, and leaves nothing behind", async () => {
    vi.stubEnv("TMPDIR", home.folder("tmp"));
    expect((await proveInstall(home.path("nowhere"))).ok).toBe(false);
    expect((await proveInstall(plugin(`${start}exit 4`))).ok).toBe(false);
    expect(readdirSync(home.path("tmp"))).toEqual([]);
  });

  it("runs the hook in a mesh of its own, with nothing of the session that runs install", async () => {
    vi.stubEnv("CLAUDE_CODE_ENTRYPOINT", "cli");
    vi.stubEnv("CLAUDEMESH_NODE", "/bin/false");
    await proveInstall(plugin(`env >'${home.path("seen")}'; cat >'${home.path("told")}'`));
    const seen = readFileSync(home.path("seen"), "utf8").split("\n");
    const names = seen.map((line) => line.split("=")[0] ?? "").filter((name) => name.startsWith("CLAUDE"));
    const own = ["CLAUDECODE", "CLAUDEMESH_HOME", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CONFIG_DIR", "CLAUDE_PID"];
    expect(names.sort()).toEqual(own);
    const folder = (name: string) => dirname(seen.find((line) => line.startsWith(`${name}=`))?.split("=")[1] ?? "");
    expect(folder("CLAUDE_CONFIG_DIR")).toBe(folder("CLAUDEMESH_HOME"));
    const told = JSON.parse(readFileSync(home.path("told"), "utf8"));
    expect(told).toMatchObject({ hook_event_name: "SessionStart", source: "startup", transcript_path: "" });
    expect(existsSync(home.path(".claudemesh"))).toBe(false);
  });

  it("that fails makes install end with 1, and says why", async () => {
    mkdirSync(dirname(link), { recursive: true });
    vi.stubEnv("TMPDIR", home.folder("tmp"));
    // No sh on PATH: nothing of the plugin can run.
    vi.stubEnv("PATH", home.path("bin"));
    const { ok, proof } = await json(install);
    expect([ok, proof.ok, process.exitCode]).toEqual([false, false, 1]);
    expect(proof.detail).toContain("sh");
  });
});
