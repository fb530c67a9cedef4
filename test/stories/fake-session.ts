// One stand-in session in a PTY and a home of its own, with the recorder plugin: what its hooks, its server and its
// model were given can be read back.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { kill, leftOf } from "../real/processes.ts";
import { openTerminal, type Terminal } from "../real/terminal.ts";
import { type TempHome, tempHome, until } from "../temp-home.ts";

export const fakeClaude = fileURLToPath(new URL("../../fixtures/fake-claude.mjs", import.meta.url));
export const recorder = fileURLToPath(new URL("../../fixtures/fake-claude/recorder", import.meta.url));

export type Json = Record<string, unknown>;

export interface Recorded {
  event: string;
  input: Json;
  env: Record<string, string>;
  cwd: string;
  pid: number;
  group: number;
}

/** What the recorder's server noted: its start, each request, its signal. */
export interface ServerNote {
  env: Record<string, string>;
  cwd: string;
  parent: number;
  method?: string;
  params?: Json;
  signal?: string;
}

export interface FakeSession {
  home: TempHome;
  terminal: Terminal;
  record: string;
  project: string;
  /** Its session file now; undefined if there is none. */
  file(): Json | undefined;
  socket(): string;
  screen(): string;
  /** Every text that the model was shown. */
  shown(): string[];
  hooks(event: string): Recorded[];
  server(): ServerNote[];
  /** What the recorder's hook answers to this event from now on. */
  reply(event: string, specific: Json, rest?: Json): void;
  status(status: string): Promise<unknown>;
  prompt(text: string): void;
}

/** The JSON lines of a file; what a writer has not ended yet is left out. */
export const jsonLines = <T>(path: string): T[] => {
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
  return lines.filter(Boolean).map((line) => JSON.parse(line) as T);
};

export interface Start {
  /** Instead of `--plugin-dir` with the recorder. */
  args?: string[];
  prepare?: (home: TempHome, record: string) => void;
}

/** Starts a session for the running test and waits for its prompt box, and with the recorder for its server. */
export async function startFake({ args, prepare }: Start = {}): Promise<FakeSession> {
  const home = tempHome();
  const record = home.folder("record");
  const project = home.folder("dev", "my_project");
  prepare?.(home, record);
  const own = {
    RECORD_DIR: record,
    FAKE_CLAUDE_SCRIPT: join(recorder, "script.mjs"),
    FAKE_CLAUDE_LOG: join(record, "log"),
  };
  const terminal = openTerminal({
    command: fakeClaude,
    args: args ?? ["--plugin-dir", recorder],
    cwd: project,
    env: { ...home.env, ...own },
    cols: 100,
    rows: 30,
  });
  onTestFinished(async () => {
    kill(terminal.pid, "SIGTERM");
    await terminal.exit;
    const left = () => leftOf(`RECORD_DIR=${record}`);
    await until(() => left().length === 0, "every process to be gone").catch((error) => {
      for (const { pid } of left()) kill(pid, "SIGKILL");
      throw error;
    });
  });
  const session: FakeSession = {
    home,
    terminal,
    record,
    project,
    file() {
      const path = home.path(".claude", "sessions", `${terminal.pid}.json`);
      return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8") || "{}") as Json) : undefined;
    },
    socket: () => session.file()?.messagingSocketPath as string,
    screen: () => terminal.rows().join("\n"),
    shown: () => jsonLines<{ text: string }>(join(record, "log")).map(({ text }) => text),
    hooks: (event) => jsonLines<Recorded>(join(record, "hooks")).filter((hook) => hook.event === event),
    server: () => jsonLines<ServerNote>(join(record, "mcp")),
    reply(event, specific, rest = {}) {
      const answer = { hookSpecificOutput: { hookEventName: event, ...specific }, ...rest };
      writeFileSync(join(record, `${event}.json`), JSON.stringify(answer));
    },
    status: (status) => until(() => session.file()?.status === status, `status ${status}`),
    prompt(text) {
      terminal.paste(text);
      terminal.key("enter");
    },
  };
  await until(() => session.screen().includes("❯"), "the prompt box");
  if (!args) await until(() => session.shown().includes("## plugin:recorder:echo\nEchoes."), "the MCP server");
  return session;
}

/** Posts one frame to an inbox socket. */
export function post(path: string, content: string): Promise<void> {
  const line = JSON.stringify({ type: "user", message: { role: "user", content } });
  return new Promise((resolve, reject) => {
    connect(path)
      .on("error", reject)
      .on("close", () => resolve())
      .end(`${line}\n`);
  });
}
