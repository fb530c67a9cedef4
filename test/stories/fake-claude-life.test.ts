// The stand-in from its start to its end: session ids, settings, plugins, `-p`, what the default script answers.

import { cpSync, existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isRunning, kill } from "../real/processes.ts";
import type { Terminal } from "../real/terminal.ts";
import { tempHome, until } from "../temp-home.ts";
import { fakeClaude, type Json, jsonLines, type Recorded, recorder, startFake } from "./fake-session.ts";

describe("a session of the stand-in", () => {
  it("prints the version of the client it stands for", async () => {
    const home = tempHome();
    const child = home.start(fakeClaude, ["--version"]);
    let out = "";
    child.stdout?.on("data", (data) => (out += data));
    await until(() => child.exitCode !== null, "its end");
    expect(out).toBe("2.1.329 (Claude Code)\n");
  });

  it("changes its session id at /clear and takes one up again with --resume", async () => {
    const session = await startFake();
    const old = session.file()?.sessionId;
    session.prompt("hello");
    await until(() => session.hooks("Stop").length === 1, "a turn");
    await session.status("idle");
    session.prompt("/clear");
    await until(() => session.hooks("SessionStart").length === 2, "the second start");
    const fresh = session.file()?.sessionId;
    expect(fresh).not.toBe(old);
    expect(session.hooks("SessionEnd")[0]?.input).toMatchObject({ session_id: old, reason: "clear" });
    expect(session.hooks("SessionStart")[1]?.input).toMatchObject({ session_id: fresh, source: "clear" });
    expect(session.hooks("SessionStart")[1]?.env.CLAUDE_CODE_SESSION_ID).toBe(fresh);
    session.prompt(`/resume ${old}`);
    await until(() => session.hooks("SessionStart").length === 3, "the third start");
    expect(session.hooks("SessionStart")[2]?.input).toMatchObject({ session_id: old, source: "resume" });
    expect(session.hooks("SessionEnd")[1]?.input).toMatchObject({ session_id: fresh, reason: "resume" });
  });

  const ends: [string, string, number, (terminal: Terminal) => void][] = [
    ["/exit", "prompt_input_exit", 0, (terminal) => terminal.write("/exit\r")],
    ["Ctrl-C twice", "prompt_input_exit", 0, (terminal) => terminal.write("\x03\x03")],
    ["SIGTERM", "other", 143, (terminal) => kill(terminal.pid, "SIGTERM")],
    ["SIGHUP", "other", 129, (terminal) => kill(terminal.pid, "SIGHUP")],
  ];
  it.each(ends)(
    "ends at %s with SessionEnd(%s) and status %i, and leaves nothing behind",
    async (_how, reason, code, end) => {
      const session = await startFake();
      const socket = session.socket();
      end(session.terminal);
      expect((await session.terminal.exit).code).toBe(code);
      expect(session.hooks("SessionEnd").map((hook) => hook.input.reason)).toEqual([reason]);
      expect(session.hooks("SessionEnd")[0]?.env).not.toHaveProperty("CLAUDE_CODE_MESSAGING_SOCKET");
      expect(session.file()).toBeUndefined();
      expect(existsSync(socket)).toBe(false);
      await until(() => session.server().at(-1)?.signal === "SIGINT", "the server's end");
      expect(isRunning(session.terminal.pid)).toBe(false);
    },
  );

  it("runs the status line of --settings, and again every refreshInterval seconds", async () => {
    const settings = JSON.stringify({
      statusLine: {
        type: "command",
        command: "cat >>$RECORD_DIR/line; echo >>$RECORD_DIR/line; echo a badge",
        refreshInterval: 1,
      },
    });
    const session = await startFake({ args: ["--settings", settings, "--name", "front"] });
    await until(() => session.screen().includes("a badge"), "the badge");
    await until(() => jsonLines(join(session.record, "line")).length >= 3, "three runs");
    expect(jsonLines(join(session.record, "line"))[0]).toMatchObject({
      session_id: session.file()?.sessionId,
      cwd: session.project,
      session_name: "front",
      workspace: { current_dir: session.project, project_dir: session.project, added_dirs: [] },
      version: "2.1.329",
    });
    expect(session.file()).toMatchObject({ name: "front", nameSource: "user" });
  });

  it("loads a plugin that is linked into skills/, unless the flag gives one of that name", async () => {
    const linked = await startFake({
      args: [],
      prepare(home) {
        symlinkSync(recorder, join(home.folder(".claude", "skills"), "recorder"));
      },
    });
    await until(() => linked.hooks("SessionStart").length === 1, "the linked plugin");
    const both = await startFake({
      prepare(home) {
        cpSync(recorder, join(home.folder(".claude", "skills"), "recorder"), { recursive: true });
      },
    });
    await until(() => both.hooks("SessionStart").length > 0, "the plugin of the flag");
    both.prompt("go");
    await until(() => both.hooks("Stop").length > 0, "a turn");
    expect(both.hooks("SessionStart").map((hook) => hook.env.CLAUDE_PLUGIN_ROOT)).toEqual([recorder]);
  });

  it("prints the answer to -p and runs the same hooks", async () => {
    const home = tempHome();
    const record = home.folder("record");
    writeFileSync(home.path("notes.md"), "one\ntwo\n");
    const child = home.start(fakeClaude, ["--plugin-dir", recorder, "-p", "count the lines of notes.md"], {
      env: { RECORD_DIR: record },
    });
    let out = "";
    child.stdout?.on("data", (data) => (out += data));
    await until(() => child.exitCode !== null, "its end");
    expect(out).toBe("notes.md has 2 lines\n");
    expect(child.exitCode).toBe(0);
    const events = jsonLines<Recorded>(join(record, "hooks")).map(({ event }) => event);
    expect(events).toEqual(["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd"]);
  });

  it("answers a task once, and an answer never", async () => {
    const { turn } = (await import(new URL("../../fixtures/fake-claude/model.mjs", import.meta.url).href)) as {
      turn: (io: Json) => Promise<void>;
    };
    const letter = (kind: string, body: string, last: string) =>
      `claudemesh mail: ${kind} from web (a8d0m2kq), just now, id <1.M2P3Q4.laptop@claudemesh>\n~~~\n${body}\n~~~\n${last}`;
    const task = letter(
      "task",
      "count the lines of a.md",
      'The result is expected: mcp__x__send_message {"to":"a8d0m2kq","kind":"answer","body":"<the result>"}',
    );
    const play = async (text: string) => {
      const calls: [string, Json][] = [];
      const said: string[] = [];
      const callTool = async (name: string, input: Json) => {
        calls.push([name, input]);
        return { text: "one\ntwo\nthree\n", isError: false };
      };
      await turn({ shown: [text], callTool, say: (words: string) => said.push(words), name: "api", tools: [] });
      return { calls, said };
    };
    expect(await play(task)).toEqual({
      calls: [
        ["Read", { file_path: "a.md" }],
        ["mcp__x__send_message", { to: "a8d0m2kq", kind: "answer", body: "a.md has 3 lines" }],
      ],
      said: ["a.md has 3 lines. I have sent that to web."],
    });
    expect((await play(`UserPromptSubmit hook additional context: ${task}`)).calls).toHaveLength(2);
    const answer = letter("answer", "count the lines of a.md", "No reply is needed.");
    expect(await play(answer)).toEqual({ calls: [], said: ["Thanks, noted: count the lines of a.md"] });
  });
});
