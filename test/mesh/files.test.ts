import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createFile, isObject, readJsonObject, replaceFile, replaceLink, syncDir } from "../../src/mesh/files.ts";
import { inNode, tempFolder, thrownBy } from "./temp-mesh.ts";

describe("createFile", () => {
  it("writes the bytes, 0600", () => {
    const file = join(tempFolder(), "x");
    createFile(file, Buffer.from([0, 255]));
    expect([...readFileSync(file)]).toEqual([0, 255]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("never touches what is there, be it a file or a link to nowhere", () => {
    const dir = tempFolder();
    writeFileSync(join(dir, "x"), "old");
    symlinkSync(join(dir, "nowhere"), join(dir, "link"));
    for (const name of ["x", "link"])
      expect(thrownBy(() => createFile(join(dir, name), "new"))).toMatchObject({ code: "EEXIST" });
    expect(readFileSync(join(dir, "x"), "utf8")).toBe("old");
    expect(existsSync(join(dir, "nowhere"))).toBe(false);
  });
});

describe("replaceFile", () => {
  it("leaves the new text, 0600, and nothing beside it", () => {
    const dir = tempFolder();
    writeFileSync(join(dir, "x"), "old", { mode: 0o644 });
    replaceFile(join(dir, "x"), "new");
    expect(readFileSync(join(dir, "x"), "utf8")).toBe("new");
    expect(statSync(join(dir, "x")).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(["x"]);
  });

  it("that can't be done leaves nothing beside", () => {
    const dir = tempFolder();
    mkdirSync(join(dir, "x"));
    expect(thrownBy(() => replaceFile(join(dir, "x"), "new"))).toMatchObject({ code: "EISDIR" });
    expect(readdirSync(dir)).toEqual(["x"]);
  });

  it("of many processes at once shows every reader a whole text", async () => {
    const file = join(tempFolder(), "x");
    replaceFile(file, "0".repeat(10_000));
    const writers = [1, 2, 3].map((n) =>
      inNode(
        `const { replaceFile } = await mesh("files");
         for (let n = 0; n < 60; n++) replaceFile(args[0], args[1].repeat(10_000));
         done(true);`,
        { args: [file, String(n)] },
      ),
    );
    let running = true;
    const all = Promise.all(writers).finally(() => {
      running = false;
    });
    while (running) {
      expect(readFileSync(file, "utf8")).toMatch(/^(\d)\1{9999}$/);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await all;
  });
});

describe("replaceLink", () => {
  it("makes a link, moves it, and leaves one that is right alone", () => {
    const dir = tempFolder();
    const link = join(dir, "link");
    replaceLink(link, "a");
    const made = lstatSync(link);
    replaceLink(link, "a");
    expect(lstatSync(link).ino).toBe(made.ino);
    replaceLink(link, "b");
    expect(readlinkSync(link)).toBe("b");
    expect(readdirSync(dir)).toEqual(["link"]);
  });

  it("that can't be done leaves nothing beside", () => {
    const dir = tempFolder();
    mkdirSync(join(dir, "link"));
    expect(() => replaceLink(join(dir, "link"), "a")).toThrow();
    expect(readdirSync(dir)).toEqual(["link"]);
  });
});

describe("readJsonObject", () => {
  it("gives the object", () => {
    const file = join(tempFolder(), "x.json");
    writeFileSync(file, '{"a":[1]}');
    expect(readJsonObject(file)).toEqual({ a: [1] });
  });

  it.each(["", "{", "[]", "null", "1", '"x"'])("of %j gives nothing", (text) => {
    const file = join(tempFolder(), "x.json");
    writeFileSync(file, text);
    expect(readJsonObject(file)).toBeUndefined();
  });

  it("of nothing, a folder, or a path through a file gives nothing", () => {
    const dir = tempFolder();
    writeFileSync(join(dir, "file"), "{}");
    expect([join(dir, "nothing"), dir, join(dir, "file/x")].map(readJsonObject)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.runIf(process.getuid?.() === 0)("of a file without a right to read it gives nothing", async () => {
    const dir = tempFolder();
    chmodSync(dir, 0o755);
    writeFileSync(join(dir, "x"), "{}", { mode: 0o600 });
    const read = `done((await mesh("files")).readJsonObject(args[0]) ?? "nothing")`;
    expect(await inNode(read, { uid: 12345, args: [join(dir, "x")] })).toBe("nothing");
  });
});

it("an object is neither null nor an array nor a scalar", () => {
  expect([{}, { a: 1 }].map(isObject)).toEqual([true, true]);
  expect([null, undefined, [], 1, "x", true].some(isObject)).toBe(false);
});

it("syncDir says so when there is no such folder", () => {
  expect(thrownBy(() => syncDir(join(tempFolder(), "nothing")))).toMatchObject({ code: "ENOENT" });
});
