import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { CONTEXT_LIMIT, framedNames } from "../../src/claude/prompt.ts";
import { isRunning } from "../../src/mesh/process.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { tempHome, until } from "../temp-home.ts";
import { finish, hookCommand, pluginFolder, type StandIn, standIn } from "./stand-in.ts";

const claude = fileURLToPath(new URL("claude.mjs", import.meta.url));
const silent = { code: 0, stdout: "", stderr: "" };
const context = (ended: Awaited<ReturnType<StandIn["hook"]>>) =>
  ended.json?.hookSpecificOutput?.additionalContext ?? "";
const seen = (unique: string) => `${unique}:2,S`;
const collectedAs = (unique: string) => `${unique}:2,`;
/** The text that the ringer posts into the session for letters that lie in `room` of its mailbox. */
const frameOf = (unique: string, body = "rerun the migration check") =>
  `claudemesh mail: task from web (a8d0m2kq), just now, id <${unique}@claudemesh>\n~~~\n${body}\n~~~\nNo reply is needed.`;

/** Notes, as the ringer does, that a letter is on its way through the client. */
function posted(session: StandIn, unique: string): void {
  mkdirSync(join(session.box, "posted"), { recursive: true });
  writeFileSync(join(session.box, "posted", unique), "");
}

/** Takes a letter into cur/ as a bell does that is about to show it. */
async function collected(session: StandIn, fields = {}): Promise<string> {
  const { collect } = await import("../../src/mesh/maildir.ts");
  const unique = letter(session.box, fields);
  expect(collect(session.box, unique)).toBe(true);
  return unique;
}

describe("SessionStart", () => {
  it.each(["2.1.197", "2.1.329"])(
    "of %s registers the session, arms the watcher and tells the primer",
    async (version) => {
      const home = tempHome();
      const api = await standIn(home, "api", { register: false });
      const { code, json, stderr } = await api.hook("SessionStart", {}, { version });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const [bell] = json?.hookSpecificOutput?.watchPaths ?? [];
      expect(readFileSync(bell ?? "", "utf8")).toMatch(/^\d+\n$/);
      const id = basename(join(bell ?? "", ".."));
      const peer = JSON.parse(readFileSync(home.path(".claudemesh", "peers", `${id}.json`), "utf8"));
      expect(peer).toMatchObject({ id, name: "api", cwd: api.cwd, pid: api.pid, session_id: api.sessionId });
      expect(peer).toMatchObject({
        client: "2.1.329",
        claude_session_file: expect.stringContaining(`${api.pid}.json`),
      });
      expect(json?.hookSpecificOutput?.hookEventName).toBe("SessionStart");
      expect(json?.hookSpecificOutput?.additionalContext).toContain(`This session is api (${id}) on claudemesh.`);
      expect(readdirSync(home.path(".claudemesh", "sessions"))).toEqual([api.sessionId]);
    },
  );

  it("leaves waiting mail where it is: what it says is read only with the first prompt", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box);
    expect(context(await api.hook("SessionStart"))).not.toContain("rerun");
    expect(api.room("new")).toEqual([unique]);
  });

  it("after a compaction arms the watcher again and does not repeat the primer", async () => {
    const api = await standIn(tempHome());
    const { json } = await api.hook("SessionStart compact");
    expect(json?.hookSpecificOutput).toEqual({ hookEventName: "SessionStart", watchPaths: [join(api.box, "bell")] });
  });

  it("after /clear keeps id and mailbox under the new session id", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const unique = letter(api.box);
    const old = api.sessionId;
    expect(await api.hook("SessionEnd clear")).toMatchObject(silent);
    expect(api.peer()).not.toHaveProperty("left_at");
    api.sessionId = "11111111-0000-4000-8000-000000000001";
    const { json } = await api.hook("SessionStart clear");
    expect(json?.hookSpecificOutput?.watchPaths).toEqual([join(api.box, "bell")]);
    expect(api.peer()).toMatchObject({ session_id: api.sessionId, previous_sessions: [old], pid: api.pid });
    expect(readdirSync(home.path(".claudemesh", "sessions"))).toEqual([api.sessionId]);
    expect(framedNames(context(await api.hook("UserPromptSubmit")))).toEqual([unique]);
  });

  it("finds claude above it where the client does not tell its pid, and does not register a spare", async () => {
    const home = tempHome();
    const run = (env = {}) =>
      finish(
        home.start(process.execPath, [claude, "/bin/sh", "-c", hookCommand("SessionStart")], {
          env: { CLAUDE_PLUGIN_ROOT: pluginFolder, CLAUDEMESH_NODE: process.execPath, ...env },
        }),
        JSON.stringify({ hook_event_name: "SessionStart", session_id: "s1", cwd: home.home, source: "startup" }),
      );
    expect(await run({ CLAUDE_STAND_IN: '{"kind":"bg-spare"}' })).toMatchObject(silent);
    const before = home.path(".claudemesh", "peers");
    expect((await run()).stdout).toContain("watchPaths");
    expect(readdirSync(before)).toHaveLength(1);
  });
});

