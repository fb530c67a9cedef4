import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { finish } from "../claude/stand-in.ts";
import { cli, type Environment, type TempHome, tempHome } from "../temp-home.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/** A `claude` that prints its arguments as JSON and ends with `status`. */
function printingClaude(home: TempHome, status = 0): Environment {
  const file = join(home.folder("bin"), "claude");
  const script = `process.stdout.write(JSON.stringify(process.argv.slice(2)) + "\\n");\nprocess.exitCode = ${status};\n`;
  writeFileSync(file, `#!${process.execPath}\n${script}`);
  chmodSync(file, 0o755);
  return { CLAUDEMESH_CLAUDE_BIN: file };
}

/** The arguments that claude got, ours and the user's. */
async function passed(
  home: TempHome,
  args: string[],
  env: Environment = {},
): Promise<{ ours: string[]; theirs: string[] }> {
  const ended = await home.run(args, { env: { ...printingClaude(home), ...env } });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  const all = JSON.parse(ended.stdout) as string[];
  const at = all[1] === "--settings" && all[2]?.includes("refreshInterval") ? 3 : 1;
  return { ours: all.slice(0, at), theirs: all.slice(at) };
}

describe("what is no verb goes to claude as it is", () => {
  it.each<[string[]]>([
    [[]],
    [["--model", "opus", "list"]],
    [["--", "list"]],
    [["-p", "send", "--json"]],
    [[`fix the "bug" $HOME`]],
    [["lists"]],
    [["List"]],
    [["constructor"]],
    [["__proto__", "toString"]],
    [["--version", "--verbose"]],
    [["--help", "me"]],
    [["-c"]],
    [["a\nb", "", "  ", "*", "ünï 🦊", "'\\", "-"]],
    [["--resume=0f6c", "--", "--plugin-dir=x", "--"]],
    [["mcp-server", "hook.ts"]],
  ])("%j", async (args) => {
    const { ours, theirs } = await passed(tempHome(), args);
    expect(theirs).toEqual(args);
    expect(ours[0]).toMatch(/^--plugin-dir=.*\/bin\/plugin$/);
  });

  it("after `run`, verbs too", async () => {
    for (const args of [["list"], ["run", "send"], ["--help"], ["--version"], ["install", "--dry-run"]])
      expect((await passed(tempHome(), ["run", ...args])).theirs).toEqual(args);
  });

  it("stdin, output and exit status included", async () => {
    const home = tempHome();
    const file = join(home.folder("bin"), "claude");
    writeFileSync(file, "#!/bin/sh\ncat\necho words >&2\nexit 7\n");
    chmodSync(file, 0o755);
    const input = "the prompt\u0000\u001b[31m ünï\n";
    const ended = await home.run(["-p"], { env: { CLAUDEMESH_CLAUDE_BIN: file }, input });
    expect(ended).toMatchObject({ code: 7, stdout: input, stderr: "words\n" });
  });

  it("the claude on PATH is found, and a death by signal is 128 and its number", async () => {
    const home = tempHome();
    const bin = home.folder("bin");
    writeFileSync(join(bin, "claude"), "#!/bin/sh\nkill -TERM $$\n");
    chmodSync(join(bin, "claude"), 0o755);
    expect(await home.run(["hello"], { env: { PATH: `${bin}:${process.env.PATH}` } })).toMatchObject({ code: 143 });
  });
});

