// Data goes to stdout, words go to stderr. Imports nothing.

/** Writes `data` as JSON if asked to, else `text` with a final newline (nothing if it is empty). */
export function print(options: Record<string, unknown>, data: unknown, text: string): void {
  if (options.json) process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
  else if (text) process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** Writes a remark for humans to stderr. */
export function say(words: string): void {
  process.stderr.write(`claudemesh: ${words}\n`);
}