describe("UserPromptSubmit", () => {
  it("hands over all that waits, oldest first, says it to the user, and has it marked by the next hook of the turn", async () => {
    const api = await standIn(tempHome());
    const all = [
      letter(api.box, { body: "first" }),
      letter(api.box, { body: "second", kind: "note" }),
      letter(api.box, { body: "third", kind: "question" }),
    ];
    const ended = await api.hook("UserPromptSubmit");
    expect(ended.json?.hookSpecificOutput?.hookEventName).toBe("UserPromptSubmit");
    expect(framedNames(context(ended))).toEqual(all);
    expect(ended.json?.systemMessage).toBe("✉ web: first\n✉ web: second\n✉ web: third");
    expect(ended.json?.decision).toBeUndefined();
    expect(api.room("new")).toEqual([]);
    expect(api.room("cur")).toEqual(all.map(collectedAs));
    expect(api.room("handed")).toEqual(all);
    expect(await api.hook("PostToolUse")).toMatchObject(silent);
    expect(api.room("cur")).toEqual(all.map(seen));
    expect([api.room("handed"), api.room("owed")]).toEqual([[], [all[2]]]);
    expect(await api.hook("UserPromptSubmit")).toMatchObject(silent);
  });

  it("puts back what nobody read", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const unique = letter(api.box, { body: "x".repeat(7000) });
    const sh = home.start("/bin/sh", ["-c", hookCommand("UserPromptSubmit")], { env: api.env, cwd: api.cwd });
    sh.stdout?.destroy();
    await finish(sh, JSON.stringify({ hook_event_name: "UserPromptSubmit", session_id: api.sessionId, prompt: "hi" }));
    expect([api.room("new"), api.room("cur"), api.room("handed")]).toEqual([[unique], [], []]);
  });

  it("keeps below what the client reads whole, and leaves the rest in new/ for the next hook", async () => {
    const api = await standIn(tempHome());
    const all = Array.from({ length: 4 }, (_, i) => letter(api.box, { body: `${i} ${"x".repeat(3500)}` }));
    const first = context(await api.hook("UserPromptSubmit"));
    expect(first.length).toBeLessThanOrEqual(CONTEXT_LIMIT);
    expect(framedNames(first)).toEqual(all.slice(0, 2));
    expect(api.room("new")).toEqual(all.slice(2));
    expect(framedNames(context(await api.hook("Stop")))).toEqual(all.slice(2));
  });

  it("is not held up for ever by one letter full of tildes", async () => {
    const api = await standIn(tempHome());
    const all = [letter(api.box, { body: "~".repeat(6000) }), letter(api.box, { body: "behind it" })];
    for (let turn = 0; turn < 2; turn++) {
      await api.hook("UserPromptSubmit");
      await api.hook("Stop");
    }
    expect(api.room("cur")).toEqual(all.map(seen));
  });

  it("names the file of a letter that is too long to be shown, and the file is there before and after it is marked", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box, { body: `begin ${"x".repeat(20_000)} end` });
    const path = / is the file (\S+)\]/.exec(context(await api.hook("UserPromptSubmit")))?.[1] ?? "";
    expect(readFileSync(path, "utf8")).toContain("x end");
    await api.hook("Stop");
    expect(api.room("cur")).toEqual([seen(unique)]);
    expect(readFileSync(path, "utf8")).toContain("x end");
  });

  it("confirms a letter that stands in the prompt, tells the user, and does not say it twice", async () => {
    const api = await standIn(tempHome());
    const unique = await collected(api);
    posted(api, unique);
    const ended = await api.hook("UserPromptSubmit", { prompt: frameOf(unique) });
    expect(ended.json).toEqual({ systemMessage: "✉ web: rerun the migration check" });
    expect([api.room("cur"), api.room("posted"), api.room("handed")]).toEqual([[collectedAs(unique)], [], [unique]]);
    await api.hook("Stop");
    expect([api.room("cur"), api.room("handed")]).toEqual([[seen(unique)], []]);
  });

  it("confirms a letter that had been put back meanwhile, and does not say it twice", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box);
    const other = letter(api.box, { body: "something else" });
    posted(api, unique);
    const ended = await api.hook("UserPromptSubmit", { prompt: frameOf(unique) });
    expect(framedNames(context(ended))).toEqual([other]);
    expect(ended.json?.systemMessage).toBe("✉ web: rerun the migration check\n✉ web: something else");
    expect(api.room("new")).toEqual([]);
    await api.hook("Stop");
    expect(api.room("cur")).toEqual([unique, other].map(seen));
  });

  it("blocks a prompt of mail that has gone another way meanwhile, and takes nothing else for it", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box);
    expect(context(await api.hook("UserPromptSubmit"))).not.toBe("");
    await api.hook("Stop");
    posted(api, unique);
    const other = letter(api.box, { body: "came later" });
    const ended = await api.hook("UserPromptSubmit", { prompt: frameOf(unique) });
    expect(ended).toMatchObject({ code: 0, json: { decision: "block", reason: expect.stringContaining("already") } });
    expect(api.room("new")).toEqual([other]);
  });

  it("never blocks a user who quotes a letter, known or unknown", async () => {
    const api = await standIn(tempHome());
    const known = letter(api.box);
    await api.hook("UserPromptSubmit");
    await api.hook("Stop");
    for (const prompt of [
      `look at this:\n${frameOf(known)}\nwhat did web want?`,
      `${frameOf(known)}\n\nwhat did web want?`,
      frameOf("1.M000001P1Q1.elsewhere"),
    ]) {
      const { code, json } = await api.node("UserPromptSubmit", JSON.stringify({ session_id: api.sessionId, prompt }));
      expect({ code, decision: json?.decision, context: json?.hookSpecificOutput }, prompt).toEqual({ code: 0 });
    }
  });

  it("is not told by a prompt that quotes a letter's first line that the letter was shown", async () => {
    const api = await standIn(tempHome());
    const unique = await collected(api);
    posted(api, unique);
    for (const prompt of [
      frameOf(unique).split("\n")[0] ?? "",
      frameOf(unique, "something else"),
      frameOf(unique, "rerun"),
    ]) {
      await api.hook("UserPromptSubmit", { prompt });
      await api.hook("Stop");
      expect(api.room("cur"), prompt).toEqual([collectedAs(unique)]);
    }
  });

  it("works in a shell that is told to be strict, and to leave globs and files alone", async () => {
    const api = await standIn(tempHome());
    const env = { SHELLOPTS: "errexit:nounset:noglob:noclobber", e: "statusline" };
    const shell = ["bash", "--posix"];
    const unique = letter(api.box);
    const ended = await api.hook("UserPromptSubmit", {}, { env, shell });
    expect({ names: framedNames(context(ended)), code: ended.code, stderr: ended.stderr }).toEqual({
      names: [unique],
      code: 0,
      stderr: "",
    });
    expect(await api.hook("PostToolUse", {}, { env, shell })).toMatchObject(silent);
    expect(api.room("cur")).toEqual([seen(unique)]);
  });

  const woken = { prompt: "claudemesh: mail from web (1 message); the text is attached." };
  it.each([["UserPromptSubmit", woken] as const, ["UserPromptSubmit woken", {}] as const])(
    "blocks the notice of mail that has been read meanwhile (%s)",
    async (what, fields) => {
      const api = await standIn(tempHome());
      letter(api.box, { kind: "question" });
      expect((await api.hook("FileChanged", { file_path: join(api.box, "bell") })).code).toBe(2);
      await api.hook("PostToolUse");
      expect(api.room("new")).toEqual([]);
      expect((await api.hook(what, fields, { version: "2.1.197" })).json).toMatchObject({ decision: "block" });
    },
  );

  it("keeps a sender's later letter back while an earlier one is on its way through the client", async () => {
    const api = await standIn(tempHome());
    const first = await collected(api);
    posted(api, first);
    const second = letter(api.box, { body: "the second" });
    const other = letter(api.box, { body: "of another", from: { name: "db", id: "d8d0m2kq", host: "laptop" } });
    const ended = await api.hook("UserPromptSubmit", { prompt: "what the user types meanwhile" });
    expect(framedNames(context(ended))).toEqual([other]);
    expect(api.room("new")).toEqual([second]);
    // Another turn: what came with the prompt before, of which no hook and no transcript has told, comes with this one.
    const late = await api.hook("UserPromptSubmit", { prompt: frameOf(first), prompt_id: "another" });
    expect(framedNames(context(late))).toEqual([second, other]);
    expect(api.room("handed")).toEqual([first, second, other]);
  });

  it("has with it what the supervisor takes back because this prompt came first", async () => {
    const api = await standIn(tempHome(), "api", { env: { CLAUDEMESH_SUPERVISOR: String(process.pid) } });
    const { putBack } = await import("../../src/mesh/maildir.ts");
    const held = await collected(api);
    posted(api, held);
    const later = letter(api.box, { body: "the second" });
    const ended = api.hook("UserPromptSubmit", { prompt: "what the session was started with" });
    // Time enough for a hook that does not wait to be over.
    await Promise.race([ended, pause(300)]);
    rmSync(join(api.box, "posted", held));
    putBack(api.box, held);
    expect(framedNames(context(await ended))).toEqual([held, later]);
    expect(api.room("handed")).toEqual([held, later]);
  });

  it("waits for a start's hook that has not yet fetched the mail that waited under the name", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { makeMailbox } = await import("../../src/mesh/maildir.ts");
    // As it is between the peer file, which makes the session known, and the link, which says that it has joined.
    rmSync(home.path(".claudemesh", "sessions", api.sessionId));
    makeMailbox(home.path(".claudemesh", "inbox", "@api"));
    const unique = letter(home.path(".claudemesh", "inbox", "@api"));
    expect(framedNames(context(await api.hook("UserPromptSubmit")))).toEqual([unique]);
  });

  it("attaches to the watcher's notice what the supervisor holds for a notice of its own, oldest first", async () => {
    const api = await standIn(tempHome());
    const held = await collected(api);
    mkdirSync(join(api.box, "posted"), { recursive: true });
    writeFileSync(join(api.box, "posted", "notice"), `${held}\n`);
    const later = letter(api.box, { body: "the second" });
    expect((await api.hook("FileChanged", { file_path: join(api.box, "bell") })).code).toBe(2);
    expect(framedNames(context(await api.hook("UserPromptSubmit woken", {}, { version: "2.1.197" })))).toEqual([
      held,
      later,
    ]);
    expect(api.room("handed")).toEqual([held, later]);
    expect(api.room("posted")).toEqual([]);
  });

  it("names for a long letter held for a notice the file that is there once it has been shown", async () => {
    const api = await standIn(tempHome());
    letter(api.box, { body: `begin ${"0123456789 ".repeat(2000)}end` });
    vi.stubEnv("CLAUDEMESH_HOME", join(api.box, "..", ".."));
    const { take } = await import("../../src/mesh/receive.ts");
    const [{ unique: held } = { unique: "" }] = take(api.id, () => true);
    vi.unstubAllEnvs();
    mkdirSync(join(api.box, "posted"), { recursive: true });
    writeFileSync(join(api.box, "posted", "notice"), `${held}\n`);
    const said = context(
      await api.hook("UserPromptSubmit", { prompt: "claudemesh: mail from web (1 message); it is attached." }),
    );
    const [, file = ""] = /the whole text is the file (\S+)\]/.exec(said) ?? [];
    expect(readFileSync(file, "utf8")).toContain("0123456789 end");
  });

  it("attaches the mail to the notice of it", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box);
    expect(framedNames(context(await api.hook("UserPromptSubmit woken")))).toEqual([unique]);
  });

  it("takes a file dropped by hand a moment ago, and never a link", async () => {
    const home = tempHome();
    const api = await standIn(home);
    writeFileSync(home.path("secret"), "the secret");
    const { symlinkSync } = await import("node:fs");
    symlinkSync(home.path("secret"), join(api.box, "new", "link"));
    writeFileSync(join(api.box, "new", "note.txt"), "deploy finished\n");
    const said = context(await api.hook("UserPromptSubmit"));
    expect(said).toContain("from a file, put there by hand");
    expect(said).toContain("\ndeploy finished\n");
    expect(said).not.toContain("secret");
    expect(api.room("new")).toEqual([]);
  });
});