describe("the badge by --settings", () => {
  const settingsOf = (ours: string[]) => ours[1] === "--settings" && JSON.parse(ours[2] ?? "");

  it("is given where nobody has a status line", async () => {
    const { ours } = await passed(tempHome(), []);
    expect(settingsOf(ours)).toEqual({
      statusLine: { type: "command", command: expect.stringContaining("statusline"), refreshInterval: 2 },
    });
  });

  it.each([[["--settings", "x.json"]], [["--settings=x.json", "hello"]], [["hello", "--settings", "{}"]]])(
    "is not given beside the user's %j",
    async (args) => {
      const { ours, theirs } = await passed(tempHome(), args);
      expect(ours).toHaveLength(1);
      expect(theirs).toEqual(args);
    },
  );

  it.each([".claude/settings.json", "dev/.claude/settings.json", "dev/.claude/settings.local.json"])(
    "is not given where %s has a status line",
    async (path) => {
      const home = tempHome();
      const cwd = home.folder("dev");
      home.folder(path, "..");
      writeFileSync(home.path(path), '{"statusLine":{"type":"command","command":"mine"}}');
      const ended = await home.run(["hi"], { cwd, env: printingClaude(home) });
      expect((JSON.parse(ended.stdout) as string[]).slice(1)).toEqual(["hi"]);
    },
  );

  it("is a command that runs, and shows nothing for a session that is not known", async () => {
    const home = tempHome();
    const { ours } = await passed(home, []);
    const { command } = settingsOf(ours).statusLine as { command: string };
    expect(await finish(home.start("/bin/sh", ["-c", command]))).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });
});

describe("help and version", () => {
  const verbs = ["list", "whoami", "send", "inbox", "receipt", "history", "search", "turn", "status", "install"];

  it.each([["--help"], ["-h"], ["help"]])("%s lists every verb on stdout", async (word) => {
    const home = tempHome();
    const { code, stdout, stderr } = await home.run([word]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const verb of [...verbs, "uninstall", "deliver", "statusline", "run", "hook, mcp"])
      expect(stdout).toMatch(new RegExp(`^  .*\\b${verb}\\b`, "m"));
    expect(stdout).toContain("75 try again");
    expect(existsSync(home.path(".claudemesh"))).toBe(false);
  });

  it.each([[["help", "send"]], [["send", "--help"]], [["send", "-h"]], [["send", "api", "--help"]]])(
    "%j shows the verb's options and does nothing",
    async (args) => {
      const home = tempHome();
      const { code, stdout } = await home.run(args);
      expect(code).toBe(0);
      for (const part of ["send <to> [...text]", "--note", "--now", "--expires <time>", "--queue", "--json"])
        expect(stdout).toContain(part);
      expect(existsSync(home.path(".claudemesh"))).toBe(false);
    },
  );

  it.each(verbs)("%s has help of its own", async (verb) => {
    const { code, stdout } = await tempHome().run([verb, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`claudemesh ${verb}`);
    expect(stdout).toContain("--json");
  });

  it("--version is the package's", async () => {
    expect(await tempHome().run(["--version"])).toMatchObject({
      code: 0,
      stdout: `claudemesh ${version}\n`,
      stderr: "",
    });
  });
});

describe("wrong usage", () => {
  it.each([
    [["send", "--frobnicate", "api", "hi"], "--frobnicate"],
    [["list", "--al"], "--al"],
    [["send"], "send"],
    [["receipt"], "receipt"],
    [["history"], "history"],
    [["send", "api", "hi", "--expires", "soon"], "soon"],
    [["send", "api", "hi", "--expires"], "expires"],
    [["send", "", "hi"], "address"],
  ])("%j exits with 2, says what is wrong and how it is right", async (args, word) => {
    const home = tempHome();
    const { code, stdout, stderr } = await home.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^claudemesh: .+\n.+/);
    expect(stderr).toContain(word);
    expect(stderr).not.toMatch(/^ {4}at /m);

    const asJson = await home.run([...args, "--json"]);
    expect({ code: asJson.code, stderr: asJson.stderr }).toEqual({ code: 2, stderr: "" });
    expect(JSON.parse(asJson.stdout)).toEqual({
      error: { code: "USAGE", message: expect.stringContaining(word), hint: expect.any(String) },
    });
  });
});

it("a reader that has seen enough is no failure", async () => {
  const home = tempHome();
  const child = home.start(process.execPath, [cli, "help"]);
  child.stdout?.destroy();
  expect(await finish(child)).toMatchObject({ code: 0, stderr: "" });
});
