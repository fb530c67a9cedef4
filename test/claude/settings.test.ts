import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unifiedDiff } from "../../src/claude/diff.ts";
import { membersOf } from "../../src/claude/members.ts";
import {
  isOurStatusLine,
  shellQuote,
  statusLineCommand,
  withoutStatusLine,
  withStatusLine,
} from "../../src/claude/settings.ts";
import { editSettings, mayWrite, readSettings } from "../../src/claude/settings-file.ts";
import { tempHome } from "../temp-home.ts";

const fixtures = new URL("../../fixtures/settings/", import.meta.url);
const namesIn = (dir: string) => readdirSync(new URL(dir, fixtures)).map((file) => basename(file, ".json"));
const fixture = (path: string) => readFileSync(new URL(`${path}.json`, fixtures), "utf8");
const command = statusLineCommand("/home/u/.claude/skills/claudemesh");
const error = (code: string, text: RegExp) => expect.objectContaining({ code, message: expect.stringMatching(text) });

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("nothing was thrown");
}

describe("the status line key", () => {
  it.each(namesIn("before/"))("goes into %s just as the fixture says, and twice is once", (name) => {
    const after = withStatusLine(fixture(`before/${name}`), command);
    expect(after).toBe(fixture(`after/${name}`));
    expect(withStatusLine(after, command)).toBe(after);
  });

  const cutDiffers = ["empty", "blank", ...namesIn("without/")];
  it.each(namesIn("before/").filter((name) => !cutDiffers.includes(name)))(
    "comes out of %s leaving every byte",
    (name) => {
      expect(withoutStatusLine(fixture(`after/${name}`))).toBe(fixture(`before/${name}`));
    },
  );

  it.each(namesIn("without/"))("of an older version comes out of %s", (name) => {
    expect(withoutStatusLine(fixture(`before/${name}`))).toBe(fixture(`without/${name}`));
    expect(withoutStatusLine(fixture(`after/${name}`))).toBe(fixture(`without/${name}`));
  });

  it("is cut out of a file that others have grown on every side", () => {
    const text = fixture("after/two-spaces")
      .replace(/\n}\n$/, ',\n  "later": true\n}\n')
      .replace("{", '{ "sooner": 1,');
    const value = JSON.parse(text);
    delete value.statusLine;
    const left = withoutStatusLine(text);
    expect(JSON.parse(left)).toEqual(value);
    expect(left).toContain('  "unknownToAll": 1e3,\n  "later": true\n}\n');
  });

  it("in 1 MB of settings changes nothing else", () => {
    const many = Object.fromEntries(
      Array.from({ length: 9_000 }, (_, i) => [`key ${i}`, { deep: ["x".repeat(80), i] }]),
    );
    const text = `${JSON.stringify(many, null, 2)}\n`;
    expect(text.length).toBeGreaterThan(1_000_000);
    const after = withStatusLine(text, command);
    expect(JSON.parse(after)).toEqual({ ...many, statusLine: { type: "command", command, refreshInterval: 2 } });
    expect(withoutStatusLine(after)).toBe(text);
  });

  it("is known again whatever characters the path has, and never in a user's own command", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (path) => {
        expect(isOurStatusLine({ command: statusLineCommand(`/${path}/skills/claudemesh`) })).toBe(true);
      }),
    );
    const hook = `${shellQuote("/home/u/.claude/skills/claudemesh/hook")}`;
    for (const own of [`my-bar; sh ${hook} statusline`, `${command} | tee /tmp/x`, "[ -r x ]; exit 0", ""])
      expect(isOurStatusLine({ command: own }), own).toBe(false);
    for (const other of [null, "x", 1, [], {}, { command: 1 }]) expect(isOurStatusLine(other)).toBe(false);
  });
});

