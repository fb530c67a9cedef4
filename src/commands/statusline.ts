// `claudemesh statusline`: the badge, for status lines of one's own. The sh script that Claude Code runs does the same
// without a Node start.

import { spawnSync } from "node:child_process";
import { packageFile } from "../package.ts";

/** Prints `[id · N peers · ✉N]` for the session in the environment, or nothing. */
export async function run(): Promise<void> {
  spawnSync("/bin/sh", [packageFile("bin/plugin/hook"), "statusline"], { stdio: ["ignore", "inherit", "ignore"] });
}