describe("Stop", () => {
  it("continues the turn with all but low mail, without an error and without a line to the user", async () => {
    const api = await standIn(tempHome());
    const low = letter(api.box, { kind: "note", body: "low" });
    const task = letter(api.box, { body: "a task" });
    const ended = await api.hook("Stop");
    expect(ended.code).toBe(0);
    expect(Object.keys(ended.json ?? {})).toEqual(["hookSpecificOutput"]);
    expect(ended.json?.hookSpecificOutput?.hookEventName).toBe("Stop");
    expect(framedNames(context(ended))).toEqual([task]);
    expect(api.room("new")).toEqual([low]);
    expect(readFileSync(join(api.box, "state"), "utf8")).toBe("busy\n");
    expect(api.room("cur")).toEqual([collectedAs(task)]);
    await api.hook("Stop again");
    expect(api.room("cur")).toEqual([seen(task)]);
  });

  it("in a turn that it has continued already leaves the mail and rings the bell", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box);
    const bell = join(api.box, "bell");
    writeFileSync(bell, "");
    expect(await api.hook("Stop again")).toMatchObject(silent);
    expect(api.room("new")).toEqual([unique]);
    expect(readFileSync(bell, "utf8")).not.toBe("");
  });

  it("does not ring for low mail alone", async () => {
    const api = await standIn(tempHome());
    letter(api.box, { kind: "note" });
    writeFileSync(join(api.box, "bell"), "");
    expect(await api.hook("Stop again")).toMatchObject(silent);
    expect(await api.hook("Stop")).toMatchObject(silent);
    expect(readFileSync(join(api.box, "bell"), "utf8")).toBe("");
    expect(api.room("new")).toHaveLength(1);
  });
});

