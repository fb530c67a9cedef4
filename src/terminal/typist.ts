// Types a text into the program as a prompt, only when that is provably safe: paste, see it in the box and nothing
// else changed, then Enter by itself.
// Invariant: Enter is never written unless the screen, the caller and the silence of the keyboard all said so just
// before. Keys that the user presses meanwhile wait for the end of it and are never mixed in or lost.

import { MeshError } from "../errors.ts";
import { createKeyboard, type Keyboard } from "./keyboard.ts";

export type TypistOptions<Screen> = {
  /** Writes to the program, as the keyboard does. */
  write(data: Buffer | string): void;
  /** The screen after all output so far; undefined if it can't be known. */
  screen(): Promise<Screen | undefined>;
  /** The caller's own view: idle and at the prompt. Asked before the paste, all along after it, and before Enter. */
  allClear(): boolean | Promise<boolean>;
  /** `empty prompt`: typing may begin. `draft`: a box with text in it, which Ctrl-U cuts. Anything else: hands off. */
  judge(screen: Screen): "empty prompt" | "draft" | "other";
  /** True if, since `before`, `text` has come to lie in the box, alone, and nothing else has changed. */
  showsPasted(before: Screen, after: Screen, text: string): boolean;
  keyboard?: Keyboard;
  /** How long to wait for the paste to show, and for Enter to take it away; milliseconds. */
  patience?: number;
};

/** `entered`: Enter was pressed and the text has left the box. Else nothing of it was submitted, try another way. */
export type Typed = "entered" | "not clear" | "withdrawn";

export type Typist = {
  /**
   * Types one prompt. `begin` is called when the way is clear, just before the paste; false from it means not to.
   * `withdraw` is called as soon as it is certain that Enter will not follow, before the paste is cut.
   * Throws MeshError FAILED for a text that would not be taken as a prompt. One at a time.
   */
  type(text: string, begin?: () => boolean, withdraw?: () => void): Promise<Typed>;
  /** To be called with each piece of the user's input; true if it is held back, to be written when typing is done. */
  sawInput(chunk: Buffer): boolean;
  /** To be called after each piece of output has gone to the screen model. */
  sawOutput(): void;
  /** To be called when the program has ended: what is being typed is withdrawn at once, and nothing is typed any more. */
  stop(): void;
};

