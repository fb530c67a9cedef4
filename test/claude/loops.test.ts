// Sixty rounds of each kind of loop, between sessions whose models always write again, and sixty letters of work that a
// person asked for: prints where each stopped and what the human was told. Hooks are real, claude is a stand-in.

import { existsSync, readdirSync, readlinkSync, statSync, symlinkSync, unlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { YOU } from "../../src/claude/dispatch.ts";
import { TOOLS } from "../../src/claude/tools.ts";
import { ask } from "../../src/mesh/ask.ts";
import { joinMesh } from "../../src/mesh/join.ts";
import { listNew } from "../../src/mesh/maildir.ts";
import { type Peer, readPeer } from "../../src/mesh/peers.ts";
import { type Letter, peek } from "../../src/mesh/receive.ts";
import { reply } from "../../src/mesh/reply.ts";
import { send } from "../../src/mesh/send.ts";
import { sleeper } from "../mesh/temp-mesh.ts";
import { type TempHome, tempHome } from "../temp-home.ts";
import { type StandIn, standIn } from "./stand-in.ts";

// A hundred hooks, each a process.
vi.setConfig({ testTimeout: 120_000 });

/** Sixty rounds, the letter that begins them, and the one that would be too many. */
const MOST = 62;
const NOTICE = "claudemesh: mail from web (1 message); the text is attached.";
const DONE = "<task-notification>\n<summary>sleep 1 has ended</summary>\n</task-notification>";

const rows: string[][] = [["what goes on", "letters", "refused", "what the human was told"]];
afterAll(() => {
  const width = (i: number) => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  console.log(rows.map((row) => row.map((cell, i) => cell.padEnd(width(i))).join("  ")).join("\n"));
});

/** A mesh with sessions of these names; the mesh's functions in this process work on it. */
async function sessions(...names: string[]) {
  const home = tempHome();
  vi.stubEnv("CLAUDEMESH_HOME", home.path(".claudemesh"));
  onTestFinished(() => void vi.unstubAllEnvs());
  const all: StandIn[] = [];
  for (const name of names) all.push(await standIn(home, name));
  // Nothing is woken by a bell here: who has mail is given its turn by the test.
  for (const one of all) one.says("busy");
  return { home, all };
}

const peerOf = (one: StandIn) => readPeer(one.id) as Peer;
const address = (one: StandIn) => ({ id: one.id, name: peerOf(one).name, host: peerOf(one).host });
/** What the human was told by the brakes, one line a note. */
const told = () => peek("you").letters.flatMap(({ message }) => (message.kind === "bounce" ? message.subject : []));
/** A tool as the model of a session calls it. */
function use(one: StandIn, name: string, input: Record<string, unknown>) {
  const call = { signal: new AbortController().signal, progress: () => {} };
  return TOOLS.find((tool) => tool.name === name)?.run(input, peerOf(one), call);
}

/** Lets the letters so far be older, as if models had taken their time. */
function goBack(home: TempHome, ms: number): void {
  const inbox = home.path(".claudemesh", "inbox");
  const links = readdirSync(inbox, { recursive: true, withFileTypes: true }).filter((f) => f.isSymbolicLink());
  for (const { parentPath, name } of links) {
    const path = join(parentPath, name);
    const [at, ...words] = readlinkSync(path).split(" ");
    unlinkSync(path);
    symlinkSync([Number(at) - ms, ...words].join(" "), path);
  }
  for (const id of readdirSync(inbox))
    for (const name of ["turn", "touched"]) {
      const path = join(inbox, id, name);
      if (!existsSync(path)) continue;
      const earlier = new Date(statSync(path).mtimeMs - ms);
      utimesSync(path, earlier, earlier);
    }
}

interface Turn {
  home: TempHome;
  me: StandIn;
  /** who comes next, in a ring of all */
  next: StandIn;
  i: number;
  /** what the session was woken by; none in the turn that the person begins */
  mail: Letter[];
}

/** One turn of a session: mail begins it, as a bell does, and its hook hands the letters out. */
const byMail = (one: StandIn) => one.hook("UserPromptSubmit", { prompt: NOTICE });

/** Lets sessions write to each other until none of them has mail, or MOST letters have gone. */
async function loop(
  what: string,
  names: string[],
  write: (turn: Turn) => unknown,
  { wake = byMail, pace = 61_000 }: { wake?: (one: StandIn) => Promise<unknown>; pace?: number } = {},
) {
  const { home, all } = await sessions(...names);
  let [letters, refusals] = [0, 0];
  const errors: (Error & { hint?: string })[] = [];
  const take = async (at: number, mail: Letter[]) => {
    const [me, next] = [all[at], all[(at + 1) % all.length]];
    if (!me || !next) throw new Error("nobody is there");
    try {
      await write({ home, me, next, i: letters + refusals, mail });
      letters++;
    } catch (error) {
      refusals++;
      errors.push(error as Error);
    }
  };
  await all[0]?.hook("UserPromptSubmit", { prompt: "begin" });
  await take(0, []);
  for (let isOver = false; !isOver && letters < MOST; ) {
    isOver = true;
    for (const [at, one] of all.entries()) {
      const { letters: mail } = peek(one.id);
      if (!mail.length || letters >= MOST) continue;
      isOver = false;
      goBack(home, pace);
      await wake(one);
      await take(at, mail);
    }
  }
  rows.push([what, String(letters), String(refusals), told().join(" · ") || "nothing"]);
  return { letters, errors, told: told() };
}

describe("a loop ends, and the human is told once:", () => {
  const message = ({ me, next, i }: Turn, more = {}) =>
    use(me, "send_message", { to: next.id, body: `letter ${i}`, ...more });

  it.each<[string, string[], number, (turn: Turn) => unknown]>([
    ["new threads to and fro", ["web", "api"], 21, (turn) => message(turn)],
    ["`kind: answer` to and fro", ["web", "api"], 21, (turn) => message(turn, { kind: "answer" })],
    ["three in a ring", ["web", "api", "ci"], 21, (turn) => message(turn)],
    ["everyone to `*`", ["web", "api", "ci"], 60, (turn) => message(turn, { to: "*" })],
    [
      "`claudemesh send` from its Bash",
      ["web", "api"],
      21,
      async ({ home, me, next, i }) => {
        const done = await home.run(["send", next.id, `letter ${i}`], { env: me.env, cwd: me.cwd });
        const [message = "", hint] = done.stderr.split("\n");
        if (done.code) throw Object.assign(new Error(message), { hint });
      },
    ],
    [
      "a reply to each reply",
      ["web", "api"],
      21,
      (turn) => {
        const message_id = turn.mail[0]?.message.id;
        return message_id
          ? use(turn.me, "reply_to_peer", { message_id, body: `letter ${turn.i}` })
          : message(turn, { kind: "answer" });
      },
    ],
    [
      "`ask_peer` that times out, asked back",
      ["web", "api"],
      21,
      ({ me, next, i }) =>
        ask(address(me), { ...address(next), peer: peerOf(next) }, `question ${i}`, {
          byModel: true,
          timeout: 20,
        }).catch((error: Error & { code?: string }) => {
          if (error.code !== "NOT_ANSWERED") throw error;
        }),
    ],
    [
      "in turns that end with a background task",
      ["web", "api"],
      21,
      async (turn) => {
        await turn.me.hook("UserPromptSubmit", { prompt: DONE });
        return message(turn);
      },
    ],
  ])("%s", async (what, names, most, write) => {
    const { letters, errors, told } = await loop(what, names, write);
    expect(letters).toBeLessThanOrEqual(most);
    expect(letters).toBeGreaterThanOrEqual(20);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(error.message).toContain("gone to and fro 20 times");
      expect(error.hint).toMatch(/^end the turn: your user has been told, and has the text/);
    }
    expect(told).toEqual([expect.stringMatching(/^stopped \w+ writing to .+: .*gone to and fro 20 times/)]);
  });

  it("as fast as processes are", async () => {
    const { letters, told } = await loop("new threads to and fro, in seconds", ["web", "api"], message, { pace: 0 });
    expect(letters).toBe(20);
    expect(told).toEqual([expect.stringMatching(/gone to and fro 20 times within a minute$/)]);
  });

  it("within two turns that never end, both begun by a person", async () => {
    const { letters, told } = await loop(
      "urgent letters within two turns that never end",
      ["web", "api"],
      (turn) => message(turn, { priority: "now" }),
      { wake: (one) => one.hook("PostToolUse"), pace: 10_000 },
    );
    expect(letters).toBe(61);
    expect(told).toEqual([expect.stringMatching(/because of mail 60 times within an hour, with no word of a person$/)]);
  });
});

