// ask, reply and sends to many through the built command, with recipients that are only processes and hooks.

import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "../../src/mesh/message.ts";
import { finish, type StandIn, standIn } from "../claude/stand-in.ts";
import { cli, type Environment, type Finished, type TempHome, tempHome, until } from "../temp-home.ts";
import { openOuter } from "../terminal/outer.ts";

const node = (home: TempHome, args: string[], env: Environment = {}) =>
  home.start(process.execPath, [cli, ...args], { env });

/** The oldest question that waits in a session's mailbox: its id. */
const asked = (session: StandIn) =>
  until(() => {
    const [name] = session.room("new");
    return name && `<${name}@claudemesh>`;
  }, `a question to ${session.id}`);

const mail = async (home: TempHome, env: Environment = {}) =>
  JSON.parse((await home.run(["inbox", "--json"], { env })).stdout) as {
    kind: string;
    body: string;
    in_reply_to: string;
  }[];
const replyAs = (home: TempHome, session: StandIn, id: string, body: string) =>
  home.run(["reply", id], { env: session.env, input: `${body}\n` });

/** A program that answers every question in a session's mailbox, once, as its model would. */
function answerer(home: TempHome, session: StandIn, body: string): void {
  const script = `while :; do for f in "$1"/new/*; do
      [ -e "$f" ] || continue
      printf '%s\\n' "$2" | "$3" "$4" reply "$(basename "$f")" -
    done; sleep 0.05; done`;
  home.start("/bin/sh", ["-c", script, "answerer", session.box, body, process.execPath, cli], { env: session.env });
}

