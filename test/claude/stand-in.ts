// A session without Claude: a process of that name, the session file that claude would write for it, and the plugin's
// hooks run below it as hooks.json says, with the payloads that the real client sends (fixtures/hooks).

import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { startedAt } from "../../src/mesh/process.ts";
import type { Environment, Finished, TempHome } from "../temp-home.ts";
import { RUNNER, startsBelow } from "./below.ts";

export const pluginFolder = fileURLToPath(new URL("../../bin/plugin", import.meta.url));

type Payload = Record<string, unknown>;
const payloads = (version: string): Record<string, Payload> =>
  JSON.parse(readFileSync(new URL(`../../fixtures/hooks/${version}.json`, import.meta.url), "utf8"));

const hooksJson: { hooks: Record<string, { hooks: { command: string }[] }[]> } = JSON.parse(
  readFileSync(join(pluginFolder, "hooks", "hooks.json"), "utf8"),
);
/** What Claude Code runs for an event, to be given to `sh -c`. */
export const hookCommand = (event: string): string => hooksJson.hooks[event]?.[0]?.hooks[0]?.command ?? "false";

export type Ended = Finished & { json: HookAnswer | undefined };

export interface HookAnswer {
  decision?: string;
  systemMessage?: string;
  hookSpecificOutput?: { hookEventName: string; additionalContext?: string; watchPaths?: string[] };
}

export interface StandIn {
  readonly pid: number;
  readonly id: string;
  readonly cwd: string;
  /** The mailbox's folder. */
  readonly box: string;
  /** What hooks, shells and servers of the session see. What a home starts with it runs below the session's claude. */
  readonly env: Environment;
  sessionId: string;
  /** what the client calls the running turn */
  turn: string;
  /** Runs the plugin's hook as Claude Code does. `what` names a payload: `Stop`, `Stop again`, `SessionEnd clear`. */
  hook(
    what: string,
    fields?: Payload,
    options?: { env?: Environment; version?: string; shell?: string[] },
  ): Promise<Ended>;
  /** Runs `claudemesh hook <event>` with this very text on stdin. */
  node(event: string, stdin: string): Promise<Ended>;
  /** Rewrites the session file as claude does. */
  says(status: "idle" | "busy" | "waiting" | undefined, more?: Payload): void;
  /** The file names in a room of the mailbox. */
  room(room: "new" | "cur" | "posted" | "owed" | "handed" | "tried"): string[];
  peer(): Payload;
  end(): Promise<void>;
}

export interface StandInOptions {
  /** False: only the process and its session file are made. */
  register?: boolean;
  env?: Environment;
  /** More fields of the session file. */
  session?: Payload;
  /** The pid of the process that stands for claude, if not of a new one. */
  pid?: number;
}

/** Collects what a child says until it ends. */
export function finish(child: ChildProcess, input = ""): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        said[name] += text;
      });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, ...said }));
  });
}

const answered = (finished: Finished): Ended => ({
  ...finished,
  json: finished.stdout.trim() ? (JSON.parse(finished.stdout) as HookAnswer) : undefined,
});

/** A `node` that only notes that it was started, with what arguments and extra certificates, and fails. */
export function stubNode(home: TempHome): { env: Environment; started: () => boolean; note: string } {
  const folder = home.folder("stub");
  const note = join(folder, "started");
  writeFileSync(
    join(folder, "node"),
    `#!/bin/sh\necho "$@" "$NODE_EXTRA_CA_CERTS" >>'${note.replaceAll("'", "'\\''")}'\nexit 9\n`,
  );
  chmodSync(join(folder, "node"), 0o755);
  const env = { CLAUDEMESH_NODE: join(folder, "node"), PATH: `${folder}${delimiter}${process.env.PATH}` };
  return { env, started: () => existsSync(note), note };
}

