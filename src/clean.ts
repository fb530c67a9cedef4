// Text as it may be shown, to a model or in a terminal. Imports nothing.

/** Marks, overrides and isolates that turn the direction of what stands after them. */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text as a model may be shown it: no control but newline and tab, nothing that turns the direction, one kind of line end. */
export function sanitise(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?|[\u2028\u2029]/g, "\n")
    .replace(BIDI, "")
    .replace(/\ufeff|[^\P{Cc}\n\t]/gu, "");
}

/** Text as it may go to a terminal: the same, but CRLF stays, for `patch` reads the diffs that are printed. */
export function printable(text: string): string {
  return text.replace(BIDI, "").replace(/\r(?!\n)|[^\P{Cc}\n\t\r]/gu, "");
}

/** JSON in which every such character is escaped: read again it is the same value, shown it does nothing. */
export function jsonText(value: unknown, indent?: number): string {
  const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, null, indent)
    .replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, escaped)
    .replace(BIDI, escaped);
}
