// Proof that an installed plugin works: a message goes through its hook script as it would in a session, in a mesh
// home made for that and removed again. Nothing of the user's mesh is read or written.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ignore } from "../errors.ts";
import { type Check, fine, wrong } from "../mesh/checkup.ts";
import { isObject } from "../mesh/files.ts";
import { post } from "./inbox-socket.ts";

export interface Proof {
  ok: boolean;
  /** one sentence: what was seen, or what was not */
  detail: string;
}

const TEXT = "hello from the claudemesh installer";
const HOOK_MS = 10_000;
const SHOWN_MS = 5_000;

/** Plays a session's start and a prompt to the hook script of the plugin at `pluginLink`. Never throws. */
export async function proveInstall(pluginLink: string): Promise<Proof> {
  return inThrowAwayHome((home) => prove(stage(join(pluginLink, "hook"), home)));
}

/** Runs every hook of the plugin, and rings its two bells that need no client: Claude's watcher, and the hooks. */
export async function rehearse(plugin: string): Promise<Check[]> {
  const told = async (check: string, play: (stage: Stage) => Promise<Proof>): Promise<Check> => {
    const { ok, detail } = await inThrowAwayHome((home) => play(stage(join(plugin, "hook"), home)));
    return ok ? fine(check, detail) : wrong(check, detail, "npm install -g claudemesh, and run this again");
  };
  return Promise.all([told("bell hooks", prove), told("bell watcher", proveWatcher), told("every hook", proveEvents)]);
}

/** Rings the inbox bell at a socket of our own, made for that: what is posted must come out there as one frame. */
export async function rehearseInbox(): Promise<Check> {
  const { ok, detail } = await inThrowAwayHome(async (home) => {
    const path = join(home, "inbox.sock");
    const server = createServer();
    try {
      await new Promise<void>((done, failed) => server.once("error", failed).listen(path, done));
      const came = new Promise<string>((done) =>
        server.once("connection", (socket) => {
          let line = "";
          socket.setEncoding("utf8").on("data", (text) => {
            line += text;
          });
          socket.on("close", () => done(line));
        }),
      );
      await post(path, TEXT, "doctor");
      const { type, message } = JSON.parse(await came) as { type?: string; message?: { content?: string } };
      if (type === "user" && message?.content?.includes(TEXT))
        return { ok: true, detail: "a post came out of a socket of ours" };
      return { ok: false, detail: `what came out of a socket of ours is no user frame: type ${type}` };
    } finally {
      server.close();
    }
  });
  const mend = "look at the rights and the room of the folder for temporary files ($TMPDIR), and run this again";
  return ok ? fine("bell inbox", detail) : wrong("bell inbox", detail, mend);
}

async function inThrowAwayHome(play: (home: string) => Promise<Proof>): Promise<Proof> {
  const home = mkdtempSync(join(tmpdir(), "claudemesh-proof-"));
  try {
    return await play(home);
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  }
}

interface Stage {
  /** the mailbox of the session that is played */
  box: string;
  fire(event: string, more?: object): Promise<Ended>;
}

/** A mesh home for one played session: this process stands for its claude. */
function stage(hook: string, home: string): Stage {
  const session = randomUUID();
  const cwd = join(home, "project");
  const mesh = join(home, "mesh");
  mkdirSync(cwd);
  mkdirSync(mesh, { mode: 0o700 });
  symlinkSync(process.execPath, join(mesh, "node"));
  const common = { session_id: session, transcript_path: "", cwd };
  const own = {
    CLAUDEMESH_HOME: mesh,
    CLAUDE_CONFIG_DIR: join(home, "claude"),
    CLAUDE_CODE_SESSION_ID: session,
    CLAUDE_PID: String(process.pid),
    CLAUDECODE: "1",
  };
  const fire: Stage["fire"] = (event, more = {}) =>
    runHook(hook, event, { ...common, hook_event_name: event, ...more }, own);
  return { box: join(mesh, "sessions", session), fire };
}

