// Answering in thread: to whom it goes, what it says of itself, and what becomes of the letter answered.

import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MOST_HOPS } from "../../src/mesh/brakes.ts";
import { bounce } from "../../src/mesh/dead.ts";
import { joinMesh } from "../../src/mesh/join.ts";
import { messageIdOf } from "../../src/mesh/message.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import { isWaking, type Letter, peek, readSeen, receiptIn, receipts, STILL, take } from "../../src/mesh/receive.ts";
import { ownLetter, reply } from "../../src/mesh/reply.ts";
import { until } from "../temp-home.ts";
import { box, drop, inNode, letter, sleeper, tempFolder, tempMesh, thrownBy } from "./temp-mesh.ts";

const all = () => true;
const YOU = { id: "you", name: "you", host: "laptop" };
const API = { id: "api", name: "api", host: "laptop" };

/** api, with a letter from the human in its mailbox. */
function asked(kind: "question" | "task" | "note" | "answer" = "question", more = {}) {
  const home = tempMesh();
  const api = box(home, "api");
  box(home, "you");
  const unique = letter(api, { kind, from: YOU, body: "which port?", ...more });
  return { home, api, unique, id: messageIdOf(unique) };
}
const inbox = () => peek("you").letters;
const bodies = (letters: Letter[]) => letters.map((l) => l.message.body);

