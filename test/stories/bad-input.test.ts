// What goes wrong at a shell: each time a sentence that says what, a hint that says what to do, the exit code of the
// contract, no letter lost, and nothing written where it should not be.

import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { openPty } from "../../src/terminal/pty.ts";
import { finish, type StandIn, standIn } from "../claude/stand-in.ts";
import { box, letter } from "../mesh/temp-mesh.ts";
import { cli, type Finished, type RunOptions, type TempHome, tempHome } from "../temp-home.ts";

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

/** Every path below a folder with what it holds: to be the same before and after. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => !/\.claudemesh\/(log|locks|badge|now|clocks|.*beat)/.test(path))
    .map((path) => {
      const stat = lstatSync(join(folder, path));
      return `${path} ${(stat.mode & 0o777).toString(8)} ${stat.isFile() ? readFileSync(join(folder, path)) : ""}`;
    })
    .sort();
}

interface Complaint {
  code: string;
  message: string;
  hint: string | null;
}

/** Runs the verb as text and as JSON, checks that both say the same, and gives what they say. */
async function complaint(
  home: TempHome,
  args: string[],
  exit: number,
  options: RunOptions = {},
  run: (args: string[], options: RunOptions) => Promise<Finished> = (a, o) => home.run(a, o),
): Promise<Complaint> {
  const text = await run(args, options);
  expect({ code: text.code, stdout: text.stdout }, text.stderr).toEqual({ code: exit, stdout: "" });
  const json = await run([...args.slice(0, 1), "--json", ...args.slice(1)], options);
  expect({ code: json.code, stderr: json.stderr }).toEqual({ code: exit, stderr: "" });
  const { error } = JSON.parse(json.stdout) as { error: Complaint };
  expect(Object.keys(error)).toEqual(["code", "message", "hint"]);
  // Two runs, two messages: their names differ.
  const plain = (words: string) => words.replace(/\d+\.M\d{6}P\d+Q\d+/g, "<unique>").replace(/\d+ bytes/, "N bytes");
  expect(plain(text.stderr)).toBe(plain(`claudemesh: ${error.message}\n${error.hint ? `${error.hint}\n` : ""}`));
  expect(error.message).toMatch(/^can't /);
  expect(error.hint, `what to do about: ${error.message}`).toMatch(/\w/);
  expect(text.stderr).not.toMatch(/^ +at .*\.js:/m);
  return error;
}

describe("an address", () => {
  it("that nobody has: who is there, with what they do", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const before = tree(home.home);
    for (const verb of [
      ["send", "apo", "hi"],
      ["inbox", "apo", "--peek"],
      ["history", "apo"],
      ["turn", "apo", "-1"],
    ]) {
      const { code, message, hint } = await complaint(home, verb, 1);
      expect({ code, message }).toEqual({ code: "NO_SUCH_PEER", message: "can't find 'apo': no such session" });
      expect(hint, verb[0]).toContain(`${api.id}  api  ${api.cwd}`);
      expect(hint, verb[0]).toContain("(idle)");
    }
    expect(tree(home.home)).toEqual(before);
  });

  it("on a machine where nobody is: how to start", async () => {
    const home = tempHome();
    const { code, hint } = await complaint(home, ["send", "api", "hi"], 1);
    expect({ code, hint }).toEqual({
      code: "NO_SUCH_PEER",
      hint: "nobody is there: start a session with `claudemesh`",
    });
    expect((await complaint(home, ["send", "*", "hi"], 1)).code).toBe("NO_SUCH_PEER");
  });

  it("that two have: both, with id and folder, and neither gets it", async () => {
    const home = tempHome();
    const one = await standIn(home, "a/api");
    const two = await standIn(home, "b/api");
    const { code, message, hint } = await complaint(home, ["send", "API", "hi"], 1);
    expect({ code, message }).toEqual({
      code: "AMBIGUOUS_PEER",
      message: "can't tell who 'API' is: 2 sessions answer to it",
    });
    for (const s of [one, two]) expect(hint).toContain(`${s.id}  api  ${s.cwd}  (idle)`);
    expect([...one.room("new"), ...two.room("new")]).toEqual([]);
    expect(readdirSync(home.path(".claudemesh", "to"))).toEqual([]);
  });

  it.each(["../../etc", "/etc/passwd", ".", "..", "a/b", "@", "x".repeat(5000)])(
    "like %j is nobody's, and no path",
    async (who) => {
      const home = tempHome();
      await standIn(home);
      const before = tree(home.home);
      if (!who.includes("\u0000")) expect((await complaint(home, ["send", who, "hi"], 1)).code).toBe("NO_SUCH_PEER");
      if (!who.includes("\u0000"))
        expect((await complaint(home, ["inbox", who, "--peek"], 1)).code).toBe("NO_SUCH_PEER");
      expect(tree(home.home)).toEqual(before);
    },
  );

  it.each(["../../evil", "a/../../b", "nëw name"])("like %j, to be waited for, stays below inbox/", async (who) => {
    const home = tempHome();
    const { code } = await home.run(["send", "--queue", who, "hi"]);
    expect(code).toBe(0);
    expect(readdirSync(home.home)).toEqual([".claudemesh"]);
    const made = readdirSync(home.path(".claudemesh", "inbox")).filter((name) => name !== "you");
    expect(made).toHaveLength(1);
    expect(made[0]).toMatch(/^@/);
  });

  it("that no session can have, to be waited for, is refused with a sentence", async () => {
    const { message } = await complaint(tempHome(), ["send", "--queue", "..", "hi"], 1);
    expect(message).toBe("can't queue for '..': no session can have that name");
  });

  it("too long to be a folder's name, to be waited for, is refused with a sentence", async () => {
    await complaint(tempHome(), ["send", "--queue", "x".repeat(300), "hi"], 1);
  });
});