/** Drops the test message into the mailbox, as a script does. */
function drop(box: string): void {
  writeFileSync(join(box, "tmp", "proof"), `${TEXT}\n`, { mode: 0o600 });
  renameSync(join(box, "tmp", "proof"), join(box, "new", "proof"));
}

async function prove({ box, fire }: Stage): Promise<Proof> {
  await fire("SessionStart", { source: "startup" });
  if (!ignore(["ENOENT"], () => statSync(join(box, "new")).isDirectory()))
    return { ok: false, detail: "the SessionStart hook ran but made no mailbox" };
  drop(box);
  // A file not of our naming is taken only once it has stood still for a moment, so the first prompt may miss it.
  const end = Date.now() + SHOWN_MS;
  let shown = "";
  while (!shown.includes(TEXT) && Date.now() < end) {
    shown = contextOf((await fire("UserPromptSubmit", { prompt: "x" })).stdout);
    if (!shown.includes(TEXT)) await pause(100);
  }
  if (!shown.includes(TEXT)) return { ok: false, detail: "the UserPromptSubmit hook ran but did not show the message" };
  // The turn goes on to its end: only that says that what was shown is in the conversation.
  await fire("Stop");
  if (!readdirSync(join(box, "cur")).some((name) => /:2,[A-Z]*S/.test(name)))
    return { ok: false, detail: "the message was shown but not marked as seen at the end of the turn" };
  return { ok: true, detail: "a test message went through the installed hook, was shown and marked as seen" };
}

/** What Claude Code's watcher would set off: the hook that wakes an idle session must end with 2 and say whose mail waits. */
async function proveWatcher({ box, fire }: Stage): Promise<Proof> {
  const started = await fire("SessionStart", { source: "startup" });
  if (!started.stdout.includes('"watchPaths"')) return { ok: false, detail: "SessionStart names no file to watch" };
  drop(box);
  const end = Date.now() + SHOWN_MS;
  for (;;) {
    const { code, stderr } = await fire("FileChanged", { file_path: join(realpathSync(box), "bell") });
    if (code === 2 && stderr.includes("mail from")) break;
    if (Date.now() > end) return { ok: false, detail: `FileChanged ended with ${code} and did not wake` };
    await pause(100);
  }
  return { ok: true, detail: "FileChanged, run by hand, wakes: it ends with 2 and says whose mail waits" };
}

/** Every other event there is, with nothing waiting: each must end well. */
async function proveEvents({ fire }: Stage): Promise<Proof> {
  const events = ["SessionStart", "CwdChanged", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse"];
  events.push("Stop", "FileChanged", "SessionEnd");
  for (const event of events) {
    const { code, stderr } = await fire(event, { source: "startup", prompt: "x", reason: "other" });
    if (code !== 0) return { ok: false, detail: `the ${event} hook ended with ${code}: ${stderr}` };
  }
  return { ok: true, detail: `${events.join(", ")} end well` };
}

function contextOf(stdout: string): string {
  if (stdout.trim() === "") return "";
  const answer: unknown = JSON.parse(stdout);
  const specific = isObject(answer) ? answer.hookSpecificOutput : undefined;
  const context = isObject(specific) ? specific.additionalContext : undefined;
  return typeof context === "string" ? context : "";
}

interface Ended {
  /** 0, or 2 where it wakes */
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `sh <hook> <event>`. Throws if it fails or does not end. */
function runHook(hook: string, event: string, payload: object, own: Record<string, string>): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^CLAUDE/.test(name));
  const child = spawn("sh", [hook, event], {
    env: { ...Object.fromEntries(inherited), ...own },
    timeout: HOOK_MS,
    killSignal: "SIGKILL",
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  // A hook may end without reading what it is told.
  child.stdin.on("error", () => {}).end(JSON.stringify(payload));
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code, signal) => {
      if (code === 0 || code === 2) return done({ code, stdout: out, stderr: err });
      const lines = err.trim().split("\n");
      // Node's own last line names only its version; what went wrong stands above the stack.
      const why = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1);
      fail(new Error(`the ${event} hook ended with ${signal ?? code}: ${why || "it said nothing"}`));
    });
  });
}
