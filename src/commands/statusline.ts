// `claudemesh statusline`: the badge, for status lines of one's own. The sh script that Claude Code runs does the same
// without a Node start.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Prints `[id · N peers · ✉N]` for the session in the environment, or nothing. */
export async function run(): Promise<void> {
  const script = fileURLToPath(new URL("../../bin/plugin/hook", import.meta.url));
  spawnSync("/bin/sh", [script, "statusline"], { stdio: ["ignore", "inherit", "ignore"] });
}
