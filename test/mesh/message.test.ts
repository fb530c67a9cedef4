import fc from "fast-check";
import PostalMime from "postal-mime";
import { afterEach, describe, expect, it, vi } from "vitest";
import { isOurName, isSafeName } from "../../src/mesh/maildir.ts";
import {
  type Address,
  compose,
  formatAddress,
  KINDS,
  type Kind,
  MAX_BYTES,
  type Message,
  messageIdOf,
  oneLine,
  parse,
  parseAddress,
  subjectOf,
  uniqueName,
  uniqueNameOf,
} from "../../src/mesh/message.ts";
import { draft, inNode, thrownBy } from "./temp-mesh.ts";

const U = "1763708400.M123456P4242Q1.laptop";
const lines = (...all: string[]) => all.join("\n");
/** The header block of a composed text. */
const headOf = (text: string) => text.slice(0, text.indexOf("\n\n"));

describe("parse reads generously", () => {
  const cases: [what: string, text: string, expected: Partial<Message>][] = [
    [
      "a message as composed",
      lines(
        "From: web <a8d0m2kq@laptop>",
        "To: api-service <7k3p9q2x@laptop>",
        "Date: Sat, 21 Nov 2026 07:00:00 +0000",
        "Message-ID: <1763708400.M123456P4242Q1.laptop@claudemesh>",
        "In-Reply-To: <a@claudemesh>",
        "References: <b@claudemesh> <a@claudemesh>",
        "Subject: rerun the check",
        "X-Mesh-Kind: question",
        "X-Mesh-Priority: low",
        "X-Mesh-Expires: Sat, 21 Nov 2026 09:00:00 +0000",
        "X-Mesh-Hops: 3",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        "one",
        "",
        "two",
        "",
      ),
      {
        id: "<1763708400.M123456P4242Q1.laptop@claudemesh>",
        from: { name: "web", id: "a8d0m2kq", host: "laptop" },
        to: "api-service <7k3p9q2x@laptop>",
        kind: "question",
        priority: "low",
        subject: "rerun the check",
        date: new Date("2026-11-21T07:00:00Z"),
        inReplyTo: "<a@claudemesh>",
        references: ["<b@claudemesh>", "<a@claudemesh>"],
        expires: new Date("2026-11-21T09:00:00Z"),
        hops: 3,
        body: "one\n\ntwo",
      },
    ],
    [
      "folded headers, by space and by tab",
      "Subject: rerun\n the\n\tcheck\nReferences: <a@x>\n  <b@x>\n\nbody\n",
      { subject: "rerun the check", references: ["<a@x>", "<b@x>"], body: "body" },
    ],
    [
      "CRLF throughout",
      "From: web <w@h>\r\nSubject: long\r\n er\r\n\r\none\r\n\r\ntwo\r\n",
      { from: { name: "web", id: "w", host: "h" }, subject: "long er", body: "one\n\ntwo" },
    ],
    [
      "a `From ` line of mbox",
      "From web@laptop Sat Nov 21 07:00:00 2026\nFrom: web <w@h>\nSubject: s\n\nbody\n",
      { from: { name: "web", id: "w", host: "h" }, subject: "s", body: "body" },
    ],
    [
      "a `From ` line with CRLF",
      "From web@laptop Sat Nov 21 07:00:00 2026\r\nSubject: s\r\n\r\nbody\r\n",
      { subject: "s", body: "body" },
    ],
    ["unknown headers", "X-Weather: rain\nSubject: s\nList-Id: <x>\n\nbody\n", { subject: "s", body: "body" }],
    [
      "header names in any case",
      "SUBJECT: s\nx-mesh-KIND: NOTE\n\nbody\n",
      { subject: "s", kind: "note", body: "body" },
    ],
    ["no space after the colon", "Subject:s\nX-Mesh-Kind:note\n\nbody\n", { subject: "s", kind: "note" }],
    ["the first of a field given twice", "Subject: first\nSubject: second\n\nbody\n", { subject: "first" }],
    ["headers and nothing else", "From: web <w@h>\nSubject: s\n\n", { subject: "s", body: "" }],
    [
      "an empty header value",
      "Subject:\nX-Mesh-Kind: note\n\nhello\n",
      { subject: "hello", kind: "note", body: "hello" },
    ],
    ["an unknown kind as a task", "X-Mesh-Kind: rumour\n\nbody\n", { kind: "task", priority: "next" }],
    ["an unknown priority as the kind's own", "X-Mesh-Kind: note\nX-Mesh-Priority: soon\n\nb\n", { priority: "low" }],
    ["a date nobody understands as none", "Date: tomorrow\nSubject: s\n\nbody\n", { date: undefined, subject: "s" }],
    ["hops that are no number as none", "X-Mesh-Hops: many\n\nbody\n", { hops: 0 }],
    ["hops below nothing as none", "X-Mesh-Hops: -4\n\nbody\n", { hops: 0 }],
    [
      "a From without an address as nobody's",
      "From: somebody\nSubject: s\n\nbody\n",
      { from: undefined, subject: "s" },
    ],
    ["a message without a Message-ID by its file's name", "Subject: s\n\nbody\n", { id: `<${U}@claudemesh>` }],
    ["UTF-8 in headers and body", "Subject: größer ✉ 日本\n\n— ✓ 🙂\n", { subject: "größer ✉ 日本", body: "— ✓ 🙂" }],
    ["no final newline", "Subject: s\n\nbody", { subject: "s", body: "body" }],
    ["more than one final newline, as they are", "Subject: s\n\nbody\n\n\n", { body: "body\n\n" }],
    [
      "plain words",
      "deploy finished\n",
      { kind: "task", from: undefined, subject: "deploy finished", body: "deploy finished" },
    ],
    ["plain words without a newline", "deploy finished", { body: "deploy finished" }],
    ["plain words with an empty line", "first\n\nsecond\n", { body: "first\n\nsecond", subject: "first" }],
    ["plain words with CRLF", "first\r\nsecond\r\n", { body: "first\nsecond" }],
    ["a first line that looks like a header", "note: do this\n", { kind: "task", body: "note: do this" }],
    ["such a line and a paragraph", "note: do this\n\nand that\n", { kind: "task", body: "note: do this\n\nand that" }],
    ["a URL first", "https://x.test/a\n\nsee there\n", { body: "https://x.test/a\n\nsee there" }],
    ["code first", "foo: bar\nbaz: 1\n\nrest\n", { body: "foo: bar\nbaz: 1\n\nrest" }],
    [
      "headers without a blank line as words",
      "Subject: s\nX-Mesh-Kind: note\n",
      { kind: "task", body: "Subject: s\nX-Mesh-Kind: note" },
    ],
    [
      "prose that begins with `From `",
      "From now on, use tabs.\n\nPlease.\n",
      { body: "From now on, use tabs.\n\nPlease." },
    ],
    ["one header that is none", "Subject: s\nand then words\n\nbody\n", { body: "Subject: s\nand then words\n\nbody" }],
    ["an empty first line", "\nSubject: s\n\nbody\n", { body: "\nSubject: s\n\nbody" }],
    ["JSON with a body", '{"body":"deploy\\nfinished"}', { body: "deploy\nfinished", kind: "task", from: undefined }],
    [
      "JSON with a body and fields",
      '{"from":"web <w@h>","subject":"s","kind":"note","priority":"now","expires":"2026-11-21T09:00:00Z","body":"b"}\n',
      {
        from: { name: "web", id: "w", host: "h" },
        subject: "s",
        kind: "note",
        priority: "now",
        expires: new Date("2026-11-21T09:00:00Z"),
        body: "b",
      },
    ],
    ["JSON without a body as words", '{"text":"hello"}\n', { body: '{"text":"hello"}' }],
    ["JSON whose body is no text as words", '{"body":1}\n', { body: '{"body":1}' }],
    ["broken JSON as words", '{"body":"a"\n', { body: '{"body":"a"' }],
    ["a JSON array as words", '[{"body":"a"}]\n', { body: '[{"body":"a"}]' }],
    ["nothing at all", "", { body: "", subject: "", kind: "task" }],
  ];
  it.each(cases)("%s", (_what, text, expected) => {
    expect(parse(text, U)).toMatchObject(expected);
  });

  it("gives each kind its own priority", () => {
    const of = (kind: Kind) => parse(`X-Mesh-Kind: ${kind}\n\nx\n`, U).priority;
    expect(KINDS.map((kind) => [kind, of(kind)])).toEqual([
      ["task", "next"],
      ["note", "low"],
      ["question", "now"],
      ["answer", "now"],
      ["bounce", "now"],
    ]);
  });

  it("a control character hidden in a folded header does not get through", () => {
    expect(parse("Subject: a\n \u001b[2Jb\u0007\n\nx\n", U).subject).toMatch(/^a +\[2Jb$/);
  });

  it("any text at all is read without throwing, and none of its words get lost", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const message = parse(text, U);
        expect(message.id).not.toBe("");
        if (message.to === "" && !message.from && !text.includes("{") && !/^[\w-]+:/m.test(text))
          expect(message.body.replace(/\s/g, "")).toBe(text.replace(/\s/g, ""));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["a Subject", "Subject: a", ""],
    ["a From", "From: a", ""],
    ["a JSON from", '{"body":"x","from":"', '"}'],
  ])("%s of half a million blanks is read in the time a reader has", async (_what, before, after) => {
    const bare = after === "";
    const body = await inNode<string>(
      `const { parse } = await mesh("message");
       const text = args[0] + " ".repeat(500_000) + "b" + (args[1] || "\\n\\nwords\\n");
       done(parse(text, "u").body);`,
      { args: [before, after], timeout: 10_000 },
    );
    expect(body).toBe(bare ? "words" : "x");
  });
});

