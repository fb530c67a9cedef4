// What the model is shown and what reaches the PTY, whatever a letter holds.

import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished } from "vitest";
import { post } from "../../src/claude/inbox-socket.ts";
import {
  CONTEXT_LIMIT,
  frame,
  framedNames,
  frames,
  isFramed,
  isNotice,
  notice,
  reminder,
  senders,
  shortFrame,
  summaryLine,
} from "../../src/claude/prompt.ts";
import { printable } from "../../src/clean.ts";
import { MeshError } from "../../src/errors.ts";
import { KINDS, type Message, PRIORITIES, subjectOf } from "../../src/mesh/message.ts";
import type { Letter } from "../../src/mesh/receive.ts";
import { createKeyboard } from "../../src/terminal/keyboard.ts";
import { cleanPaste, createTypist, ring } from "../../src/terminal/typist.ts";
import { tempFolder } from "../mesh/temp-mesh.ts";
import { fuzz } from "./fuzz.ts";
import { hostileText, isShowable } from "./hostile.ts";

interface Given {
  name: string;
  id: string;
  kind: Message["kind"];
  priority: Message["priority"];
  subject: string;
  body: string;
  path: string;
  anonymous: boolean;
}

const given: fc.Arbitrary<Given> = fc.record({
  name: hostileText(8),
  id: hostileText(4),
  kind: fc.constantFrom(...KINDS),
  priority: fc.constantFrom(...PRIORITIES),
  subject: hostileText(8),
  body: hostileText(),
  path: hostileText(6),
  anonymous: fc.boolean(),
});

function letterOf(given: Given, index: number): Letter {
  const { name, id, kind, priority, subject, body, path, anonymous } = given;
  const unique = `1763708400.M${String(index).padStart(6, "0")}P4242Q1.laptop`;
  const from = anonymous ? undefined : { name, id, host: "laptop" };
  const message: Message = {
    ...{ id: `<${unique}@claudemesh>`, from, to: "api", kind, priority, subject, body, hops: 0 },
    ...{ date: new Date(0), inReplyTo: undefined, references: [], expires: undefined },
  };
  return { message, unique, path: `/home/me/${path.slice(0, 300)}` };
}

/** Takes the frames apart by nothing but their fences: throws unless each letter is facts, fenced body and expectation. */
function standsAlone(text: string, letters: Letter[]): void {
  const lines = text.split("\n");
  let at = 0;
  for (const { unique } of letters) {
    expect(lines[at]?.endsWith(`, id <${unique}@claudemesh>`), `facts, not ${JSON.stringify(lines[at])}`).toBe(true);
    const fence = lines[at + 1] ?? "";
    expect(fence).toMatch(/^~{3,}$/);
    const end = lines.indexOf(fence, at + 2);
    expect(lines[end + 1]).toMatch(/^(No reply is|An answer is expected|The result is expected)/);
    at = end + 3;
  }
  expect(at).toBe(lines.length + 1);
}

fuzz<Given[]>(3, {
  name: "frames",
  inputs: fc.array(given, { minLength: 1, maxLength: 4 }),
  start: () => (all) => {
    const letters = all.map(letterOf);
    const names = letters.map(({ unique }) => unique);
    const text = frames(letters);
    isShowable(text, "the frames");
    standsAlone(text, letters);
    for (const letter of letters) expect(frame(letter).length).toBeLessThan(CONTEXT_LIMIT);
    for (const shown of [text, cleanPaste(text), `words\n${text}\nmore words`])
      expect(framedNames(shown)).toEqual(names);
    expect(isFramed(text) && isFramed(cleanPaste(text))).toBe(true);
    // As one of few invisible characters' width a person, or a model, would read it.
    const seen = text.replace(/[\p{Cf}\p{Mn}]/gu, "");
    expect(framedNames(seen)).toEqual(names);
    for (const letter of letters) {
      const short = shortFrame(letter);
      if (short === undefined) continue;
      expect(short.split("\n").length).toBe(3);
      for (const typed of [short, cleanPaste(short)]) expect(framedNames(typed)).toEqual([letter.unique]);
    }
    for (const [what, words] of Object.entries({ notice: notice(letters), summary: summaryLine(letters) })) {
      isShowable(words, what);
      expect(words.split("\n").length).toBeLessThanOrEqual(6);
      expect(framedNames(words)).toEqual([]);
    }
    expect(isNotice(notice(letters)) && isNotice(cleanPaste(notice(letters)))).toBe(true);
    expect(framedNames(reminder(letters))).toEqual(names);
    isShowable(reminder(letters), "the reminder");
    for (const told of [summaryLine(letters), all[0]?.subject ?? "", subjectOf(all[0]?.body ?? "")])
      expect(ring(told)).toMatch(/^\x1b\]9;\P{Cc}*\x07$/u);
    expect(printable(all.map(({ body }) => body).join("\n"))).not.toMatch(/(?![\n\t\r])\p{Cc}|\r(?!\n)/u);
  },
});

fuzz<Given>(3, {
  name: "typing",
  inputs: given,
  start: () => async (one) => {
    const letter = letterOf(one, 1);
    for (const text of [shortFrame(letter) ?? notice([letter]), frame(letter), one.body]) {
      const written: string[] = [];
      // A program that shows what was pasted and takes it away at Enter: nothing but the bytes is looked at.
      const state = () => (written.length === 1 ? "draft" : "empty prompt");
      const typist = createTypist<"draft" | "empty prompt">({
        write: (data) => {
          written.push(data.toString());
          typist.sawOutput();
        },
        screen: async () => state(),
        allClear: () => true,
        judge: (screen) => screen,
        showsPasted: () => true,
        nudge: async () => {},
        keyboard: createKeyboard(() => 1e9),
      });
      const typed = await typist.type(text).catch((error) => {
        if (!(error instanceof MeshError)) throw error;
      });
      if (typed === undefined) {
        expect(written).toEqual([]);
        continue;
      }
      expect(written.length).toBe(2);
      expect(written[1]).toBe("\r");
      const paste = /^\x1b\[200~(.*)\x1b\[201~$/s.exec(written[0] ?? "")?.[1] ?? "\0";
      isShowable(paste, "the paste");
      expect(paste).not.toMatch(/^\s*[/!@#&]/);
      expect(paste.trim()).not.toBe("");
      expect(Buffer.from(paste).toString()).toBe(paste);
    }
  },
});

fuzz<Given[]>(3, {
  name: "posting",
  inputs: fc.array(given, { minLength: 1, maxLength: 3 }),
  start: async () => {
    const path = join(tempFolder(), "socket");
    let got: (text: string) => void = () => {};
    const server = createServer((socket: Socket) => {
      const chunks: Buffer[] = [];
      socket.on("data", (chunk) => void chunks.push(chunk)).on("end", () => got(Buffer.concat(chunks).toString()));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(() => void server.close());
    return async (all) => {
      const letters = all.map(letterOf);
      const arrived = new Promise<string>((resolve) => {
        got = resolve;
      });
      await post(path, frames(letters), senders(letters));
      const line = await arrived;
      expect(line.indexOf("\n")).toBe(line.length - 1);
      const { content } = JSON.parse(line).message;
      isShowable(content, "the post");
      expect(framedNames(content)).toEqual(letters.map(({ unique }) => unique));
      expect(isFramed(content)).toBe(true);
      expect(content.match(/<\/?cross-session-message/gi)?.length === 2 || !content.startsWith("<")).toBe(true);
    };
  },
});
