// `claudemesh mcp`: the session's mail server on stdio, started by Claude Code.

import { serve } from "../claude/mcp.ts";
import { version } from "../package.ts";

/** Serves until claude is gone. */
export async function run(): Promise<void> {
  await serve(version());
}