describe("ask", () => {
  it.each([
    ["8080", "8080\n"],
    ["port 8080\n\n  and 8443", "port 8080\n\n  and 8443\n"],
    ["ünï 日本 🦊\n", "ünï 日本 🦊\n"],
    ["\n\nFrom: x\n.\n", "\n\nFrom: x\n.\n"],
  ])("prints exactly the answer %j and nothing else", async (body, stdout) => {
    const home = tempHome();
    const api = await standIn(home);
    answerer(home, api, body);
    expect(await home.run(["ask", "api", "which", "port?"])).toEqual({ code: 0, signal: null, stdout, stderr: "" });
    expect(await mail(home)).toEqual([]);
  });

  it("with --json says which question, which answer, whose; the answer is exact to its last newline", async () => {
    const home = tempHome();
    const api = await standIn(home);
    answerer(home, api, "a\n\n\n");
    const { code, stdout } = await home.run(["ask", "api", "what?", "--json"]);
    expect(code).toBe(0);
    const answer = JSON.parse(stdout);
    expect(answer).toEqual({
      message_id: expect.stringMatching(/^<.*@claudemesh>$/),
      answer: "a\n\n\n",
      from: expect.objectContaining({ id: api.id, name: "api" }),
      answer_id: expect.stringMatching(/^<.*@claudemesh>$/),
    });
    expect(JSON.parse((await home.run(["receipt", answer.message_id, "--json"])).stdout)).toMatchObject({
      to: api.id,
      state: "answered",
    });
    expect(JSON.parse((await home.run(["receipt", answer.answer_id, "--json"])).stdout)).toMatchObject({
      to: "you",
      state: "seen",
    });
  });

  it("fits into a script: the text from a pipe, the answer into a variable", async () => {
    const home = tempHome();
    const api = await standIn(home);
    answerer(home, api, "8080");
    const script = `port=$(printf 'which\\nport?\\n' | "$0" "$1" ask api) && echo "[$port]"`;
    const done = await finish(home.start("/bin/sh", ["-c", script, process.execPath, cli]));
    expect(done).toMatchObject({ code: 0, stdout: "[8080]\n", stderr: "" });
    const [name = ""] = api.room("cur");
    expect(parse(readFileSync(join(api.box, "cur", name), "utf8"), name)).toMatchObject({
      kind: "question",
      body: "which\nport?",
    });
  });

  it("from one session to another comes from that session, and its answer goes nowhere else", async () => {
    const home = tempHome();
    const [api, web] = [await standIn(home), await standIn(home, "web")];
    const asking = finish(node(home, ["ask", "api", "which port?"], web.env));
    const id = await asked(api);
    // While the question is open, every hook of the asker's looks for mail.
    const [answered] = await Promise.all([
      replyAs(home, api, id, "8080"),
      web.hook("Stop"),
      web.hook("UserPromptSubmit"),
    ]);
    expect(answered.code).toBe(0);
    expect(await asking).toMatchObject({ code: 0, stdout: "8080\n" });
    expect((await web.hook("UserPromptSubmit")).json).toBeUndefined();
    expect(web.room("new")).toEqual([]);
    expect(await mail(home)).toEqual([]);
  });

  it("out of time exits 75, tells so on stderr alone, and the late answer is mail once", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const late = await home.run(["ask", "api", "which port?", "--timeout", "1s"]);
    expect(late).toMatchObject({ code: 75, stdout: "" });
    expect(late.stderr).toMatch(/no answer from api yet.*\nthe answer will come by mail\n/);
    const id = await asked(api);
    expect((await replyAs(home, api, id, "8080")).code).toBe(0);
    expect(await mail(home)).toMatchObject([{ kind: "answer", body: "8080", in_reply_to: id }]);
    expect(await mail(home)).toEqual([]);
  });

  it("out of time with --json is an error on stdout, exit 75 as well", async () => {
    const home = tempHome();
    await standIn(home);
    const late = await home.run(["ask", "api", "which port?", "--timeout", "1s", "--json"]);
    expect(late.code).toBe(75);
    expect(JSON.parse(late.stdout)).toMatchObject({ error: { code: "NOT_ANSWERED" } });
  });

  it("with no time at all ends at once", async () => {
    const home = tempHome();
    await standIn(home);
    expect(await home.run(["ask", "api", "which port?", "--timeout", "0s"], { timeout: 8000 })).toMatchObject({
      code: 75,
    });
  });

  it.each(["SIGINT", "SIGTERM"] as const)("stopped by %s exits 75, and the answer is mail", async (signal) => {
    const home = tempHome();
    const api = await standIn(home);
    const child = node(home, ["ask", "api", "which port?"]);
    const asking = finish(child);
    const id = await asked(api);
    child.kill(signal);
    expect(await asking).toMatchObject({ code: 75, stdout: "" });
    await replyAs(home, api, id, "8080");
    expect(await mail(home)).toMatchObject([{ body: "8080" }]);
  });

  it("killed -9 leaves the answer to the next reader", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const child = node(home, ["ask", "api", "which port?"]);
    const ended = finish(child);
    const id = await asked(api);
    child.kill("SIGKILL");
    expect((await ended).signal).toBe("SIGKILL");
    await replyAs(home, api, id, "8080");
    expect(await mail(home)).toMatchObject([{ body: "8080", in_reply_to: id }]);
  });

  it("keeps its answer from `inbox` in the same shell, however often that is run meanwhile", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const asking = finish(node(home, ["ask", "api", "which port?"]));
    const id = await asked(api);
    const [, ...taken] = await Promise.all([
      replyAs(home, api, id, "8080"),
      ...[1, 2, 3].map(async () => [...(await mail(home)), ...(await mail(home))]),
    ]);
    expect(taken.flat()).toEqual([]);
    expect(await asking).toMatchObject({ code: 0, stdout: "8080\n" });
  });

  it("that its recipient ends without answering: an error with that reason, and no mail besides", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const asking = finish(node(home, ["ask", "api", "which port?"]));
    await asked(api);
    const shown = await api.hook("UserPromptSubmit");
    expect(shown.json?.hookSpecificOutput?.additionalContext).toContain("An answer is expected");
    await api.hook("PostToolUse");
    await api.hook("SessionEnd");
    const ended = await asking;
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toContain("can't get an answer from api: it ended without answering");
    expect(await mail(home)).toEqual([]);
  });

  it.each([
    ["nobody there", ["nobody", "hi"], "NO_SUCH_PEER", 1],
    ["several", ["api,web", "hi"], "USAGE", 2],
    ["everybody", ["*", "hi"], "USAGE", 2],
    ["no text", ["api", " "], "EMPTY_BODY", 1],
    ["a time that is none", ["api", "hi", "--timeout", "soon"], "USAGE", 2],
  ])("of %s is refused, and nobody is asked", async (_what, args, code, status) => {
    const home = tempHome();
    const [api, web] = [await standIn(home), await standIn(home, "web")];
    const done = await home.run(["ask", ...args, "--json"]);
    expect(JSON.parse(done.stdout)).toMatchObject({ error: { code } });
    expect(done.code).toBe(status);
    expect([...api.room("new"), ...web.room("new")]).toEqual([]);
  });

  it("tells a human at a terminal whom it asked, and prints the answer there", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const terminal = await openOuter(process.execPath, [cli, "ask", "api", "which port?"], home.env);
    await terminal.shows("asked api: <");
    await replyAs(home, api, await asked(api), "8080");
    expect(await terminal.ended()).toEqual({ code: 0, signal: 0 });
    expect(terminal.text()).toMatch(/\n8080\r?\n$/);
  });

  it("owes the reminder to the one asked, once", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const asking = finish(node(home, ["ask", "api", "which port?"]));
    const id = await asked(api);
    await api.hook("UserPromptSubmit");
    const context = async () => (await api.hook("Stop")).json?.hookSpecificOutput?.additionalContext;
    expect(await context()).toContain(id);
    expect(await context()).toBeUndefined();
    await replyAs(home, api, id, "8080");
    expect((await asking).stdout).toBe("8080\n");
    expect(await context()).toBeUndefined();
  });
});

