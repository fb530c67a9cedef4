// A question and standing by for its answer: what the asker gets, and what is left for others when it gives up or dies.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ask } from "../../src/mesh/ask.ts";
import { joinMesh, leave, noticeDeaths } from "../../src/mesh/join.ts";
import { listNew } from "../../src/mesh/maildir.ts";
import { messageIdOf, uniqueName, uniqueNameOf } from "../../src/mesh/message.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import type { Peer } from "../../src/mesh/peers.ts";
import { isRunning } from "../../src/mesh/process.ts";
import { peek, receiptIn, take } from "../../src/mesh/receive.ts";
import { reply } from "../../src/mesh/reply.ts";
import { until } from "../temp-home.ts";
import { box, inNode, letter, type Sleeper, sleeper, tempFolder, tempMesh } from "./temp-mesh.ts";

const YOU = { id: "you", name: "you", host: "laptop" };
const all = () => true;

interface Scene {
  home: string;
  you: string;
  api: Peer;
  claude: Sleeper;
  /** Asks as the human. */
  question(options?: {
    timeout?: number;
    signal?: AbortSignal;
    waiting?: (id: string) => void;
  }): ReturnType<typeof ask>;
  answer(id: string, body: string): void;
  awaited(): string[];
}

async function scene(): Promise<Scene> {
  const home = tempMesh();
  const you = box(home, "you");
  const claude = sleeper();
  const api = await joinMesh({ pid: claude.pid, cwd: tempFolder(), name: "api" });
  const me = { id: api.id, name: "api", host: api.host };
  return {
    home,
    you,
    api,
    claude,
    question: (options = {}) =>
      ask(YOU, { ...me, peer: api }, "which port?", { byModel: false, timeout: 60_000, ...options }),
    answer: (id, body) => void reply(me, id, body, true),
    awaited: () => (existsSync(join(you, "awaited")) ? readdirSync(join(you, "awaited")) : []),
  };
}

/** What a promise is rejected with. */
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: Error & { code?: string; hint?: string }) => error,
  );

describe("the answer", () => {
  it.each([
    ["one line", "8080"],
    ["ends of lines", "8080\n\n\n"],
    ["many lines", "\n  a\n\n\tb\r\nc\n"],
    ["all scripts", "ünï 日本 🦊 עברית e\u0301"],
    ["what looks like a message", "From: x <y@z>\nSubject: no\n\nFrom me\n.\n"],
    ["half a megabyte", `${"0123456789abcde\n".repeat(32_768)}end`],
  ])("comes back as it was given: %s", async (_what, body) => {
    const { question, answer, you, awaited } = await scene();
    const asked = await question({ waiting: (id) => setImmediate(() => answer(id, body)) });
    expect(asked.answer.message.body).toBe(body);
    expect(asked.answer.message).toMatchObject({ kind: "answer", inReplyTo: asked.message_id });
    expect(awaited()).toEqual([]);
    expect(readdirSync(join(you, "cur"))).toEqual([`${asked.answer.unique}:2,`]);
    asked.shown();
    expect(readdirSync(join(you, "cur"))).toEqual([`${asked.answer.unique}:2,S`]);
    expect(take("you", all)).toEqual([]);
  });

  it("that is there before anybody watches is found", async () => {
    const { question, answer } = await scene();
    const asked = await question({ waiting: (id) => answer(id, "at once") });
    expect(asked.answer.message.body).toBe("at once");
  });

  it("is the one to this question, not other mail and not the answer to another", async () => {
    const { question, answer, you, home } = await scene();
    const others = [
      letter(you, { body: "news" }),
      letter(you, { kind: "answer", inReplyTo: messageIdOf(uniqueName()) }),
    ];
    const asked = await question({
      waiting: (id) => {
        others.push(letter(you, { kind: "answer", references: [id], body: "in the thread only" }));
        setImmediate(() => answer(id, "8080"));
      },
    });
    expect(asked.answer.message.body).toBe("8080");
    expect(listNew(box(home, "you"))).toEqual(others);
  });

  it("each of several questions at the same time gets its own", async () => {
    const { api, answer } = await scene();
    const to = { id: api.id, name: "api", host: api.host, peer: api };
    const bodies = Array.from({ length: 8 }, (_, i) => `question ${i}`);
    const asked = await Promise.all(
      bodies.map((body) =>
        ask(YOU, to, body, {
          byModel: false,
          timeout: 60_000,
          waiting: (id) => setTimeout(() => answer(id, `to ${body}`), Math.random() * 100),
        }),
      ),
    );
    expect(asked.map((a) => a.answer.message.body)).toEqual(bodies.map((b) => `to ${b}`));
  });

  it("when there are two the first is returned, the second is mail for the next prompt", async () => {
    const { question, answer } = await scene();
    const asked = await question({
      waiting: (id) => {
        answer(id, "8080");
        answer(id, "no, 8081");
      },
    });
    expect(asked.answer.message.body).toBe("8080");
    await until(() => peek("you").letters.length === 1, "the second answer as mail");
    expect(take("you", all)).toMatchObject([{ message: { body: "no, 8081", kind: "answer", priority: "low" } }]);
    expect(receiptIn((await asked).answer.message.from?.id ?? "", uniqueNameOf(asked.message_id))?.state).toBe(
      "answered",
    );
  });

  it("is left to nobody else while it is awaited, however many processes look", async () => {
    const { question, answer, awaited } = await scene();
    const readers = `const { peek, take } = await mesh("receive");
      let got = 0;
      for (const end = Date.now() + 1500; Date.now() < end; )
        got += peek("you").letters.length + take("you", () => true).length;
      done(got);`;
    let id = "";
    const asking = question({ waiting: (given) => (id = given) });
    const looking = Promise.all([1, 2, 3].map(() => inNode<number>(readers)));
    await until(() => awaited().length, "the question");
    answer(id, "8080");
    const asked = await asking;
    expect(asked.answer.message.body).toBe("8080");
    expect(await looking).toEqual([0, 0, 0]);
  });
});

