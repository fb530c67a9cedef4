// A unified diff of two texts that differ in one place, as `install --dry-run` shows it and `patch` reads it.

const CONTEXT = 3;

/** The diff of a file's text before and after; undefined stands for no file. Empty if they are the same. */
export function unifiedDiff(path: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return "";
  const a = linesOf(before);
  const b = linesOf(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const from = Math.max(0, head - CONTEXT);
  const after3 = Math.min(tail, CONTEXT);
  const oldLines = a.slice(from, a.length - tail + after3);
  const newLines = b.slice(from, b.length - tail + after3);
  const range = (lines: string[]) => `${lines.length === 0 ? from : from + 1},${lines.length}`;
  return [
    `--- ${before === undefined ? "/dev/null" : path}\n`,
    `+++ ${after === undefined ? "/dev/null" : path}\n`,
    `@@ -${range(oldLines)} +${range(newLines)} @@\n`,
    ...a.slice(from, head).map((l) => mark(" ", l)),
    ...a.slice(head, a.length - tail).map((l) => mark("-", l)),
    ...b.slice(head, b.length - tail).map((l) => mark("+", l)),
    ...a.slice(a.length - tail, a.length - tail + after3).map((l) => mark(" ", l)),
  ].join("");
}

/** Lines with their ends; a last one without an end stays so. */
const linesOf = (text = "") => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

const mark = (sign: string, line: string) =>
  sign + (line.endsWith("\n") ? line : `${line}\n\\ No newline at end of file\n`);