describe("PostToolUse", () => {
  it("hands over what is urgent, and nothing else", async () => {
    const api = await standIn(tempHome());
    const task = letter(api.box, { body: "can wait" });
    const urgent = letter(api.box, { body: "stop that", priority: "now" });
    const question = letter(api.box, { body: "which port?", kind: "question" });
    const patient = letter(api.box, { body: "some time, which port?", kind: "question", priority: "low" });
    const ended = await api.hook("PostToolUse");
    expect(framedNames(context(ended))).toEqual([urgent, question]);
    expect(ended.json?.hookSpecificOutput?.hookEventName).toBe("PostToolUse");
    expect(api.room("new")).toEqual([task, patient]);
  });

  it("finds urgency in headers of another program's making", async () => {
    const api = await standIn(tempHome());
    const { drop } = await import("../mesh/temp-mesh.ts");
    drop(api.box, "1.M000001P1Q1.x", "x-mesh-priority:now\r\nsubject: a\r\n\r\nhurry\r\n");
    drop(api.box, "1.M000002P1Q1.x", JSON.stringify({ body: "hurry too", priority: "now" }));
    drop(api.box, "1.M000003P1Q1.x", "Subject: b\nX-Mesh-Priority:\tnow\n\nand this\n");
    expect(framedNames(context(await api.hook("PostToolUse")))).toHaveLength(3);
  });

  it("finds urgency in a folded header and without any other mail", async () => {
    const api = await standIn(tempHome());
    const { drop } = await import("../mesh/temp-mesh.ts");
    drop(api.box, "1.M000001P1Q1.x", "Subject: a\nX-Mesh-Priority:\n now\n\nhurry\n");
    expect(framedNames(context(await api.hook("PostToolUse")))).toHaveLength(1);
  });

  it("says nothing in a subagent, which would swallow it", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box, { priority: "now" });
    expect(await api.hook("PostToolUse in a subagent")).toMatchObject(silent);
    expect(api.room("new")).toEqual([unique]);
  });

  it("is not held up by a pipe that lies in new/", async () => {
    const home = tempHome();
    const api = await standIn(home);
    expect((await finish(home.start("mkfifo", [join(api.box, "new", "pipe")]))).code).toBe(0);
    let ended = false;
    const hook = api.hook("PostToolUse").then(() => {
      ended = true;
    });
    try {
      await until(() => ended, "the hook to end", 5000);
    } finally {
      // Lets a hook that waits for the pipe go.
      if (!ended) writeFileSync(join(api.box, "new", "pipe"), "x");
      await hook;
    }
  });
});

