// Who a process is to others: the nearest claude above it decides, and what it has inherited does not.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { ownClaude, ownSelf } from "../../src/claude/own-peer.ts";
import { countSend, FLOOD } from "../../src/mesh/brakes.ts";
import { parse } from "../../src/mesh/message.ts";
import { box, letter } from "../mesh/temp-mesh.ts";
import { cli, type Environment, type TempHome, tempHome, until } from "../temp-home.ts";
import { claudeServer } from "./server.ts";
import { claudeProcess, finish, hookCommand, pluginFolder, type StandIn, standIn } from "./stand-in.ts";

/** The senders of what is in new/ of a session, oldest first. */
const senders = (self: StandIn) =>
  self.room("new").map((name) => parse(readFileSync(join(self.box, "new", name), "utf8"), name).from);
const node = [process.execPath, cli];

/** Runs a shell script below the session's claude, as its Bash tool does. */
const bash = (home: TempHome, self: StandIn, script: string, env: Environment = {}) =>
  finish(home.start("/bin/bash", ["-c", script, ...node], { env: { ...self.env, ...env }, cwd: self.cwd }));

/** `claudemesh` in such a script. */
const mesh = '"$0" "$1"';
const prompt = JSON.stringify({ hook_event_name: "UserPromptSubmit", prompt: "hello" });
const snapshot = (self: StandIn) => JSON.stringify(self.peer());

describe("a session's variables, set by somebody who is not below it", () => {
  it("make nobody that session: not who sends, nor asks, nor reads, nor answers, nor a hook", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    const forged = { env: api.env, apart: true };
    const question = `<${letter(api.box, { kind: "question" })}@claudemesh>`;
    const before = snapshot(api);

    expect((await home.run(["send", "web", "as api"], forged)).code).toBe(0);
    expect(senders(web)).toEqual([{ id: "shell", name: "a shell, detached from api", host: expect.any(String) }]);
    expect((await home.run(["ask", "web", "as api?", "--timeout", "1s"], forged)).code).toBe(75);
    expect(senders(web).at(-1)).toMatchObject({ id: "shell" });
    for (const args of [["inbox"], ["reply", question, "8080"], ["whoami"]]) {
      const ended = await home.run(args, forged);
      expect(ended, String(args)).toMatchObject({ code: 1, stdout: "" });
      expect(ended.stderr).toContain("this is a shell, detached from api");
    }
    for (const event of ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "FileChanged", "SessionEnd"])
      expect(await home.run(["hook", event], { ...forged, input: prompt }), event).toMatchObject({
        code: 0,
        stdout: "",
      });
    expect(api.room("new")).toHaveLength(1);
    expect(api.room("cur")).toEqual([]);
    expect(snapshot(api)).toBe(before);
    // To look is everybody's.
    expect((await home.run(["inbox", "api", "--peek"], forged)).stdout).toContain(question);
  });

  it("show, mark and note nothing by the plugin's script either", async () => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box);
    const state = join(api.box, "state");
    writeFileSync(state, "idle\n");
    const since = statSync(state).mtimeMs;
    for (const event of ["UserPromptSubmit", "PostToolUse", "Stop", "PermissionRequest"]) {
      const sh = home.start("/bin/sh", ["-c", hookCommand(event)], { env: api.env, apart: true });
      expect(await finish(sh, prompt), event).toMatchObject({ code: 0, stdout: "", stderr: "" });
    }
    expect(api.room("new")).toHaveLength(1);
    expect([readFileSync(state, "utf8"), statSync(state).mtimeMs]).toEqual(["idle\n", since]);
  });

  it("lend a mail server to nobody", async () => {
    const home = tempHome();
    const boss = await standIn(home, "boss");
    const waiting = letter(boss.box);
    const worker = await claudeServer(home, "worker", { ...boss.env, CLAUDE_PROJECT_DIR: home.path("worker") });
    const me = JSON.parse((await worker.call("whoami")).text);
    expect(me).toMatchObject({ name: "worker", pid: worker.pid });
    expect(me.id).not.toBe(boss.id);
    expect((await worker.call("read_inbox")).text).toBe("No mail waits.");
    await worker.call("send_message", { to: "you", body: "hello" });
    const you = box(home.path(".claudemesh"), "you");
    const [sent = ""] = readdirSync(join(you, "new"));
    expect(parse(readFileSync(join(you, "new", sent), "utf8"), sent).from).toMatchObject({ id: me.id });
    const file = home.path(".claudemesh", "peers", `${me.id}.json`);
    await until(() => JSON.parse(readFileSync(file, "utf8")).mcp, "the server to attend");
    expect(boss.peer()).not.toHaveProperty("mcp");
    expect(boss.peer().session_id).toBe(boss.sessionId);
    expect(readdirSync(home.path(".claudemesh", "sessions"))).toContain(boss.sessionId);
    expect(boss.room("new")).toEqual([waiting]);
  });
});

