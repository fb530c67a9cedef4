import { existsSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { createKeyboard } from "../../src/terminal/keyboard.ts";
import { openPty } from "../../src/terminal/pty.ts";
import { createScreenModel, type Screen } from "../../src/terminal/screen-model.ts";
import { cleanPaste, createTypist, ring } from "../../src/terminal/typist.ts";
import { tempHome, until } from "../temp-home.ts";

const program = new URL("./prompt-program.mjs", import.meta.url).pathname;
const isRule = (text: string | undefined) => /^-{40}$/.test(text ?? "");

/** The text in the stand-in's box; undefined if there is none. */
function boxText({ rows }: Screen): string | undefined {
  const [top, bottom] = [rows.findIndex((row) => isRule(row.text)), rows.findLastIndex((row) => isRule(row.text))];
  if (top < 0 || top === bottom) return undefined;
  const inside = rows.slice(top + 1, bottom).map((row) => row.text.slice(2));
  return inside.join("\n");
}
const above = ({ rows }: Screen) =>
  rows
    .slice(
      0,
      rows.findIndex((row) => isRule(row.text)),
    )
    .map((row) => row.text);

type Setup = { onPaste?: string; allClear?: () => boolean; known?: boolean; afterPaste?: () => void };

type Session = Awaited<ReturnType<typeof start>>;

/** The stand-in in a PTY with a typist at it. */
async function start({ onPaste = "", allClear = () => true, known = true, afterPaste = () => {} }: Setup = {}) {
  const home = tempHome();
  const size = { cols: 60, rows: 20 };
  const env = { ...home.env, SUBMITTED: home.path("submitted"), ON_PASTE: onPaste };
  const pty = await openPty({ file: process.execPath, args: [program], env, cwd: home.home }, size);
  let ended = false;
  pty.onExit(() => {
    ended = true;
  });
  onTestFinished(async () => {
    if (!ended) process.kill(pty.pid, "SIGKILL");
    await until(() => ended, "the end of the program");
  });
  const model = createScreenModel(size);
  const written: string[] = [];
  const write = (data: Buffer | string) => {
    written.push(data.toString());
    pty.write(data);
    if (data.includes("\x1b[200~")) afterPaste();
  };
  let clock = 1000;
  const keyboard = createKeyboard(() => clock);
  const typist = createTypist<Screen>({
    write,
    screen: async () => (known ? model.read() : undefined),
    allClear,
    judge: (screen) => (boxText(screen) === undefined ? "other" : boxText(screen) === "" ? "empty prompt" : "draft"),
    showsPasted: (before, after, text) => boxText(after) === text && above(before).join() === above(after).join(),
    nudge: async () => {
      pty.resize({ ...size, rows: size.rows - 1 });
      await pause(100);
      pty.resize(size);
      await pause(100);
    },
    keyboard,
    patience: 500,
  });
  pty.onData((chunk) => {
    model.feed(chunk);
    typist.sawOutput();
  });
  const box = async () => boxText((await model.read()) ?? { rows: [], cursor: { x: 0, y: 0 }, cols: 0 });
  await until(async () => (await box()) === "", "the empty box");
  return {
    pty,
    typist,
    written,
    box,
    pass: (milliseconds: number) => {
      clock += milliseconds;
    },
    /** The user presses keys. */
    press(keys: string) {
      if (!typist.sawInput(Buffer.from(keys))) pty.write(keys);
    },
    submitted: () =>
      existsSync(home.path("submitted"))
        ? readFileSync(home.path("submitted"), "utf8")
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line))
        : [],
  };
}