describe("FileChanged", () => {
  const changed = (api: StandIn, file = join(api.box, "bell")) => api.hook("FileChanged", { file_path: file });

  it("wakes an idle session for mail above low, with one line that names the sender", async () => {
    const api = await standIn(tempHome());
    const unique = letter(api.box);
    const ended = await changed(api);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toBe("claudemesh: mail from web (1 message); the text is attached.\n");
    expect(api.room("new")).toEqual([unique]);
  });

  it("lets an empty mailbox, low mail and another file's change pass", async () => {
    const api = await standIn(tempHome());
    expect(await changed(api)).toMatchObject(silent);
    letter(api.box, { kind: "note" });
    expect(await changed(api)).toMatchObject(silent);
    letter(api.box);
    expect(await changed(api, join(api.cwd, ".env"))).toMatchObject(silent);
    expect((await changed(api)).code).toBe(2);
  });

  it("never speaks to a session that is busy or asks its user", async () => {
    const api = await standIn(tempHome());
    letter(api.box, { priority: "now" });
    for (const status of ["busy", "waiting"] as const) {
      api.says(status);
      expect(await changed(api), status).toMatchObject(silent);
    }
    api.says("idle");
    expect((await changed(api)).code).toBe(2);
  });

  it("goes by the hooks' own state where the client writes no status", async () => {
    const api = await standIn(tempHome());
    letter(api.box);
    api.says(undefined, { version: "2.1.116" });
    writeFileSync(join(api.box, "state"), "busy\n");
    expect(await changed(api)).toMatchObject(silent);
    writeFileSync(join(api.box, "state"), "idle\n");
    expect((await changed(api)).code).toBe(2);
  });

  it("leaves it to a supervisor, which is quicker, unless that comes to nothing", async () => {
    const api = await standIn(tempHome(), "api", { env: { CLAUDEMESH_SUPERVISOR: String(process.pid) } });
    const unique = letter(api.box);
    const ended = changed(api);
    // Time enough for a hook that does not wait to have spoken.
    await Promise.race([ended, pause(500)]);
    renameSync(join(api.box, "new", unique), join(api.box, "cur", `${unique}:2,S`));
    expect(await ended).toMatchObject(silent);
    letter(api.box);
    expect((await changed(api)).code).toBe(2);
  });

  it("stays silent where that bell is switched off", async () => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box);
    writeFileSync(home.path(".claudemesh", "config.json"), '{"bells":["hooks"]}');
    expect(await changed(api)).toMatchObject(silent);
  });
});

