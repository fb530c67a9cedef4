// `claudemesh hook <Event>`: called by Claude Code through the plugin's sh script. Fails open: whatever goes wrong,
// exit 0, nothing on stdout, one line in the log. Mail that could not be printed is put back.

import { readFileSync } from "node:fs";
import { answerHook, type HookInput, type HookOutput, handedOver, notHanded } from "../claude/hooks.ts";
import { isObject } from "../mesh/files.ts";
import { log } from "../mesh/log.ts";
import { ageOf } from "../mesh/process.ts";
import { write } from "../print.ts";

/** Answers one hook event whose JSON is on stdin; sets the process's exit status. Never throws. */
export async function run([event = ""]: string[]): Promise<void> {
  let answer: HookOutput = {};
  try {
    const input: unknown = JSON.parse(readFileSync(0, "utf8"));
    answer = await answerHook(event, inputOf(input), Date.now() - ageOf(process.pid));
    if (answer.json) await write(1, `${JSON.stringify(answer.json)}\n`);
    if (answer.stderr) await write(2, answer.stderr);
    handedOver(answer);
    process.exitCode = answer.exit ?? 0;
  } catch (error) {
    notHanded(answer);
    log("hook-error", event, error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 0;
  }
}

/** The fields that have the type they should; what a client sends otherwise is as good as missing. */
export function inputOf(value: unknown): HookInput {
  const fields = Object.entries(isObject(value) ? value : {}).filter(([key, v]) => {
    if (key === "stop_hook_active") return typeof v === "boolean";
    return key === "tool_input" || key === "mcp_server" ? isObject(v) : typeof v === "string";
  });
  return Object.fromEntries(fields) as HookInput;
}
