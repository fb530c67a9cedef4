import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createScreenModel } from "../../src/terminal/screen-model.ts";

const size = { cols: 20, rows: 4 };
const bytes = (text: string) => Buffer.from(text);
const texts = (screen: { rows: { text: string }[] } | undefined) => screen?.rows.map((row) => row.text);

describe("the screen model", () => {
  it("shows what a terminal would show, and where the cursor is", async () => {
    const model = createScreenModel(size);
    model.feed(bytes("one\r\ntwo\x1b[1;1HO"));
    expect(await model.read()).toEqual({
      rows: [
        { text: "One", typed: "One" },
        { text: "two", typed: "two" },
        { text: "", typed: "" },
        { text: "", typed: "" },
      ],
      cursor: { x: 1, y: 0 },
      cols: 20,
    });
  });

  it("blanks dim characters in what was typed, wide ones too", async () => {
    const model = createScreenModel(size);
    model.feed(bytes("❯ a\x1b[2m dim 你好\x1b[22m b"));
    expect((await model.read())?.rows[0]).toEqual({
      text: "❯ a dim 你好 b",
      typed: "❯ a        b".replace("a        b", `a${" ".repeat(8)}b`),
    });
  });

  it("puts pieces together that were cut inside a character or a sequence", async () => {
    const model = createScreenModel(size);
    for (const byte of bytes("\x1b[2J\x1b[Hé✉你\x1b[2mx")) model.feed(Buffer.from([byte]));
    expect((await model.read())?.rows[0]).toEqual({ text: "é✉你x", typed: "é✉你" });
  });

  it("follows a change of size in the order it came", async () => {
    const model = createScreenModel(size);
    model.feed(bytes("\x1b[2J\x1b[H"));
    model.resize({ cols: 8, rows: 3 });
    model.feed(bytes("0123456789"));
    expect(texts(await model.read())).toEqual(["01234567", "89", ""]);
  });

  it("too much output unseen makes it unknown, until all is cleared", async () => {
    const model = createScreenModel(size);
    const flood = Buffer.alloc(1 << 20, "x");
    for (let i = 0; i < 9; i++) model.feed(flood);
    expect(await model.read()).toBeUndefined();
    model.feed(bytes("a prompt that looks fine"));
    expect(await model.read()).toBeUndefined();
    model.feed(bytes("\x1b["));
    model.feed(bytes("2J\x1b[Hknown again"));
    expect(texts(await model.read())).toEqual(["known again", "", "", ""]);
  });

  it("the alternate screen makes it known again, at the size of then", async () => {
    const model = createScreenModel(size);
    for (let i = 0; i < 9; i++) model.feed(Buffer.alloc(1 << 20, "x"));
    model.resize({ cols: 10, rows: 2 });
    model.feed(bytes("rest\x1b[?1049h\x1b[Hfresh"));
    expect(texts(await model.read())).toEqual(["fresh", ""]);
  });

  it("keeps up by itself with output that nobody asks about", async () => {
    const model = createScreenModel(size);
    for (let i = 0; i < 100; i++) model.feed(Buffer.alloc(4096, "y"));
    model.feed(bytes("\x1b[2J\x1b[Hend"));
    expect(texts(await model.read())?.[0]).toBe("end");
  });

  it("survives any bytes", async () => {
    const model = createScreenModel(size);
    for (let i = 0; i < 32; i++) model.feed(randomBytes(1 << 15));
    model.feed(bytes("\x1bc\x18\x1b\\\x1bcstill here"));
    expect(texts(await model.read())?.[0]).toBe("still here");
  });
});