describe("below a session", () => {
  it("its shell is the session, however deep, whatever else is between", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    for (const env of [{}, { CLAUDE_PID: "", CLAUDE_CODE_SESSION_ID: "" }]) {
      const script = `exec env ${Object.keys(env)
        .map((name) => `-u ${name}`)
        .join(" ")} sh -c '${mesh} send web "from below"; true' "$@"`;
      expect((await bash(home, api, `set -- "$0" "$1"; ${script}`)).code).toBe(0);
    }
    expect(senders(web).map((from) => from?.id)).toEqual([api.id]);
  });

  it("a program whose title ends like a path to claude is none, and one whose path has a space is", async () => {
    const home = tempHome();
    const [api, web] = [await standIn(home), await standIn(home, "web")];
    const titled = (title: string) =>
      bash(home, api, `(exec -a '${title}' bash -c '${mesh} send web x; :' "$0" "$1"); true`);
    await titled("npm exec vitest run test/claude");
    expect(senders(web).at(-1)).toMatchObject({ id: api.id });
    const spaced = join(home.folder("my programs"), "claude");
    symlinkSync("/bin/bash", spaced);
    await titled(spaced);
    expect(senders(web).at(-1)).toMatchObject({ id: "shell", name: "a shell, in a claude that is not on the mesh" });
  });

  it("a claude that is a full session, as in tmux, is itself: listed, with its own name and mail", async () => {
    const home = tempHome();
    const boss = await standIn(home, "boss");
    const waiting = letter(boss.box);
    const inherited = { ...boss.env, CLAUDE_CODE_CHILD_SESSION: "1" };
    const claude = claudeProcess(home, home.folder("worker"), { ...inherited, CLAUDE_PID: "" });
    const worker = await standIn(home, "worker", { pid: claude.pid ?? 0, register: false });
    await worker.hook("SessionStart");
    const rows = JSON.parse((await home.run(["list", "--json"])).stdout);
    expect(rows.map((row: { name: string }) => row.name).sort()).toEqual(["boss", "worker"]);
    expect((await worker.hook("UserPromptSubmit")).stdout).toBe("");
    expect(boss.room("new")).toEqual([waiting]);
  });

  it("a claude that its Bash runs is none of it: silent hooks, no tools, no name of the session's", async () => {
    const home = tempHome();
    const boss = await standIn(home, "boss");
    const web = await standIn(home, "web");
    const waiting = letter(boss.box);
    const before = snapshot(boss);
    const child = (script: string, env: Environment = {}) => {
      writeFileSync(join(boss.cwd, "child.sh"), script);
      return bash(home, boss, 'set -- "$0" "$1"; (exec -a claude bash ./child.sh "$@"); true', {
        CLAUDE_CODE_CHILD_SESSION: "1",
        ...env,
      });
    };
    const hook = `printf '%s' '${prompt}' | sh '${pluginFolder}/hook' UserPromptSubmit; true`;
    expect(await child(hook)).toMatchObject({ code: 0, stdout: "" });
    const calls = ["whoami", "read_inbox"].map((name, id) => ({
      ...{ jsonrpc: "2.0", id: id + 2, method: "tools/call", params: { name, arguments: {} } },
    }));
    const hello = {
      ...{ jsonrpc: "2.0", id: 1, method: "initialize" },
      params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } },
    };
    writeFileSync(join(boss.cwd, "calls"), [hello, ...calls].map((call) => `${JSON.stringify(call)}\n`).join(""));
    const said = await child(
      `(cat calls; while ! grep -q '"id":3' said; do sleep 0.05; done) | sh '${pluginFolder}/mcp' >said; cat said`,
    );
    expect(said.stdout).not.toContain(boss.id);
    expect(said.stdout.match(/this claude runs inside another's Bash/g)).toHaveLength(2);
    await child('"$1" "$2" send web "from the child"; "$1" "$2" inbox; true');
    expect(senders(web)).toMatchObject([{ id: "shell", name: "a shell, in a claude that is not on the mesh" }]);
    expect(boss.room("new")).toEqual([waiting]);
    expect(snapshot(boss)).toBe(before);
  });

  it("another agent's hooks are not the session's: nothing shown, nothing marked, nothing changed", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const waiting = letter(api.box);
    const before = snapshot(api);
    const input = JSON.stringify({ session_id: "codex-1", cwd: api.cwd, prompt: "hi" });
    for (const event of ["SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"]) {
      writeFileSync(join(api.cwd, "h"), `printf '%s' '${input}' | sh '${pluginFolder}/hook' ${event}\nexit 0`);
      for (const start of ["(exec -a codex bash ./h)", "bash ./h", "(exec -a codex bash -c '. ./h')"])
        expect(await bash(home, api, `${start}; true`), `${event} by ${start}`).toMatchObject({ code: 0, stdout: "" });
    }
    expect(api.room("new")).toEqual([waiting]);
    expect(snapshot(api)).toBe(before);
    expect(existsSync(join(api.box, "state"))).toBe(false);
  });

  it.each([
    ["a shell of the client's", `bash -c "$H"; true`],
    ["a login shell of the client's", `bash -lc "$H"; true`],
    ["what the user has the client start commands by", `printf 'eval "$1"\\n' >p; sh ./p "$H"; true`],
    ["timeout", `timeout 20 sh '${pluginFolder}/hook' UserPromptSubmit; true`],
  ])("a hook is the session's under %s", async (_, script) => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box, { body: "for api" });
    const H = hookCommand("UserPromptSubmit");
    const ended = finish(
      home.start("/bin/bash", ["-c", script], { env: { ...api.env, H }, cwd: api.cwd }),
      JSON.stringify({ session_id: api.sessionId, prompt: "x" }),
    );
    expect((await ended).stdout).toContain("for api");
  });

  it("only a supervisor above its claude is its supervisor, and not that of another claude", async () => {
    const home = tempHome();
    const other = home.start("sleep", ["600"]);
    const api = await standIn(home, "api", { env: { CLAUDEMESH_SUPERVISOR: String(other.pid) } });
    expect(api.peer()).not.toHaveProperty("supervisor");
    const web = await standIn(home, "web", { env: { CLAUDEMESH_SUPERVISOR: String(process.pid) } });
    expect(web.peer().supervisor).toBe(process.pid);
  });
});