describe("a body", () => {
  const nothingCame = (api: StandIn) => expect([...api.room("new"), ...readdirSync(join(api.box, "tmp"))]).toEqual([]);

  it.each([[["send", "api", ""]], [["send", "api", " \t\n"]], [["send", "api"]], [["send", "api", "-"]]])(
    "that is empty is refused: %j",
    async (args) => {
      const home = tempHome();
      const api = await standIn(home);
      const { code, hint } = await complaint(home, args, 1);
      expect(code).toBe("EMPTY_BODY");
      expect(hint).toContain("pipe");
      nothingCame(api);
    },
  );

  it("that is missing where stdin is closed is refused, not waited for", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const command = `exec "$0" "$1" send api <&-`;
    const ended = await finish(home.start("/bin/sh", ["-c", command, process.execPath, cli]));
    expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("the message is empty") });
    nothingCame(api);
  });

  it("over 1 MiB is refused with a way out, one just below it goes", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { code, message, hint } = await complaint(home, ["send", "api"], 1, { input: "x".repeat(1024 * 1024) });
    expect(code).toBe("TOO_LARGE");
    expect(message).toMatch(/is \d+ bytes, the limit is 1048576/);
    expect(hint).toContain("path");
    const big = await complaint(home, ["deliver", "api"], 1, { input: "x".repeat(1024 * 1024 + 1) });
    expect(big.code).toBe("TOO_LARGE");
    nothingCame(api);
    expect(await home.run(["send", "--note", "api"], { input: "x".repeat(1024 * 1024 - 1000) })).toMatchObject({
      code: 0,
    });
    expect(api.room("new")).toHaveLength(1);
  });

  it("that is acknowledged is also shown, even with a NUL in it", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const sent = await home.run(["send", "--note", "api"], { input: "before\u0000after" });
    if (sent.code !== 0) return nothingCame(api);
    const { json } = await api.hook("UserPromptSubmit");
    expect(json?.hookSpecificOutput?.additionalContext ?? "").toContain("before");
    expect(readdirSync(home.path(".claudemesh", "dead", "new"))).toEqual([]);
  });
});

