// Which terminal modes a program has turned on and not off again, read off its output as it passes.
// Invariant: looks, never changes or keeps the output; undo() names only modes the program itself left on.

/** On from the start in every terminal: here it is turning them *off* that must be undone. */
const ON_BY_DEFAULT = new Set([7, 25]);
const ALTERNATE_SCREEN = new Set([47, 1047, 1049]);
/** Cursor blink and save-cursor have no state worth putting back. */
const IGNORED = new Set([12, 1048]);
/** Synchronized output: on and off again with each frame. */
const FRAME = 2026;
/** `ESC [ <mark> <numbers> <final>`: private modes (?), and the keyboard protocols (> < =). */
const SEQUENCE = /\x1b\[([?<>=])([0-9;]*)([a-zA-Z])/g;
const UNFINISHED = /\x1b(\[([?<>=][0-9;]*)?)?$/;
const LONGEST = 64;

export type Modes = {
  /** Notes the mode changes in a piece of output; sequences may be cut anywhere between pieces. */
  see(chunk: Buffer): void;
  /** True while any mode is changed. */
  any(): boolean;
  /** How many changes of a mode have been seen, without those that bracket each frame. */
  changes(): number;
  /** The bytes that put everything back; empty if nothing is to be put back. Keyboard first: it is per screen. */
  undo(): string;
};

export function createModes(): Modes {
  const changed = new Set<number>();
  let pushed = 0;
  let flagged = false;
  let otherKeys = false;
  let tail = "";
  let changes = 0;

  const note = (mark: string, numbers: string, final: string) => {
    if (numbers !== String(FRAME)) changes++;
    if (mark === "?" && (final === "h" || final === "l")) {
      for (const mode of numbers.split(";").map(Number)) {
        if (IGNORED.has(mode)) continue;
        if ((final === "h") !== ON_BY_DEFAULT.has(mode)) changed.add(mode);
        else changed.delete(mode);
      }
    } else if (final === "u") {
      if (mark === ">") pushed++;
      else if (mark === "<") pushed = Math.max(0, pushed - (Number(numbers) || 1));
      else if (mark === "=") flagged = !/^0?(;|$)/.test(numbers);
    } else if (final === "m" && mark === ">" && numbers.startsWith("4")) {
      otherKeys = /^4;[1-9]/.test(numbers);
    }
  };

  return {
    see(chunk) {
      const text = tail + chunk.toString("latin1");
      for (const [, mark = "", numbers = "", final = ""] of text.matchAll(SEQUENCE)) note(mark, numbers, final);
      tail = UNFINISHED.exec(text.slice(-LONGEST))?.[0] ?? "";
    },
    changes: () => changes,
    any: () => changed.size > 0 || pushed > 0 || flagged || otherKeys,
    undo() {
      let bytes = pushed > 0 ? `\x1b[<${pushed}u` : "";
      if (flagged) bytes += "\x1b[=0u";
      if (otherKeys) bytes += "\x1b[>4m";
      const [screens, others] = [[...changed].filter(isScreen), [...changed].filter((mode) => !isScreen(mode))];
      for (const mode of [...others, ...screens]) bytes += `\x1b[?${mode}${ON_BY_DEFAULT.has(mode) ? "h" : "l"}`;
      return bytes;
    },
  };
}

const isScreen = (mode: number) => ALTERNATE_SCREEN.has(mode);
