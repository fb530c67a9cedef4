// What keeps two models from talking each other into a loop, and never keeps an honest letter from its recipient.

import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { exitStatus } from "../../src/errors.ts";
import { checkHops, checkSend, countSend, MOST_A_MINUTE, MOST_HOPS, REPEAT } from "../../src/mesh/brakes.ts";
import { listNew } from "../../src/mesh/maildir.ts";
import { send } from "../../src/mesh/send.ts";
import { box, inNode, tempMesh, thrownBy } from "./temp-mesh.ts";

const NOW = Date.UTC(2026, 10, 21, 7);
const S = 1000;
/** Asks, and if it may go notes it as sent. */
function sendAt(from: string, to: string, body: string, now: number, byModel = true): void {
  checkSend(from, [to], body, byModel, now);
  countSend(from, to, body, now);
}
/** Twenty letters, one every second from NOW. */
const twenty = () => {
  for (let i = 0; i < MOST_A_MINUTE; i++) sendAt("web", "api", `letter ${i}`, NOW + i * S);
};

describe("hops", () => {
  it("twenty in a thread pass, the twenty-first is refused with what to do instead", () => {
    expect(MOST_HOPS).toBe(20);
    expect(() => checkHops(20)).not.toThrow();
    const error = thrownBy(() => checkHops(21));
    expect(error).toMatchObject({ code: "TOO_FAR", hint: expect.stringMatching(/user/) });
    expect(error.message).toContain("20");
    expect(exitStatus(error)).toBe(1);
  });
});

describe("letters a minute", () => {
  it("twenty pass; the next is refused until the first is a minute old, and the hint says how long that is", () => {
    tempMesh();
    expect(MOST_A_MINUTE).toBe(20);
    twenty();
    const early = thrownBy(() => sendAt("web", "api", "one more", NOW + 19 * S));
    expect(early).toMatchObject({ code: "TOO_FAST", hint: expect.stringMatching(/\b41 s\b/) });
    expect(exitStatus(early)).toBe(75);
    expect(thrownBy(() => sendAt("web", "api", "one more", NOW + 59_999)).hint).toMatch(/\b1 s\b/);
    sendAt("web", "api", "one more", NOW + 60 * S);
    expect(thrownBy(() => sendAt("web", "api", "and more", NOW + 60 * S)).hint).toMatch(/\b1 s\b/);
  });

  it("what is refused does not count: who obeys the hint gets through", () => {
    tempMesh();
    twenty();
    for (let i = 0; i < 40; i++)
      expect(() => sendAt("web", "api", `again ${i}`, NOW + 20 * S + i * S)).toThrow(/within a minute/);
    for (let i = 0; i < MOST_A_MINUTE; i++) sendAt("web", "api", `later ${i}`, NOW + (60 + i) * S);
  });

  it("each pair of sender and recipient has its own", () => {
    tempMesh();
    twenty();
    sendAt("web", "ci", "hi", NOW + 19 * S);
    sendAt("ci", "api", "hi", NOW + 19 * S);
    sendAt("api", "web", "hi", NOW + 19 * S);
    expect(() => sendAt("web", "api", "hi", NOW + 19 * S)).toThrow();
  });

  it("the human has no limit", () => {
    tempMesh();
    for (let i = 0; i < 200; i++) sendAt("you", "api", `letter ${i}`, NOW + i, false);
  });

  it("are counted over the ends of processes", async () => {
    tempMesh();
    const ten = `const { checkSend, countSend } = await mesh("brakes");
      for (let i = 0; i < 10; i++) {
        const now = ${NOW} + Number(args[0]) + i;
        checkSend("web", ["api"], "letter " + now, true, now);
        countSend("web", "api", "letter " + now, now);
      }
      done(null);`;
    await inNode(ten, { args: ["0"] });
    await inNode(ten, { args: ["100"] });
    await expect(inNode(ten, { args: ["200"] })).rejects.toThrow(/within a minute/);
  });

  it("a clock that is set back, or a ledger that is no ledger, stops nobody", () => {
    const home = tempMesh();
    twenty();
    sendAt("web", "api", "yesterday", NOW - 86_400 * S);
    mkdirSync(join(home, "inbox/ci/sent"), { recursive: true });
    writeFileSync(join(home, "inbox/ci/sent/api"), "\n\nNaN x\n-5 y\nnonsense\n".repeat(30));
    sendAt("ci", "api", "hi", NOW);
  });
});

