// Proof that an installed plugin works: a message goes through its hook script as it would in a session, in a mesh
// home made for that and removed again. Nothing of the user's mesh is read or written.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ignore } from "../errors.ts";
import { isObject } from "../mesh/files.ts";

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
  const home = mkdtempSync(join(tmpdir(), "claudemesh-proof-"));
  try {
    return await prove(join(pluginLink, "hook"), home);
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function prove(hook: string, home: string): Promise<Proof> {
  const session = randomUUID();
  const cwd = join(home, "project");
  const mesh = join(home, "mesh");
  mkdirSync(cwd);
  mkdirSync(mesh, { mode: 0o700 });
  symlinkSync(process.execPath, join(mesh, "node"));
  const common = { session_id: session, transcript_path: "", cwd };
  const fire = (event: string, more: object) =>
    runHook(
      hook,
      event,
      { ...common, hook_event_name: event, ...more },
      {
        CLAUDEMESH_HOME: mesh,
        CLAUDE_CODE_SESSION_ID: session,
        CLAUDE_PID: String(process.pid),
        CLAUDECODE: "1",
      },
    );

  await fire("SessionStart", { source: "startup" });
  const box = join(mesh, "sessions", session);
  if (!ignore(["ENOENT"], () => statSync(join(box, "new")).isDirectory()))
    return { ok: false, detail: "the SessionStart hook ran but made no mailbox" };

  writeFileSync(join(box, "tmp", "proof"), `${TEXT}\n`, { mode: 0o600 });
  renameSync(join(box, "tmp", "proof"), join(box, "new", "proof"));
  // A file not of our naming is taken only once it has stood still for a moment, so the first prompt may miss it.
  const end = Date.now() + SHOWN_MS;
  let shown = "";
  while (!shown.includes(TEXT) && Date.now() < end) {
    shown = contextOf(await fire("UserPromptSubmit", { prompt: "x" }));
    if (!shown.includes(TEXT)) await pause(100);
  }
  if (!shown.includes(TEXT)) return { ok: false, detail: "the UserPromptSubmit hook ran but did not show the message" };
  if (!readdirSync(join(box, "cur")).some((name) => /:2,[A-Z]*S/.test(name)))
    return { ok: false, detail: "the message was shown but not marked as seen" };
  return { ok: true, detail: "a test message went through the installed hook, was shown and marked as seen" };
}

function contextOf(stdout: string): string {
  if (stdout.trim() === "") return "";
  const answer: unknown = JSON.parse(stdout);
  const specific = isObject(answer) ? answer.hookSpecificOutput : undefined;
  const context = isObject(specific) ? specific.additionalContext : undefined;
  return typeof context === "string" ? context : "";
}

/** Runs `sh <hook> <event>` and returns its stdout. Throws if it fails or does not end. */
function runHook(hook: string, event: string, payload: object, own: Record<string, string>): Promise<string> {
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
      if (code === 0) return done(out);
      const lines = err.trim().split("\n");
      // Node's own last line names only its version; what went wrong stands above the stack.
      const why = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1);
      fail(new Error(`the ${event} hook ended with ${signal ?? code}: ${why || "it said nothing"}`));
    });
  });
}