describe("a home", () => {
  const VERBS = [["list"], ["status"], ["whoami"], ["send", "api", "hi"], ["inbox"], ["inbox", "api", "--peek"]];
  const MORE = [
    ["receipt", "x"],
    ["deliver", "api"],
    ["history", "api"],
  ];

  it.each([...VERBS, ...MORE])(
    "that others may write to is refused by `%s %s`, with the command that mends it",
    async (...args) => {
      const home = tempHome();
      const api = await standIn(home);
      letter(api.box);
      letter(box(home.path(".claudemesh"), "you"));
      for (const mode of [0o770, 0o702]) {
        chmodSync(home.path(".claudemesh"), mode);
        const before = tree(home.home);
        const { code, hint } = await complaint(home, args.filter(Boolean), 1, { input: "hi" });
        expect(code).toBe("BAD_HOME");
        expect(hint).toContain(`chmod -R go-rwx '${home.path(".claudemesh")}'`);
        expect(tree(home.home)).toEqual(before);
      }
    },
  );

  it.skipIf(!isRoot).each([...VERBS, ...MORE])("of another user is refused by `%s %s`", async (...args) => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box);
    letter(box(home.path(".claudemesh"), "you"));
    chownSync(home.path(".claudemesh"), NOBODY, NOBODY);
    const before = tree(home.home);
    const { code, message, hint } = await complaint(home, args.filter(Boolean), 1, { input: "hi" });
    expect(code).toBe("BAD_HOME");
    expect(message).toContain(`belongs to user ${NOBODY}`);
    expect(hint).toMatch(/chown|CLAUDEMESH_HOME/);
    expect(tree(home.home)).toEqual(before);
  });

  it.each(["others may write to it", "it is of another user"])("shows nothing to Claude while %s", async (why) => {
    if (why.includes("user") && !isRoot) return;
    const home = tempHome();
    const api = await standIn(home);
    const unique = letter(api.box);
    if (why.includes("user")) chownSync(home.path(".claudemesh"), NOBODY, NOBODY);
    else chmodSync(home.path(".claudemesh"), 0o777);
    for (const what of ["UserPromptSubmit", "Stop", "SessionStart"])
      expect(await api.hook(what), what).toMatchObject({ code: 0, stdout: "" });
    expect(api.room("new")).toEqual([unique]);
  });

  it("that others may read is closed to them by the next use", async () => {
    const home = tempHome();
    await standIn(home);
    chmodSync(home.path(".claudemesh"), 0o755);
    expect(await home.run(["list"])).toMatchObject({ code: 0 });
    expect(statSync(home.path(".claudemesh")).mode & 0o777).toBe(0o700);
  });

  it("that is a file is refused", async () => {
    const home = tempHome();
    writeFileSync(home.path(".claudemesh"), "mine");
    for (const verb of [["list"], ["send", "you", "hi"]]) {
      const { code, message } = await complaint(home, verb, 1);
      expect(code).toBe("BAD_HOME");
      expect(message).toContain("not a directory");
    }
    expect(readFileSync(home.path(".claudemesh"), "utf8")).toBe("mine");
  });
});

