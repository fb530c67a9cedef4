// `claudemesh mcp`: the session's mail server on stdio, started by Claude Code.

import { readFileSync } from "node:fs";
import { serve } from "../claude/mcp.ts";

/** Serves until claude is gone. */
export async function run(): Promise<void> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  await serve(version);
}