const SILENCE_MS = 500;
/** A frame may be half drawn when it is looked at; the next one is soon there. */
const FRAME_MS = 100;
const FIRST_LOOK_MS = 300;
const HOLD_AT_MOST_MS = 2000;
const MOST_CUTS = 200;
const CUT = "\x15";
/** C0 but \n and \t, DEL, C1, bidi marks and overrides, line and paragraph separators, the byte order mark. */
const UNWANTED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** At the beginning these are commands, shell, files, memory, background; none is a prompt. */
const SPECIAL = /^\s*[/!@#&]/;

/** The text as it may be pasted: line ends as \n, without controls and bidi overrides, `?` for half a character. */
export function cleanPaste(text: string): string {
  const clean = text.replace(/\r\n?/g, "\n").toWellFormed().replaceAll("\ufffd", "?").replace(UNWANTED, "").trim();
  // A backslash before Enter would make a new line of it, a last word like @this or /that would open a menu.
  return /(\\|(^|\s)[@/]\S*)$/.test(clean) ? `${clean} ` : clean;
}

/** The sequence that shows a notice in the user's terminal (OSC 9); controls are taken out, newlines become blanks. */
export function ring(text: string): string {
  return `\x1b]9;${cleanPaste(text).replace(/\s+/g, " ").slice(0, 200)}\x07`;
}

/** Makes the typist of one program. */
export function createTypist<Screen>(options: TypistOptions<Screen>): Typist {
  const { write, screen, allClear, judge, showsPasted, keyboard = createKeyboard(), patience = 2000 } = options;
  let isBusy = false;
  let isHolding = false;
  const held: Buffer[] = [];
  /** A key came while a paste was on its way or in the box: no Enter any more. */
  let isDisturbed = false;
  let isOver = false;
  let holdTimer: NodeJS.Timeout | undefined;
  let wake = () => {};
  /** A text that was withdrawn: it may yet turn up in the box if the program was slow, or a dialog in front of it. */
  let left: { text: string; before: Screen } | undefined;

  const release = () => {
    isHolding = false;
    clearTimeout(holdTimer);
    for (const chunk of held.splice(0)) write(chunk);
  };
  /** Waits for output or a key, at most so long. */
  const something = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  /** Looks at the screen at each piece of output until `is` holds; undefined after `ms`, or if the way is not clear. */
  const until = async (ms: number, is: (now: Screen) => boolean, entered = false): Promise<Screen | undefined> => {
    for (const deadline = performance.now() + ms; ; ) {
      const now = await screen();
      if (now !== undefined && is(now)) return now;
      const rest = deadline - performance.now();
      if (rest <= 0 || isOver || (!entered && (isDisturbed || !(await allClear())))) return undefined;
      await something(Math.min(rest, FRAME_MS));
    }
  };
  const isQuiet = () => keyboard.isSilent(SILENCE_MS) && !keyboard.mayDraft();

  /**
   * Cuts what was pasted, a piece of a line at each Ctrl-U, and waits for it to show before: keys let through while it
   * is on its way would be mixed with it. Stops at once if the user's keys could wait no longer.
   */
  const cut = async (): Promise<void> => {
    const deadline = performance.now() + patience;
    for (let cuts = 0; cuts < MOST_CUTS && isHolding && !isOver; ) {
      const now = await screen();
      const verdict = now === undefined ? "other" : judge(now);
      if (verdict === "empty prompt" && cuts > 0) return;
      if (verdict !== "draft" && performance.now() > deadline) return;
      if (verdict === "draft" && isHolding) {
        write(CUT);
        cuts++;
      }
      await something(FRAME_MS);
    }
  };

  const enter = async (before: Screen, text: string): Promise<boolean> => {
    write(`\x1b[200~${text}\x1b[201~`);
    if (!(await until(patience, (now) => showsPasted(before, now, text)))) return false;
    if (!(await allClear())) return false;
    // Looked at once more: the answer may have taken its time. From here to Enter nothing is waited for.
    const now = await screen();
    if (now === undefined || !showsPasted(before, now, text) || isDisturbed || isOver) return false;
    write("\r");
    return (await until(patience, (after) => judge(after) !== "draft", true)) !== undefined;
  };

  const tryTyping = async (text: string, begin: () => boolean, withdraw: () => void): Promise<Typed> => {
    if (!isQuiet() || !(await allClear())) return "not clear";
    const stale = left;
    if (stale && (await until(0, (now) => showsPasted(stale.before, now, stale.text))) && isQuiet()) {
      isHolding = true;
      await cut();
    }
    const before = await until(FIRST_LOOK_MS, (now) => judge(now) === "empty prompt");
    if (before === undefined || !isQuiet() || !begin()) return "not clear";
    isHolding = true;
    left = undefined;
    if (await enter(before, text)) return "entered";
    left = { text, before };
    withdraw();
    await cut();
    return "withdrawn";
  };

  return {
    async type(text, begin = () => true, withdraw = () => {}) {
      const clean = cleanPaste(text);
      if (clean === "" || SPECIAL.test(clean))
        throw new MeshError("FAILED", `can't type '${clean.slice(0, 20)}': it is no prompt`, "begin with a plain word");
      if (isBusy || isOver) return "not clear";
      isBusy = true;
      isDisturbed = false;
      try {
        return await tryTyping(clean, begin, withdraw);
      } finally {
        release();
        isBusy = false;
      }
    },
    sawInput(chunk) {
      const isKey = keyboard.see(chunk);
      if (!isHolding || (!isKey && held.length === 0)) return false;
      isDisturbed = true;
      if (held.push(chunk) === 1) holdTimer = setTimeout(release, HOLD_AT_MOST_MS);
      wake();
      return true;
    },
    sawOutput: () => wake(),
    stop() {
      isOver = true;
      wake();
    },
  };
}