describe("an asker that gives up", () => {
  it.each([0, 1, 50])("after %i ms says so, leaves no watch, and the late answer is mail once", async (timeout) => {
    const { question, answer, awaited } = await scene();
    let id = "";
    const error = await failure(question({ timeout, waiting: (given) => (id = given) }));
    expect(error).toMatchObject({ code: "NOT_ANSWERED", hint: "the answer will come by mail" });
    expect(error.message).toContain("api");
    expect(awaited()).toEqual([]);
    answer(id, "late");
    const reader = `const { take } = await mesh("receive"); done(take("you", () => true).map((l) => l.message.body));`;
    const got = await Promise.all([inNode<string[]>(reader), inNode<string[]>(reader)]);
    expect(got.flat()).toEqual(["late"]);
  });

  it("by its signal, before or while it waits, is told so", async () => {
    const { question, awaited } = await scene();
    const later = new AbortController();
    const waiting = failure(question({ signal: later.signal, waiting: () => setTimeout(() => later.abort(), 50) }));
    expect(await waiting).toMatchObject({ code: "NOT_ANSWERED" });
    expect(awaited()).toEqual([]);
  });

  it("by a signal that came before it asked does not wait", async () => {
    const { api } = await scene();
    const to = { id: api.id, name: "api", host: api.host, peer: api };
    const asking = ask(YOU, to, "which host?", { byModel: false, timeout: 5000, signal: AbortSignal.abort() });
    expect((await failure(asking)).message).toContain("nobody waits any more");
  });

  it("is not given up on for a time longer than a timer can count (30 days)", async () => {
    const { question, answer } = await scene();
    let timer: NodeJS.Timeout | undefined;
    onTestFinished(() => clearTimeout(timer));
    const asked = await question({
      timeout: 30 * 86_400_000,
      waiting: (id) => {
        timer = setTimeout(() => answer(id, "8080"), 200);
      },
    });
    expect(asked.answer.message.body).toBe("8080");
  });

  it("ends its process: nothing holds it once the question is over", async () => {
    const { api } = await scene();
    const code = `const { ask } = await mesh("ask");
      const to = { id: args[0], name: "api", host: "x" };
      const error = await ask({ id: "you", name: "you", host: "x" }, to, "q", { byModel: false, timeout: Number(args[1]) }).catch((e) => e);
      done(error.code);`;
    for (const timeout of ["0", "1", "300"])
      expect(await inNode(code.replace('"q"', `"q ${timeout}"`), { args: [api.id, timeout], timeout: 8000 })).toBe(
        "NOT_ANSWERED",
      );
  });

  it("before its watch is up takes no answer that comes later: that is mail", async () => {
    const { api } = await scene();
    const code = `const [{ ask }, { reply }, { listNew }] = await Promise.all(["ask", "reply", "maildir"].map(mesh));
      const to = { id: args[0], name: "api", host: "x" };
      const you = { id: "you", name: "you", host: "x" };
      let question;
      const waiting = (id) => (question = id);
      await ask(you, to, "which port?", { byModel: false, timeout: 0, waiting }).catch(() => {});
      reply(to, question, "late", true);
      let there = true;
      for (const end = Date.now() + 1500; there && Date.now() < end; ) {
        there = listNew(process.env.CLAUDEMESH_HOME + "/inbox/you").length === 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      process.stdout.write(String(there), () => process.exit(0));`;
    expect(await inNode(code, { args: [api.id] })).toBe(true);
  });

  it("by kill -9 leaves the answer to whoever reads next", async () => {
    const { api, home, you, answer } = await scene();
    const code = `const { ask } = await mesh("ask");
      await ask({ id: "you", name: "you", host: "x" }, { id: args[0], name: "api", host: "x" }, "which port?", { byModel: false, timeout: 600000 });`;
    void inNode(code, { args: [api.id] }).catch(() => {});
    const [question = ""] = await until(() => {
      const names = listNew(join(home, "inbox", api.id));
      return names.length > 0 && names;
    }, "the question");
    const marker = join(you, "awaited", question);
    const pid = Number(readFileSync(marker, "utf8").split(" ")[0]);
    process.kill(pid, "SIGKILL");
    await until(() => !isRunning(pid), "its end");
    answer(messageIdOf(question), "8080");
    expect(peek("you").letters).toMatchObject([{ message: { body: "8080" } }]);
    expect(take("you", all)).toHaveLength(1);
  });
});