describe("a file of ours that somebody spoilt", () => {
  it.each(["", "{", "[]", '{"id":"web"}', "\u0000\u0001"])(
    "peers/*.json holding %j: named, kept, and the others go on",
    async (text) => {
      const home = tempHome();
      const api = await standIn(home);
      const web = await standIn(home, "web");
      const unique = letter(web.box);
      const file = home.path(".claudemesh", "peers", `${web.id}.json`);
      writeFileSync(file, text);
      const { code, stdout, stderr } = await home.run(["list", "--json"]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject([{ id: api.id }]);
      expect(stderr).toContain(`can't read ${file}`);
      expect(await home.run(["send", "--note", "api", "hi"])).toMatchObject({ code: 0 });
      expect((await complaint(home, ["send", "web", "hi"], 1)).code).toBe("NO_SUCH_PEER");
      expect(readFileSync(file, "utf8")).toBe(text);
      expect(web.room("new")).toEqual([unique]);
    },
  );

  it.each([
    ["{ not json", ""],
    ["[]", "object"],
    ['{"bells":["doorbell"]}', '"bells"'],
    ['{"inject":"always"}', '"inject"'],
    ['{"keep_seen_days":-1}', '"keep_seen_days"'],
    ['{"notify":"yes"}', '"notify"'],
    ['{"notfy":false}', 'no key "notfy", perhaps "notify"'],
    ['{"colour":"blue"}', 'no key "colour"'],
  ])("config.json holding %s: status names the key and prints the rest, and mail still flows", async (text, word) => {
    const home = tempHome();
    const api = await standIn(home);
    const file = home.path(".claudemesh", "config.json");
    writeFileSync(file, text);
    const status = await home.run(["status"]);
    expect(status).toMatchObject({ code: 1, stderr: "" });
    const said = /^config +(.*)$/m.exec(status.stdout)?.[1] ?? "";
    expect(said).toContain(file);
    expect(said).toContain(word);
    expect(status.stdout).toMatch(/^sessions +1$/m);
    expect(JSON.parse((await home.run(["status", "--json"])).stdout)).toMatchObject({ config: [said] });
    for (const verb of [["list"], ["send", "--note", "api", "hi"], ["inbox"]])
      expect(await home.run(verb), verb[0]).toMatchObject({ code: 0 });
    expect((await api.hook("UserPromptSubmit")).json?.systemMessage).toBe("✉ you: hi");
    expect(readFileSync(file, "utf8")).toBe(text);
  });
});

it.each([true, false])(
  "config.json that is wrong: claudemesh says so once, before claude says anything (terminal: %s)",
  async (isTerminal) => {
    const home = tempHome();
    mkdirSync(home.path(".claudemesh"), { mode: 0o700 });
    writeFileSync(home.path(".claudemesh", "config.json"), '{"injct":"never","notify":1}');
    writeFileSync(home.path("claude"), "#!/bin/sh\necho claude began\n", { mode: 0o755 });
    const env = { CLAUDEMESH_CLAUDE_BIN: home.path("claude") };
    let output = "";
    if (isTerminal) {
      const program = { file: process.execPath, args: [cli], env: { ...home.env, ...env }, cwd: home.home };
      const pty = await openPty(program, { cols: 400, rows: 30 });
      pty.onData((chunk) => {
        output += chunk.toString();
      });
      await new Promise<void>((resolve) => pty.onExit(() => resolve()));
    } else {
      const { stdout, stderr } = await home.run([], { env });
      output = stderr + stdout;
    }
    const lines = output.split(/\r?\n/).filter(Boolean);
    expect(lines).toMatchObject([
      expect.stringMatching(
        /^claudemesh: can't use .*config\.json: "notify" must be true or false; .*nobody is notified$/,
      ),
      expect.stringMatching(/^claudemesh: can't use .*config\.json: .*perhaps "inject" is meant; .*nothing is typed$/),
      "claude began",
    ]);
  },
);

describe("a program or a place that is not there", () => {
  it.each([
    ["claude on PATH", { PATH: "/nonexistent" }, "it is not on PATH"],
    ["the claude that was named", { CLAUDEMESH_CLAUDE_BIN: "/nonexistent/claude" }, "no such program"],
  ])("%s: how to get it, and nothing is made", async (_, env, words) => {
    const home = tempHome();
    for (const args of [[], ["fix it"], ["run", "list"], ["--json"]]) {
      const { code, stdout, stderr } = await home.run(args, { env });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(words);
      expect(stderr).toMatch(/\ninstall Claude Code .*CLAUDEMESH_CLAUDE_BIN/);
    }
    expect(readdirSync(home.home)).toEqual([]);
  });

  it("a transcript: missing is said, half written is read as far as it goes", async () => {
    const home = tempHome();
    const api = await standIn(home);
    for (const verb of [
      ["history", "api"],
      ["turn", "api", "1"],
      ["search", "api", "x"],
    ])
      expect((await complaint(home, verb, 1)).code, verb[0]).toBe("NO_TRANSCRIPT");
    const path = String(api.peer().transcript_path);
    mkdirSync(join(path, ".."), { recursive: true });
    const line = (type: string, content: string) =>
      JSON.stringify({
        type,
        uuid: content,
        timestamp: "2026-11-21T07:00:00Z",
        message: { id: content, role: type, content },
      });
    const text = [line("user", "first question"), line("assistant", "first answer"), line("user", "second question")];
    writeFileSync(path, `${text.join("\n")}\n{"type":"assistant","message":{"role":"assista`);
    const { code, stdout } = await home.run(["history", "api"]);
    expect(code).toBe(0);
    expect(stdout).toContain("first answer");
    expect(stdout).toContain("second question");
    expect((await complaint(home, ["turn", "api", "99"], 1)).code).toBe("NO_SUCH_TURN");
    expect((await complaint(home, ["search", "api", "/[/"], 1)).code).toBe("BAD_PATTERN");
  });

  it.each(["<1.M000001P1Q1.x@claudemesh>", "nonsense", "../../../etc/passwd", "<>", "x".repeat(5000)])(
    "a message %j: the receipt says that it is not there",
    async (id) => {
      const home = tempHome();
      await standIn(home);
      expect((await complaint(home, ["receipt", id], 1)).code).toBe("NO_SUCH_MESSAGE");
    },
  );

  it("the right to another's mail: it is looked at with --peek, and stays", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    const unique = letter(api.box);
    for (const env of [{}, web.env]) {
      const { code, hint } = await complaint(home, ["inbox", "api"], 2, { env });
      expect({ code, hint }).toEqual({ code: "USAGE", hint: "look at it with: claudemesh inbox api --peek" });
    }
    expect(api.room("new")).toEqual([unique]);
  });
});

describe("a mailbox that can't be written to", () => {
  /** The CLI as a user who may not do everything. */
  const asNobody = (home: TempHome) => (args: string[], options: RunOptions) => {
    const drop = isRoot ? `process.setgid(${NOBODY}); process.setuid(${NOBODY});` : "";
    const code = `${drop} await import(${JSON.stringify(pathToFileURL(cli).href)});`;
    return finish(home.start(process.execPath, ["--input-type=module", "-e", code, "claudemesh", ...args], options));
  };
  const own = (home: TempHome) => {
    if (!isRoot) return;
    chownSync(home.home, NOBODY, NOBODY);
    for (const path of readdirSync(home.home, { recursive: true, encoding: "utf8" }))
      if (!lstatSync(home.path(path)).isSymbolicLink()) chownSync(home.path(path), NOBODY, NOBODY);
  };

  it("is named, the others get theirs, and the sender is told which", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    chmodSync(join(api.box, "new"), 0o500);
    own(home);
    const { code, message, hint } = await complaint(home, ["send", "--note", "api,web", "hi"], 1, {}, asNobody(home));
    expect(code).toBe("FAILED");
    expect(message).toMatch(/^can't deliver to api \(EACCES/);
    expect(hint).toMatch(/^1 others? ha(s|ve) it, as <.*@claudemesh>$/);
    expect(api.room("new")).toEqual([]);
    expect(web.room("new")).toHaveLength(2);
  });

  it("alone is named, with what to do", async () => {
    const home = tempHome();
    const api = await standIn(home);
    chmodSync(join(api.box, "tmp"), 0o500);
    own(home);
    const { code, message } = await complaint(home, ["send", "--note", "api", "hi"], 1, {}, asNobody(home));
    expect(code).toBe("FAILED");
    expect(message).toMatch(/^can't deliver to api \(EACCES/);
  });

  it("because the whole home can't be: said in a sentence, with what to do", async () => {
    const home = tempHome();
    own(home);
    chmodSync(home.home, 0o500);
    const said = await complaint(home, ["send", "you", "hi"], 1, {}, asNobody(home));
    chmodSync(home.home, 0o700);
    expect(said.message).toContain(home.path(".claudemesh"));
  });
});