describe("a shell that a session has started and that is no longer below it", () => {
  const detached = async (script: string, env: Environment = {}) => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    mkdirSync(home.path("x"));
    await bash(home, api, script, { CLAUDECODE: "1", OUT: home.path("out"), ...env });
    await until(() => senders(web).length, "the letter");
    return { home, api, web, from: senders(web)[0] };
  };
  const bare = "env -u CLAUDE_PID -u CLAUDE_CODE_SESSION_ID";

  it.each([
    ["all of its variables", `setsid -f ${mesh} send web x`, {}],
    [
      "the socket's name alone",
      `CLAUDE_CODE_MESSAGING_SOCKET=/tmp/cc-socks/$CLAUDE_PID.sock setsid -f ${bare} ${mesh} send web x`,
      {},
    ],
    [
      "the id of who launched it",
      `CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS=$CLAUDE_CODE_SESSION_ID setsid -f ${bare} ${mesh} send web x`,
      {},
    ],
    [
      "nothing but the leader of its process group",
      `exec setsid bash -c '(env -i HOME="$HOME" PATH="$PATH" sh -c "(sleep 0.3; \\"\\$0\\" \\"\\$1\\" send web x) &" "$0" "$1"); sleep 2; true' "$0" "$1"`,
      {},
    ],
  ])("says that it is detached from that session, by %s", async (_, script, env) => {
    const { from } = await detached(script, env);
    expect(from).toMatchObject({ id: "shell", name: "a shell, detached from api" });
  });

  it("says so without a name where no more is known, and is the user only where nothing tells", async () => {
    expect((await detached(`setsid -f ${bare} ${mesh} send web x`)).from).toMatchObject({
      id: "shell",
      name: "a shell, detached from a Claude session",
    });
    const clean = `setsid -f env -i HOME="$HOME" PATH="$PATH" ${mesh} send web x`;
    expect((await detached(clean)).from).toMatchObject({ id: "you" });
  });

  it("is braked as a model is, and its answers go to the user", async () => {
    const { home, api, web } = await detached(`setsid -f ${mesh} send web "n 0"`);
    // As after a flood of letters of its own: one less than the most.
    vi.stubEnv("CLAUDEMESH_HOME", home.path(".claudemesh"));
    onTestFinished(() => void vi.unstubAllEnvs());
    const turn = { hops: undefined, shown: 0 };
    for (let i = 2; i < FLOOD; i++)
      countSend({ from: "shell", to: [web.id], unique: `1.M000001P1Q${i}.x`, what: `n ${i}`, turn });
    const loop = `setsid -f sh -c 'for i in 1 2 3; do ${mesh} send web "n $i" >>"$OUT" 2>&1; done; echo end >>"$OUT"' "$0" "$1"`;
    await bash(home, api, loop, { CLAUDECODE: "1", OUT: home.path("out") });
    await until(() => readFileSync(home.path("out"), "utf8").endsWith("end\n"), "the loop to end", 60_000);
    expect(web.room("new")).toHaveLength(2);
    expect(readFileSync(home.path("out"), "utf8")).toContain("end the turn: your user has been told");
    const [first = ""] = web.room("new");
    const done = await home.run(["reply", `<${first}@claudemesh>`, "the result"], { env: web.env });
    expect(done, done.stderr).toMatchObject({ code: 0 });
    expect((await home.run(["inbox"])).stdout).toContain("the result");
    expect(existsSync(home.path(".claudemesh", "inbox", "shell"))).toBe(false);
  });

  it("asks and is answered", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    const asking = home.run(["ask", "web", "which port?"], { env: api.env, apart: true });
    const [name = ""] = await until(() => web.room("new").length > 0 && web.room("new"), "the question");
    await home.run(["reply", `<${name}@claudemesh>`, "8080"], { env: web.env });
    expect(await asking).toMatchObject({ code: 0, stdout: "8080\n" });
  });
});

it("with no claude above it a process is the user, and nobody's hook", () => {
  expect(ownSelf()).toEqual({});
  expect(ownClaude()).toEqual({ why: "no claude runs above this process" });
});