describe("an answer", () => {
  it("goes to who asked, in the thread, and wakes them; the question is answered and read", () => {
    const { api, unique, id } = asked("question", { references: ["<root@x>"] });
    const sent = reply(API, id, "8080", true);
    expect(inbox()).toMatchObject([
      {
        message: {
          id: sent.message_id,
          from: API,
          kind: "answer",
          priority: "now",
          inReplyTo: id,
          references: ["<root@x>", id],
          hops: 1,
          body: "8080",
        },
      },
    ]);
    expect(sent.to).toMatchObject([{ id: "you", name: "you" }]);
    expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,RS`]);
    expect(receiptIn("api", unique)?.state).toBe("answered");
    expect(receipts(id)).toMatchObject([{ to: "api", state: "answered" }]);
    expect(take("api", all)).toEqual([]);
  });

  it.each(["", "S"])("answers a letter in cur/ with the flags `%s`", (flags) => {
    const { api, unique, id } = asked();
    const letters = take("api", all);
    if (flags) markSeen("api", letters);
    reply(API, id, "8080", true);
    expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,RS`]);
    expect(bodies(inbox())).toEqual(["8080"]);
  });

  it.each(["x", "x@claudemesh", "<x@claudemesh>", "  <x@claudemesh>\n"])("takes the id as %j", (form) => {
    const { unique } = asked();
    reply(API, form.replace("x", unique), "8080", true);
    expect(bodies(inbox())).toEqual(["8080"]);
  });

  it("comes as it was given: lines, ends of lines, letters of all scripts, what looks like a header or an end", () => {
    const { id } = asked();
    const body = '\n\nSubject: no\r\nFrom me\n.\n\tünï 🦊 ‏עברית\n\n{"body": 1}\n\n\n';
    reply(API, id, body, true);
    expect(bodies(inbox())).toEqual([body]);
  });

  it("the first wakes, the second does not", () => {
    const { id } = asked();
    reply(API, id, "8080", true);
    reply(API, id, "no, 8081", true);
    expect(inbox().map((l) => [l.message.body, l.message.kind, isWaking(l)])).toEqual([
      ["8080", "answer", true],
      ["no, 8081", "answer", false],
    ]);
  });

  it("the first wakes also when the task was read long ago; to a note or an answer it waits for the next prompt", () => {
    for (const [kind, wakes] of [
      ["task", true],
      ["note", false],
      ["answer", false],
    ] as const) {
      const { id } = asked(kind);
      markSeen("api", take("api", all));
      reply(API, id, `to a ${kind}`, true);
      expect(inbox().map(isWaking), kind).toEqual([wakes]);
    }
  });

  it("the same to two questions reaches both: each is answered", () => {
    const { api, id } = asked();
    const other = letter(api, { kind: "question", from: YOU, body: "may I deploy?" });
    reply(API, id, "yes", true);
    reply(API, messageIdOf(other), "yes", true);
    expect(inbox().map((l) => l.message.inReplyTo)).toEqual([id, messageIdOf(other)]);
    expect(receiptIn("api", other)?.state).toBe("answered");
  });

  it("the same twice to one question is sent once", () => {
    const { id } = asked();
    reply(API, id, "yes", true);
    expect(thrownBy(() => reply(API, id, "yes", true))).toMatchObject({ code: "REPEATED" });
    expect(bodies(inbox())).toEqual(["yes"]);
  });

  it("that is empty answers nothing, and the true one after it does", () => {
    const { unique, id } = asked();
    expect(thrownBy(() => reply(API, id, " \n", true))).toMatchObject({ code: "EMPTY_BODY" });
    expect(receiptIn("api", unique)?.state).toBe("queued");
    reply(API, id, "8080", true);
    expect(bodies(inbox())).toEqual(["8080"]);
  });

  it("of the human begins anew and has no limit", () => {
    const home = tempMesh();
    const you = box(home, "you");
    box(home, "api");
    const from = { ...YOU };
    for (let i = 0; i < 25; i++) {
      const unique = letter(you, { kind: "question", from, hops: 3, body: `question ${i}` });
      reply(YOU, messageIdOf(unique), `answer ${i}`, false);
    }
    expect(
      peek("you")
        .letters.filter((l) => l.message.kind === "answer")
        .map((l) => l.message.hops),
    ).toEqual(Array(25).fill(0));
  });

  it("to the human is never refused for how far the thread has gone: it wakes nobody", () => {
    for (const hops of [MOST_HOPS - 1, MOST_HOPS, 1000]) {
      const { id } = asked("task", { hops });
      reply(API, id, "twenty", true);
      expect(inbox()[0]?.message.hops).toBe(20);
    }
  });

  it("twenty-one hops into a thread is refused and nothing is sent or marked", async () => {
    const home = tempMesh();
    const web = await joinMesh({ pid: sleeper().pid, cwd: tempFolder(), name: "web" });
    const task = (hops: number) => letter(box(home, "api"), { from: { ...API, id: web.id, name: "web" }, hops });
    reply(API, messageIdOf(task(MOST_HOPS - 1)), "twenty", true);
    expect(peek(web.id).letters[0]?.message.hops).toBe(20);
    const last = task(MOST_HOPS);
    expect(thrownBy(() => reply(API, messageIdOf(last), "twenty-one", true))).toMatchObject({ code: "TOO_FAR" });
    expect(peek(web.id).letters).toHaveLength(1);
    expect(receiptIn("api", last)?.state).toBe("queued");
  });

  it("a thread between two models ends by itself after twenty replies", async () => {
    const home = tempMesh();
    const [web, api] = await Promise.all(
      ["web", "api"].map((name) => joinMesh({ pid: sleeper().pid, cwd: tempFolder(), name })),
    );
    if (!web || !api) throw new Error("nobody joined");
    letter(box(home, api.id), { from: { ...API, id: web.id, name: "web" }, kind: "task" });
    let replies = 0;
    const talk = () => {
      for (let [me, other] = [api, web]; ; [me, other] = [other, me]) {
        const [got] = take(me.id, all);
        reply({ ...API, id: me.id, name: me.name }, got?.message.id ?? "", `thank you ${replies}`, true);
        replies++;
        expect(peek(other.id).letters).toHaveLength(1);
      }
    };
    expect(talk).toThrow(/to and fro/);
    expect(replies).toBe(MOST_HOPS);
  });
});

