// Types a text into the program as a prompt, only when that is provably safe: paste, see it in the box and nothing
// else changed, then Enter by itself.
// Invariants: Enter is never written unless the screen, the caller and the silence of the keyboard all said so just
// before. The user's keys are never behind a text of ours that may yet be entered, nor cut with it: they wait until the
// program has shown what became of it. A program that stalls draws nothing, so no time that passes says anything: only
// what it draws does, and where it draws nothing by itself it is nudged.

import { MeshError } from "../errors.ts";
import { createKeyboard, type Keyboard } from "./keyboard.ts";

type Judgement = "empty prompt" | "empty box" | "draft" | "other";

const isEmpty = (judged: Judgement) => judged === "empty prompt" || judged === "empty box";
/** Something else than the prompt may have the keyboard. */
const isElsewhere = (judged: Judgement) => judged === "other" || judged === "empty box";

export type TypistOptions<Screen> = {
  /** Writes to the program, as the keyboard does. */
  write(data: Buffer | string): void;
  /** The screen after all output so far; undefined if it can't be known. */
  screen(): Promise<Screen | undefined>;
  /** The caller's own view: idle and at the prompt. Asked before the paste, all along after it, and before Enter. */
  allClear(): boolean | Promise<boolean>;
  /**
   * `empty prompt`: typing may begin. `draft`: a box with text in it, which Ctrl-U cuts. `empty box`: nothing is in it, but
   * something else goes on. `other`: no box can be seen. With these two: hands off.
   */
  judge(screen: Screen): Judgement;
  /** True if, since `before`, `text` has come to lie in the box, alone, and nothing else has changed. */
  showsPasted(before: Screen, after: Screen, text: string): boolean;
  /** Makes a program that runs draw something; one that stands still does nothing, then or later. Resolves when over. */
  nudge(): Promise<void>;
  keyboard?: Keyboard;
  /** How long to wait for the paste to show, and for Enter to take it away; milliseconds. */
  patience?: number;
};

/** `entered`: Enter was pressed and the text has left the box. Else nothing of it was submitted, try another way. */
export type Typed = "entered" | "not clear" | "withdrawn";

export type Typist = {
  /**
   * Types one prompt. `begin` is called when the way is clear, just before the paste; false from it means not to.
   * `withdraw` is called as soon as it is certain that Enter will not follow, before the paste is cut. Resolves when the
   * program has shown what became of the text: with one that stands still, as late as that.
   * Throws MeshError FAILED for a text that would not be taken as a prompt. One at a time.
   */
  type(text: string, begin?: () => boolean, withdraw?: () => void): Promise<Typed>;
  /** To be called with each piece of the user's input; true if it is held back, to be written when typing is done. */
  sawInput(chunk: Buffer): boolean;
  /** To be called after each piece of output has gone to the screen model. */
  sawOutput(): void;
  /** To be called when the screen model's size has changed: how it lays out old rows says nothing of the program. */
  sawResize(): void;
  /** To be called when the program has ended: what is being typed is withdrawn at once, and nothing is typed any more. */
  stop(): void;
};