/** Starts a process whose command line is that of a claude with these arguments, and that starts programs. Gives its pid. */
export function claudeWith(home: TempHome, args: string[]): number {
  const script = home.path("claude");
  writeFileSync(script, `#!/bin/bash\n${RUNNER.script}\n`, { mode: 0o755 });
  return starting(home.start(script, args), RUNNER.end).pid ?? 0;
}

/** The same process, which from now on starts programs below itself. */
function starting(child: ChildProcess, end?: string): ChildProcess {
  const { pid, stdin, stdout } = child;
  if (pid && stdin && stdout) child.once("exit", startsBelow(pid, stdin, stdout, end));
  return child;
}

/** Starts a process that is a claude by its name and starts programs below itself. */
export function claudeProcess(home: TempHome, cwd: string, env: Environment = {}): ChildProcess {
  return starting(home.start("/bin/bash", [], { cwd, env, argv0: "claude" }));
}

/** Starts a session in the folder `name` of the home and lets its SessionStart hook register it. */
export async function standIn(
  home: TempHome,
  name = "api",
  { register = true, env = {}, session = {}, pid: given }: StandInOptions = {},
): Promise<StandIn> {
  const cwd = home.folder(name);
  const child = given === undefined ? claudeProcess(home, cwd) : undefined;
  const pid = given ?? child?.pid ?? 0;
  const mesh = env.CLAUDEMESH_HOME ?? home.path(".claudemesh");
  const file = home.path(".claude", "sessions", `${pid}.json`);
  mkdirSync(home.path(".claude", "sessions"), { recursive: true });
  let id = "";
  const self: StandIn = {
    pid,
    cwd,
    sessionId: randomUUID(),
    turn: randomUUID(),
    get id() {
      return id;
    },
    get box() {
      return join(mesh, "inbox", id);
    },
    get env() {
      return {
        CLAUDE_PID: String(pid),
        CLAUDE_CODE_SESSION_ID: self.sessionId,
        CLAUDE_PROJECT_DIR: cwd,
        CLAUDE_PLUGIN_ROOT: pluginFolder,
        CLAUDEMESH_NODE: process.execPath,
        ...env,
      };
    },
    async hook(
      what,
      fields = {},
      { env: more = {}, version = "2.1.329", shell: [command = "", ...args] = ["/bin/sh"] } = {},
    ) {
      const event = what.split(" ")[0] ?? "";
      const recorded = payloads(version)[what] ?? {};
      const turn = "prompt_id" in recorded ? { prompt_id: self.turn } : {};
      const payload = { ...recorded, ...turn, session_id: self.sessionId, cwd, ...fields };
      const transcript = home.path(".claude", "projects", "p", `${self.sessionId}.jsonl`);
      const options = { cwd, env: { ...self.env, ...more } };
      const sh = home.start(command, [...args, "-c", hookCommand(event)], options);
      return answered(await finish(sh, JSON.stringify({ ...payload, transcript_path: transcript })));
    },
    async node(event, stdin) {
      return answered(await home.run(["hook", event], { input: stdin, env: self.env, cwd }));
    },
    says(status, more = {}) {
      const fields = { pid, procStart: startedAt(pid), sessionId: self.sessionId, version: "2.1.329", cwd };
      const state = status ? { status, statusUpdatedAt: Date.now() } : {};
      writeFileSync(file, JSON.stringify({ ...fields, ...session, ...state, ...more }));
    },
    room: (room) => (existsSync(join(self.box, room)) ? readdirSync(join(self.box, room)).sort() : []),
    peer: () => JSON.parse(readFileSync(join(mesh, "peers", `${id}.json`), "utf8")) as Payload,
    end: () =>
      new Promise((resolve) => {
        if (!child) throw new Error("the process was given: end it where it was started");
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }),
  };
  self.says("idle");
  if (register) {
    const started = await self.hook("SessionStart");
    const bell = started.json?.hookSpecificOutput?.watchPaths?.[0] ?? "";
    expect(bell, started.stderr).toMatch(/\/bell$/);
    id = basename(join(bell, ".."));
  }
  return self;
}
