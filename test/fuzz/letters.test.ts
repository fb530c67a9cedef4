// The road out of a mailbox, whatever lies in new/ and whatever it is called.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import { mailOf } from "../../src/claude/mail.ts";
import { framedNames, frames, isFramed, notice, summaryLine } from "../../src/claude/prompt.ts";
import { MeshError } from "../../src/errors.ts";
import { isSafeName } from "../../src/mesh/maildir.ts";
import { compose, formatAddress, parse, parseAddress } from "../../src/mesh/message.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import { peek, receipts, take } from "../../src/mesh/receive.ts";
import { reply } from "../../src/mesh/reply.ts";
import { box, draft, tempMesh } from "../mesh/temp-mesh.ts";
import { fuzz } from "./fuzz.ts";
import { FRAME, fixtures, hostileText, isShowable, mutated, TRAPS } from "./hostile.ts";

const seeds = [
  compose(draft({ kind: "question", references: ["<a@b>"], inReplyTo: "<a@b>", hops: 3, expires: new Date(0) })),
  compose(draft({ body: `${FRAME}\n`, from: { name: 'a "b" <c>', id: "x", host: "h" } })),
  "From x@y Sat Nov 21 2026\nFrom: =?utf-8?q?a?= <a@b>\r\nSubject: folded\r\n more\r\n\r\nbody\r\n",
  '{"body":"x","from":"web <a@b>","kind":"question","priority":"now","subject":"s","message-id":"<x@y>"}',
  "plain words\n",
  "Subject: only a head\n\n",
].map((text) => Buffer.from(text));
const bytes = mutated([...seeds, ...fixtures("hooks")]);

/** A file name: whole at once, so that no input has to stand still first. */
const fileName = fc
  .oneof(fc.constantFrom(...TRAPS), hostileText(3))
  .map((tail) => `1763708400.M123456P4242Q1.${tail}`.replace(/[/\0]/g, "_"))
  .map((name) => {
    let cut = name.toWellFormed();
    while (Buffer.byteLength(cut) > 255) cut = Array.from(cut).slice(0, -1).join("");
    return cut;
  });

fuzz<{ name: string; file: string }>(2, {
  name: "mailbox",
  inputs: fc.record({ name: fileName, file: bytes.map((b) => b.toString("latin1")) }),
  start() {
    const home = tempMesh();
    const outside = join(home, "..", "precious");
    writeFileSync(outside, "untouched");
    const api = box(home, "api");
    return ({ name, file }) => {
      for (const room of ["new", "cur"]) rmSync(join(api, room), { recursive: true });
      rmSync(join(home, "dead"), { recursive: true });
      for (const room of ["inbox/api/new", "inbox/api/cur", "dead/tmp", "dead/new", "dead/cur"])
        mkdirSync(join(home, room), { recursive: true });
      writeFileSync(join(api, "new", name), Buffer.from(file, "latin1"));
      const looked = peek("api");
      isShowable(frames(looked.letters), "what read_inbox shows without taking");
      expect(framedNames(frames(looked.letters)).length).toBeLessThanOrEqual(looked.letters.length);
      for (const letter of looked.letters) {
        const mail = mailOf("api", letter);
        isShowable(mail.message_id, "the id");
        expect(mail.message_id).toMatch(/^<[!-~]+@claudemesh>$/);
      }
      const letters = take("api", () => true);
      isShowable(frames(letters), "the frames");
      expect(framedNames(frames(letters))).toEqual(letters.map(({ unique }) => unique));
      expect(letters.length === 0 || isFramed(frames(letters))).toBe(true);
      for (const words of [summaryLine(letters), notice(letters)]) isShowable(words, "the notice");
      expect(letters.every(({ unique }) => isSafeName(unique))).toBe(true);
      for (const { unique } of letters)
        try {
          reply({ id: "api", name: "api", host: "h" }, unique, "done", false);
        } catch (error) {
          if (!(error instanceof MeshError)) throw error;
        }
      markSeen("api", letters);
      // Nothing is lost: it has been shown, or lies in dead/.
      const lies = ["inbox/api/cur", "dead/new"].flatMap((room) => readdirSync(join(home, room)));
      expect(lies.length).toBe(1);
      expect(readdirSync(join(home, "..")).sort()).toEqual([".claudemesh", "precious"]);
    };
  },
});

fuzz<string>(2, {
  name: "message",
  inputs: fc.oneof(hostileText(), bytes.map(String)),
  fromFile: String,
  start: () => (text) => {
    const message = parse(text, "1763708400.M123456P4242Q1.laptop");
    const { subject, to, id, inReplyTo, references } = message;
    for (const value of [subject, to, id, inReplyTo ?? "", ...references])
      expect(value).not.toMatch(/\p{Cc}|[\u2028\u2029]/u);
    expect(id).toMatch(/^<[^<>\s]+>$/);
    if (message.from) {
      const again = parseAddress(formatAddress(message.from));
      expect(again?.id).toBe(message.from.id);
    }
    try {
      const composed = compose(draft({ body: text, subject: text, from: { name: text, id: "x", host: "h" } }));
      const read = parse(composed, "x");
      expect(read.from?.id).toBe("x");
      expect(composed.indexOf("\n\n")).toBe(composed.search(/\n\n/));
      expect(read.body).toBe(text.toWellFormed().replaceAll("\0", ""));
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
    }
    try {
      receipts(text);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
    }
  },
});
