// The stand-in against a plugin that records what it is given: every story of claudemesh that runs without an account
// rests on these shapes. They are those of Claude Code 2.1.329.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { until } from "../temp-home.ts";
import { type Json, jsonLines, post, recorder, startFake } from "./fake-session.ts";

describe("the stand-in for claude", () => {
  it("tells its hooks and its server who they belong to", async () => {
    const session = await startFake();
    const [first] = await until(
      () => session.hooks("SessionStart").length && session.hooks("SessionStart"),
      "SessionStart",
    );
    const file = session.file();
    const id = file?.sessionId as string;
    const transcript = session.home.path(
      ".claude",
      "projects",
      session.project.replace(/[^a-zA-Z0-9]/g, "-"),
      `${id}.jsonl`,
    );
    expect(first?.input).toEqual({
      session_id: id,
      transcript_path: transcript,
      cwd: session.project,
      hook_event_name: "SessionStart",
      source: "startup",
      model: "claude-opus-5-5",
    });
    expect(first?.group, "a process group of its own").not.toBe(session.terminal.pid);
    expect(first?.cwd).toBe(session.project);
    expect(first?.env).toMatchObject({
      CLAUDE_PID: String(session.terminal.pid),
      CLAUDE_CODE_SESSION_ID: id,
      CLAUDECODE: "1",
      CLAUDE_CODE_CHILD_SESSION: "1",
      CLAUDE_PROJECT_DIR: session.project,
      CLAUDE_CODE_ENTRYPOINT: "cli",
      CLAUDE_CODE_MESSAGING_SOCKET: file?.messagingSocketPath,
      CLAUDE_PLUGIN_ROOT: recorder,
    });
    const [server] = session.server();
    expect(server).toMatchObject({ parent: session.terminal.pid, cwd: session.project });
    expect(server?.env).toMatchObject({
      CLAUDE_CODE_SESSION_ID: id,
      CLAUDE_CODE_MESSAGING_SOCKET: file?.messagingSocketPath,
      FROM_MANIFEST: "yes",
    });
    expect(server?.env).not.toHaveProperty("CLAUDE_PID");
    expect(server?.env).not.toHaveProperty("CLAUDE_CODE_CHILD_SESSION");
    const stat = `/proc/${session.terminal.pid}/stat`;
    const started = existsSync(stat) ? readFileSync(stat, "utf8").split(") ")[1]?.split(" ")[19] : "";
    expect(file).toMatchObject({
      pid: session.terminal.pid,
      cwd: session.project,
      procStart: started,
      version: "2.1.329",
      kind: "interactive",
      entrypoint: "cli",
      nameSource: "derived",
      status: "idle",
    });
  });

  it("shows the model a typed prompt and what the hooks add, and the user what they say", async () => {
    const session = await startFake();
    session.reply("UserPromptSubmit", { additionalContext: "the build is red" }, { systemMessage: "✉ one letter" });
    session.prompt("go on");
    await until(() => session.hooks("Stop").length === 1, "Stop");
    await session.status("idle");
    const prompt = session.hooks("UserPromptSubmit")[0]?.input;
    expect(prompt).toMatchObject({ prompt: "go on", permission_mode: "default", hook_event_name: "UserPromptSubmit" });
    expect(session.hooks("Stop")[0]?.input).toEqual({
      session_id: prompt?.session_id,
      transcript_path: prompt?.transcript_path,
      cwd: session.project,
      prompt_id: prompt?.prompt_id,
      permission_mode: "default",
      effort: { level: "medium" },
      hook_event_name: "Stop",
      stop_hook_active: false,
      last_assistant_message: "heard 2",
      background_tasks: [],
      session_crons: [],
    });
    expect(session.shown()).toContain("UserPromptSubmit hook additional context: the build is red");
    await until(() => session.screen().includes("● heard 2"), "the reply on the screen");
    expect(session.screen()).toMatch(/❯ go on[\s\S]*⎿ {2}UserPromptSubmit says: ✉ one letter[\s\S]*● heard 2/);
    const lines = jsonLines<Json>(prompt?.transcript_path as string);
    const spoken = lines
      .filter((line) => line.type === "user" || line.type === "assistant")
      .map((line) => line.message as Json);
    expect(spoken.map((message) => [message.role, message.content])).toEqual([
      ["user", "go on"],
      ["assistant", [{ type: "text", text: "heard 2" }]],
    ]);
  });

  it("starts no turn for a prompt that a hook blocks", async () => {
    const session = await startFake();
    session.reply("UserPromptSubmit", {}, { decision: "block", reason: "seen before" });
    session.prompt("once more");
    await until(() => session.screen().includes("seen before"), "the reason");
    await session.status("idle");
    expect(session.hooks("Stop")).toEqual([]);
    expect(session.shown()).not.toContain("once more");
  });

  it("shows between two tool calls what was posted meanwhile", async () => {
    const session = await startFake();
    session.reply("PreToolUse", { permissionDecision: "allow" });
    session.reply("PostToolUse", { additionalContext: "by the way" });
    const go = join(session.record, "go");
    session.prompt(`wait ${go}\ntool mcp__plugin_recorder_echo__echo {"a":1}`);
    await session.status("busy");
    await until(() => session.hooks("UserPromptSubmit").length === 1, "the prompt's hook");
    await post(session.socket(), "posted meanwhile");
    writeFileSync(go, "");
    await until(() => session.hooks("Stop").length === 1, "Stop");
    const [before] = session.hooks("PreToolUse");
    const [after] = session.hooks("PostToolUse");
    expect(before?.input).toMatchObject({
      tool_name: "mcp__plugin_recorder_echo__echo",
      tool_input: { a: 1 },
      effort: { level: "medium" },
    });
    expect(after?.input).toMatchObject({
      tool_use_id: before?.input.tool_use_id,
      tool_response: [{ type: "text", text: 'echo: {"a":1}' }],
      duration_ms: expect.any(Number),
    });
    expect(session.hooks("UserPromptSubmit").map((hook) => hook.input.prompt)).toContain("posted meanwhile");
    const shown = session.shown().join("\n");
    expect(shown).toContain("PostToolUse:mcp__plugin_recorder_echo__echo hook additional context: by the way");
    expect(shown).toContain("Another Claude session sent a message:\nposted meanwhile");
    expect(session.server().find(({ method }) => method === "tools/call")?.params).toMatchObject({
      name: "echo",
      _meta: { "claudecode/toolUseId": before?.input.tool_use_id },
    });
  });

  it("lets a Stop hook go on eight times and no more", async () => {
    const session = await startFake();
    session.reply("Stop", { additionalContext: "one more thing" });
    session.prompt("begin");
    await until(() => session.screen().includes("kept the turn open 8 times"), "the end of the chain");
    await session.status("idle");
    const active = session.hooks("Stop").map((hook) => hook.input.stop_hook_active);
    expect(active).toEqual([false, ...Array.from({ length: 8 }, () => true)]);
    expect(session.shown().filter((text) => text === "Stop hook additional context: one more thing")).toHaveLength(8);
  });

  it("is woken by a watched file, and forgets it after a cd unless a hook names it again", async () => {
    const session = await startFake({
      prepare(home, record) {
        const specific = { hookEventName: "SessionStart", watchPaths: [home.path("record", "bell")] };
        writeFileSync(join(record, "SessionStart.json"), JSON.stringify({ hookSpecificOutput: specific }));
        writeFileSync(join(record, "FileChanged.stderr"), "you have mail\n");
      },
    });
    const bell = join(session.record, "bell");
    await until(() => session.hooks("SessionStart").length === 1, "SessionStart");
    writeFileSync(bell, "1");
    await until(() => session.hooks("Stop").length === 1, "a turn");
    expect(session.hooks("FileChanged")[0]?.input).toMatchObject({ file_path: bell, event: "add" });
    const prompt = session.hooks("UserPromptSubmit")[0]?.input.prompt;
    expect(prompt).toMatch(/^<task-notification>\n<summary>Stop hook feedback/);
    expect(prompt).toContain('Stop hook blocking error from command "FileChanged": you have mail\n');
    expect(session.hooks("Stop")[0]?.input.stop_hook_active).toBe(true);
    expect(session.screen()).toContain("● Stop hook feedback");

    mkdirSync(join(session.project, "sub"));
    session.reply("CwdChanged", { watchPaths: [bell] });
    session.prompt('tool Bash {"command":"cd sub"}');
    await until(() => session.hooks("CwdChanged").length === 1 && session.hooks("Stop").length === 2, "CwdChanged");
    expect(session.hooks("CwdChanged")[0]?.input).toMatchObject({
      old_cwd: session.project,
      new_cwd: join(session.project, "sub"),
    });
    await session.status("idle");
    writeFileSync(bell, "2");
    await until(() => session.hooks("FileChanged").length === 2, "the second bell");
    await until(() => session.hooks("Stop").length === 3, "the second turn");

    const other = join(session.record, "other");
    session.reply("CwdChanged", { watchPaths: [other] });
    session.prompt('tool Bash {"command":"cd .."}');
    await until(() => session.hooks("Stop").length === 4, "the way back");
    await session.status("idle");
    writeFileSync(bell, "3");
    writeFileSync(other, "1");
    await until(() => session.hooks("Stop").length === 5, "the turn of the other file");
    expect(session.hooks("FileChanged").map((hook) => hook.input.file_path)).toEqual([bell, bell, other]);
  });

  it("starts a turn for a post to its inbox socket, and keeps a half-typed draft", async () => {
    const session = await startFake();
    session.terminal.write("half typed");
    await until(() => session.screen().includes("half typed"), "the draft");
    const body = '<cross-session-message from-name="web">\nfirst line\nsecond line\n</cross-session-message>';
    await post(session.socket(), body);
    await until(() => session.hooks("Stop").length === 1, "a turn");
    expect(session.hooks("UserPromptSubmit")[0]?.input.prompt).toBe(body);
    await until(
      () => session.screen().includes("› Message from @web: first line (ctrl+o to expand)"),
      "the user's view",
    );
    expect(session.screen()).toMatch(/❯.half typed/);
  });

  it("asks before a tool that nothing allows, and Esc ends the turn without a hook", async () => {
    const session = await startFake();
    session.prompt('tool Bash {"command":"touch made"}');
    await session.status("waiting");
    expect(session.file()?.waitingFor).toBe("permission prompt");
    await until(() => session.hooks("PermissionRequest").length === 1, "PermissionRequest");
    await until(() => session.screen().includes("Do you want to proceed?"), "the dialog");
    session.terminal.paste("ignored");
    await post(session.socket(), "later");
    session.terminal.key("escape");
    await until(() => session.hooks("Stop").length === 1, "the turn of the post");
    expect(session.screen()).toContain("Interrupted");
    expect(session.hooks("UserPromptSubmit").map((hook) => hook.input.prompt)).toEqual([
      'tool Bash {"command":"touch made"}',
      "later",
    ]);
    expect(existsSync(join(session.project, "made"))).toBe(false);
    session.prompt('tool Bash {"command":"touch made"}');
    await session.status("waiting");
    session.terminal.key("enter");
    await until(() => existsSync(join(session.project, "made")), "the file");
  });
});
