// `claudemesh hook <Event>`: called by Claude Code through the plugin's sh script. Fails open: whatever goes wrong,
// exit 0, nothing on stdout, one line in the log. Mail is marked seen only once the output is flushed.

import { readFileSync } from "node:fs";
import { answerHook, type HookInput, type HookOutput } from "../claude/hooks.ts";
import { isObject } from "../mesh/files.ts";
import { log } from "../mesh/log.ts";
import { markSeen } from "../mesh/owed.ts";
import { write } from "../print.ts";

/** Answers one hook event whose JSON is on stdin; sets the process's exit status. Never throws. */
export async function run([event = ""]: string[]): Promise<void> {
  let answer: HookOutput = {};
  try {
    const input: unknown = JSON.parse(readFileSync(0, "utf8"));
    answer = await answerHook(event, inputOf(input));
    if (answer.json) await write(1, `${JSON.stringify(answer.json)}\n`);
    if (answer.stderr) await write(2, answer.stderr);
    if (answer.shown) markSeen(answer.shown.id, answer.shown.letters);
    process.exitCode = answer.exit ?? 0;
  } catch (error) {
    // Mail that was collected and not shown stays unmarked in cur/: it counts as unread again after 30 s.
    log("hook-error", event, error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 0;
  }
}

/** The fields that have the type they should; what a client sends otherwise is as good as missing. */
export function inputOf(value: unknown): HookInput {
  const fields = Object.entries(isObject(value) ? value : {}).filter(([key, v]) =>
    key === "stop_hook_active" ? typeof v === "boolean" : typeof v === "string",
  );
  return Object.fromEntries(fields) as HookInput;
}