describe("the one who is asked", () => {
  it("is asked with a question, which is owed an answer only once it was shown", async () => {
    const { question, api } = await scene();
    const controller = new AbortController();
    const asking = failure(question({ signal: controller.signal }));
    const [got] = await until(() => {
      const letters = peek(api.id).letters;
      return letters.length > 0 && letters;
    }, "the question");
    expect(got?.message).toMatchObject({ kind: "question", priority: "now", body: "which port?", from: { id: "you" } });
    controller.abort();
    await asking;
    expect(listNew(join(process.env.CLAUDEMESH_HOME ?? "", "inbox", api.id))).toEqual([got?.unique]);
  });

  it("ends with the question unread: the asker hears of it, no bounce comes, the question waits", async () => {
    const { question, api, claude, home } = await scene();
    const asking = failure(question({ waiting: () => setTimeout(() => claude.kill(), 50) }));
    const error = await asking;
    expect(error).toMatchObject({ code: "NOT_ANSWERED" });
    expect(error.message).toContain("ended");
    await noticeDeaths();
    expect(peek("you").letters).toEqual([]);
    expect(listNew(join(home, "inbox", api.id))).toHaveLength(1);
  });

  it("is gone from the start: the asker hears of it at once, and the question waits", async () => {
    const { question, api, claude, home } = await scene();
    await claude.kill();
    expect((await failure(question())).message).toContain("ended");
    expect(listNew(join(home, "inbox", api.id))).toHaveLength(1);
  });

  it("ends with a goodbye after it was shown the question: the asker gets the reason, and nothing more by mail", async () => {
    const { question, api } = await scene();
    const asking = failure(
      question({
        waiting: () =>
          setImmediate(() => {
            markSeen(api.id, take(api.id, all));
            void leave(api.id, api.pid);
          }),
      }),
    );
    const error = await asking;
    expect(error).toMatchObject({ code: "FAILED", message: expect.stringContaining("it ended without answering") });
    expect(error.message).toContain("api");
    expect(peek("you").letters).toEqual([]);
  });

  it("dies after it was shown the question: the asker hears it once, by error or by bounce", async () => {
    const { question, api, claude } = await scene();
    const error = await failure(
      question({
        waiting: () =>
          setImmediate(() => {
            markSeen(api.id, take(api.id, all));
            void claude.kill().then(() => noticeDeaths());
          }),
      }),
    );
    expect(error).toMatchObject({ code: "FAILED", message: expect.stringContaining("it ended without answering") });
    await noticeDeaths();
    expect(peek("you").letters).toEqual([]);
  });

  it("dies after it was shown the question and nobody but the asker looks: it is told once, and nothing untrue", async () => {
    const { question, api, claude } = await scene();
    const error = await failure(
      question({
        waiting: () =>
          setImmediate(() => {
            markSeen(api.id, take(api.id, all));
            void claude.kill();
          }),
      }),
    );
    await noticeDeaths();
    // The question has been read: it does not wait for anybody's return.
    expect(error.message).not.toContain("waits for its return");
    expect([error.code === "FAILED" ? "told" : [], peek("you").letters].flat()).toHaveLength(1);
  });
});

it("a question that can't be sent leaves nobody waiting", async () => {
  const { api, awaited } = await scene();
  const to = { id: api.id, name: "api", host: api.host, peer: api };
  expect(await failure(ask(YOU, to, " \n", { byModel: false, timeout: 1000 }))).toMatchObject({ code: "EMPTY_BODY" });
  expect(awaited()).toEqual([]);
});