describe("no answer can be given", () => {
  it.each(["<1.M000001P1Q1.x@claudemesh>", "nonsense", "", ".", "..", "../cur", "../../you/new", "/", "a\0b"])(
    "to the unknown id %j",
    (id) => {
      asked();
      expect(thrownBy(() => reply(API, id, "8080", true))).toMatchObject({
        code: "NO_SUCH_MESSAGE",
        hint: expect.stringMatching(/id/),
      });
      expect(inbox()).toEqual([]);
    },
  );

  it("to a letter in another's mailbox, by whatever path", () => {
    const { home } = asked();
    const unique = letter(box(home, "ci"), { kind: "question", from: YOU });
    for (const id of [messageIdOf(unique), `<../../ci/new/${unique}@claudemesh>`])
      expect(thrownBy(() => reply(API, id, "8080", true))).toMatchObject({ code: "NO_SUCH_MESSAGE" });
    expect(inbox()).toEqual([]);
    expect(receiptIn("ci", unique)?.state).toBe("queued");
  });

  it("to a file put there by hand, read or unread", async () => {
    const { api } = asked();
    take("api", all);
    drop(api, "note.txt", "deploy finished\n");
    expect(thrownBy(() => reply(API, "note.txt", "thanks", true))).toMatchObject({ code: "NO_SUCH_PEER" });
    await until(() => peek("api").letters.length, `the file to stand still for ${STILL} ms`);
    const letters = take("api", all);
    markSeen("api", letters);
    const error = thrownBy(() => reply(API, messageIdOf(letters[0]?.unique ?? ""), "thanks", true));
    expect(error).toMatchObject({ code: "NO_SUCH_PEER", hint: expect.stringContaining("claudemesh list") });
    expect(receiptIn("api", letters[0]?.unique ?? "")?.state).toBe("seen");
  });

  it("to a bounce", () => {
    const { unique } = asked();
    const [mine] = take("api", all);
    if (!mine) throw new Error("no letter");
    bounce({ ...mine.message, from: API }, "web", "it ended");
    const [bounced] = take("api", all);
    expect(bounced?.message.kind).toBe("bounce");
    expect(thrownBy(() => reply(API, bounced?.message.id ?? "", "why?", true))).toMatchObject({ code: "NO_SUCH_PEER" });
    expect(readdirSync(join(process.env.CLAUDEMESH_HOME ?? "", "inbox")).sort()).toEqual(["api", "you"]);
    expect(receiptIn("api", unique)?.state).toBe("collected");
  });

  it("to who is forgotten: no mailbox is made for them", () => {
    const { home, api } = asked();
    const unique = letter(api, { kind: "question", from: { id: "f0rg0tte", name: "old", host: "laptop" } });
    expect(thrownBy(() => reply(API, messageIdOf(unique), "8080", true))).toMatchObject({ code: "NO_SUCH_PEER" });
    expect(readdirSync(join(home, "inbox")).sort()).toEqual(["api", "you"]);
    expect(receiptIn("api", unique)?.state).toBe("queued");
  });

  it("to a link in the mailbox: what it points to is not read", () => {
    const { api, home } = asked();
    const outside = join(home, "outside");
    writeFileSync(outside, "From: you <you@laptop>\nX-Mesh-Kind: question\n\nsecret?\n");
    symlinkSync(outside, join(api, "new", "link"));
    expect(thrownBy(() => reply(API, "link", "8080", true))).toMatchObject({ code: "NO_SUCH_MESSAGE" });
  });

  it("to a folder in the mailbox", () => {
    const { api } = asked();
    mkdirSync(join(api, "new", "folder"));
    expect(thrownBy(() => reply(API, "folder", "8080", true))).toMatchObject({ code: "NO_SUCH_MESSAGE" });
  });

  it("to a pipe in the mailbox, and nobody is held up by it", async () => {
    const { api } = asked();
    const code = `const { execFileSync } = await import("node:child_process");
      execFileSync("mkfifo", [args[0]]);
      const { reply } = await mesh("reply");
      try { reply({ id: "api", name: "api", host: "x" }, "pipe", "8080", true); done("sent"); }
      catch (error) { done(error.code); }`;
    expect(await inNode(code, { args: [join(api, "new", "pipe")], timeout: 5000 })).toBe("NO_SUCH_MESSAGE");
  });
});

describe("a letter of one's own", () => {
  it("is found unread, collected and read, and is not moved by looking", () => {
    const { api, unique, id } = asked();
    expect(ownLetter("api", id)).toMatchObject({ unique, message: { body: "which port?" } });
    expect(readdirSync(join(api, "new"))).toEqual([unique]);
    markSeen("api", take("api", all));
    expect(ownLetter("api", unique).message.body).toBe("which port?");
    expect(readSeen("api", `${unique}:2,S`)?.unique).toBe(unique);
  });

  it("of another program is answered by the name of its file, in the thread of its own id", async () => {
    const { api } = asked();
    take("api", all);
    drop(api, "mutt-1", "From: you <you@laptop>\nMessage-ID: <abc@mutt>\nX-Mesh-Kind: question\n\nwhich port?\n");
    await until(() => peek("api").letters.length, "the file to stand still");
    const [got] = take("api", all);
    reply(API, got?.unique ?? "", "8080", true);
    expect(inbox()).toMatchObject([{ message: { inReplyTo: "<abc@mutt>", body: "8080" } }]);
  });
});
