// Reads Claude Code's screen: is the prompt box empty and has it the keyboard, or is anything else going on?
// Invariant: strict. What is not surely an empty prompt box is something else; a wrong "no" costs nothing.
// Seen with 2.1.197 and 2.1.329: the box is two full-width rules, between them `❯ ` and the text; the cursor is in it
// (hidden, but placed) only while keys go there: menus, dialogs and a selected footer item move it elsewhere.

/** One row: `typed` is `text` with dim characters (placeholders, suggestions, hints) blanked. */
export type Row = { text: string; typed: string };
/** A screen, the cursor in cells from the top left. */
export type Screen = { rows: Row[]; cursor: { x: number; y: number }; cols: number };
/**
 * `empty prompt`: an empty prompt box that has the keyboard, and nothing else. `empty box`: the same beside a running turn, a
 * confirmation or a panel. `draft`: text in it. `other`: no box that has the keyboard.
 */
export type Judgement = "empty prompt" | "empty box" | "draft" | "other";

type Box = { top: number; bottom: number; rows: Row[] };

const PROMPT = "❯";
/** Where the text begins, after the prompt sign. */
const INDENT = 2;
/** A status line of the user's may take some rows, the help panel takes more. */
const MOST_FOOTER_ROWS = 6;
/** How far above the box signs of a running turn or a question are looked for. */
const NEAR = 8;
/** Below the box: Enter or a key means something else than "send this prompt". */
const NOT_PROMPT =
  /again to exit|for shell mode|› stashed|\bto (interrupt|navigate|select|confirm|cancel|close|view tasks|save)\b|\bPress /i;
/** Just above it: the exit and background confirmations, a stashed draft, the "how is Claude doing" survey. */
const NOT_CALM = /\bPress .+ again\b|draft stashed|\bstashed\b.*(restore|submit)|\b0: Dismiss\b/i;
/** `✻ Thinking… (3s)`: a turn is running. A finished one says `✻ Worked for 3s`. */
const SPINNER = /^[·✢✳✶✻✽*∗] \S[^…]*…/;
/** A recalled prompt has this in its top rule. */
const RECALLED = /History \d/;
const QUEUED = /^Press up to edit queued/;
/** Hints that come and go by themselves while text lies in the box; digits are written as 0. */
const HINT =
  /^(ctrl\+g to edit in .+|ctrl\+y to paste deleted text|paste again to expand|\S (low|medium|high|xhigh|max) · \/effort)$/i;