describe("the text of settings", () => {
  const key = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("__proto__", "", "hooks", '"', "\\", "}"));
  const settings = fc
    .dictionary(key, fc.jsonValue({ maxDepth: 3 }))
    .filter((value) => !Object.hasOwn(value, "statusLine"));
  const layout = fc.record({
    indent: fc.constantFrom("", "  ", "    ", "\t", " "),
    eol: fc.constantFrom("\n", "\r\n"),
    tail: fc.constantFrom("", "\n", "\r\n", "\n\n"),
    head: fc.constantFrom("", "\ufeff", "\n "),
    colon: fc.constantFrom(":", ": ", " : "),
    inside: fc.constantFrom("", " ", "\n", "\r\n  ", "\t\n"),
  });

  it("comes back byte for byte after the key went in and out, for any object in any layout", () => {
    fc.assert(
      fc.property(settings, layout, (value, { indent, eol, tail, head, colon, inside }) => {
        const entries = Object.entries(value).map(
          ([k, v]) => `${JSON.stringify(k)}${colon}${JSON.stringify(v, null, indent)}`,
        );
        const gap = indent === "" ? "" : eol + indent;
        const body = entries.length === 0 ? inside : gap + entries.join(`,${gap}`) + (indent === "" ? inside : eol);
        const text = `${head}{${body}}${tail}`;
        const after = withStatusLine(text, command);
        const read = JSON.parse(after.replace("\ufeff", ""));
        expect(read.statusLine).toEqual({ type: "command", command, refreshInterval: 2 });
        expect(Object.keys(read).length).toBe(entries.length + 1);
        expect(withoutStatusLine(after)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it("is refused exactly when JSON.parse refuses it, however it was bent", () => {
    const bent = fc
      .tuple(settings, fc.nat(), fc.nat(3), fc.constantFrom("", ",", "{", "}", '"', "\\", "0", "/", " ", "\u0001", "]"))
      .map(([value, where, length, instead]) => {
        const text = JSON.stringify(value, null, 1);
        const at = where % text.length;
        return text.slice(0, at) + instead + text.slice(at + length);
      });
    const parse = (text: string) => {
      try {
        const value: unknown = JSON.parse(text);
        return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
      } catch {
        return undefined;
      }
    };
    fc.assert(
      fc.property(bent, (text) => {
        const value = parse(text);
        if (value === undefined) return void expect(() => membersOf(text)).toThrow(SyntaxError);
        try {
          expect(
            membersOf(text)
              .members.map((m) => m.key)
              .sort(),
          ).toEqual(Object.keys(value).sort());
        } catch (thrown) {
          expect(String(thrown)).toContain("for the second time");
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["line-comment", "line 2, column 3: comments are not allowed"],
    ["block-comment", "line 2, column 19: comments are not allowed"],
    ["duplicate", 'line 4, column 3: "model" stands here for the second time'],
    ["duplicate-escaped", 'line 1, column 12: "model" stands here for the second time'],
    ["array", "line 1, column 1: an object"],
    ["string", "line 1, column 1: an object"],
    ["trailing-comma", "line 3, column 18: a comma with nothing after it"],
    ["trailing-comma-deep", "line 3, column 13: a comma with nothing after it"],
    ["cut-off", "line 4, column 1: the text ends where a key"],
    ["open-string", "line 2, column 12: this string has no end"],
    ["single-quotes", "line 2, column 3: a key in double quotes"],
    ["two-objects", "line 2, column 1: the end of the text"],
    ["bad-escape", "line 2, column 14: no such escape"],
    ["no-comma", "line 3, column 3: a comma or }"],
    ["bare-word", "line 1, column 8: a value"],
    ["leading-zero", "line 1, column 9: a comma or }"],
  ])("of %s is refused where it is wrong", (name, message) => {
    const text = fixture(`refused/${name}`);
    expect(() => withStatusLine(text, command)).toThrow(message);
    expect(() => withoutStatusLine(text)).toThrow(message);
    expect(() => withStatusLine(`\ufeff${text}`, command)).toThrow(message);
  });

  it("nested too deep to walk is refused, not a crash", () => {
    const text = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect(() => membersOf(text)).toThrow(SyntaxError);
  });
});

describe("a settings file", () => {
  it("is replaced behind its symlinks, keeping them and its mode", () => {
    const home = tempHome();
    const target = `${home.folder("dotfiles")}/claude.json`;
    const [middle, path] = [home.path("middle"), home.path("settings.json")];
    writeFileSync(target, "{}\n");
    chmodSync(target, 0o640);
    symlinkSync("dotfiles/claude.json", middle);
    symlinkSync(middle, path);
    expect(editSettings(path, (text) => `${text}\n`)).toBe(true);
    expect(readFileSync(target, "utf8")).toBe("{}\n\n");
    expect(readlinkSync(path)).toBe(middle);
    expect(readlinkSync(middle)).toBe("dotfiles/claude.json");
    expect(statSync(target).mode & 0o777).toBe(0o640);
    expect(readdirSync(home.path("dotfiles"))).toEqual(["claude.json"]);
  });

  it("is made private where there was none, removed for undefined, and left alone without a change", () => {
    const path = `${tempHome().home}/settings.json`;
    expect(editSettings(path, () => undefined)).toBe(false);
    expect(editSettings(path, () => "{}")).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const inode = statSync(path).ino;
    expect(editSettings(path, (text) => text)).toBe(false);
    expect(statSync(path).ino).toBe(inode);
    expect(editSettings(path, () => undefined)).toBe(true);
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("that another writes in between is read anew, so that both changes are in it", () => {
    const path = `${tempHome().home}/settings.json`;
    writeFileSync(path, '{"a":1}');
    let times = 0;
    editSettings(path, (text) => {
      if (++times === 1) writeFileSync(path, '{"a":1,"theirs":2}');
      return withStatusLine(text ?? "", command);
    });
    expect(times).toBe(2);
    expect(Object.keys(JSON.parse(readFileSync(path, "utf8")))).toEqual(["a", "theirs", "statusLine"]);
  });

  it("that appears or vanishes in between is seen too", () => {
    const home = tempHome();
    const [one, other] = [home.path("one.json"), home.path("other.json")];
    const seen: (string | undefined)[] = [];
    editSettings(one, (text) => {
      seen.push(text);
      if (seen.length === 1) writeFileSync(one, "{ }");
      return withStatusLine(text ?? "", command);
    });
    writeFileSync(other, "{}");
    editSettings(other, (text) => {
      seen.push(text);
      if (text !== undefined) editSettings(other, () => undefined);
      return "{ }";
    });
    expect(seen).toEqual([undefined, "{ }", "{}", undefined]);
    expect(readFileSync(other, "utf8")).toBe("{ }");
  });

  it("that never stands still is given up on, as its last writer left it", () => {
    const home = tempHome();
    const path = home.path("settings.json");
    let count = 0;
    const churn = () => {
      writeFileSync(path, `{"count":${++count}}`);
      return "mine";
    };
    expect(caught(() => editSettings(path, churn))).toEqual(error("TRY_AGAIN", /changed 5 times/));
    expect(readFileSync(path, "utf8")).toBe(`{"count":${count}}`);
    expect(readdirSync(home.home)).toEqual(["settings.json"]);
  });

  it("that is no text file is refused by what it is", () => {
    const home = tempHome();
    const make = (name: string, how: (path: string) => void) => {
      how(home.path(name));
      return home.path(name);
    };
    const cases = [
      [make("dir", (p) => mkdirSync(p)), /is a directory/],
      [make("dangling", (p) => symlinkSync("nowhere", p)), /symlink to a file that is not there/],
      [make("loop", (p) => symlinkSync("loop", p)), /ELOOP/],
      [make("latin1", (p) => writeFileSync(p, Buffer.from('{"a":"\xe9"}', "latin1"))), /not UTF-8/],
      [make("utf16", (p) => writeFileSync(p, Buffer.from("\ufeff{}", "utf16le"))), /not UTF-8/],
    ] as const;
    for (const [path, why] of cases) expect(caught(() => readSettings(path))).toEqual(error("BAD_SETTINGS", why));
  });

  it("counts as locked when it is read-only, and not when it is missing", () => {
    const home = tempHome();
    const path = home.path("settings.json");
    expect(mayWrite(path)).toBe(true);
    writeFileSync(path, "{}");
    expect(mayWrite(path)).toBe(true);
    chmodSync(path, 0o444);
    linkSync(path, home.path("other"));
    expect(mayWrite(path)).toBe(false);
  });
});

describe("a unified diff", () => {
  it.each([...namesIn("before/"), "no-file"])("of %s is one that patch(1) applies, forth and back", async (name) => {
    const before = name === "no-file" ? undefined : fixture(`before/${name}`);
    const after = fixture(`after/${name}`);
    const diff = unifiedDiff("settings.json", before, after);
    if (before === after) return expect(diff).toBe("");
    const home = tempHome();
    writeFileSync(home.path("settings.json"), before ?? "");
    const patch = (...args: string[]) =>
      new Promise((resolve) => {
        const child = home.start("git", ["apply", ...args, "-p0", "-"]);
        let words = "";
        child.stderr?.on("data", (chunk) => (words += chunk));
        child.once("close", (code) => resolve(code === 0 ? 0 : words));
        child.stdin?.end(diff.replace("/dev/null", "settings.json"));
      });
    expect(await patch()).toBe(0);
    expect(readFileSync(home.path("settings.json"), "utf8")).toBe(after);
    expect(await patch("--reverse")).toBe(0);
    expect(readFileSync(home.path("settings.json"), "utf8")).toBe(before ?? "");
  });
});
