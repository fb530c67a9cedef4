// Searching real (trimmed) transcripts, and generated ones against a search of every turn's texts.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { lastTurns } from "../../src/claude/transcript.ts";
import { type Hit, type SearchOptions, searchTurns } from "../../src/claude/transcript-search.ts";
import { searchEach } from "../../src/claude/transcript-threads.ts";

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/transcripts/${name}.jsonl`, import.meta.url));

async function hits(path: string, query: string, options?: SearchOptions): Promise<Hit[]> {
  const found: Hit[] = [];
  for await (const hit of searchTurns(path, query, options)) found.push(hit);
  return found;
}

function scratch(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), "claudemesh-search-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "s.jsonl");
  writeFileSync(path, content);
  return path;
}

const jsonl = (...lines: unknown[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join("");
const user = (content: unknown) => ({ type: "user", message: { role: "user", content } });
const said = (words: string) => ({ type: "assistant", message: { content: [{ type: "text", text: words }] } });

describe("a search", () => {
  it.each(["2.1.197", "2.1.329"])(
    "of %s finds prompts, answers, tools and results, each in its turn",
    async (version) => {
      const path = fixture(`${version}/tour`);
      expect(await hits(path, "TOOL OUTPUT")).toMatchObject([
        {
          turn: 3,
          role: "assistant",
          kind: "tool_use",
          before: expect.stringContaining("Bash {"),
          match: "tool output",
        },
        { turn: 3, role: "tool", kind: "tool_result", before: "", match: "tool output", after: "" },
      ]);
      expect(await hits(path, "größer")).toMatchObject([{ turn: 3, role: "user", kind: "prompt", match: "größer" }]);
      expect(await hits(path, "🦊", { limit: 1 })).toMatchObject([{ turn: 3, kind: "prompt" }]);
      expect(await hits(path, "/notes arg1")).toMatchObject([{ turn: 5, kind: "prompt", match: "/notes arg1" }]);
      expect(await hits(path, "typed while")).toMatchObject([{ role: "user", kind: "queued" }]);
      expect((await hits(path, "what does the billing job do?"))[0]).toMatchObject({
        turn: 1,
        when: expect.any(String),
      });
    },
  );

  it("finds nothing in what was copied for the API, in other lines, or in a subagent's file", async () => {
    const path = fixture("2.1.329/tour");
    for (const query of ["copy that was sent", "/copy that was sent/", "mid-turn note", "grep -c TABLE", "shapeHash"])
      expect(await hits(path, query), query).toEqual([]);
  });

  it("numbers turns as turnAt does", async () => {
    for (const name of ["2.1.329/tour", "2.1.197/tour", "2.1.197/early-answer"]) {
      const turns = await lastTurns(fixture(name), 100);
      const found = await hits(fixture(name), "/^./s", { limit: 1000 });
      const prompts = found.filter((hit) => hit.kind === "prompt");
      expect(prompts.map((hit) => hit.turn)).toEqual(turns.map((_, i) => i + 1));
    }
    expect(await hits(fixture("2.1.197/early-answer"), "nothing else")).toMatchObject([{ turn: 1, kind: "text" }]);
  });

  it("takes a regex with flags, and a path for what it is", async () => {
    const path = scratch(jsonl(user("Alpha /usr/bin beta"), said("one\nTWO\nthree alpha alpha\nalpha")));
    expect((await hits(path, "/alpha/")).map((hit) => [hit.kind, hit.before.at(-1)])).toEqual([
      ["text", " "],
      ["text", "\n"],
    ]);
    expect(await hits(path, "/ALPHA \\/u/i")).toMatchObject([{ match: "Alpha /u" }]);
    expect(await hits(path, "/^two$/im")).toMatchObject([{ match: "TWO" }]);
    expect(await hits(path, "/x*/gy")).toEqual([]);
    expect(await hits(path, "/usr/bin")).toMatchObject([{ match: "/usr/bin" }]);
    expect(await hits(path, ".*")).toEqual([]);
  });

  it.each(["/(/", "/[z-a]/i", "/a/ii", "/\\p{Nope}/u", ""])("says why %s is no pattern", async (query) => {
    await expect(hits(fixture("2.1.329/tour"), query)).rejects.toMatchObject({
      code: "BAD_PATTERN",
      message: expect.stringMatching(/^can't search.*: .*[a-z]/i),
    });
  });

  it("says that there is no transcript", async () => {
    await expect(hits(fixture("none"), "x")).rejects.toMatchObject({ code: "NO_TRANSCRIPT" });
  });

  it("shows so much context, keeps characters whole, and stops at the limit", async () => {
    const path = scratch(jsonl(user("🦊🦊hit🦊🦊"), said("a hit\nanother hit"), said("x".repeat(9000))));
    expect(await hits(path, "HIT", { context: 1, limit: 2 })).toMatchObject([
      { before: "", match: "hit", after: "🦊" },
      { before: " ", after: "\n" },
    ]);
    expect(await hits(path, "hit", { context: 0 })).toHaveLength(3);
    expect((await hits(path, "hit"))[0]).toMatchObject({ before: "🦊🦊", after: "🦊🦊" });
    expect((await hits(path, "/x+/"))[0]?.match).toBe(`${"x".repeat(2000)}… [7000 bytes cut]`);
  });

  it("passes over a line that is half-written, and reads a last one without a newline", async () => {
    const path = scratch(`${jsonl(user("a needle"))}{"type":"assistant","needle\n${JSON.stringify(said("needle"))}`);
    expect(await hits(path, "needle")).toMatchObject([{ kind: "prompt" }, { kind: "text" }]);
  });

  it("finds whatever a search of every turn's texts finds", async () => {
    const word = fc.oneof(
      fc.constantFrom("migration", "Check", "check", "é", "a.b", "\n", '"', "\\", "K", "k", "ſ", "s", "(", "-", " "),
      fc.string({ unit: "grapheme", maxLength: 3 }),
    );
    const words = fc.array(word, { maxLength: 6 }).map((all) => all.join(" "));
    const line = fc.oneof(
      words.map((all) => user(`p ${all}`)),
      words.map(said),
      words.map((all) => user([{ type: "tool_result", tool_use_id: "t", content: all }])),
      words.map((all) => ({ type: "api-request-blob", message: { role: "user", content: all } })),
    );
    const path = scratch("");
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), words, async (lines, all) => {
        const query = all.trim();
        fc.pre(query !== "" && !query.startsWith("/") && !/(?!\n)\p{Cc}/u.test(query));
        writeFileSync(path, jsonl(user("start"), ...lines));
        const turns = await lastTurns(path, 99, { redact: Number.POSITIVE_INFINITY });
        const pattern = new RegExp(
          query.replace(/[^\w\s]/g, (c) => (c.charCodeAt(0) < 128 ? `\\${c}` : c)),
          "i",
        );
        const expected = turns.flatMap((turn, i) =>
          [turn.prompt, ...turn.entries.map((entry) => entry.text)]
            .filter((text) => pattern.test(text))
            .map(() => i + 1),
        );
        const found = await hits(path, query, { limit: 1000 });
        // several lines of one text may match, so turns are compared, not hits
        expect([...new Set(found.map((hit) => hit.turn))]).toEqual([...new Set(expected)]);
        expect(found.length).toBeGreaterThanOrEqual(expected.length);
        for (const hit of found) expect(hit.match).toMatch(pattern);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a search of many", () => {
  const said3 = (n: number) => jsonl(user(`what of ${n}?`), said(`the needle of ${n}`), said("another needle"));
  /** Twenty of very different lengths, so that threads end them in another order; one in three is not there. */
  const paths = () =>
    Array.from({ length: 20 }, (_, n) =>
      n % 3 === 0 ? join(tmpdir(), `none-${n}`) : scratch(jsonl(said("filler")).repeat((20 - n) ** 3) + said3(n)),
    );

  /** A thread has one as long as it lives. */
  const ports = () => process.getActiveResourcesInfo().filter((kind) => kind === "MessagePort").length;

  async function all(...args: Parameters<typeof searchEach>): Promise<[number, Hit][]> {
    const found: [number, Hit][] = [];
    for await (const one of searchEach(...args)) found.push(one);
    return found;
  }

  it("finds the same in threads as without them, in the order of the paths, and leaves no thread", async () => {
    const [some, before] = [paths(), ports()];
    const found = await all(some, "needle", { limit: 20 }, Number.POSITIVE_INFINITY);
    expect(found.map(([n]) => n)).toEqual(some.flatMap((_, n) => (n % 3 === 0 ? [] : [n, n])));
    expect(found[0]).toMatchObject([1, { turn: 1, before: "the ", match: "needle", after: " of 1" }]);
    expect(await all(some, "needle", { limit: 20 }, 0)).toEqual(found);
    expect(await all(some, "/n.{2}dle of/", { limit: 1, context: 0 }, 0)).toHaveLength(13);
    expect(ports()).toBe(before);
  });

  it("ends its threads when nobody wants more, and says what is wrong with a pattern as ever", async () => {
    const [some, before] = [paths(), ports()];
    for await (const _ of searchEach(some, "needle", { limit: 1 }, 0)) break;
    expect(ports()).toBe(before);
    some.push(scratch(jsonl(said(`${"a".repeat(50)}!`))));
    const endless = all(some, "/(a+)+$/", {}, 0);
    await expect(endless).rejects.toMatchObject({ name: "MeshError", code: "BAD_PATTERN", hint: expect.any(String) });
  });
});