/** Our own, on the status line: how many peers and letters there are may change at any moment. */
const BADGE = /(\[[0-9a-z]{8})(?: · \d+ peers?)?(?: · ✉\d+)?\]/;
/** `[Pasted text #1 +9 lines]`, blanks taken out. */
const PASTE_MARK = /^\[Pastedtext#\d+(?:\+(\d+)lines)?\]$/;
/** Longer or larger pastes than these may be shown as a mark (F 63 measured 3 lines, 800 characters). */
const INLINE_LINES = 3;
const INLINE_CHARS = 700;

/** What the screen shows. */
export function judgeScreen(screen: Screen): Judgement {
  const box = findBox(screen);
  if (!box) return "other";
  const { cursor } = screen;
  const first = box.rows[0]?.text.slice(INDENT).trim() ?? "";
  if (box.rows.length === 1 && QUEUED.test(first)) return "empty box";
  const isEmpty = box.rows.length === 1 && cursor.x === INDENT && contentOf(box, cursor.x) === "";
  if (!isEmpty || RECALLED.test(screen.rows[box.top]?.text ?? "")) return "draft";
  return isCalm(screen, box) ? "empty prompt" : "empty box";
}

/**
 * True if, since `before` (an empty prompt), the pasted `text` has come to lie in the prompt box, whole and alone,
 * and nothing else on the screen has changed: no menu, picker, dialog, suggestion or running turn.
 */
export function showsPasted(before: Screen, after: Screen, text: string): boolean {
  const [was, box] = [findBox(before), findBox(after)];
  if (!was || !box || before.cols !== after.cols || !isCalm(after, box)) return false;
  if (after.cursor.y !== box.bottom - 1 || after.cursor.x < INDENT) return false;
  if (after.rows[box.top]?.text !== before.rows[was.top]?.text) return false;
  return holds(contentOf(box, -1), text) && sameAbove(before, was, after, box) && sameBelow(before, was, after, box);
}

/** The prompt box in which the cursor is; undefined if it is in none. */
function findBox({ rows, cursor, cols }: Screen): Box | undefined {
  const isRule = (row: Row | undefined) => row !== undefined && row.text.length === cols && /^─+$/.test(row.typed);
  const isTopRule = (row: Row | undefined) =>
    row !== undefined && row.text.length === cols && /^──.*─$/.test(row.text) && row.typed.startsWith("──");
  let top = cursor.y - 1;
  while (top >= 0 && !isTopRule(rows[top])) top--;
  let bottom = cursor.y + 1;
  while (bottom < rows.length && !isRule(rows[bottom])) bottom++;
  const inside = rows.slice(top + 1, bottom);
  if (top < 0 || bottom >= rows.length || isRule(rows[cursor.y])) return undefined;
  const [first, ...others] = inside;
  const isPrompt = first !== undefined && new RegExp(`^${PROMPT}([ \\u00a0]|$)`).test(first.typed);
  const isIndented = others.every(({ text }) => /^([ \u00a0]{2}|$)/.test(text));
  return isPrompt && isIndented ? { top, bottom, rows: inside } : undefined;
}

/** No running turn, question, confirmation, panel or menu about the box. */
function isCalm({ rows }: Screen, { top, bottom }: Box): boolean {
  const below = filled(rows.slice(bottom + 1));
  const above = rows.slice(Math.max(0, top - NEAR), top).map(({ text }) => text);
  return (
    below.length <= MOST_FOOTER_ROWS &&
    !below.some((text) => NOT_PROMPT.test(text)) &&
    !above.some((text) => SPINNER.test(text) || NOT_CALM.test(text))
  );
}

/**
 * The text in the box without any blanks (it is wrapped at words). With the cursor at its beginning, a first character
 * that is followed by nothing but dim ones is a placeholder's: it is drawn in reverse, not dim.
 */
function contentOf({ rows }: Box, cursorX: number): string {
  const typed = rows.map((row) => row.typed.slice(INDENT));
  const shown = rows[0]?.text.slice(INDENT) ?? "";
  const isPlaceholder =
    rows.length === 1 && cursorX === INDENT && shown.length > 1 && typed[0]?.length === 1 && shown.charAt(1) !== " ";
  return isPlaceholder ? "" : withoutBlanks(typed.join(""));
}

function holds(content: string, text: string): boolean {
  if (content === withoutBlanks(text)) return content !== "";
  const lines = text.split("\n").length;
  const mark = PASTE_MARK.exec(content);
  if (!mark || (lines <= INLINE_LINES && text.length <= INLINE_CHARS)) return false;
  return Number(mark[1] ?? 0) === lines - 1;
}

/** Above the box there may be fewer rows now, scrolled away, and a hint at the right; but none that is new. */
function sameAbove(before: Screen, was: Box, after: Screen, box: Box): boolean {
  const known = new Set(filled(before.rows.slice(0, was.top)));
  const isHint = (text: string) => /^ {8,}/.test(text) && HINT.test(text.trim());
  return filled(after.rows.slice(0, box.top)).every((text) => known.has(text) || isHint(text));
}

/** Below it, what stands there stood there before, piece by piece, or is a known hint; clocks and our badge may go on. */
function sameBelow(before: Screen, was: Box, after: Screen, box: Box): boolean {
  const known = new Set(filled(before.rows.slice(was.bottom + 1)).flatMap(pieces));
  return filled(after.rows.slice(box.bottom + 1))
    .flatMap(pieces)
    .every((piece) => known.has(piece) || HINT.test(piece));
}

const pieces = (text: string) =>
  text
    .replace(BADGE, "$1]")
    .trim()
    .split(/ {2,}| · (?!\/)| (?=← for agents)/)
    .map((piece) => piece.replace(/\d+/g, "0"));
const filled = (rows: Row[]) => rows.map(({ text }) => text).filter((text) => text.trim() !== "");
const withoutBlanks = (text: string) => text.replace(/\s+/g, "");