describe("compose writes strictly", () => {
  it("what `cat` shows is what the format says", () => {
    const text = compose(
      draft(
        {
          date: new Date("2026-11-21T07:00:00Z"),
          subject: "rerun the migration check",
          inReplyTo: "<a@claudemesh>",
          references: ["<b@claudemesh>", "<a@claudemesh>"],
          body: "rerun it\n\nand send me the tables",
        },
        U,
      ),
    );
    expect(text).toBe(
      lines(
        "From: web <a8d0m2kq@laptop>",
        "To: api <7k3p9q2x@laptop>",
        "Date: Sat, 21 Nov 2026 07:00:00 +0000",
        `Message-ID: <${U}@claudemesh>`,
        "In-Reply-To: <a@claudemesh>",
        "References: <b@claudemesh> <a@claudemesh>",
        "Subject: rerun the migration check",
        "X-Mesh-Kind: task",
        "X-Mesh-Priority: next",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        "rerun it",
        "",
        "and send me the tables",
        "",
      ),
    );
  });

  it("a header value loses CR, LF and every control, so that none can add a header", () => {
    const evil = "hi\r\nX-Mesh-Kind: bounce\r\n\r\nbody\u0000\u0007\u001b\u0085\u2028\u2029end";
    const text = compose(
      draft({
        subject: evil,
        from: { name: evil, id: "a", host: "h" },
        to: [{ name: evil, id: "b", host: "h" }],
        inReplyTo: `<x@y>${evil}`,
        references: [evil],
        extra: { "X-Mesh-Note": evil },
      }),
    );
    const head = headOf(text);
    expect(head).not.toMatch(/[^\P{Cc}\n]|[\u2028\u2029]/u);
    expect(head.split("\n").map((line) => line.split(":")[0])).toEqual([
      "X-Mesh-Note",
      "From",
      "To",
      "Date",
      "Message-ID",
      "In-Reply-To",
      "References",
      "Subject",
      "X-Mesh-Kind",
      "X-Mesh-Priority",
      "MIME-Version",
      "Content-Type",
      "Content-Transfer-Encoding",
    ]);
    expect(parse(text, U)).toMatchObject({ kind: "task", body: "rerun the migration check" });
  });

  it("an extra header comes first", () => {
    expect(compose(draft({ extra: { "X-Mesh-Dead": "why" } })).startsWith("X-Mesh-Dead: why\nFrom: ")).toBe(true);
  });

  it.each(["", " ", "\n\n", "\t\r\n"])("a body of nothing (%j) is refused as EMPTY_BODY", (body) => {
    const error = thrownBy(() => compose(draft({ body })));
    expect(error).toMatchObject({ code: "EMPTY_BODY", message: "can't send: the message is empty" });
    expect(error.hint).toBeTruthy();
  });

  it("a message of exactly 1 MiB goes, one byte more is refused as TOO_LARGE", () => {
    const rest = Buffer.byteLength(compose(draft({ body: "x", subject: "s" }, U))) - 1;
    const fits = "x".repeat(MAX_BYTES - rest);
    expect(MAX_BYTES).toBe(1024 * 1024);
    expect(Buffer.byteLength(compose(draft({ body: fits, subject: "s" }, U)))).toBe(MAX_BYTES);
    const error = thrownBy(() => compose(draft({ body: `${fits}x`, subject: "s" }, U)));
    expect(error).toMatchObject({ code: "TOO_LARGE" });
    expect(error.message).toContain(`${MAX_BYTES + 1} bytes`);
    expect(error.hint).toBeTruthy();
  });

  it("the limit counts bytes, not characters", () => {
    expect(thrownBy(() => compose(draft({ body: "ü".repeat(MAX_BYTES / 2) })))).toMatchObject({ code: "TOO_LARGE" });
  });

  it("half a surrogate pair becomes a replacement character: the file is always UTF-8", () => {
    const text = compose(draft({ body: "a\ud800b", subject: "\udc00" }));
    expect(Buffer.from(text).toString()).toBe(text);
    expect(parse(text, U).body).toBe("a\ufffdb");
  });

  it("the subject defaults to the body's first line, at most 78 characters", () => {
    expect(subjectOf("\n\n  first \r\nsecond")).toBe("first");
    expect(subjectOf("x".repeat(78))).toBe("x".repeat(78));
    const cut = subjectOf("🙂".repeat(100));
    expect(Array.from(cut)).toHaveLength(78);
    expect(cut.endsWith("…")).toBe(true);
    expect(parse(compose(draft({ body: "first\nsecond" })), U).subject).toBe("first");
  });
});

