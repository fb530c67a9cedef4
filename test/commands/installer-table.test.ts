// Settings files of every kind found in the wild, through the real `claudemesh install` and `uninstall`; a line a case.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pluginFolder } from "../../src/claude/plugin.ts";
import { type TempHome, tempHome } from "../temp-home.ts";
import { tree } from "./tree.ts";

const settingsOf = (home: TempHome) => home.path(".claude", "settings.json");
const holds = (content: string | Buffer) => (home: TempHome) => {
  home.folder(".claude");
  writeFileSync(settingsOf(home), content, { mode: 0o644 });
};
const linked = (target: string) => (home: TempHome) => {
  home.folder(".claude");
  symlinkSync(target, settingsOf(home));
};
const theirs = { PostToolUse: [{ matcher: "Edit", hooks: [{ type: "command", command: "prettier" }] }] };
const likeOurs = { Stop: [{ hooks: [{ type: "command", command: ". '/h/.claude/skills/claudemesh/hook'; exit 0" }] }] };
const big = JSON.stringify(
  Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`k${i}`, "x".repeat(110)])),
  null,
  2,
);

const comesBack: [what: string, make: (home: TempHome) => void][] = [
  ["no file", (home) => home.folder(".claude")],
  ["no ~/.claude", () => {}],
  ["tabs", holds('{\n\t"model": "opus",\n\t"env": {\n\t\t"A": "1"\n\t}\n}\n')],
  ["2 spaces", holds('{\n  "model": "opus"\n}\n')],
  ["4 spaces", holds('{\n    "model": "opus"\n}\n')],
  ["one line", holds('{"model":"opus","env":{}}')],
  ["CRLF", holds('{\r\n  "model": "opus"\r\n}\r\n')],
  ["BOM", holds('\ufeff{\n  "model": "opus"\n}\n')],
  ["no final newline", holds('{\n  "model": "opus"\n}')],
  ["0 bytes", holds("")],
  ["white space only", holds(" \n\t\r\n")],
  ["{}", holds("{}")],
  ["hooks of others", holds(JSON.stringify({ hooks: theirs }, null, 2))],
  ["hooks like ours", holds(JSON.stringify({ hooks: likeOurs }, null, 2))],
  ["1 MB", holds(big)],
  ["nested 300 deep", holds(`{"a":${"[".repeat(300)}${"]".repeat(300)}}\n`)],
  ["numbers as written", holds('{ "a": 1e400, "b": 1.0, "c": -0, "d": 12345678901234567890 }\n')],
  ["escaped characters", holds('{"caf\\u00e9": "\\ud83d\\ude00\\/"}\n')],
  ["a lone surrogate", holds('{"a": "\\ud800"}\n')],
  ["__proto__", holds('{\n  "__proto__": {"statusLine": 1},\n  "constructor": 2\n}\n')],
  ["statusLine: null", holds('{"statusLine": null}\n')],
  ["their status line", holds('{"statusLine": {"type": "command", "command": "my-bar"}}\n')],
  ["disableAllHooks", holds('{"disableAllHooks": true}\n')],
  [
    "a symlinked file",
    (home) => {
      writeFileSync(join(home.folder("dotfiles"), "c.json"), "{ }\n", { mode: 0o640 });
      linked("../dotfiles/c.json")(home);
    },
  ],
  [
    "a symlinked ~/.claude",
    (home) => {
      writeFileSync(join(home.folder("dotfiles"), "settings.json"), '{"a":1}');
      symlinkSync("dotfiles", home.path(".claude"));
    },
  ],
  [
    "read-only",
    (home) => {
      holds('{"a": 1}\n')(home);
      chmodSync(settingsOf(home), 0o444);
    },
  ],
  [
    "mode 0600",
    (home) => {
      holds('{"a": 1}\n')(home);
      chmodSync(settingsOf(home), 0o600);
    },
  ],
];

const refused: [what: string, make: (home: TempHome) => void, why: RegExp][] = [
  ["// comments", holds('{\n  // mine\n  "a": 1\n}\n'), /line 2, column 3: comments/],
  ["/* comments */", holds('{ /* mine */ "a": 1 }'), /line 1, column 3: comments/],
  ["a key twice", holds('{\n  "a": 1,\n  "a": 2\n}\n'), /line 3, column 3: "a" stands here for the second time/],
  ["a trailing comma", holds('{\n  "a": 1,\n}\n'), /line 2, column 9: a comma/],
  ["cut off", holds('{\n  "a": {'), /line 2, column \d+: the text ends/],
  ["an array", holds("[]"), /line 1, column 1: an object/],
  ["nested 100,000 deep", holds(`{"a":${"[".repeat(100_000)}`), /line 1, column \d+: nested too deep/],
  ["UTF-16", holds(Buffer.from("\ufeff{}", "utf16le")), /not UTF-8 text/],
  ["Latin-1", holds(Buffer.from('{"a":"\xe9"}', "latin1")), /not UTF-8 text/],
  ["a dangling symlink", linked("nowhere.json"), /symlink to a file that is not there/],
  ["a symlink to itself", linked("settings.json"), /ELOOP/],
  ["a directory", (home) => mkdirSync(settingsOf(home), { recursive: true }), /it is a directory/],
  [
    "a FIFO",
    (home) => {
      home.folder(".claude");
      execFileSync("mkfifo", [settingsOf(home)]);
    },
    /no regular file/,
  ],
  ["a symlink to /dev/null", linked("/dev/null"), /no regular file/],
];

const row = (what: string, end: string) => process.stdout.write(`installer  ${what.padEnd(22)} ${end}\n`);

function start(make: (home: TempHome) => void) {
  const home = tempHome();
  writeFileSync(join(home.folder("bin"), "claude"), "#!/bin/sh\necho '2.1.329 (Claude Code)'\n", { mode: 0o755 });
  make(home);
  const env = { PATH: `${home.path("bin")}:${process.env.PATH}` };
  return { home, verb: (name: string) => home.run([name], { env }), before: tree(home.home) };
}

describe("the installer", () => {
  it.each(comesBack)("gives back every byte: %s", async (what, make) => {
    const { home, verb, before } = start(make);
    expect(await verb("install")).toMatchObject({ code: 0 });
    expect(readlinkSync(home.path(".claude", "skills", "claudemesh"))).toBe(pluginFolder());
    expect(await verb("uninstall")).toMatchObject({ code: 0 });
    expect(tree(home.home)).toEqual(before);
    row(what, "installed, uninstalled: same bytes");
  });

  it.each(refused)("refuses before it touches anything: %s", async (what, make, why) => {
    const { home, verb, before } = start(make);
    const done = await verb("install");
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(why);
    expect(done.stderr).toContain(settingsOf(home));
    expect(await verb("uninstall")).toMatchObject({ code: 1, stderr: expect.stringMatching(why) });
    expect(tree(home.home)).toEqual(before);
    expect(readdirSync(home.home)).not.toContain(".claudemesh");
    row(what, `refused, untouched: ${done.stderr.split("settings.json: ")[1]?.split("\n")[0]}`);
  });
});
