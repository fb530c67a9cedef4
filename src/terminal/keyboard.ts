// What the user's keys say: how long since the last one, and whether a draft may be in the making.
// Invariant: only adds caution. A terminal's own reports (focus, mouse, answers to queries) are not keys; whatever is
// not surely such a report is one. The screen is the truth about drafts; this covers the time until it shows them.

export type Keyboard = {
  /** Takes a piece of the user's input; true if a key or a paste was in it, false if only reports were. */
  see(chunk: Buffer): boolean;
  /** True if no key came in the last `ms` milliseconds and no paste or sequence is half way in. */
  isSilent(ms: number): boolean;
  /** True if keys since the last Enter, Ctrl-U or Ctrl-C may have left something in the box that does not show yet. */
  mayDraft(): boolean;
  /** The same however long ago: a program that stands still shows it late. */
  isInDoubt(): boolean;
  /** To be called when the program, awake, has shown that they left nothing. */
  sawEmpty(): void;
};

/** The rest of an escape sequence comes at once; after this a lone ESC was the key. */
const SEQUENCE_GAP_MS = 50;
/** So long after the last key the screen has long shown what there is to show. */
const STALE_DRAFT_MS = 3000;

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";
/** Focus, SGR mouse, cursor position, device answers, private reports, window reports. */
const REPORT = /^\x1b\[(?:[IO]|<[\d;]+[Mm]|\d+;\d+R|[?>=][\d;:$]*[a-zA-Z~]|\?[\d;]+\$y|\d+(?:;\d+)*[tn])/;
/** Mouse in the old form: three bytes follow. */
const OLD_MOUSE = /^\x1b\[M.{3}/s;
/** OSC, DCS, APC, PM: answers to queries, up to BEL or ST. */
const ANSWER = /^\x1b[\]P_^][^\x07\x1b]*(?:\x07|\x1b\\)/;
const KEY_SEQUENCE = /^\x1b(?:\[[0-9;:]*[\x40-\x7e]|O[\x40-\x7e]|\[\[[A-E])/;
const BEGUN = /^\x1b(?:[[\]P_^O].*)?$/s;
/** Enter, Ctrl-U, Ctrl-C, plain, in the kitty protocol, and with xterm's modifyOtherKeys. */
const CLEARS = /^(?:[\r\x15\x03]|\x1b\[13(?:;1)?u|\x1b\[(?:117|99);5u|\x1b\[27;5;(?:117|99)~)/;
/** Keys that leave the box as it was: Esc alone, and arrows left. */
const HARMLESS = /^(?:\x1b$|\x1b\[D)/;

/** Makes a reader of the user's input. `now` is a clock in milliseconds. */
export function createKeyboard(now: () => number = () => performance.now()): Keyboard {
  let lastKey = Number.NEGATIVE_INFINITY;
  let lastPiece = Number.NEGATIVE_INFINITY;
  let pending = "";
  let isPasting = false;
  let draft = false;
  let backslash = false;

  /** Takes one key, paste or report off the front of `input`: how long it is, and whether it is a key. */
  const take = (input: string): { length: number; isKey: boolean } => {
    if (isPasting) {
      const end = input.indexOf(PASTE_END);
      isPasting = end < 0;
      if (!isPasting) return { length: end + PASTE_END.length, isKey: true };
      // Its end may be cut in two.
      pending = input.slice(1 - PASTE_END.length);
      return { length: input.length, isKey: true };
    }
    if (input.startsWith(PASTE_START)) {
      isPasting = true;
      draft = true;
      return { length: PASTE_START.length, isKey: true };
    }
    const report = REPORT.exec(input) ?? OLD_MOUSE.exec(input) ?? ANSWER.exec(input);
    if (report) return { length: report[0].length, isKey: false };
    const clears = CLEARS.exec(input);
    // A backslash before Enter makes a new line of it.
    if (clears) draft = draft && backslash && clears[0] === "\r";
    else if (!HARMLESS.test(input)) draft = true;
    const length = (clears ?? KEY_SEQUENCE.exec(input))?.[0].length ?? 1;
    backslash = input.startsWith("\\");
    return { length, isKey: true };
  };

  return {
    see(chunk) {
      const time = now();
      // Late: what looked like a beginning was a key by itself, and has been counted as one.
      if (time - lastPiece > SEQUENCE_GAP_MS && !isPasting) pending = "";
      lastPiece = time;
      let input = pending + chunk.toString("latin1");
      pending = "";
      let sawKey = false;
      while (input !== "") {
        const { length, isKey } = take(input);
        if (length === 1 && !isPasting && BEGUN.test(input)) {
          // An unfinished sequence: a key until the rest of it says otherwise.
          pending = input.slice(0, 4096);
          sawKey = true;
          break;
        }
        sawKey ||= isKey;
        input = input.slice(length);
      }
      if (sawKey) lastKey = time;
      return sawKey;
    },
    isSilent: (ms) => !isPasting && now() - lastKey >= ms,
    mayDraft: () => draft && now() - lastKey < STALE_DRAFT_MS,
    isInDoubt: () => draft,
    sawEmpty: () => {
      draft = false;
    },
  };
}