describe("CwdChanged, PermissionRequest and SessionEnd", () => {
  it("arm the watcher again after a cd", async () => {
    const api = await standIn(tempHome());
    const { json } = await api.hook("CwdChanged");
    expect(json).toEqual({
      hookSpecificOutput: { hookEventName: "CwdChanged", watchPaths: [join(api.box, "bell")] },
    });
  });

  it("note that the session asks its user, and answer nothing", async () => {
    const api = await standIn(tempHome());
    letter(api.box, { priority: "now" });
    expect(await api.hook("PermissionRequest")).toMatchObject(silent);
    expect(readFileSync(join(api.box, "state"), "utf8")).toBe("asking\n");
  });

  it("leave the mesh at the end, keep the mail, and give it back to who resumes the session", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const unique = letter(api.box);
    expect(await api.hook("SessionEnd exit")).toMatchObject(silent);
    expect(api.peer()).toMatchObject({ left_at: expect.any(String) });
    expect(readdirSync(home.path(".claudemesh", "sessions"))).toEqual([]);
    expect(api.room("new")).toEqual([unique]);
    await api.end();

    const again = await standIn(home, "api", { register: false });
    again.sessionId = api.sessionId;
    const { json } = await again.hook("SessionStart");
    expect(json?.hookSpecificOutput?.watchPaths).toEqual([join(api.box, "bell")]);
    expect(framedNames(context(await again.hook("UserPromptSubmit")))).toEqual([unique]);
    expect(isRunning(api.pid)).toBe(false);
  });
});