describe("reply", () => {
  it("prints its own id, and marks the letter answered where its sender looks", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const sent = JSON.parse((await home.run(["send", "api", "rerun", "--json"])).stdout);
    const done = await home.run(["reply", sent.message_id, "two", "tables", "fail"], { env: api.env });
    expect(done).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^<.*@claudemesh>\n$/) });
    expect((await home.run(["receipt", sent.message_id])).stdout).toMatch(/^answered /);
    expect(await mail(home)).toMatchObject([{ kind: "answer", body: "two tables fail", in_reply_to: sent.message_id }]);
  });

  it("of the human goes from `you`, in the thread", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const sent = JSON.parse((await home.run(["send", "you", "may I?", "--json"], { env: api.env })).stdout);
    expect(await home.run(["reply", sent.message_id, "you may"])).toMatchObject({ code: 0 });
    const [name = ""] = api.room("new");
    expect(parse(readFileSync(join(api.box, "new", name), "utf8"), name)).toMatchObject({
      from: { id: "you" },
      kind: "answer",
      inReplyTo: sent.message_id,
      body: "you may",
    });
  });

  it.each([
    ["an unknown id", "<1.M000001P1Q1.x@claudemesh>"],
    ["no id", ""],
    ["a path", "../.."],
  ])("to %s is NO_SUCH_MESSAGE, exit 1", async (_what, id) => {
    const home = tempHome();
    const api = await standIn(home);
    const done = await home.run(["reply", id, "8080", "--json"], { env: api.env });
    expect(done.code).toBe(1);
    expect(JSON.parse(done.stdout)).toMatchObject({ error: { code: "NO_SUCH_MESSAGE" } });
  });

  it("by another than who has the letter is NO_SUCH_MESSAGE: nobody answers for somebody else", async () => {
    const home = tempHome();
    const [, web] = [await standIn(home), await standIn(home, "web")];
    const sent = JSON.parse((await home.run(["send", "api", "rerun", "--json"])).stdout);
    const done = await home.run(["reply", sent.message_id, "done", "--json"], { env: web.env });
    expect(JSON.parse(done.stdout)).toMatchObject({ error: { code: "NO_SUCH_MESSAGE" } });
    expect(await mail(home)).toEqual([]);
  });
});