const SILENCE_MS = 500;
/** A frame may be half drawn when it is looked at; the next one is soon there. */
const FRAME_MS = 100;
const FIRST_LOOK_MS = 300;
/** A program that draws nothing is nudged ever more seldom, at most this often. */
const NUDGE_EVERY_MS = 30_000;
/** Where something else than the prompt has the keyboard, the user's keys are for that, and wait no longer than this. */
const ELSEWHERE_MS = 500;
const MOST_CUTS = 200;
const CUT = "\x15";
/** Ctrl-C, Ctrl-Z, Ctrl-\, perhaps repeated; plain, in the kitty protocol, and with xterm's modifyOtherKeys. */
const WANTS_OUT = /^([\x03\x1a\x1c]|\x1b\[(?:99|122|92);5u|\x1b\[27;5;(?:99|122|92)~)\1*$/;
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
  const { write, screen, allClear, judge, showsPasted, nudge, keyboard = createKeyboard(), patience = 2000 } = options;
  let isBusy = false;
  let isHolding = false;
  const held: Buffer[] = [];
  /** A key came while a paste was on its way or in the box: no Enter any more. */
  let isDisturbed = false;
  let isOver = false;
  /** Pieces of output so far. */
  let draws = 0;
  /** How many they were at our last key, or change of size: what stood there before says nothing of what came of it. */
  let drawsBefore = 0;
  /** Nothing has been drawn since the user's last key: it may still be on its way. */
  let isUnread = false;
  /** The key of those that want out that was held or let through last, with no other after it. */
  let lastOut = "";
  let releasedAt = Number.NEGATIVE_INFINITY;
  let wake = () => {};
  /** A text that was withdrawn: it may yet turn up in the box if the program was slow, or a dialog in front of it. */
  let left: { text: string; before: Screen } | undefined;

  /**
   * Writes what was held back, as it was typed: an Enter by itself goes out apart, once what stands before it has been drawn.
   * Read together, Claude Code 2.1.197 may submit the line and leave it in the box.
   */
  const release = async () => {
    while (held.length > 0) {
      const at = held.findIndex((chunk) => chunk.toString("latin1") === "\r");
      isUnread = true;
      releasedAt = performance.now();
      for (const chunk of held.splice(0, at < 0 || isOver ? held.length : Math.max(at, 1))) write(chunk);
      if (held.length > 0) await something(FRAME_MS);
    }
    isHolding = false;
    lastOut = "";
  };
  /** Writes keys of ours. */
  const press = (keys: string) => {
    drawsBefore = draws;
    write(keys);
  };
  /**
   * At a program that draws nothing the same of these keys pressed twice goes through at once, for one that hangs may
   * still end at it; and as at any terminal what was typed before it, and not yet read, is dropped.
   */
  const wantsOut = (chunk: Buffer): boolean => {
    const [keys, key] = WANTS_OUT.exec(chunk.toString("latin1")) ?? [];
    const isAgain = key !== undefined && key === lastOut;
    lastOut = key ?? "";
    if (draws > drawsBefore || !(isAgain || keys !== key)) return false;
    const last = held.splice(0).at(-1);
    if (isAgain && last) write(last);
    write(chunk);
    return true;
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
  const until = async (ms: number, is: (now: Screen) => boolean): Promise<Screen | undefined> => {
    for (const deadline = performance.now() + ms; ; ) {
      const now = await screen();
      if (now !== undefined && is(now)) return now;
      const rest = deadline - performance.now();
      if (rest <= 0 || isOver || isDisturbed || !(await allClear())) return undefined;
      await something(Math.min(rest, FRAME_MS));
    }
  };
  /**
   * Looks at the screen at each piece of output until `is` holds of what was drawn since our last key, however long the
   * program stands still; undefined if it does not although the program has been drawing for `patience` since this
   * began, or if it has ended.
   */
  const inTime = async (is: (now: Screen) => boolean): Promise<Screen | undefined> => {
    const begun = draws;
    let [seen, firstDraw, lastDraw] = [begun, 0, 0];
    let pause = patience;
    let nudgeAt = performance.now() + pause;
    while (!isOver) {
      const now = await screen();
      if (now !== undefined && draws > drawsBefore && is(now)) return now;
      const time = performance.now();
      const enough = now !== undefined && isElsewhere(judge(now)) ? Math.min(ELSEWHERE_MS, patience) : patience;
      if (draws > seen) {
        lastDraw = time;
        if (seen === begun) firstDraw = time;
        seen = draws;
        pause = enough;
        nudgeAt = time + pause;
      }
      // What it draws first, awake again, may be older than what it reads then: one more look.
      else if (draws > Math.max(begun, drawsBefore) && lastDraw - firstDraw >= enough && time - lastDraw >= FRAME_MS)
        return undefined;
      if (time >= nudgeAt) {
        await nudge();
        pause = Math.min(2 * pause, NUDGE_EVERY_MS);
        nudgeAt = performance.now() + pause;
      } else await something(seen > begun ? Math.min(nudgeAt - time, FRAME_MS) : nudgeAt - time);
    }
    return undefined;
  };
  const isQuiet = () =>
    keyboard.isSilent(SILENCE_MS) && performance.now() - releasedAt >= SILENCE_MS && !keyboard.mayDraft();
  /** False if keys of the user's may still be on their way to a program that stands still, although the box is empty. */
  const hasReadAll = async (): Promise<boolean> => {
    if (!isUnread && !keyboard.isInDoubt()) return true;
    const before = draws;
    await nudge();
    if (draws === before) return false;
    await something(FRAME_MS);
    if (!isQuiet()) return false;
    const now = await screen();
    if (now === undefined || judge(now) !== "empty prompt" || !isQuiet()) return false;
    keyboard.sawEmpty();
    return true;
  };

  /** Cuts what was pasted, a piece of a line at each Ctrl-U, once it shows; nothing is cut that does not. */
  const cut = async (): Promise<void> => {
    let now = await inTime((box) => judge(box) === "draft");
    for (let cuts = 0; now !== undefined && cuts < MOST_CUTS; cuts++) {
      const before = JSON.stringify(now);
      press(CUT);
      now = await inTime((box) => judge(box) !== "other" && JSON.stringify(box) !== before);
      if (now !== undefined && isEmpty(judge(now))) return;
    }
  };

  const enter = async (before: Screen, text: string): Promise<boolean> => {
    press(`\x1b[200~${text}\x1b[201~`);
    if (!(await until(patience, (now) => showsPasted(before, now, text)))) return false;
    if (!(await allClear())) return false;
    // Looked at once more: the answer may have taken its time. From here to Enter nothing is waited for.
    const now = await screen();
    if (now === undefined || !showsPasted(before, now, text) || isDisturbed || isOver) return false;
    press("\r");
    // It may take effect as late as the program likes: nothing is taken back before.
    if (await inTime((after) => isEmpty(judge(after)))) return true;
    // Something stands in front of the box, and has the keyboard.
    const last = await screen();
    return last !== undefined && judge(last) === "other";
  };

  const tryTyping = async (text: string, begin: () => boolean, withdraw: () => void): Promise<Typed> => {
    if (!isQuiet() || !(await allClear())) return "not clear";
    const stale = left;
    if (stale && (await until(0, (now) => showsPasted(stale.before, now, stale.text))) && isQuiet()) {
      isHolding = true;
      await cut();
    }
    const isReady = (now: Screen) => judge(now) === "empty prompt";
    if (!(await until(FIRST_LOOK_MS, isReady)) || !(await hasReadAll())) return "not clear";
    const before = await until(FIRST_LOOK_MS, isReady);
    if (before === undefined || !isQuiet() || isUnread || isOver || !begin()) return "not clear";
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
        await release();
        isBusy = false;
      }
    },
    sawInput(chunk) {
      const isKey = keyboard.see(chunk);
      if (!isHolding || (!isKey && held.length === 0)) {
        isUnread ||= isKey;
        return false;
      }
      isDisturbed = true;
      if (!wantsOut(chunk)) held.push(chunk);
      wake();
      return true;
    },
    sawOutput() {
      draws++;
      isUnread = false;
      wake();
    },
    sawResize() {
      drawsBefore = draws;
      wake();
    },
    stop() {
      isOver = true;
      wake();
    },
  };
}