const text = fc.string({ unit: "binary" });
const visible = text.map(oneLine);
/** A body that has something to say: a NUL is left out of every letter. */
const says = (body: string) => body.replaceAll("\0", "").trim() !== "";
const id = fc.stringMatching(/^[a-z0-9]{8}$/);
const address: fc.Arbitrary<Address> = fc.record({
  name: fc.oneof(text, fc.string()),
  id,
  host: fc.stringMatching(/^[a-z0-9.-]{1,20}$/),
});
const second = fc.integer({ min: 0, max: 4_000_000_000 }).map((s) => new Date(s * 1000));

describe("what is composed is what is parsed", () => {
  it("for any body", () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.string(), fc.lorem({ mode: "sentences" })), (body) => {
        // All but NUL, which would make it no text file.
        const whole = body.toWellFormed().replaceAll("\0", "");
        fc.pre(says(whole));
        expect(parse(compose(draft({ body })), U).body).toBe(whole);
      }),
      { numRuns: 1000 },
    );
  });

  it("for bodies made of nothing but traps", () => {
    const trap = fc.constantFrom(
      "\n",
      "\r\n",
      "\r",
      " ",
      "\t",
      "x",
      "From ",
      "Subject: s",
      ".",
      '{"body":"y"}',
      "\ufeff",
      "--",
    );
    fc.assert(
      fc.property(fc.array(trap, { maxLength: 12 }), (parts) => {
        const body = parts.join("");
        fc.pre(says(body));
        expect(parse(compose(draft({ body })), U).body).toBe(body);
      }),
      { numRuns: 1000 },
    );
  });

  it("for any names, subject, kind, priority, thread, term and hops", () => {
    fc.assert(
      fc.property(
        fc.record({
          from: fc.oneof(
            address,
            address.map((one) => ({ ...one, byRepository: true })),
          ),
          waitsFor: fc.option(
            visible.filter((s) => s !== ""),
            { nil: undefined },
          ),
          subject: visible.filter((s) => s !== ""),
          kind: fc.constantFrom(...KINDS),
          priority: fc.constantFrom("now" as const, "next" as const, "low" as const),
          date: second,
          expires: second,
          inReplyTo: id.map((i) => `<${i}@claudemesh>`),
          references: fc.array(id.map((i) => `<${i}@claudemesh>`)),
          hops: fc.nat(30),
        }),
        (fields) => {
          const message = parse(compose(draft(fields, U)), "other");
          expect(message).toEqual({
            ...fields,
            id: messageIdOf(U),
            from: { ...fields.from, name: oneLine(fields.from.name) },
            to: "api <7k3p9q2x@laptop>",
            body: "rerun the migration check",
          });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("for any address, quoted or not", () => {
    fc.assert(
      fc.property(address, (a) => {
        expect(parseAddress(formatAddress(a))).toEqual({ ...a, name: oneLine(a.name) });
      }),
      { numRuns: 1000 },
    );
  });

  it("twice over: composing what was parsed gives the same file", () => {
    fc.assert(
      fc.property(text, visible, (body, subject) => {
        fc.pre(says(body) && subject !== "");
        const first = compose(draft({ body, subject, date: new Date(0) }, U));
        const { id: same, subject: s, body: b } = parse(first, U);
        expect(compose(draft({ id: same, body: b, subject: s, date: new Date(0) }, U))).toBe(first);
      }),
    );
  });
});

describe("another mail reader reads the same", () => {
  it("headers and body of a composed message", async () => {
    const text = compose(
      draft(
        {
          from: { name: 'Größe, "eins" (1)', id: "a8d0m2kq", host: "laptop" },
          to: [
            { name: "api", id: "7k3p9q2x", host: "laptop" },
            { name: "日本", id: "0000000a", host: "h.local" },
          ],
          subject: "rerun: the ✉ check",
          body: "naïve — ✓ 🙂\n\n  From here\n.\nend",
          kind: "question",
          inReplyTo: "<a@claudemesh>",
          references: ["<b@claudemesh>", "<a@claudemesh>"],
          date: new Date("2026-11-21T07:00:00Z"),
        },
        U,
      ),
    );
    const read = await PostalMime.parse(Buffer.from(text));
    expect(read.from).toMatchObject({ name: 'Größe, "eins" (1)', address: "a8d0m2kq@laptop" });
    expect(read.to).toMatchObject([
      { name: "api", address: "7k3p9q2x@laptop" },
      { name: "日本", address: "0000000a@h.local" },
    ]);
    expect(read).toMatchObject({
      subject: "rerun: the ✉ check",
      messageId: `<${U}@claudemesh>`,
      inReplyTo: "<a@claudemesh>",
      references: "<b@claudemesh> <a@claudemesh>",
      date: "2026-11-21T07:00:00.000Z",
      text: "naïve — ✓ 🙂\n\n  From here\n.\nend\n",
      attachments: [],
    });
    expect(read.headers.find((h) => h.key === "x-mesh-kind")?.value).toBe("question");
    expect(read.html).toBeUndefined();
  });

  it("any printable body, exactly", async () => {
    const line = fc.string({ unit: "grapheme" }).map((s) => oneLine(s));
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1 }), async (all) => {
        const body = all.join("\n");
        fc.pre(says(body));
        const read = await PostalMime.parse(Buffer.from(compose(draft({ body, subject: "s" }))));
        expect(read.text).toBe(`${body}\n`);
        expect(read.subject).toBe("s");
      }),
      { numRuns: 200 },
    );
  });
});

