// What the program's screen shows: a headless terminal fed with its output, loaded and fed only when asked.
// Invariant: it never guesses. Output that had to be dropped makes the screen unknown until the next full clear.

import type { Terminal } from "@xterm/headless";
import type { Size } from "./pty.ts";

/** One row of the screen: `typed` is `text` with dim characters (placeholders, suggestions) blanked. No trailing blanks. */
export type Row = { text: string; typed: string };

/** A screen; the cursor in cells, counted from 0 at the top left. */
export type Screen = { rows: Row[]; cursor: { x: number; y: number }; cols: number };

export type ScreenModel = {
  /** Takes a piece of output; cheap, nothing is parsed here. The chunk must not be changed afterwards. */
  feed(chunk: Buffer): void;
  resize(size: Size): void;
  /** The screen after all output so far; undefined if it can't be known. */
  read(): Promise<Screen | undefined>;
};

/** Above this the queue is worked off in slices; above the second it is dropped. */
const SLICE_ABOVE = 256 * 1024;
const DROP_ABOVE = 8 * 1024 * 1024;
/** 32 KB each 50 ms keep up with any real drawing and cost a flood of output next to nothing. */
const SLICE = 32 * 1024;
const SLICE_EVERY_MS = 50;
/** Reset, erase all, to the alternate screen: after these the screen is known again. */
const FULL_CLEAR = /\x1b(?:c|\[2J|\[\?1049h)/g;
const LONGEST_CLEAR = 8;

/** Makes the model of a terminal of the given size, blank. */
export function createScreenModel(size: Size): ScreenModel {
  let current = size;
  let sizeAtStart = size;
  let terminal: Terminal | undefined;
  let queue: (Buffer | Size)[] = [];
  let queued = 0;
  let known = true;
  /** The end of what was dropped: a clear may be cut in two. */
  let last = "";
  let timer: NodeJS.Timeout | undefined;
  let work: Promise<void> = Promise.resolve();

  const parseSome = async (bytes: number) => {
    const { default: xterm } = await import("@xterm/headless");
    // Its complaints about broken sequences would be written over the user's screen.
    const open = () =>
      new xterm.Terminal({ ...sizeAtStart, scrollback: sizeAtStart.rows, allowProposedApi: true, logLevel: "off" });
    for (let done = 0; done < bytes; ) {
      const next = queue.shift();
      terminal ??= open();
      if (next === undefined) return;
      const drawn = terminal;
      if (Buffer.isBuffer(next)) {
        done += next.length;
        queued -= next.length;
        await new Promise<void>((parsed) => drawn.write(next, parsed));
      } else drawn.resize(next.cols, next.rows);
    }
  };
  /** Parses about `bytes` of the queue, after whoever is parsing now. */
  const parse = (bytes: number) => {
    // A parser that fails must not take the program down with it: the screen is unknown then.
    work = work.then(() => parseSome(bytes)).catch(() => restart([]));
    return work;
  };
  const plan = () => {
    if (timer !== undefined || queued <= SLICE_ABOVE) return;
    timer = setTimeout(async () => {
      await parse(SLICE);
      timer = undefined;
      plan();
    }, SLICE_EVERY_MS).unref();
  };
  const restart = (bytes: Buffer[]) => {
    queue = bytes;
    queued = bytes.reduce((sum, chunk) => sum + chunk.length, 0);
    known = bytes.length > 0;
    terminal = undefined;
    sizeAtStart = current;
    last = "";
  };

  return {
    feed(chunk) {
      if (!known) {
        const recent = last + chunk.toString("latin1");
        const start = [...recent.matchAll(FULL_CLEAR)].at(-1)?.index;
        if (start !== undefined) restart([Buffer.from(recent.slice(start), "latin1")]);
        else last = recent.slice(-LONGEST_CLEAR);
        return;
      }
      queue.push(chunk);
      queued += chunk.length;
      if (queued > DROP_ABOVE) restart([]);
      else plan();
    },
    resize(next) {
      current = next;
      if (known) queue.push(next);
    },
    async read() {
      await parse(DROP_ABOVE);
      return known && queue.length === 0 && terminal ? snapshot(terminal) : undefined;
    },
  };
}

function snapshot(terminal: Terminal): Screen {
  const buffer = terminal.buffer.active;
  const cell = buffer.getNullCell();
  const rows: Row[] = [];
  for (let y = 0; y < terminal.rows; y++) {
    const line = buffer.getLine(buffer.baseY + y);
    let text = "";
    let typed = "";
    for (let x = 0; line !== undefined && x < terminal.cols; x++) {
      // The right half of a wide character has width 0 and no text of its own.
      if (line.getCell(x, cell)?.getWidth() === 0) continue;
      const chars = cell.getChars() || " ";
      text += chars;
      typed += cell.isDim() ? " ".repeat(chars.length) : chars;
    }
    rows.push({ text: text.trimEnd(), typed: typed.trimEnd() });
  }
  return { rows, cursor: { x: buffer.cursorX, y: buffer.cursorY }, cols: terminal.cols };
}