describe("the same letter again", () => {
  it("is refused for ten seconds and passes after that", () => {
    tempMesh();
    expect(REPEAT).toBe(10_000);
    sendAt("web", "api", "done", NOW);
    expect(thrownBy(() => sendAt("web", "api", "done", NOW))).toMatchObject({ code: "REPEATED" });
    expect(thrownBy(() => sendAt("web", "api", "done", NOW + REPEAT - 1))).toMatchObject({ code: "REPEATED" });
    sendAt("web", "api", "done", NOW + REPEAT);
  });

  it("goes to another recipient, and another text to the same one", () => {
    tempMesh();
    sendAt("web", "api", "done", NOW);
    sendAt("web", "ci", "done", NOW);
    sendAt("web", "api", "done.", NOW);
    sendAt("ci", "api", "done", NOW);
  });

  it("is known by what was sent, not by when others were refused", () => {
    tempMesh();
    sendAt("web", "api", "done", NOW);
    for (let at = 1; at < 10; at++) expect(() => sendAt("web", "api", "done", NOW + at * S)).toThrow();
    sendAt("web", "api", "done", NOW + REPEAT);
  });
});

it("the ledger holds no text of a letter and is nobody else's to read", () => {
  const home = tempMesh();
  sendAt("web", "api", "the secret plan", NOW);
  const file = join(home, "inbox/web/sent/api");
  expect(readFileSync(file, "utf8")).not.toContain("secret");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(home, "inbox/web/sent")).mode & 0o777).toBe(0o700);
});

it("the ledger does not grow with the letters of a day", () => {
  const home = tempMesh();
  for (let i = 0; i < 500; i++) sendAt("web", "api", `letter ${i}`, NOW + i * 4 * S);
  expect(readFileSync(join(home, "inbox/web/sent/api"), "utf8").split("\n").length).toBeLessThan(30);
});

describe("a letter that was not sent", () => {
  const from = { id: "web", name: "web", host: "laptop" };
  const to = (id: string) => ({ id, name: id, host: "laptop" });

  it("is no repeat for those who were to have it, because one of them has just had it", () => {
    const home = tempMesh();
    send({ from, to: [to("ci")], body: "deploy", byModel: true });
    const both = () => send({ from, to: [to("api"), to("ci")], body: "deploy", byModel: true });
    both();
    expect(listNew(box(home, "api"))).toHaveLength(1);
    expect(thrownBy(both)).toMatchObject({ code: "REPEATED" });
    expect(listNew(box(home, "api"))).toHaveLength(1);
  });

  it("because it is too much for one of several, counts for none of them", () => {
    const home = tempMesh();
    const [early, late] = [Date.now() - 30_000, Date.now() - 10_000];
    for (let i = 0; i < MOST_A_MINUTE; i++) {
      countSend("web", "ci", `letter ${i}`, early);
      countSend("web", "db", `letter ${i}`, late);
    }
    const error = thrownBy(() => send({ from, to: ["api", "ci", "db"].map(to), body: "deploy", byModel: true }));
    expect(error.code).toBe("TOO_FAST");
    expect(listNew(box(home, "api"))).toEqual([]);
    // Who tries again after that time must not be refused once more for another of them.
    const seconds = Number(/in (\d+) s/.exec(error.hint ?? "")?.[1]);
    expect(() => checkSend("web", ["api", "ci", "db"], "deploy", true, Date.now() + seconds * S)).not.toThrow();
    send({ from, to: [to("api")], body: "deploy", byModel: true });
    expect(listNew(box(home, "api"))).toHaveLength(1);
  });

  it("because it could not be written, is no repeat when it is tried again", () => {
    const home = tempMesh();
    mkdirSync(join(home, "inbox/api"));
    writeFileSync(join(home, "inbox/api/tmp"), "in the way");
    expect(thrownBy(() => send({ from, to: [to("api")], body: "deploy", byModel: true }))).toMatchObject({
      code: "FAILED",
    });
    rmSync(join(home, "inbox/api/tmp"));
    send({ from, to: [to("api")], body: "deploy", byModel: true });
    expect(listNew(join(home, "inbox/api"))).toHaveLength(1);
  });

  it("is never said of one that was, when only the ledger can't be written", () => {
    const home = tempMesh();
    writeFileSync(join(box(home, "web"), "sent"), "in the way");
    const sent = (() => {
      try {
        return send({ from, to: [to("api")], body: "deploy", byModel: true });
      } catch {
        return undefined;
      }
    })();
    expect(listNew(box(home, "api"))).toHaveLength(sent ? 1 : 0);
  });
});