describe("at an empty prompt", () => {
  it("a text is pasted, seen in the box and entered by itself", async () => {
    const { typist, submitted, written } = await start();
    expect(await typist.type("mail from web")).toBe("entered");
    expect(written).toEqual(["\x1b[200~mail from web\x1b[201~", "\r"]);
    expect(submitted()).toEqual([{ prompt: "mail from web" }]);
  });

  it("several texts come one after the other", async () => {
    const { typist, submitted } = await start();
    for (const text of ["one", "two\nlines", "three"]) expect(await typist.type(text)).toBe("entered");
    expect(submitted()).toEqual([{ prompt: "one" }, { prompt: "two\nlines" }, { prompt: "three" }]);
  });

  it("a text can't close its own paste and press keys", async () => {
    const { typist, submitted } = await start();
    expect(await typist.type("harmless\x1b[201~\r\x14\r\x03 end")).toBe("entered");
    await until(() => submitted().length > 0, "the prompt");
    expect(submitted()).toEqual([{ prompt: "harmless[201~\n\n end" }]);
  });

  it("the terminal's own reports are no keys and go through", async () => {
    const { typist, press } = await start();
    const typing = typist.type("mail from web");
    press("\x1b[I");
    expect(await typing).toBe("entered");
  });

  it("only one text is typed at a time", async () => {
    const { typist } = await start();
    const first = typist.type("first");
    expect(await typist.type("second")).toBe("not clear");
    expect(await first).toBe("entered");
  });
});

describe("nothing is typed", () => {
  it("while a draft is in the box", async () => {
    const { typist, press, pass, written, box } = await start();
    press("half");
    await until(async () => (await box()) === "half", "the draft");
    pass(10_000);
    expect(await typist.type("mail")).toBe("not clear");
    expect(written).toEqual([]);
  });

  it("within half a second of a key, though the box is empty", async () => {
    const { typist, press, pass, written, box } = await start();
    press("x\x15");
    await until(async () => (await box()) === "", "the empty box");
    pass(400);
    expect(await typist.type("mail")).toBe("not clear");
    pass(200);
    expect(await typist.type("mail")).toBe("entered");
    expect(written).toHaveLength(2);
  });

  it("while a recalled prompt may be on its way to the box", async () => {
    const { typist, press, pass, written } = await start();
    press("\x1b[A");
    pass(1000);
    expect(await typist.type("mail")).toBe("not clear");
    expect(written).toEqual([]);
  });

  it("into a dialog", async () => {
    const { typist, pty, box, written } = await start();
    pty.write("\x14");
    await until(async () => (await box()) === undefined, "the dialog");
    expect(await typist.type("mail")).toBe("not clear");
    expect(written).toEqual([]);
  });

  it("when the caller does not call it clear, or the screen can't be known", async () => {
    const busy = await start({ allClear: () => false });
    expect(await busy.typist.type("mail")).toBe("not clear");
    expect(busy.written).toEqual([]);
    const blind = await start({ known: false });
    expect(await blind.typist.type("mail")).toBe("not clear");
    expect(blind.written).toEqual([]);
  });

  it.each(["/model", "!rm -rf x", "@file", "#note", "& job", "  /clear", "\x1b!ls", "", " \n "])(
    "that would not be a prompt: %j",
    async (text) => {
      const { typist, written } = await start();
      await expect(typist.type(text)).rejects.toThrow("can't type");
      expect(written).toEqual([]);
    },
  );
});

