// What keeps two models from talking each other into a loop, and never slows what a person began.

import {
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { exitStatus } from "../../src/errors.ts";
import {
  countSend,
  FLOOD,
  hopsFor,
  MOST_A_DAY,
  MOST_A_MINUTE,
  MOST_AN_HOUR,
  MOST_HOPS,
  type Passage,
  REPEAT,
} from "../../src/mesh/brakes.ts";
import { joinMesh } from "../../src/mesh/join.ts";
import { listNew } from "../../src/mesh/maildir.ts";
import { messageIdOf } from "../../src/mesh/message.ts";
import { peek, receipts } from "../../src/mesh/receive.ts";
import { reply } from "../../src/mesh/reply.ts";
import { send } from "../../src/mesh/send.ts";
import { mailBegan, mailJoined, personBegan, type Turn, turnOf } from "../../src/mesh/turn.ts";
import { box, inNode, letter, sleeper, tempFolder, tempMesh, thrownBy } from "./temp-mesh.ts";

const NOW = Date.UTC(2026, 10, 21, 7);
const S = 1000;
const MINUTE = 60 * S;
const HOUR = 60 * MINUTE;
const PERSON: Turn = { hops: undefined, shown: 0 };
/** A turn that mail began, shown at that time. */
const mailAt = (shown: number, hops = 0): Turn => ({ hops, shown });
const passage = (from: string, to: string, what: string, more: Partial<Passage> = {}): Passage => ({
  from,
  to: [to],
  unique: "none",
  what,
  turn: PERSON,
  ...more,
});
let n = 0;
/** Counts a letter, with a text of its own unless told. */
function sendAt(now: number, from: string, to: string, more: Partial<Passage> = {}): void {
  countSend(passage(from, to, `letter ${++n}`, more), () => now);
}
/** How many of these go until one is refused, `most` at most; and the refusal. */
function untilRefused(one: (i: number) => void, most: number): [number, (Error & { code?: string; hint?: string })?] {
  for (let i = 0; i < most; i++)
    try {
      one(i);
    } catch (error) {
      return [i, error as Error];
    }
  return [most];
}
const web = { id: "web", name: "web", host: "laptop" };
/** Who writes to whom at the i-th time that the two take turns. */
const byTurns = (i: number, one = "web", other = "api"): [string, string] => (i % 2 ? [other, one] : [one, other]);
const to = (id: string) => ({ id, name: id, host: "laptop" });
/** A mail turn for a session, by a letter of another's. */
const woken = (id: string, hops: number, from = "ci") =>
  mailBegan(id, [{ message: { from: to(from), hops } } as never]);
const ledger = (home: string, from = "api", to = "web") => join(home, "inbox", from, "counted", to);

describe("hops", () => {
  const hops = (turn: Turn | undefined, inThread: number, more: Partial<Passage> = {}) =>
    hopsFor(passage("web", "api", "x", { turn, ...more }), inThread);

  it("are one more than those of the mail that began the turn, and none in a person's", () => {
    expect(MOST_HOPS).toBe(20);
    expect(hops(PERSON, 0)).toBe(0);
    expect(hops(mailAt(NOW, 0), 0)).toBe(1);
    expect(hops(mailAt(NOW, 7), 0)).toBe(8);
  });

  it("in a thread are the larger of both", () => {
    expect(hops(PERSON, 5)).toBe(5);
    expect(hops(mailAt(NOW, 2), 5)).toBe(5);
    expect(hops(mailAt(NOW, 9), 5)).toBe(10);
  });

  it("twenty pass, the twenty-first is refused", () => {
    expect(hops(mailAt(NOW, 19), 0)).toBe(20);
    expect(hops(PERSON, 20)).toBe(20);
    for (const refused of [() => hops(mailAt(NOW, 20), 0), () => hops(PERSON, 21)]) {
      const error = thrownBy(refused);
      expect(error).toMatchObject({ code: "TOO_FAR", message: expect.stringContaining("20 times") });
      expect(exitStatus(error)).toBe(1);
    }
  });

  it("of what else came do not refuse the answer that closes a question or a task; those of its own thread do", () => {
    expect(hops(mailAt(NOW, 20), 3, { closes: true })).toBe(20);
    expect(() => hops(mailAt(NOW, 20), 21, { closes: true })).toThrow(/to and fro/);
  });

  it("do not keep a letter from the human, nor one of his", () => {
    expect(hops(mailAt(NOW, 20), 1, { to: ["you"] })).toBe(1);
    expect(hops(PERSON, 30, { to: ["you"] })).toBe(20);
    expect(hops(undefined, 0)).toBe(0);
    expect(() => hops(mailAt(NOW, 20), 0, { to: ["you", "api"] })).toThrow(/to and fro/);
  });
});

describe("to and fro", () => {
  it("twenty times a minute pass between two sessions, each answering by a new letter; then none of either", () => {
    tempMesh();
    expect(MOST_A_MINUTE).toBe(20);
    const [sent, error] = untilRefused((i) => sendAt(NOW + i * S, ...byTurns(i)), 60);
    expect(sent).toBe(20);
    expect(error).toMatchObject({ code: "TOO_FAST", hint: expect.stringMatching(/\b40 s\b/) });
    expect(exitStatus(error)).toBe(75);
    expect(thrownBy(() => sendAt(NOW + 59_999, "web", "api"))).toMatchObject({
      hint: expect.stringMatching(/\b1 s\b/),
    });
    sendAt(NOW + 60 * S, "web", "api");
  });

  it("who obeys the hint gets through, and what was refused does not count", () => {
    tempMesh();
    for (let i = 0; i < 20; i++) sendAt(NOW + i * S, ...byTurns(i));
    for (let i = 0; i < 40; i++) expect(() => sendAt(NOW + 20 * S + i, "web", "api")).toThrow(/within a minute/);
    const seconds = Number(/(\d+) s/.exec(thrownBy(() => sendAt(NOW + 21 * S, "web", "api")).hint ?? "")?.[1]);
    sendAt(NOW + (21 + seconds) * S, "web", "api");
  });

  it("a row of letters with none of the other's in between is one: sixty go at once, whoever began the turn", () => {
    tempMesh();
    for (const turn of [PERSON, mailAt(NOW)]) for (let i = 0; i < 60; i++) sendAt(NOW + i, "web", "api", { turn });
    // And the other may still answer, nineteen times over.
    expect(untilRefused((i) => sendAt(NOW + S + i, ...byTurns(i, "api", "web")), 60)[0]).toBe(19);
  });

  it("the answers that close questions and tasks never count, nor part a row", () => {
    tempMesh();
    for (let i = 0; i < 100; i++) {
      sendAt(NOW + i, "web", "api");
      sendAt(NOW + i, "api", "web", { turn: mailAt(NOW), closes: true });
    }
  });

  it("each two sessions have their own", () => {
    tempMesh();
    for (let i = 0; i < 20; i++) sendAt(NOW + i, ...byTurns(i));
    sendAt(NOW + S, "web", "ci");
    sendAt(NOW + S, "ci", "api");
    expect(() => sendAt(NOW + S, "web", "api")).toThrow();
    expect(() => sendAt(NOW + S, "web", "ci", { to: ["ci", "api"] })).toThrow();
  });

  it("with the human there is no such limit, and none for him", () => {
    tempMesh();
    for (let i = 0; i < 100; i++) {
      sendAt(NOW + i, "you", "api", { turn: undefined });
      sendAt(NOW + i, "api", "you", { turn: mailAt(NOW + i, 20) });
    }
    for (let i = 0; i < 300; i++) sendAt(NOW + i, "you", "api", { turn: undefined });
  });

  it("is counted over the ends of processes", async () => {
    tempMesh();
    const ten = `const { countSend } = await mesh("brakes");
      for (let i = 0; i < 10; i++) {
        const now = ${NOW} + Number(args[0]) + i;
        const [from, to] = i % 2 ? ["api", "web"] : ["web", "api"];
        countSend({ from, to: [to], unique: "none", what: "letter " + now, turn: { shown: 0 } }, () => now);
      }
      done(null);`;
    await inNode(ten, { args: ["0"] });
    await inNode(ten, { args: ["100"] });
    await expect(inNode(ten, { args: ["200"] })).rejects.toThrow(/within a minute/);
  });
});

describe("a flood", () => {
  it("ends at two hundred letters a minute to one recipient, answers and letters to the human among them", () => {
    expect(FLOOD).toBe(200);
    for (const [who, more] of [
      ["api", {}],
      ["api", { closes: true }],
      ["you", {}],
    ] as const) {
      tempMesh();
      const [sent, error] = untilRefused((i) => sendAt(NOW + i * 10, "web", who, more), 300);
      expect([who, sent]).toEqual([who, 200]);
      expect(error).toMatchObject({ code: "TOO_FAST", hint: expect.stringMatching(/\b58 s\b/) });
      sendAt(NOW + MINUTE, "web", who, more);
    }
  });
});

describe("mail that nobody asked for", () => {
  /** One letter because of mail, shown just before. */
  const round = (now: number, from = "web", whom = "api") => sendAt(now, from, whom, { turn: mailAt(now - 1) });

  it("goes between two sessions sixty times an hour, both ways together", () => {
    tempMesh();
    expect(MOST_AN_HOUR).toBe(60);
    const [sent, error] = untilRefused((i) => round(NOW + i * 20 * S, ...byTurns(i)), 100);
    expect(sent).toBe(60);
    expect(error).toMatchObject({ code: "TOO_FAR", message: expect.stringMatching(/60 times within an hour/) });
    expect(error?.hint).toContain("40 min");
    round(NOW + HOUR);
  });

  it("in a ring, where no two ever answer each other, as well", () => {
    tempMesh();
    const ring = ["web", "api", "ci"];
    const next = (i: number) => [ring[i % 3] ?? "", ring[(i + 1) % 3] ?? ""] as const;
    expect(untilRefused((i) => round(NOW + i * 7 * S, ...next(i)), 300)[0]).toBe(180);
  });

  it("goes 240 times a day", () => {
    tempMesh();
    expect(MOST_A_DAY).toBe(240);
    const [sent, error] = untilRefused((i) => round(NOW + i * 2 * MINUTE), 400);
    expect(sent).toBe(240);
    expect(error).toMatchObject({ code: "TOO_FAR", message: expect.stringMatching(/240 times within a day/) });
    round(NOW + 24 * HOUR);
  });

  it("counts once for all that goes to one recipient before mail is shown again", () => {
    tempMesh();
    for (let i = 0; i < 150; i++) sendAt(NOW + i, "web", "api", { turn: mailAt(NOW - 1) });
    for (let i = 1; i < 60; i++) round(NOW + i * 4 * S);
    expect(() => round(NOW + 5 * MINUTE)).toThrow(/60 times/);
  });

  it("counts in a person's turn as well, for it may never end: but not what he asked for, and what is answered in it", () => {
    const home = tempMesh();
    box(home, "web");
    personBegan("web");
    utimesSync(join(home, "inbox/web/touched"), new Date(NOW), new Date(NOW));
    const shownAt = (at: number, message: object) => {
      mailJoined("web", [{ message: { from: to("api"), hops: 0, priority: "now", ...message } } as never]);
      if (turnOf("web").shown) utimesSync(join(home, "inbox/web/turn"), new Date(at), new Date(at));
      return turnOf("web");
    };
    for (let i = 0; i < 150; i++) sendAt(NOW + i, "web", "api", { turn: turnOf("web") });
    const answer = { kind: "answer", inReplyTo: "<x@claudemesh>" };
    for (let i = 0; i < 150; i++) {
      expect(shownAt(NOW + i * 4 * S, answer).shown).toBe(0);
      sendAt(NOW + MINUTE + i * 4 * S, "web", "api", { turn: turnOf("web") });
    }
    for (let i = 0; i < 60; i++) {
      const at = NOW + 20 * MINUTE + i * 4 * S;
      const turn = shownAt(at, i % 2 ? { kind: "task" } : { ...answer, priority: "low" });
      sendAt(at + 1, "web", "api", { turn });
      sendAt(at + 2, "web", "api", { turn });
    }
    expect(() => sendAt(NOW + 30 * MINUTE, "web", "api", { turn: shownAt(NOW + 29 * MINUTE, {}) })).toThrow(/60 times/);
  });

  it("does not count what a person began, nor answers", () => {
    tempMesh();
    for (let i = 0; i < 60; i++) round(NOW + i * 4 * S);
    for (let i = 0; i < 100; i++) sendAt(NOW + 5 * MINUTE + i, "web", "api");
    for (let i = 0; i < 99; i++)
      sendAt(NOW + 6 * MINUTE + i, "api", "web", { turn: mailAt(NOW + 6 * MINUTE), closes: true });
    expect(() => round(NOW + 7 * MINUTE)).toThrow(/60 times/);
  });

  it.each(["web", "api"])("begins anew with a person's word to %s", (who) => {
    const home = tempMesh();
    box(home, "web");
    box(home, "api");
    for (let i = 0; i < 60; i++) round(NOW + i * 4 * S);
    expect(() => round(NOW + 5 * MINUTE)).toThrow(/60 times/);
    personBegan(who);
    const at = new Date(NOW + 5 * MINUTE);
    utimesSync(join(home, "inbox", who, "touched"), at, at);
    expect(untilRefused((i) => round(NOW + 6 * MINUTE + i * 4 * S), 100)[0]).toBe(60);
  });
});

describe("the same letter again", () => {
  const done = (now: number, from = "web", whom = "api", what = "done") => {
    countSend(passage(from, whom, what, { unique: letter(mailbox(whom)) }), () => now);
  };
  const mailbox = (id: string) => box(process.env.CLAUDEMESH_HOME ?? "", id);

  it("is refused for ten seconds and passes after that", () => {
    tempMesh();
    expect(REPEAT).toBe(10_000);
    done(NOW);
    for (const at of [0, 1, 9]) expect(thrownBy(() => done(NOW + at * S))).toMatchObject({ code: "REPEATED" });
    expect(thrownBy(() => done(NOW + REPEAT - 1))).toMatchObject({ code: "REPEATED" });
    done(NOW + REPEAT);
  });

  it("passes if the first has not got there: its sender was killed, or it was deleted", () => {
    tempMesh();
    countSend(passage("web", "api", "done", { unique: "1796078125.M480000P1Q1.vm" }), () => NOW);
    done(NOW);
    expect(thrownBy(() => done(NOW))).toMatchObject({ code: "REPEATED" });
    rmSync(join(mailbox("api"), "new"), { recursive: true });
    done(NOW);
  });

  it("goes to another recipient, and another text to the same one", () => {
    tempMesh();
    done(NOW);
    done(NOW, "web", "ci");
    done(NOW, "web", "api", "done.");
    done(NOW, "ci", "api");
    done(NOW, "api", "web");
  });
});

describe("the notes of what was sent", () => {
  it("hold no text of a letter and are nobody else's to read", () => {
    const home = tempMesh();
    countSend(passage("web", "api", "the secret plan"), () => NOW);
    const dir = ledger(home);
    expect(readlinkSync(join(dir, "1"))).toMatch(new RegExp(`^${NOW} web person [a-z0-9.]+ none$`));
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it("do not grow with the letters of a day", () => {
    const home = tempMesh();
    for (let i = 0; i < 500; i++) sendAt(NOW + i * 4 * S, "web", "api");
    expect(readdirSync(ledger(home)).length).toBeLessThan(20);
    for (let i = 0; i < 500; i++) sendAt(NOW + HOUR + i * S, "you", "api", { turn: undefined });
    expect(readdirSync(ledger(home, "api", "you")).length).toBeLessThan(15);
  });

  it("never give one number twice, also when all that they told is over", () => {
    const home = tempMesh();
    for (let i = 0; i < 3; i++) sendAt(NOW + i * 48 * HOUR, "web", "api");
    expect(readdirSync(ledger(home))).toEqual(["3"]);
  });

  it("of a clock that was set back, or that are none of ours, stop nobody", () => {
    const home = tempMesh();
    for (let i = 0; i < 20; i++) sendAt(NOW + i, ...byTurns(i));
    sendAt(NOW - 24 * HOUR, "web", "api");
    const dir = ledger(home, "api", "ci");
    mkdirSync(join(dir, "7"), { recursive: true });
    for (const [name, text] of Object.entries({ 1: "", 2: "NaN x", 3: `-5 ci round y`, 4: "nonsense", x: "y" }))
      symlinkSync(text || " ", join(dir, name));
    writeFileSync(join(dir, "5"), `${NOW} ci round`);
    sendAt(NOW, "ci", "api");
    expect(readdirSync(dir)).toContain("8");
  });
});

describe("many processes at once", () => {
  const racing = `const { send } = await mesh("send");
    const [me, other, count, turn] = args;
    const { writeFileSync } = await import("node:fs");
    let [sent, refused] = [0, 0];
    const address = (id) => ({ id, name: id, host: "h" });
    for (let i = 0; i < Number(count); i++) {
      if (turn) writeFileSync(turn, "0\\n");
      try {
        send({ from: address(me), to: [address(other)], body: process.pid + " " + i, byModel: true });
        sent++;
      } catch (error) {
        if (!/^TOO_/.test(error.code)) throw error;
        refused++;
      }
    }
    done({ sent, refused });`;
  const race = (all: string[][]) =>
    Promise.all(all.map((args) => inNode<{ sent: number; refused: number }>(racing, { args })));
  const sum = (all: { sent: number; refused: number }[]) => [
    all.reduce((s, { sent }) => s + sent, 0),
    all.reduce((s, { refused }) => s + refused, 0),
  ];

  it("get not one letter more through than the limit, nor less, and the human is told once", async () => {
    const home = tempMesh();
    const all = await race(Array.from({ length: 8 }, () => ["web", "api", "40"]));
    expect(sum(all)).toEqual([200, 120]);
    expect(listNew(box(home, "api"))).toHaveLength(200);
    expect(peek("you").letters).toHaveLength(1);
    expect(readdirSync(join(home, "dead/new"))).toHaveLength(120);
  });

  it("of both sides go to and fro no more than twenty times", async () => {
    const home = tempMesh();
    await race(Array.from({ length: 8 }, (_, i) => [...(i % 2 ? ["web", "api"] : ["api", "web"]), "20"]));
    const dir = ledger(home);
    const senders = readdirSync(dir)
      .map(Number)
      .sort((a, b) => a - b)
      .map((name) => readlinkSync(join(dir, String(name))).split(" ")[1]);
    expect(senders.filter((who, i) => who !== senders[i - 1])).toHaveLength(20);
    expect(listNew(box(home, "api")).length + listNew(box(home, "web")).length).toBe(senders.length);
  });

  it("write no more often because of mail than the hour allows", async () => {
    const home = tempMesh();
    box(home, "web");
    const early = Date.now() - 30 * MINUTE;
    for (let i = 0; i < 50; i++) sendAt(early + i * S, "web", "api", { turn: mailAt(early + i * S - 1) });
    const turn = join(home, "inbox/web/turn");
    const all = await race(Array.from({ length: 8 }, () => ["web", "api", "15", turn]));
    expect(sum(all)[1]).toBeGreaterThan(0);
    const rounds = readdirSync(ledger(home)).filter((name) => / round /.test(readlinkSync(join(ledger(home), name))));
    expect(rounds).toHaveLength(60);
  });
});

describe("a letter that was not sent", () => {
  it("is no repeat for those who were to have it, because one of them has just had it", () => {
    const home = tempMesh();
    send({ from: web, to: [to("ci")], body: "deploy", byModel: true });
    const both = () => send({ from: web, to: [to("api"), to("ci")], body: "deploy", byModel: true });
    both();
    expect(listNew(box(home, "api"))).toHaveLength(1);
    expect(thrownBy(both)).toMatchObject({ code: "REPEATED" });
    expect(listNew(box(home, "api"))).toHaveLength(1);
  });

  it("because it is too much for one of several, counts for none of them", () => {
    const home = tempMesh();
    const [early, late] = [Date.now() - 30_000, Date.now() - 10_000];
    for (let i = 0; i < FLOOD; i++) {
      sendAt(early, "web", "ci");
      sendAt(late, "web", "db");
    }
    const error = thrownBy(() => send({ from: web, to: ["api", "ci", "db"].map(to), body: "deploy", byModel: true }));
    expect(error.code).toBe("TOO_FAST");
    expect(listNew(box(home, "api"))).toEqual([]);
    // Who tries again after that time must not be refused once more for another of them.
    const seconds = Number(/in (\d+) s/.exec(error.hint ?? "")?.[1]);
    countSend(
      { ...passage("web", "", "deploy", { unique: "other" }), to: ["api", "ci", "db"] },
      () => Date.now() + seconds * S,
    );
  });

  it("because it could not be written, is no repeat when it is tried again", () => {
    const home = tempMesh();
    mkdirSync(join(home, "inbox/api"));
    writeFileSync(join(home, "inbox/api/tmp"), "in the way");
    const deploy = () => send({ from: web, to: [to("api"), to("ci")], body: "deploy", byModel: true });
    expect(thrownBy(deploy)).toMatchObject({ code: "FAILED" });
    expect(listNew(box(home, "ci"))).toHaveLength(1);
    rmSync(join(home, "inbox/api/tmp"));
    deploy();
    expect(listNew(join(home, "inbox/api"))).toHaveLength(1);
  });

  it("is never said of one that was, when only the notes can't be written", () => {
    const home = tempMesh();
    writeFileSync(join(box(home, "api"), "counted"), "in the way");
    send({ from: web, to: [to("api")], body: "deploy", byModel: true });
    expect(listNew(box(home, "api"))).toHaveLength(1);
  });
});

describe("what is braked", () => {
  const far = (body: string, whom = ["api"], from = web) => send({ from, to: whom.map(to), body, byModel: true });

  it("is told to the human with its text, kept as a file, and the model is told to end its turn", () => {
    const home = tempMesh();
    box(home, "web");
    woken("web", 20);
    const error = thrownBy(() => far("thank you\n\nand you, too"));
    expect(error.message).toBe("can't send: mail has gone to and fro 20 times with no word of a person");
    expect(error.hint).toBe("end the turn: your user has been told, and has the text");
    expect(listNew(box(home, "api"))).toEqual([]);
    const [note] = peek("you").letters;
    expect(note?.message).toMatchObject({ kind: "bounce", from: { id: "claudemesh" } });
    expect(note?.message.subject).toMatch(/^stopped web writing to api: mail has gone to and fro 20 times/);
    expect(note?.message.body).toContain("thank you\n\nand you, too");
    const [dead = ""] = readdirSync(join(home, "dead/new"));
    expect(note?.message.body).toContain(join(home, "dead/new", dead));
    expect(receipts(messageIdOf(dead))).toMatchObject([{ to: "api", state: "refused" }]);
  });

  it("makes one note a loop, whichever of them it is, and every text is kept", () => {
    const home = tempMesh();
    for (const id of ["web", "api", "ci"]) {
      box(home, id);
      woken(id, 20, "db");
    }
    for (let i = 0; i < 5; i++) {
      expect(() => far(`${i}`)).toThrow();
      expect(() => far(`${i}`, ["web"], to("api"))).toThrow();
    }
    expect(peek("you").letters).toHaveLength(1);
    expect(readdirSync(join(home, "dead/new"))).toHaveLength(10);
    expect(() => far("other", ["ci"])).toThrow();
    for (const id of ["web", "api", "ci"]) {
      const others = ["web", "api", "ci"].filter((other) => other !== id);
      expect(() => far("to all", others, to(id))).toThrow();
    }
    expect(peek("you").letters).toHaveLength(3);
  });

  it("is told again when it goes on a quarter of an hour later", () => {
    const home = tempMesh();
    box(home, "web");
    woken("web", 20);
    onTestFinished(() => void vi.useRealTimers());
    const began = Date.now();
    const dir = join(home, "inbox/you/braked");
    const known = new Set<string>();
    for (const [minutes, notes] of [
      [0, 1],
      [7, 1],
      [14, 1],
      [16, 2],
      [20, 2],
    ] as const) {
      vi.useFakeTimers({ now: began + minutes * MINUTE, toFake: ["Date"] });
      expect(() => far(`after ${minutes} min`)).toThrow(/to and fro/);
      // A new file that says so has the system's time.
      for (const name of readdirSync(dir).filter((one) => !known.has(one))) {
        utimesSync(join(dir, name), new Date(), new Date());
        known.add(name);
      }
      expect([minutes, peek("you").letters.length]).toEqual([minutes, notes]);
    }
  });

  it("is cut in the note when it is long, and whole in the file", () => {
    const home = tempMesh();
    box(home, "web");
    woken("web", 20);
    const body = `begin ${"x".repeat(1_000_000)} end`;
    expect(() => far(body)).toThrow();
    expect(peek("you").letters[0]?.message.body.length).toBeLessThan(10_000);
    const [dead = ""] = readdirSync(join(home, "dead/new"));
    expect(statSync(join(home, "dead/new", dead)).size).toBeGreaterThan(1_000_000);
  });

  it("the same text again is not: it is there", () => {
    tempMesh();
    far("done");
    expect(thrownBy(() => far("done"))).toMatchObject({ code: "REPEATED" });
    expect(peek("you").letters).toEqual([]);
  });

  it("is still said to the model when the human can't be told", () => {
    const home = tempMesh();
    box(home, "web");
    woken("web", 20);
    writeFileSync(join(home, "inbox/you"), "in the way");
    expect(thrownBy(() => far("x")).hint).toBe("end the turn: and tell your user, who could not be told");
  });
});

describe("the turn", () => {
  const letterOf = (hops: number, from = "ci") => ({ message: { from: to(from), hops } }) as never;

  it("of mail has the hops of the letter that has come furthest", () => {
    box(tempMesh(), "web");
    mailBegan("web", []);
    expect(turnOf("web")).toEqual({ hops: undefined, shown: 0 });
    mailBegan("web", [letterOf(3), letterOf(7), letterOf(0)]);
    expect(turnOf("web").hops).toBe(7);
    mailJoined("web", [letterOf(5)]);
    expect(turnOf("web").hops).toBe(7);
    mailJoined("web", [letterOf(9)]);
    expect(turnOf("web").hops).toBe(9);
    mailBegan("web", [letterOf(1)]);
    expect(turnOf("web").hops).toBe(1);
    for (const hops of [1e9, 1e30, Number.POSITIVE_INFINITY]) {
      mailBegan("web", [letterOf(hops)]);
      expect(turnOf("web").hops).toBe(999);
    }
  });

  it("of a person stays his, whatever is shown in it, until mail begins another", () => {
    box(tempMesh(), "web");
    personBegan("web");
    mailJoined("web", [letterOf(9)]);
    expect(turnOf("web")).toEqual({ hops: undefined, shown: expect.any(Number) });
    expect(turnOf("web").shown).toBeGreaterThan(0);
    mailBegan("web", [letterOf(9)]);
    personBegan("web");
    expect(turnOf("web").hops).toBeUndefined();
  });

  it.each([mailBegan, mailJoined])("of a letter of the human's is a person's as well: %o", (shown) => {
    box(tempMesh(), "web");
    mailBegan("web", [letterOf(20)]);
    shown("web", [letterOf(20), letterOf(0, "you")]);
    expect(turnOf("web").hops).toBeUndefined();
  });

  it("is inherited by every verb: a new letter, an answer, a question; 24 answers to a person's 24 tasks all go", async () => {
    const home = tempMesh();
    const peer = await joinMesh({ pid: sleeper().pid, cwd: tempFolder(), name: "api" });
    box(home, "web");
    woken("web", 19);
    for (const kind of ["task", "note", "answer", "question"] as const)
      send({ from: web, to: [to(peer.id)], body: kind, kind, byModel: true });
    const question = letter(box(home, "web"), { from: { ...web, id: peer.id }, kind: "note", hops: 2 });
    reply(web, messageIdOf(question), "yes", true);
    expect(peek(peer.id).letters.map(({ message }) => message.hops)).toEqual([20, 20, 20, 20, 20]);
    woken("web", 20);
    for (const from of [{ ...web, id: peer.id }, to("you")])
      for (let i = 0; i < 24; i++) {
        const task = letter(box(home, "web"), { from, kind: "task", body: `task ${i}` });
        reply(web, messageIdOf(task), `done ${i}`, true);
      }
    expect(peek("you").letters).toHaveLength(24);
  });
});
