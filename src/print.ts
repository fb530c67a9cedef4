// Data goes to stdout, words go to stderr; what others wrote moves no cursor and rings no bell on the way.

import { jsonText, printable } from "./clean.ts";

/**
 * Writes `data` as JSON if asked to, else `text` with a final newline (nothing if it is empty). Resolves once it has
 * been taken; for who only prints there is no need to wait.
 */
export function print(options: Record<string, unknown>, data: unknown, text: string): Promise<void> {
  const line = options.json ? jsonText(data, 2) : printable(text);
  if (!line) return Promise.resolve();
  return new Promise((resolve) =>
    process.stdout.write(line.endsWith("\n") ? line : `${line}\n`, (error) => error ?? resolve()),
  );
}

/** Writes a remark for humans to stderr. */
export function say(words: string): void {
  process.stderr.write(printable(`claudemesh: ${words}\n`));
}