describe("a paste is withdrawn, and Enter never pressed,", () => {
  it("when the session is no longer idle", async () => {
    const answers = [true, false];
    const { typist, submitted, written, box } = await start({ allClear: () => answers.shift() ?? true });
    expect(await typist.type("mail\nof three\nlines")).toBe("withdrawn");
    expect(await box()).toBe("");
    expect(written).not.toContain("\r");
    expect(submitted()).toEqual([]);
  });

  it("when the session begins something else before the paste shows, and that is said before it is cut", async () => {
    const answers = [true];
    const { typist, submitted, written } = await start({ onPaste: "slow", allClear: () => answers.shift() ?? false });
    let before: string[] = [];
    const withdraw = () => {
      before = [...written];
    };
    expect(await typist.type("mail", () => true, withdraw)).toBe("withdrawn");
    expect(before).toEqual(["\x1b[200~mail\x1b[201~"]);
    expect(written).not.toContain("\r");
    expect(submitted()).toEqual([]);
  });

  it("when the user presses a key, which waits and comes after it", async () => {
    const session: Session = await start({
      afterPaste() {
        session.press("h");
        session.press("\x1b[O");
        session.press("i");
      },
    });
    const { typist, submitted, box } = session;
    expect(await typist.type("mail\nof two lines")).toBe("withdrawn");
    await until(async () => (await box()) === "hi", "the user's own keys");
    expect(submitted()).toEqual([]);
  });

  it("when something else on the screen changes with it", async () => {
    const { typist, submitted, box } = await start({ onPaste: "extra" });
    expect(await typist.type("mail")).toBe("withdrawn");
    expect(await box()).toBe("");
    expect(submitted()).toEqual([]);
  });

  it("when a dialog opens; what is left behind it is cut the next time", async () => {
    const { typist, pty, submitted, box } = await start({ onPaste: "dialog" });
    expect(await typist.type("mail")).toBe("withdrawn");
    expect(submitted()).toEqual([]);
    pty.write("\x14");
    await until(async () => (await box()) === "mail", "the dialog to close");
    expect(await typist.type("other")).toBe("withdrawn");
    pty.write("\x14");
    await until(async () => (await box()) === "other", "only the second text in the box");
    expect(submitted()).toEqual([]);
  });

  it("when the program is too slow to show it", async () => {
    const { typist, submitted, written } = await start({ onPaste: "slow" });
    expect(await typist.type("mail")).toBe("withdrawn");
    expect(written).not.toContain("\r");
    expect(submitted()).toEqual([]);
  });

  it("when the program ends, and not a byte more is written, then or later", async () => {
    const session: Session = await start({ afterPaste: () => session.typist.stop() });
    expect(await session.typist.type("mail")).toBe("withdrawn");
    await until(async () => (await session.box()) === "mail", "the paste to show");
    expect(await session.typist.type("more")).toBe("not clear");
    expect(session.written).toEqual(["\x1b[200~mail\x1b[201~"]);
    expect(session.submitted()).toEqual([]);
  });

  it("and one whose Enter is swallowed is cut too", async () => {
    const { typist, submitted, box } = await start({ onPaste: "deaf" });
    expect(await typist.type("mail")).toBe("withdrawn");
    expect(await box()).toBe("");
    expect(submitted()).toEqual([]);
  });
});

describe("a text made fit to be pasted", () => {
  it("holds no control, bidi override or lone surrogate, whatever it was", () => {
    const text = fc.string({
      unit: fc.constantFrom("\x1b", "[", "2", "0", "1", "~", "\r", "\n", "\u009b", "\u202e", "\ud800", "a", "✉"),
    });
    fc.assert(
      fc.property(text, (raw) => {
        const clean = cleanPaste(raw);
        expect(clean).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
        expect(clean.isWellFormed()).toBe(true);
      }),
    );
  });

  it("keeps lines, tabs and letters of every script", () => {
    expect(cleanPaste("a\tb\r\nc\rd 你好 ✉ é")).toBe("a\tb\nc\nd 你好 ✉ é");
  });

  it("never ends in what would make a new line of Enter, or open a menu", () => {
    expect(cleanPaste("a path \\")).toBe("a path \\ ");
    expect(cleanPaste("look at @src/index.ts")).toBe("look at @src/index.ts ");
    expect(cleanPaste("it is in /tmp")).toBe("it is in /tmp ");
    expect(cleanPaste("a/b me@home")).toBe("a/b me@home");
  });

  it("as a notice is one line that can't end its own sequence", () => {
    expect(ring("mail from\nweb\x07\x1b]0;title")).toBe("\x1b]9;mail from web]0;title\x07");
  });
});
