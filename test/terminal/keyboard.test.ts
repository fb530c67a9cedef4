import { describe, expect, it } from "vitest";
import { createKeyboard } from "../../src/terminal/keyboard.ts";

/** A keyboard with a clock; `see` takes one string a millisecond. */
function start() {
  let clock = 10_000;
  const keyboard = createKeyboard(() => clock);
  return {
    keyboard,
    wait: (ms: number) => {
      clock += ms;
    },
    see: (...pieces: string[]) =>
      pieces.map((piece) => {
        clock += 1;
        return keyboard.see(Buffer.from(piece, "latin1"));
      }),
  };
}

const reports = {
  "focus in": "\x1b[I",
  "focus out": "\x1b[O",
  "a mouse move": "\x1b[<35;10;5M",
  "a mouse release": "\x1b[<0;10;5m",
  "a mouse move in the old form": "\x1b[M !!",
  "the cursor's position": "\x1b[12;40R",
  "device attributes": "\x1b[?62;22c",
  "keyboard flags": "\x1b[?1u",
  "a mode's state": "\x1b[?2026;2$y",
  "a change of colours": "\x1b[?997;1n",
  "the window's size": "\x1b[8;24;80t",
  "a colour": "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
  "a colour, ended by BEL": "\x1b]10;rgb:ffff/ffff/ffff\x07",
  "the terminal's name": "\x1bP>|xterm(390)\x1b\\",
};
const drafts = {
  "a letter": "a",
  "a letter of two bytes": "\xc3\xa9",
  "a paste": "\x1b[200~some text\x1b[201~",
  "a paste with an Enter in it": "\x1b[200~some\rtext\r\x1b[201~",
  "arrow up": "\x1b[A",
  "arrow up in application mode": "\x1bOA",
  "Ctrl-P": "\x10",
  "Ctrl-R": "\x12",
  "Ctrl-Y": "\x19",
  "a tab": "\t",
  "arrow right, which takes a suggestion": "\x1b[C",
  "text after Enter": "one\rtwo",
  "a line ended by a backslash": "one\\\r",
  "a letter in the kitty protocol": "\x1b[97u",
  "a newline": "one\n",
};
const empties = {
  Enter: "hello\r",
  "Enter in the kitty protocol": "hello\x1b[13u",
  "Ctrl-U": "hello\x15",
  "Ctrl-C": "hello\x03",
  "Ctrl-U in the kitty protocol": "hello\x1b[117;5u",
  "Ctrl-C with modifyOtherKeys": "hello\x1b[27;5;99~",
  "nothing but reports": "\x1b[I\x1b[<35;1;1M",
  Esc: "\x1b",
};

describe("the user's input", () => {
  it.each(Object.entries(reports))("%s is no key", (_, report) => {
    const { see, keyboard } = start();
    expect(see(report)).toEqual([false]);
    expect(keyboard.isSilent(500)).toBe(true);
    expect(keyboard.mayDraft()).toBe(false);
  });

  it.each(Object.entries(reports))("%s in one piece with a key is a key", (_, report) => {
    const { see } = start();
    expect(see(`${report}x`)).toEqual([true]);
    expect(see(`x${report}`)).toEqual([true]);
  });

  it.each(Object.entries(drafts))("%s may be a draft, until the screen has long shown what there is", (_, keys) => {
    const { see, keyboard, wait } = start();
    expect(see(keys)).toEqual([true]);
    expect(keyboard.mayDraft()).toBe(true);
    wait(3000);
    expect(keyboard.mayDraft()).toBe(false);
    expect(keyboard.isInDoubt()).toBe(true);
    keyboard.sawEmpty();
    expect(keyboard.isInDoubt()).toBe(false);
  });

  it.each(Object.entries(empties))("after %s there is no draft", (_, keys) => {
    const { see, keyboard } = start();
    see(keys);
    expect(keyboard.mayDraft()).toBe(false);
    expect(keyboard.isInDoubt()).toBe(false);
  });

  it("a key breaks the silence for as long as is asked", () => {
    const { see, keyboard, wait } = start();
    see("x");
    wait(499);
    expect(keyboard.isSilent(500)).toBe(false);
    wait(1);
    expect(keyboard.isSilent(500)).toBe(true);
  });

  it("there is no silence in the middle of a paste, however slow, and its end may come in pieces", () => {
    const { see, keyboard, wait } = start();
    see("\x1b[200~first");
    wait(60_000);
    expect(keyboard.isSilent(500)).toBe(false);
    see("second\x1b[20", "1~");
    wait(500);
    expect(keyboard.isSilent(500)).toBe(true);
  });

  it("a report cut in two is at worst taken for a key", () => {
    const { see } = start();
    expect(see("\x1b[<35;1", "0;5M", "\x1b[I")).toEqual([true, false, false]);
  });

  it("an Esc pressed by itself does not swallow the keys after it", () => {
    const { see, wait } = start();
    see("\x1b");
    wait(200);
    expect(see("[", "I")).toEqual([true, true]);
    see("\x1b]");
    wait(200);
    expect(see("abc\x07")).toEqual([true]);
  });
});
