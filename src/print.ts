// Data goes to stdout, words go to stderr. Imports nothing.

/**
 * Writes `data` as JSON if asked to, else `text` with a final newline (nothing if it is empty). Resolves once it has
 * been taken; for who only prints there is no need to wait.
 */
export function print(options: Record<string, unknown>, data: unknown, text: string): Promise<void> {
  const line = options.json ? JSON.stringify(data, null, 2) : text;
  if (!line) return Promise.resolve();
  return new Promise((resolve) =>
    process.stdout.write(line.endsWith("\n") ? line : `${line}\n`, (error) => error ?? resolve()),
  );
}

/** Writes a remark for humans to stderr. */
export function say(words: string): void {
  process.stderr.write(`claudemesh: ${words}\n`);
}