describe("every hook fails open", () => {
  const lines = (home: ReturnType<typeof tempHome>) =>
    readFileSync(home.path(".claudemesh", "log"), "utf8").split("\n").slice(0, -1);

  it.each([
    ["nothing", ""],
    ["half an object", '{"session_id":"x","prompt":"hel'],
    ["another program's words", "usage: claude"],
    ["bytes", "\u0000\u0001\u0002�"],
  ])("for %s on stdin: exit 0, nothing said, one line in the log", async (_, stdin) => {
    const home = tempHome();
    const api = await standIn(home);
    const unique = letter(api.box);
    const before = lines(home).length;
    for (const event of ["UserPromptSubmit", "Stop", "FileChanged"])
      expect(await api.node(event, stdin), event).toMatchObject(silent);
    const added = lines(home).slice(before);
    expect(added).toHaveLength(3);
    for (const line of added) expect(line).toMatch(/ hook-error (UserPromptSubmit|Stop|FileChanged) /);
    expect(api.room("new")).toEqual([unique]);
  });

  it.each(["{}", "[]", "null", "7", '"x"', '{"session_id":null,"prompt":null}'])("for %s: exit 0", async (stdin) => {
    const home = tempHome();
    const api = await standIn(home);
    for (const event of ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "CwdChanged", "NoSuchEvent", ""])
      expect((await api.node(event, stdin)).code, event).toBe(0);
    expect(api.peer()).toMatchObject({ id: api.id, session_id: api.sessionId, pid: api.pid });
  });

  it("for fields of the wrong type: exit 0, nothing said, and the session stays on the mesh", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const odd = { session_id: 5, prompt: { a: 1 }, cwd: 7, transcript_path: [], agent_id: "", file_path: 1 };
    for (const event of ["UserPromptSubmit", "Stop", "FileChanged", "SessionStart", "CwdChanged"])
      expect((await api.node(event, JSON.stringify(odd))).code, event).toBe(0);
    const listed = JSON.parse((await home.run(["list", "--json"])).stdout);
    expect(listed).toMatchObject([{ id: api.id, name: "api" }]);
    const unique = letter(api.box);
    expect(framedNames(context(await api.hook("UserPromptSubmit")))).toEqual([unique]);
  });

  it.each([{ session_id: 5 }, { transcript_path: [1] }, { cwd: 7 }, { prompt: { a: 1 } }, { source: 3 }])(
    "for %j alone of the wrong type: the peer file stays whole",
    async (odd) => {
      const home = tempHome();
      const api = await standIn(home, "api", { env: { CLAUDE_PROJECT_DIR: "" } });
      const input = JSON.stringify({ session_id: api.sessionId, cwd: api.cwd, source: "startup", ...odd });
      for (const event of ["SessionStart", "UserPromptSubmit"]) expect((await api.node(event, input)).code).toBe(0);
      const { stdout, stderr } = await home.run(["list", "--json"]);
      expect({ stderr, listed: JSON.parse(stdout) }).toMatchObject({
        stderr: "",
        listed: [{ id: api.id, cwd: api.cwd }],
      });
    },
  );

  it("in a home that it can't use: exit 0, nothing said, nothing taken", async () => {
    const home = tempHome();
    writeFileSync(home.path(".claudemesh"), "a file");
    const api = await standIn(home, "api", { register: false });
    for (const what of ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "SessionEnd exit"])
      expect(await api.hook(what), what).toMatchObject(silent);
  });

  it("with a config.json that can't be read: mail still goes in", async () => {
    const home = tempHome();
    const api = await standIn(home);
    writeFileSync(home.path(".claudemesh", "config.json"), "{ not json");
    const unique = letter(api.box);
    expect(framedNames(context(await api.hook("Stop")))).toEqual([unique]);
  });
});

