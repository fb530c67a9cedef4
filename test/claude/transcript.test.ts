// Turns of real (trimmed) transcripts of two clients, and of generated ones against a reader that is too simple to be
// wrong.

import { appendFileSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { captions, lastTurns, type Turn, turnAt } from "../../src/claude/transcript.ts";
import { openBytes } from "../../src/claude/transcript-lines.ts";

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/transcripts/${name}.jsonl`, import.meta.url));
const kinds = (turn: Turn | undefined) => turn?.entries.map((entry) => entry.kind).join(" ");

function scratch(content: string | Buffer = "", name = "s.jsonl"): string {
  const folder = mkdtempSync(join(tmpdir(), "claudemesh-transcript-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const jsonl = (...lines: unknown[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join("");
const user = (content: unknown, more = {}) => ({
  parentUuid: null,
  type: "user",
  message: { role: "user", content },
  ...more,
});
const said = (id: string, ...content: unknown[]) => ({
  message: { id, role: "assistant", content },
  type: "assistant",
});
const text = (words: string) => ({ type: "text", text: words });
const use = (id: string, name: string, input: unknown) => ({ type: "tool_use", id, name, input });
const result = (tool_use_id: string, content: unknown) => ({ type: "tool_result", tool_use_id, content });
const blob = (content: unknown) => ({ type: "api-request-blob", sessionId: "s", message: { role: "user", content } });

describe("the turns of real transcripts", () => {
  const common = [
    ["human", "what does the billing job do?", "thinking text"],
    ["human", "and who calls it?", "text"],
    [
      "human",
      "run it, then look at the file and at the picture: größer als 1 €? 🦊",
      "thinking tool_use tool_result thinking tool_use tool_use",
    ],
    ["human", "finish the report", "text meta text"],
    ["human", "/notes arg1", "meta text"],
    ["human", "read the missing file", "tool_use tool_result text"],
    ["human", "let an agent count the tables", "tool_use tool_result text"],
    ["notification", "<task-notification>", "text"],
    ["human", "write the date to a file", "tool_use tool_result interrupted"],
    ["human", "run both checks", "tool_use tool_result queued tool_use tool_result text"],
    ["human", "run both checks again", "tool_use tool_result queued tool_use tool_result text"],
    ["human", "try the broken endpoint", "text command output compaction command output"],
    ["human", "where were we?", "text"],
  ];
  const newer = [
    ["human", "! echo from a shell line", "output text"],
    ["mail", "Another Claude session sent a message:\nthe staging copy is ready", "text"],
    ["mail", "Another Claude session sent a message:\n<cross-session-message", "text"],
  ];

  it.each([
    ["2.1.197", common, []],
    ["2.1.329", common, newer],
  ])("of %s start where a human, mail or a notice began them", async (version, each, more) => {
    const turns = await lastTurns(fixture(`${version}/tour`), 100);
    for (const [from, prompt = "", entries = ""] of [...each, ...more]) {
      const turn = turns.find(
        (one) => one.prompt.startsWith(prompt) && one.from === from && kinds(one)?.startsWith(entries),
      );
      expect(turn, prompt).toBeDefined();
    }
    expect(turns).toHaveLength(each.length + more.length);
    expect(turns.map((turn) => turn.index)).toEqual(turns.map((_, i) => i - turns.length));
    expect(turns.every((turn) => turn.started_at?.startsWith("2026-11-21T"))).toBe(true);
  });

  it.each(["2.1.197", "2.1.329"])("of %s name tools and keep the blocks of one message together", async (version) => {
    const turn = await turnAt(fixture(`${version}/tour`), 3);
    const uses = turn.entries.filter((entry) => entry.kind === "tool_use");
    expect(uses.map((entry) => `${entry.tool} ${entry.text}`)).toEqual([
      'Bash {"command":"echo tool output","description":"Echo"}',
      'Read {"file_path":"/home/me/proj/sub/file.txt"}',
      'Read {"file_path":"/home/me/proj/dot.png"}',
    ]);
    expect(uses[1]?.message).toBe(uses[2]?.message);
    expect(turn.entries.find((entry) => entry.kind === "image")).toMatchObject({
      text: "[image image/png, 70 bytes]",
      tool: "Read",
    });
    expect(turn.entries.find((entry) => entry.kind === "tool_result")).toMatchObject({
      text: "tool output",
      tool: "Bash",
    });
    expect(turn.entries.at(-1)).toMatchObject({ kind: "text", text: "The picture is a single pixel. 🦊" });
  });

  it.each(["2.1.197", "2.1.329"])("of %s tell of failures, commands and the summary", async (version) => {
    const turn = await turnAt(fixture(`${version}/tour`), -2);
    const texts = turn.entries.map((entry) => entry.text);
    expect(turn.entries[0]).toMatchObject({ text: "API Error: 400 the request was refused", error: true });
    expect(texts[1]).toBe("/model sonnet");
    expect(texts[2]).toMatch(/^Set model to [^<>\p{Cc}]*$/u);
    expect(texts[3]).toMatch(/^This session is being continued/);
    expect(texts[4]).toBe("/compact");
    expect(texts.join("")).not.toContain("caveat");
  });

  it("tell of a subagent in one line and never mix in what it said", async () => {
    const newer = await lastTurns(fixture("2.1.329/tour"), 100);
    const older = await lastTurns(fixture("2.1.197/tour"), 100);
    expect(newer.flatMap((turn) => turn.subagents ?? [])).toEqual([
      { id: "abf1a8a8a00f218bc", description: "count the tables", lines: 4 },
    ]);
    expect(older.flatMap((turn) => turn.subagents ?? [])).toEqual([{ id: "a0b0dc5c45937595c", lines: 4 }]);
    expect(newer.find((turn) => turn.subagents)?.prompt).toBe("let an agent count the tables");
    expect(JSON.stringify([newer, older])).not.toContain("grep -c TABLE");
  });

  it("hold nothing of the copies that were sent to the API", async () => {
    const turns = await lastTurns(fixture("2.1.329/tour"), 100, { redact: Number.POSITIVE_INFINITY });
    expect(JSON.stringify(turns)).not.toContain("copy that was sent");
  });

  it("begin afresh after /clear", async () => {
    for (const version of ["2.1.197", "2.1.329"]) {
      const turns = await lastTurns(fixture(`${version}/after-clear`), 5);
      expect(turns.map((turn) => [turn.prompt, kinds(turn)])).toEqual([["start afresh", "text"]]);
    }
  });

  it("include a first answer that was written before its prompt", async () => {
    const path = fixture("2.1.197/early-answer");
    const [first, second] = await lastTurns(path, 5);
    expect([first?.prompt, kinds(first)]).toEqual(["what is in this folder?", "text"]);
    expect([second?.prompt, kinds(second)]).toEqual(["! echo from a shell line", "output text"]);
    expect(await turnAt(path, 1)).toEqual({ ...first, index: 1 });
  });
});

describe("turnAt", () => {
  it("gives the same turn from either end", async () => {
    const path = fixture("2.1.329/tour");
    const turns = await lastTurns(path, 100);
    for (const turn of turns) {
      const index = turns.length + turn.index + 1;
      expect(await turnAt(path, index)).toEqual({ ...turn, index });
      expect(await turnAt(path, turn.index)).toEqual(turn);
    }
  });

  it.each([14, -14, 0, 1.5])("says how many turns there are when there is no turn %s", async (index) => {
    await expect(turnAt(fixture("2.1.197/tour"), index)).rejects.toMatchObject({
      code: "NO_SUCH_TURN",
      message: expect.stringContaining("has 13 turns"),
    });
  });

  it("says that there is no transcript", async () => {
    for (const path of [join(scratch(), "x"), join(dirname(scratch()), "none.jsonl"), dirname(scratch())]) {
      for (const attempt of [() => turnAt(path, 1), () => turnAt(path, -1), () => lastTurns(path, 1)])
        await expect(attempt()).rejects.toMatchObject({ code: "NO_TRANSCRIPT", hint: expect.any(String) });
    }
  });
});

describe("which lines are conversation", () => {
  it("is decided by the line's own type, wherever in the line that stands", async () => {
    const nested = { type: "user", message: { role: "user", content: "nested" } };
    const path = scratch(
      jsonl(
        { message: { role: "user", content: "type last" }, nested: { type: "assistant" }, type: "user" },
        { note: { type: "user" }, type: "progress", message: { role: "user", content: "no: progress" } },
        blob([nested]),
        { type: "attachment", attachment: { type: "note", prompt: [{ type: "queued_command", text: "no: a note" }] } },
        said("m1", text('said "type":"user" \\"type\\":\\"user\\"'), use("t1", "Edit", nested)),
        user([result("t1", [nested, text("done")])]),
        { type: "assistant", isSidechain: true, message: { id: "x", content: [text("no: sidechain")] } },
        user("no: sidechain", { isSidechain: true }),
        { type: "system", content: "no: system" },
        { type: "something-new", message: { role: "user", content: "no: new" } },
      ),
    );
    const turns = await lastTurns(path, 9);
    expect(turns.map((turn) => [turn.prompt, kinds(turn)])).toEqual([["type last", "text tool_use tool_result"]]);
    expect(turns[0]?.entries[1]?.text).toBe(JSON.stringify(nested));
    expect(JSON.stringify(turns)).not.toContain("no: ");
  });

  it("joins the blocks of one message that a result came between", async () => {
    const path = scratch(
      jsonl(
        user("two at once"),
        said("m1", { type: "thinking", thinking: "hm" }),
        said("m1", use("t1", "Bash", {})),
        user([result("t1", "one")]),
        said("m1", use("t2", "Read", {})),
        user([result("t2", [{ type: "tool_reference", tool_name: "x" }])]),
        said("m2", text("done")),
      ),
    );
    const [turn] = await lastTurns(path, 1);
    expect(turn?.entries.map((entry) => `${entry.kind} ${entry.tool ?? ""} ${entry.text}`)).toEqual([
      "thinking  hm",
      "tool_use Bash {}",
      "tool_use Read {}",
      "tool_result Bash one",
      "tool_result Read [tool_reference x]",
      "text  done",
    ]);
  });

  it("passes over blank lines, CRLF, rubbish, and a last line that is half-written", async () => {
    const whole = `\n\r\n{"type":"user"\n${jsonl(user("one"), said("m1", text("1"))).replaceAll("\n", "\r\n")}null\n[]\n`;
    const half = JSON.stringify(user("two"));
    const path = scratch(whole);
    for (let end = 0; end < half.length; end++) {
      writeFileSync(path, whole + half.slice(0, end));
      const turns = await lastTurns(path, 9, { chunk: 7 });
      expect(turns.map((turn) => [turn.prompt, kinds(turn)])).toEqual([["one", "text"]]);
    }
    appendFileSync(path, `${half.slice(-1)}\n`);
    expect((await lastTurns(path, 9)).map((turn) => turn.prompt)).toEqual(["one", "two"]);
    expect((await turnAt(path, 2)).prompt).toBe("two");
  });
});

describe("what is cut", () => {
  it("is what goes over the limit, between two characters, and the text says how much", async () => {
    const long = `${"é".repeat(1500)}🦊`;
    const path = scratch(jsonl(user(long), said("m1", text(long), text("short"))));
    const [usual] = await lastTurns(path, 1);
    expect(usual?.prompt).toBe(`${"é".repeat(1000)}… [1004 bytes cut]`);
    expect(usual?.entries.map((entry) => entry.text)).toEqual([usual?.prompt, "short"]);
    expect((await turnAt(path, 1, { redact: 3003 })).prompt).toBe(`${"é".repeat(1500)}… [4 bytes cut]`);
    expect((await turnAt(path, 1, { redact: 5 })).prompt).toBe("éé… [3000 bytes cut]");
    for (const redact of [3004, Number.POSITIVE_INFINITY]) {
      expect((await turnAt(path, -1, { redact })).prompt).toBe(long);
    }
  });

  it("is every control character but newline and tab", async () => {
    const path = scratch(
      jsonl(user("a\u001b[31mred\u001b[0m\u0007\u0000\r\n\tb\u009b\u007f"), said("m1", text("\u001b]0;t\u0007x"))),
    );
    const [turn] = await lastTurns(path, 1, { redact: Number.POSITIVE_INFINITY });
    expect(turn).toMatchObject({ prompt: "ared\n\tb", entries: [{ text: "x" }] });
  });
});

describe("title and last prompt", () => {
  it.each([
    ["2.1.329/tour", "billing tour", "where were we?"],
    ["2.1.197/tour", "billing tour", "try the broken endpoint"],
    ["2.1.197/early-answer", "Folder contents", undefined],
    ["2.1.329/no-such-file", undefined, undefined],
  ])("are read from the end of %s", async (name, itsTitle, itsPrompt) => {
    expect(captions(fixture(name))).toEqual({ title: itsTitle, lastPrompt: itsPrompt });
  });

  it("are the newest, and a title that the user gave goes before Claude Code's", async () => {
    const path = scratch(
      jsonl(
        { type: "custom-title", customTitle: "old" },
        { type: "custom-title", customTitle: "mine\u001b[1m" },
        { type: "ai-title", aiTitle: "theirs" },
        { type: "last-prompt", lastPrompt: "first" },
        { type: "last-prompt", lastPrompt: "second" },
        { type: "last-prompt", leafUuid: "x" },
        user('"type":"last-prompt"'),
      ),
    );
    expect(captions(path)).toEqual({ title: "mine", lastPrompt: "second" });
  });
});

describe("reading from the end", () => {
  const word = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.constantFrom("🦊", "\n", '"type":"user"', "é\\"),
  );
  const line = fc.oneof(
    { weight: 3, arbitrary: word.map((words) => user(`p${words}`)) },
    word.map((words) => said(`m${words}`, text(`a${words}`))),
    word.map((words) => user([result("t", `r${words}`)])),
    word.map((words) => blob([text(words)])),
    word.map((words) => ({ type: "attachment", attachment: { type: "queued_command", prompt: `q${words}` } })),
    word.map((words) => ({ type: "mode", mode: words })),
  );

  /** All turns of a whole file at once, as `prompt|text|…`. */
  function simple(content: string): string[] {
    const turns: string[][] = [];
    const early: string[] = [];
    for (const one of content.split("\n")) {
      let found: ReturnType<typeof JSON.parse>;
      try {
        found = JSON.parse(one);
      } catch {
        continue;
      }
      const body = found.message?.content;
      const said =
        typeof body === "string" ? body : (body?.[0]?.text ?? body?.[0]?.content ?? found.attachment?.prompt);
      if (found.type === "user" && typeof body === "string") turns.push([said]);
      else if (["user", "assistant"].includes(found.type)) (turns.at(-1) ?? early).push(said);
      else if (found.type === "attachment") turns.at(-1)?.push(said);
    }
    turns[0]?.splice(1, 0, ...early);
    return turns.map((turn) => turn.join("|"));
  }

  it("gives the last turns of a whole-file reader for any chunk size and any half-written end", async () => {
    const path = scratch();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\n\n")), { maxLength: 14 }),
        fc.nat(400),
        fc.integer({ min: 1, max: 300 }),
        fc.nat(8),
        async (lines, lost, chunk, n) => {
          // the same id for neighbours would join them, which the simple reader does not
          const content = lines
            .map(([one, end], i) => JSON.stringify(one).replace('"id":"m', `"id":"${i}m`) + end)
            .join("");
          const bytes = Buffer.from(content);
          const kept = bytes.subarray(0, bytes.length - Math.min(lost, bytes.length));
          writeFileSync(path, kept);
          const turns = await lastTurns(path, n, { chunk, redact: Number.POSITIVE_INFINITY });
          const found = turns.map((turn) => [turn.prompt, ...turn.entries.map((entry) => entry.text)].join("|"));
          const expected = simple(kept.toString()).map(stripped);
          expect(found).toEqual(n ? expected.slice(-n) : []);
        },
      ),
      { numRuns: 300 },
    );
  });

  const stripped = (words: string) => words.replace(/(?![\n\t])\p{Cc}/gu, "");

  it("reads less than 1 MB of 50 MB, and the same of a file twice the size", async () => {
    const path = scratch();
    const part = jsonl(
      user("what now?"),
      blob("x".repeat(200_000)),
      said("m1", text("this"), use("t1", "Bash", { command: "ls" })),
      user([result("t1", "y".repeat(20_000))], { toolUseResult: { stdout: "y".repeat(20_000) } }),
    );
    const bytesRead = async (): Promise<number> => {
      let total = 0;
      const counting = async (file: string) => {
        const bytes = await openBytes(file);
        return {
          ...bytes,
          read: async (into: Buffer, position: number) => {
            const got = await bytes.read(into, position);
            total += got;
            return got;
          },
        };
      };
      const turns = await lastTurns(path, 3, { open: counting });
      expect(turns.map((turn) => `${turn.prompt} ${kinds(turn)}`)).toEqual(
        Array(3).fill("what now? text tool_use tool_result"),
      );
      return total;
    };
    const grow = (times: number) => {
      const file = openSync(path, "a");
      for (let i = 0; i < times; i++) writeSync(file, part);
      closeSync(file);
    };
    grow(210);
    const once = await bytesRead();
    expect(once).toBeLessThan(1_000_000);
    grow(210);
    expect(await bytesRead()).toBe(once);
  });

  it("takes lines of many megabytes, whatever they are", async () => {
    const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: "A".repeat(9_000_000) } };
    const path = scratch(
      jsonl(
        blob("x".repeat(9_000_000)),
        user([text("look"), picture]),
        said("m1", text("seen")),
        blob("x".repeat(9_000_000)),
      ),
    );
    const expected = { prompt: "look\n[image image/png, 6750000 bytes]", entries: [{ text: "seen" }] };
    expect(await turnAt(path, 1)).toMatchObject(expected);
    expect(await turnAt(path, -1)).toMatchObject(expected);
  });

  it("finds subagents only in the folder that belongs to the transcript", async () => {
    const path = scratch(jsonl(user("go"), said("m1", use("t9", "Agent", {}))), "abc.jsonl");
    const folder = join(dirname(path), "abc", "subagents");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "agent-a1.jsonl"), `${jsonl(user("sub", { isSidechain: true }), { type: "mode" })}{"ty`);
    writeFileSync(join(folder, "agent-a1.meta.json"), '{"description":"look\\u001b[1m","toolUseId":"t9"}');
    writeFileSync(join(folder, "agent-a2.jsonl"), jsonl(user("another turn's")));
    expect((await turnAt(path, -1)).subagents).toEqual([{ id: "a1", description: "look", lines: 1 }]);
  });
});
