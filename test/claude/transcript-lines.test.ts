import { appendFileSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type ByteFile,
  blocks,
  lineAround,
  linesBackward,
  linesOf,
  openBytes,
} from "../../src/claude/transcript-lines.ts";

function scratch(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), "claudemesh-lines-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "s.jsonl"), content);
  return join(folder, "s.jsonl");
}

const inMemory = (content: string): ByteFile => {
  const bytes = Buffer.from(content);
  return {
    size: bytes.length,
    read: async (into, position) => bytes.copy(into, 0, position),
    close: async () => {},
  };
};

async function forward(file: ByteFile, size?: number, from = 0): Promise<[number, string][]> {
  const lines: [number, string][] = [];
  for await (const block of blocks(file, from, size))
    for (const line of linesOf(block)) {
      expect(lineAround(block, line.offset - block.offset)).toEqual(line);
      lines.push([line.offset, line.bytes.toString()]);
    }
  return lines;
}

async function backward(file: ByteFile, chunk?: number): Promise<[number, string][]> {
  const lines: [number, string][] = [];
  for await (const line of linesBackward(file, chunk)) lines.unshift([line.offset, line.bytes.toString()]);
  return lines;
}

describe("the lines of a file", () => {
  it("are the same for any block, any chunk and either direction", async () => {
    const line = fc.string({ unit: "grapheme", maxLength: 30 }).map((words) => words.replaceAll("\n", ""));
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 12 }),
        fc.integer({ min: 1, max: 80 }),
        fc.boolean(),
        async (texts, size, ended) => {
          const content = texts.join("\n") + (ended && texts.length ? "\n" : "");
          let offset = 0;
          const expected = texts.map((words): [number, string] => {
            const place = offset;
            offset += Buffer.byteLength(words) + 1;
            return [place, words];
          });
          const known = expected.filter(([, words]) => words);
          const filled = (lines: [number, string][]) => lines.filter(([, words]) => words);
          const file = inMemory(content);
          expect(filled(await forward(file, size))).toEqual(known);
          expect(filled(await backward(file, size))).toEqual(known);
          const [from] = expected.at(-2) ?? [0];
          expect(filled(await forward(file, size, from))).toEqual(known.filter(([place]) => place >= from));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("leave out one that is too long for any conversation", async () => {
    const path = scratch("first\n");
    truncateSync(path, 6 + 75 * 1024 * 1024);
    appendFileSync(path, "\nlast\n");
    const file = await openBytes(path);
    onTestFinished(() => file.close());
    const last = statSync(path).size - 5;
    for (const lines of [await forward(file), await backward(file)]) {
      const found = lines.filter(([, words]) => words).map(([place, words]) => [place, words.slice(0, 9)]);
      expect(found).toEqual([
        [0, "first"],
        [last, "last"],
      ]);
    }
  });

  it("end where a file that shrinks meanwhile ends", async () => {
    const path = scratch("one\ntwo\nthree\n");
    const file = await openBytes(path);
    onTestFinished(() => file.close());
    truncateSync(path, 8);
    expect(await forward(file)).toEqual([
      [0, "one"],
      [4, "two"],
    ]);
    expect((await backward(file)).filter(([, words]) => words)).toEqual([
      [0, "one"],
      [4, "two"],
    ]);
  });
});