describe("unique names", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("have the shape of maildir(5), are ours, and are safe in a Message-ID", () => {
    const name = uniqueName();
    expect(name).toMatch(/^\d+\.M\d{6}P\d+Q\d+\.[^/:]+$/);
    expect(name).toContain(`P${process.pid}Q`);
    expect(isOurName(name)).toBe(true);
    expect(isSafeName(name)).toBe(true);
    expect(uniqueNameOf(messageIdOf(name))).toBe(name);
    expect(uniqueNameOf(`${name}@claudemesh`)).toBe(name);
    expect(uniqueNameOf(name)).toBe(name);
  });

  const inOrder = (names: string[]) => {
    expect(new Set(names).size).toBe(names.length);
    expect([...names].sort()).toEqual(names);
  };

  it("sort in the order of their making, 10,000 in a row", () => {
    inOrder(Array.from({ length: 10_000 }, uniqueName));
  });

  it("sort in the order of their making while the clock steps back and forth", () => {
    const start = Date.now();
    let call = 0;
    vi.spyOn(Date, "now").mockImplementation(() => {
      call++;
      return start + (call % 7 === 0 ? -3_600_000 : call % 11 === 0 ? 86_400_000 : call);
    });
    inOrder(Array.from({ length: 10_000 }, uniqueName));
  });

  it("sort in the order of their making over the turn of a second", () => {
    const start = Math.ceil(Date.now() / 1000) * 1000 + 200_000_000;
    let call = 0;
    vi.spyOn(Date, "now").mockImplementation(() => start - 5 + Math.floor(call++ / 100));
    inOrder(Array.from({ length: 2000 }, uniqueName));
  });
});
