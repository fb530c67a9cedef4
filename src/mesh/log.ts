// ~/.claudemesh/log: one line an event, rotated by size to log.1. Never a message body, never an error of its own.

import { appendFileSync, renameSync, statSync } from "node:fs";
import { ignore } from "../errors.ts";
import { LEAST_BYTES, readConfig } from "./config-file.ts";
import { FILE_MODE, logFile } from "./home.ts";
import { oneLine } from "./message.ts";

/** Appends `<ISO time> <pid> <event> <words…>`. Fails silently: a full disk must not stop a hook. */
export function log(event: string, ...words: (string | number | undefined)[]): void {
  const line = [new Date().toISOString(), process.pid, event, ...words].filter((w) => w !== undefined).join(" ");
  try {
    const file = logFile();
    const size = ignore(["ENOENT"], () => statSync(file).size) ?? 0;
    if (size > LEAST_BYTES && size > readConfig().config.log_bytes)
      ignore(["ENOENT"], () => renameSync(file, `${file}.1`));
    appendFileSync(file, `${oneLine(line).slice(0, 2000)}\n`, { mode: FILE_MODE });
  } catch {
    // The log is a comfort, not a fact anything rests on.
  }
}
