// The mail server as Claude Code runs it: `claudemesh mcp` as a child of a process that stands for claude, with the MCP
// library's own client at the other end of the pipe.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { onTestFinished } from "vitest";
import { cli, type Environment, type TempHome, until } from "../temp-home.ts";
import { RUNNER, startsBelow } from "./below.ts";

const claude = fileURLToPath(new URL("claude.mjs", import.meta.url));

export interface Server {
  readonly client: Client;
  /** The stand-in claude's. */
  readonly pid: number;
  readonly sessionId: string;
  /** Calls a tool: its text, and whether it is an error. */
  call(name: string, args?: Record<string, unknown>): Promise<{ text: string; isError: boolean }>;
  /** Resolves when the client sees that the server has gone. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a claude in the folder `name` of the home with the mail server as its child, and connects. `flags` stand on
 * the claude's command line, too.
 */
export async function claudeServer(
  home: TempHome,
  name: string,
  env: Environment = {},
  flags: string[] = [],
): Promise<Server> {
  const sessionId = randomUUID();
  const socket = home.path(`${sessionId.slice(0, 8)}.sock`);
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [claude, process.execPath, cli, "mcp", ...flags],
    cwd: home.folder(name),
    env: {
      ...home.env,
      CLAUDE_STAND_IN: JSON.stringify({ sessionId }),
      CLAUDE_STAND_IN_RUNNER: JSON.stringify([socket, RUNNER.script]),
      CLAUDE_CODE_SESSION_ID: sessionId,
      ...env,
    },
    stderr: "pipe",
  });
  const client = new Client({ name: "test", version: "1" });
  const closed = new Promise<void>((resolve) => {
    client.onclose = resolve;
  });
  onTestFinished(() => client.close());
  await client.connect(transport);
  await until(() => existsSync(socket), "the stand-in to listen");
  const runner = connect(socket);
  runner.once("close", startsBelow(transport.pid ?? 0, runner, runner, RUNNER.end));
  onTestFinished(() => void runner.destroy());
  return {
    client,
    pid: transport.pid ?? 0,
    sessionId,
    closed,
    async call(tool, args = {}) {
      const { content, isError } = await client.callTool({ name: tool, arguments: args });
      const text = (content as { text: string }[]).map((part) => part.text).join("");
      return { text, isError: isError === true };
    },
    close: () => client.close(),
  };
}