describe("what a person asks for is not slowed:", () => {
  /** Notes how much of it arrived; nothing was refused, or the test would have failed. */
  function arrived(what: string, letters: number, most: number) {
    rows.push([what, String(letters), "0", told().join(" · ") || "nothing"]);
    expect([letters, told()]).toEqual([most, []]);
  }
  const bodies = (id: string) => peek(id).letters.map(({ message }) => message.body);
  const numbered = (count: number) => Array.from({ length: count }, (_, i) => `number ${i}`);

  it("sixty letters from one session to one other, in order", async () => {
    const { all } = await sessions("web", "api");
    const [web, api] = all as [StandIn, StandIn];
    await web.hook("UserPromptSubmit", { prompt: "write to api" });
    for (const body of numbered(60)) await use(web, "send_message", { to: api.id, body });
    expect(bodies(api.id)).toEqual(numbered(60));
    arrived("a person's turn: 60 letters to one session", listNew(api.box).length, 60);
  });

  it("sixty letters to sixty sessions in one turn, begun by him or by his letter", async () => {
    const { all } = await sessions("web");
    const [web] = all as [StandIn];
    const others: Peer[] = [];
    for (const name of numbered(60)) others.push(await joinMesh({ pid: sleeper().pid, cwd: "/", name }));
    await web.hook("UserPromptSubmit", { prompt: "write to all" });
    // Nobody there is idle and to be woken: that would be waited for.
    for (const { id } of others) await use(web, "send_message", { to: id, body: "hello", priority: "low" });
    send({ from: YOU, to: [address(web)], body: "write to all again", byModel: false });
    await byMail(web);
    for (const { id } of others) await use(web, "send_message", { to: id, body: "hello again", priority: "low" });
    const letters = others.flatMap(({ id }) => bodies(id));
    arrived("a person's turn, and his letter: 60 letters to 60 sessions each", letters.length, 120);
  });

  it.each(["by a letter each", "in a session of his"])("twenty-four answers to twenty-four tasks, %s", async (how) => {
    const { all } = await sessions("web", "api");
    const [web, api] = all as [StandIn, StandIn];
    const isByLetter = how === "by a letter each";
    if (!isByLetter) await web.hook("UserPromptSubmit", { prompt: "hand it out" });
    for (const body of numbered(24))
      if (isByLetter) send({ from: YOU, to: [address(api)], body, byModel: false });
      else await use(web, "send_message", { to: api.id, body });
    // Not all of them go into one prompt.
    for (let mail = peek(api.id).letters; mail.length; mail = peek(api.id).letters) {
      await byMail(api);
      for (const { message, unique } of mail)
        if (!listNew(api.box).includes(unique)) reply(address(api), message.id, `done: ${message.body}`, true);
    }
    const answers = bodies(isByLetter ? "you" : web.id);
    expect(answers).toEqual(numbered(24).map((body) => `done: ${body}`));
    arrived(`24 answers to a person's 24 tasks, ${how}`, answers.length, 24);
  });

  it("his own letters, as many as he likes", async () => {
    const { all } = await sessions("api");
    const [api] = all as [StandIn];
    for (const body of numbered(60)) send({ from: YOU, to: [address(api)], body, byModel: false });
    arrived("60 letters of a person at a shell", listNew(api.box).length, 60);
  });

  it("what mail may no longer do, his next prompt may", async () => {
    const { all } = await sessions("web", "api");
    const [web, api] = all as [StandIn, StandIn];
    send({ from: address(api), to: [address(web)], body: "the last", hops: 20 });
    await byMail(web);
    const write = (body: string) => use(web, "send_message", { to: api.id, body });
    await expect(write("thank you")).rejects.toThrow(/to and fro/);
    await web.hook("UserPromptSubmit", { prompt: "go on" });
    await write("go on");
    expect(bodies(api.id)).toEqual(["go on"]);
  });
});
