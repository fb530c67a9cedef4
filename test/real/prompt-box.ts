// The client's prompt box on a screen, as far as a test needs it: what stands in it.

/** A text without any white space: the box wraps and indents what is typed into it. */
export const squeeze = (text: string) => text.replace(/[\s\u00a0]+/g, "");

interface Screen {
  rows(): readonly string[];
  brightRows(): readonly string[];
}

/**
 * What the prompt box holds, squeezed, its dim placeholder not counted; undefined if the screen shows no box (a dialog,
 * a menu, nothing yet).
 */
export function draftOn(screen: Screen): string | undefined {
  const rows = screen.rows();
  const at = rows.findLastIndex((row) => /^[│\s]*❯/.test(row));
  if (at < 0 || !/^[╭─]/.test(rows[at - 1] ?? "")) return undefined;
  const end = rows.findIndex((row, i) => i > at && /^[╰─]/.test(row));
  const box = screen.brightRows().slice(at, end < 0 ? undefined : end);
  return squeeze(box.join("").replace("❯", "").replaceAll("│", ""));
}

/** Whether the box holds the text, or the stand-in that the client shows for a long paste. */
export function holds(screen: Screen, text: string): boolean {
  const draft = draftOn(screen);
  return draft !== undefined && (/\[Pastedtext#\d+/.test(draft) || draft.includes(squeeze(text).slice(-30)));
}