describe("several hooks at once", () => {
  it("hand out every letter once", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const said: string[] = [];
    const all: string[] = [];
    for (let round = 0; round < 3; round++) {
      all.push(...Array.from({ length: 30 }, (_, i) => letter(api.box, { body: `${round} ${i}`, priority: "now" })));
      const hooks = ["UserPromptSubmit", "PostToolUse", "Stop", "PostToolUse"].map((event) => ({
        event,
        child: home.start("/bin/sh", ["-c", hookCommand(event)], { env: api.env, cwd: api.cwd }),
      }));
      // Each of them waits for its input, while two others of its kind begin and end; then all get it at once.
      for (let i = 0; i < 2; i++) await home.run(["list"]);
      const ends = hooks.map(({ event, child }) =>
        finish(
          child,
          JSON.stringify({ hook_event_name: event, session_id: api.sessionId, prompt_id: api.turn, prompt: "hi" }),
        ),
      );
      for (const { stdout } of await Promise.all(ends))
        if (stdout) said.push(...framedNames(JSON.parse(stdout).hookSpecificOutput.additionalContext));
    }
    // What did not fit, or what a hook left to another that was quicker.
    for (let more = 0; more < 6 && api.room("new").length; more++)
      said.push(...framedNames(context(await api.hook("Stop"))));
    expect(said.sort()).toEqual(all);
    expect(api.room("cur").map((name) => name.replace(/:2,S?$/, ""))).toEqual(all);
  });
});