describe("a send to many", () => {
  /** A home with `count` sessions. */
  async function crowd(count: number): Promise<{ home: TempHome; sessions: StandIn[] }> {
    const home = tempHome();
    const sessions: StandIn[] = [];
    for (let i = 0; i < count; i++) sessions.push(await standIn(home, `s${i}`));
    return { home, sessions };
  }
  const got = (sessions: StandIn[]) => sessions.map((s) => s.room("new").length);

  it("prints every recipient with where the letter is", async () => {
    const { home, sessions } = await crowd(3);
    const { code, stdout } = await home.run(["send", "--note", "*", "hello"]);
    expect(code).toBe(0);
    const [id, ...lines] = stdout.trimEnd().split("\n");
    expect(id).toMatch(/^<.*@claudemesh>$/);
    expect(lines.sort()).toEqual(
      sessions.map((s, i) => `s${i} (${s.id}): queued; idle, reads it with its next prompt`).sort(),
    );
  });

  it("of more than five asks a human at a terminal for --yes, and names them all", async () => {
    const { home, sessions } = await crowd(6);
    const refused = await openOuter(process.execPath, [cli, "send", "--note", "*", "hello"], home.env);
    expect(await refused.ended()).toMatchObject({ code: 2 });
    expect(refused.text()).toContain("--yes");
    for (const { id } of sessions) expect(refused.text()).toContain(id);
    expect(got(sessions)).toEqual([0, 0, 0, 0, 0, 0]);

    const names = sessions.map((s) => s.id);
    const listed = await openOuter(process.execPath, [cli, "send", "--note", names.join(","), "hello"], home.env);
    expect(await listed.ended()).toMatchObject({ code: 2 });
    expect(got(sessions)).toEqual([0, 0, 0, 0, 0, 0]);

    const five = names.slice(1).join(",");
    const few = await openOuter(process.execPath, [cli, "send", "--note", five, "hello five"], home.env);
    expect(await few.ended()).toMatchObject({ code: 0 });
    expect(got(sessions)).toEqual([0, 1, 1, 1, 1, 1]);

    // What was refused was not sent: the same text may go now.
    const sure = await openOuter(process.execPath, [cli, "send", "--note", "--yes", "*", "hello"], home.env);
    expect(await sure.ended()).toMatchObject({ code: 0 });
    expect(got(sessions)).toEqual([1, 2, 2, 2, 2, 2]);
  });

  it("of more than five from a script is not asked about", async () => {
    const { home, sessions } = await crowd(6);
    expect((await home.run(["send", "--note", "*", "hello"])).code).toBe(0);
    expect(got(sessions)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it.each(["you", "web"])("sixty times in a row by %s is not too often, and comes in order", async (who) => {
    const home = tempHome();
    const [api, web] = [await standIn(home), await standIn(home, "web")];
    const loop = `i=0; while [ $i -lt 60 ]; do "$0" "$1" send --note api "letter $i" || exit; i=$((i+1)); done`;
    const env = who === "web" ? web.env : {};
    const all = await finish(home.start("/bin/sh", ["-c", loop, process.execPath, cli], { env }));
    expect([all.code, all.stderr]).toEqual([0, ""]);
    const texts = api.room("new").map((name) => readFileSync(join(api.box, "new", name), "utf8").split("\n\n")[1]);
    expect(texts).toEqual(Array.from({ length: 60 }, (_, i) => `letter ${i}\n`));
  });

  it("to and fro between two sessions is stopped, the model told to end its turn and the human why", async () => {
    const home = tempHome();
    const [api, web] = [await standIn(home), await standIn(home, "web")];
    let sent = 0;
    for (; ; sent++) {
      const [me, other] = sent % 2 ? [api, web] : [web, api];
      const done = await home.run(["send", "--note", other.id, `letter ${sent}`], { env: me.env });
      if (done.code === 0 && sent < 60) continue;
      expect(done).toMatchObject({ code: 75, stdout: "" });
      expect(done.stderr).toMatch(
        /gone to and fro 20 times within a minute\nend the turn: your user has been told, and has the text; a letter goes again in \d+ s\n/,
      );
      break;
    }
    expect(sent).toBe(20);
    const [note] = JSON.parse((await home.run(["inbox", "--json"])).stdout) as { kind: string; body: string }[];
    expect(note).toMatchObject({ kind: "bounce", body: expect.stringContaining("letter 20") });
  });

  it("the same text twice in a row is refused, and the second is not lost on anybody new", async () => {
    const home = tempHome();
    const [api, web] = [await standIn(home), await standIn(home, "web")];
    expect((await home.run(["send", "--note", "web", "deploy"])).code).toBe(0);
    const again = await home.run(["send", "--note", "web", "deploy", "--json"]);
    expect(JSON.parse(again.stdout)).toMatchObject({ error: { code: "REPEATED" } });
    await home.run(["send", "--note", "api,web", "deploy"]);
    await home.run(["send", "--note", "api", "deploy"]);
    expect(api.room("new")).toHaveLength(1);
    expect(web.room("new").length).toBeLessThanOrEqual(2);
  });
});

describe("mail for a name with nobody there", () => {
  it("waits with --queue, all of it in order, for the first who joins under that name and for nobody else", async () => {
    const home = tempHome();
    for (const text of ["one", "two", "three"]) expect((await home.run(["send", "--queue", "API", text])).code).toBe(0);
    expect(readdirSync(home.path(".claudemesh", "inbox", "@api", "new"))).toHaveLength(3);
    const web = await standIn(home, "web");
    expect(web.room("new")).toEqual([]);
    const api = await standIn(home);
    const bodies = api.room("new").map((name) => parse(readFileSync(join(api.box, "new", name), "utf8"), name).body);
    expect(bodies).toEqual(["one", "two", "three"]);
    expect(readFileSync(join(api.box, "bell"), "utf8")).not.toBe("");
    expect(readdirSync(home.path(".claudemesh", "inbox", "@api", "new"))).toEqual([]);
  });

  it("with --queue goes at once to who is there under it", async () => {
    const home = tempHome();
    const api = await standIn(home);
    expect((await home.run(["send", "--queue", "api", "hi"])).stdout).toContain(`api (${api.id}): queued`);
    expect(api.room("new")).toHaveLength(1);
    expect(existsSync(home.path(".claudemesh", "inbox", "@api"))).toBe(false);
  });

  it("--queue does not excuse an address that several answer to", async () => {
    const home = tempHome();
    const [a, b] = [await standIn(home, "x/api"), await standIn(home, "y/api")];
    const done = await home.run(["send", "--queue", "api", "hi", "--json"]);
    expect(JSON.parse(done.stdout)).toMatchObject({ error: { code: "AMBIGUOUS_PEER" } });
    expect([...a.room("new"), ...b.room("new")]).toEqual([]);
  });

  it.each(["../../outside", "a/b", ".hidden"])("%j as a name stays inside the mesh", async (name) => {
    const home = tempHome();
    await home.run(["send", "--queue", name, "hi"]);
    expect(readdirSync(home.home)).toEqual([".claudemesh"]);
    expect(readdirSync(home.path(".claudemesh", "inbox")).filter((box) => box !== "you")).toHaveLength(1);
  });
});

describe("what a session works on, in list", () => {
  const line = (value: object) => `${JSON.stringify(value)}\n`;
  async function summary(home: TempHome, env: Environment = {}): Promise<string | null> {
    const listed: Finished = await home.run(["list", "--json"], { env });
    expect(listed).toMatchObject({ code: 0, stderr: "" });
    return JSON.parse(listed.stdout)[0].summary;
  }
  /** A registered session whose peer file says more. */
  async function session(fields: object = {}) {
    const home = tempHome();
    const api = await standIn(home);
    const file = home.path(".claudemesh", "peers", `${api.id}.json`);
    const transcript = home.path("transcript.jsonl");
    const say = (more: object) =>
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...more }));
    say({ transcript_path: transcript, ...fields });
    return { home, api, transcript, say };
  }

  it("is its own words, else the title its user gave, else Claude's, else the last prompt, else nothing", async () => {
    const { home, transcript, say } = await session();
    expect(await summary(home)).toBeNull();
    writeFileSync(transcript, line({ type: "last-prompt", lastPrompt: "fix the login", sessionId: "s" }));
    expect(await summary(home)).toBe("fix the login");
    appendFileSync(transcript, line({ type: "ai-title", aiTitle: "Login fix", sessionId: "s" }));
    expect(await summary(home)).toBe("Login fix");
    appendFileSync(transcript, line({ type: "custom-title", customTitle: "My login", sessionId: "s" }));
    appendFileSync(transcript, line({ type: "ai-title", aiTitle: "Newer", sessionId: "s" }));
    expect(await summary(home)).toBe("My login");
    say({ summary: "Moving billing" });
    expect(await summary(home)).toBe("Moving billing");
    say({ summary: "" });
    expect(await summary(home)).toBe("My login");
  });

  it("is one line of at most 80 characters, without controls, and no character is cut in two", async () => {
    const { home, transcript } = await session();
    writeFileSync(transcript, line({ type: "last-prompt", lastPrompt: "\x1b[31mred\nand\tblue\x07\u202e !" }));
    expect(await summary(home)).toMatch(/^[^\p{Cc}\u202e]*red and blue !$/u);
    writeFileSync(transcript, line({ type: "last-prompt", lastPrompt: "🦊".repeat(100) }));
    expect(await summary(home)).toBe(`${"🦊".repeat(79)}…`);
  });

  it.each([
    ["a folder", (home: TempHome) => home.folder("a-folder")],
    ["nowhere", () => "/nonexistent/x.jsonl"],
    ["below a file", (home: TempHome) => `${home.path(".claudemesh", "badge")}/x`],
    ["empty", () => "/dev/null"],
  ])("a transcript that is %s stops no list", async (_what, path) => {
    const { home, say } = await session();
    say({ transcript_path: path(home) });
    expect(await summary(home)).toBeNull();
  });
});
