// Answers that somebody waits for: whose they are while the one who waits lives, and after.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, vi } from "vitest";
import { isAwaited, startWaiting, stopWaiting } from "../../src/mesh/awaited.ts";
import { messageIdOf, uniqueName } from "../../src/mesh/message.ts";
import { peek, take } from "../../src/mesh/receive.ts";
import { until } from "../temp-home.ts";
import { box, inNode, letter, sleeper, tempMesh } from "./temp-mesh.ts";

/** `ps -o lstart=` gives the start time in words: so it is where there is no /proc. */
const words = vi.hoisted(() => ({ used: false }));
vi.mock("../../src/mesh/process.ts", async (original) => {
  const real = await original<typeof import("../../src/mesh/process.ts")>();
  const lstart = "Sat Nov 21 07:00:00 2026";
  return {
    ...real,
    startedAt: (pid: number) => (words.used ? lstart : real.startedAt(pid)),
    isRunning: (pid: number, started?: string) =>
      words.used ? real.isRunning(pid) && (started === undefined || started === lstart) : real.isRunning(pid, started),
  };
});

const all = () => true;
const answerTo = (mailbox: string, question: string, body = "8080") =>
  letter(mailbox, { body, kind: "answer", inReplyTo: messageIdOf(question) });
const marker = (home: string, question: string) => join(home, "inbox/web/awaited", question);

/** A process that waits in web's mailbox for the answer to `question`, until it is killed with kill -9. */
async function waiter(home: string, question: string): Promise<{ pid: number; kill(): void }> {
  void inNode(
    `const { startWaiting } = await mesh("awaited"); startWaiting("web", args[0]); setInterval(() => {}, 1000);`,
    { args: [question] },
  ).catch(() => {});
  const file = marker(home, question);
  const pid = Number(await until(() => existsSync(file) && readFileSync(file, "utf8").split(" ")[0], "the waiter"));
  return { pid, kill: () => process.kill(pid, "SIGKILL") };
}

it("an answer is nobody else's while the process that waits for it lives, however many look", async () => {
  const home = tempMesh();
  const web = box(home, "web");
  const question = uniqueName();
  const { kill, pid } = await waiter(home, question);
  const answer = answerTo(web, question);
  const other = letter(web, { body: "something else" });
  const reader = `const { peek, take } = await mesh("receive");
    const got = [];
    for (let round = 0; round < 50; round++) {
      got.push(...peek("web").letters.filter((l) => l.message.kind === "answer"), ...take("web", () => true));
    }
    done(got.map((l) => l.unique));`;
  const got = await Promise.all([1, 2, 3, 4].map(() => inNode<string[]>(reader)));
  expect(got.flat()).toEqual([other]);
  expect(readdirSync(join(web, "new"))).toEqual([answer]);
  expect(isAwaited("web", question)).toBe(true);

  kill();
  await until(() => !isAwaited("web", question), `the end of ${pid}`);
  expect(peek("web").letters.map((l) => l.unique)).toEqual([answer]);
  const after = await Promise.all(
    [1, 2, 3].map(() => inNode<string[]>(reader.replace('peek("web")', "({ letters: [] })"))),
  );
  expect(after.flat()).toEqual([answer]);
});

it("the one who waits has it too only by takeAnswer: to its own peek and take it is not there", () => {
  const home = tempMesh();
  const web = box(home, "web");
  const question = uniqueName();
  startWaiting("web", question);
  const answer = answerTo(web, question);
  expect([peek("web").letters, take("web", all)]).toEqual([[], []]);
  stopWaiting("web", question);
  expect(take("web", all).map((l) => l.unique)).toEqual([answer]);
});

it("only the answer to that very question is held back", () => {
  const home = tempMesh();
  const web = box(home, "web");
  const [mine, another] = [uniqueName(), uniqueName()];
  startWaiting("web", mine);
  answerTo(web, mine);
  const wanted = [answerTo(web, another), letter(web), letter(web, { inReplyTo: "<x@elsewhere>" })];
  expect(peek("web").letters.map((l) => l.unique)).toEqual(wanted);
});

it("a pid that another process has got meanwhile is not believed", () => {
  const home = tempMesh();
  box(home, "web");
  const question = uniqueName();
  startWaiting("web", question);
  const [, host, boot] = readFileSync(marker(home, question), "utf8").split(" ");
  writeFileSync(marker(home, question), `${sleeper().pid} ${host} ${boot} 1\n`);
  expect(isAwaited("web", question)).toBe(false);
  expect(existsSync(marker(home, question))).toBe(false);
});

it("waiting is seen also where a start time is several words", () => {
  const home = tempMesh();
  box(home, "web");
  const question = uniqueName();
  words.used = true;
  try {
    startWaiting("web", question);
    expect(isAwaited("web", question)).toBe(true);
  } finally {
    words.used = false;
  }
});

it("nobody waits where nothing says so, and giving up twice is giving up once", () => {
  const home = tempMesh();
  const question = uniqueName();
  expect(isAwaited("web", question)).toBe(false);
  expect(existsSync(join(home, "inbox/web"))).toBe(false);
  box(home, "web");
  startWaiting("web", question);
  stopWaiting("web", question);
  stopWaiting("web", question);
  expect(isAwaited("web", question)).toBe(false);
});

it.each(["../../../outside", "../state", "../../../config.json", "../cur/seen:2,S"])(
  "a letter that claims to answer `%s` costs nobody that file",
  (path) => {
    const home = tempMesh();
    const web = box(home, "web");
    const file = join(web, "awaited", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "not yours to remove\n");
    const unique = letter(web, { inReplyTo: messageIdOf(path) });
    expect(peek("web").letters.map((l) => l.unique)).toEqual([unique]);
    expect(existsSync(file)).toBe(true);
  },
);

it.each(["<..@claudemesh>", "<.>", "<../cur>", "</>", "<../bell/x>", `<${"x".repeat(300)}>`, `<${"x/".repeat(2500)}>`])(
  "a letter in reply to %s stops no other mail",
  (inReplyTo) => {
    const home = tempMesh();
    const web = box(home, "web");
    writeFileSync(join(web, "bell"), "");
    mkdirSync(join(web, "awaited"));
    const uniques = [letter(web), letter(web, { inReplyTo }), letter(web)];
    expect(take("web", all).map((l) => l.unique)).toEqual(uniques);
  },
);
