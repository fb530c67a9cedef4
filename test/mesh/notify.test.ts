// Telling the human on the desktop: once a letter, in plain words, and never at the price of a send.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { dispatch } from "../../src/claude/dispatch.ts";
import { claimRing, mayNotify, notifyHuman } from "../../src/mesh/notify.ts";
import { send } from "../../src/mesh/send.ts";
import { standIn } from "../claude/stand-in.ts";
import { type Environment, type TempHome, tempHome, until } from "../temp-home.ts";
import { box, inNode, tempFolder, tempMesh } from "./temp-mesh.ts";

/** What happens between a letter's delivery and the sender's next step: a supervisor may be quick. */
const between = vi.hoisted(() => ({ run: undefined as ((unique: string) => void) | undefined }));
vi.mock("../../src/mesh/send.ts", async (original) => {
  const real = await original<typeof import("../../src/mesh/send.ts")>();
  return {
    ...real,
    send: (order: Parameters<typeof real.send>[0]) => {
      const sent = real.send(order);
      between.run?.(sent.unique);
      return sent;
    },
  };
});
beforeEach(() => {
  between.run = undefined;
});

interface Desktop {
  env: Environment;
  /** The arguments of every call so far. */
  calls(): string[][];
  /** The calls once there are so many. */
  called(times: number): Promise<string[][]>;
}

/** A folder with a notify-send that notes its arguments and then runs `then`, and the environment of a desktop. */
function desktop(then = "", { display = true } = {}): Desktop {
  const folder = tempFolder();
  const log = join(folder, "calls");
  const program = join(folder, "notify-send");
  writeFileSync(program, `#!/bin/sh\nprintf '%s\\0' "$@" '' >>'${log}'; printf '\\036' >>'${log}'\n${then}\n`);
  chmodSync(program, 0o755);
  const calls = () =>
    existsSync(log)
      ? readFileSync(log, "utf8")
          .split("\x1e")
          .slice(0, -1)
          .map((call) => call.split("\0").slice(0, -2))
      : [];
  return {
    env: { PATH: `${folder}:${process.env.PATH}`, ...(display ? { DISPLAY: ":9" } : {}) },
    calls,
    async called(times) {
      await until(() => calls().length >= times, `${times} calls of notify-send`);
      return calls();
    },
  };
}

/** Sets variables of this very process until the test is finished; DISPLAY and its like are unset before. */
function environment(env: Environment): void {
  for (const name of new Set(["DISPLAY", "WAYLAND_DISPLAY", ...Object.keys(env)])) {
    const before = process.env[name];
    delete process.env[name];
    if (env[name] !== undefined) process.env[name] = env[name];
    onTestFinished(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

/** Title and text of a call. */
const words = (call: string[] | undefined) => call?.slice(call.indexOf("--") + 1);
const config = (home: TempHome, value: unknown) => {
  mkdirSync(home.path(".claudemesh"), { recursive: true, mode: 0o700 });
  writeFileSync(home.path(".claudemesh", "config.json"), JSON.stringify(value));
};

describe("a notice", () => {
  it("is shown by notify-send, its words never taken for options", async () => {
    tempMesh();
    const { env, called } = desktop();
    environment(env);
    expect(notifyHuman("--help", "-v")).toBe(true);
    const [call] = await called(1);
    expect(words(call)).toEqual(["--help", "-v"]);
    expect(call?.slice(0, -3)).toEqual(["--app-name=claudemesh"]);
  });

  it("needs a desktop: without a display, or without notify-send, there is none", () => {
    tempMesh();
    const { env, calls } = desktop("", { display: false });
    environment(env);
    expect(notifyHuman("a", "b")).toBe(false);
    environment({ DISPLAY: ":9", PATH: "/nonexistent:" });
    expect(notifyHuman("a", "b")).toBe(false);
    expect(calls()).toEqual([]);
  });

  it("comes on Wayland as on X", async () => {
    tempMesh();
    const { env, called } = desktop("", { display: false });
    environment({ ...env, WAYLAND_DISPLAY: "wayland-0" });
    expect(notifyHuman("a", "b")).toBe(true);
    expect(await called(1)).toHaveLength(1);
  });

  it.each([
    ['{"notify": false}', false],
    ['{"notify": true}', true],
    ["{}", true],
    ["{ not JSON", false],
    ['{"notify": "no"}', false],
    ['{"notfy": false}', false],
  ])("with the config %s: %s", (text, wanted) => {
    const home = tempMesh();
    environment(desktop().env);
    writeFileSync(join(home, "config.json"), text);
    expect(mayNotify()).toBe(wanted);
    expect(notifyHuman("a", "b")).toBe(wanted);
  });

  it("that can't be started is no error", async () => {
    const home = tempMesh();
    const folder = tempFolder();
    writeFileSync(join(folder, "notify-send"), "#!/nonexistent/interpreter\n");
    chmodSync(join(folder, "notify-send"), 0o755);
    environment({ DISPLAY: ":9", PATH: folder });
    notifyHuman("a", "b");
    await until(
      () => existsSync(join(home, "log")) && readFileSync(join(home, "log"), "utf8").includes("notify"),
      "the log",
    );
  });

  it("a folder or a file that can't be run is no notify-send", async () => {
    tempMesh();
    const { env, called } = desktop();
    const [a, b] = [tempFolder(), tempFolder()];
    mkdirSync(join(a, "notify-send"));
    writeFileSync(join(b, "notify-send"), "");
    environment({ ...env, PATH: `${a}:${b}:${env.PATH}` });
    expect(notifyHuman("a", "b")).toBe(true);
    expect(await called(1)).toHaveLength(1);
  });
});

it("a loop that is stopped is told on the desktop, once", async () => {
  const home = tempMesh();
  const { env, calls, called } = desktop();
  environment(env);
  writeFileSync(join(box(home, "web"), "turn"), "20\n");
  const [from, to] = [
    { id: "web", name: "web", host: "laptop" },
    { id: "api", name: "api", host: "laptop" },
  ];
  for (const body of ["one", "two"]) expect(() => send({ from, to: [to], body, byModel: true })).toThrow(/to and fro/);
  const [first] = await called(1);
  expect(words(first)).toEqual(["✉ claudemesh", expect.stringMatching(/^stopped web writing to api: mail has gone/)]);
  expect(calls()).toHaveLength(1);
});

describe("of several who would tell of a letter", () => {
  it("one may", async () => {
    tempMesh();
    const tries = `const { claimRing } = await mesh("notify");
      done(Array.from({ length: 50 }, (_, i) => claimRing("letter" + i)).filter(Boolean).length);`;
    const won = await Promise.all([1, 2, 3, 4].map(() => inNode<number>(tries)));
    expect(won.reduce((a, b) => a + b)).toBe(50);
    expect(claimRing("letter0")).toBe(false);
    expect(claimRing("another")).toBe(true);
  });

  it("the sender does not when a supervisor was quicker", async () => {
    tempMesh();
    const { env, calls, called } = desktop();
    environment(env);
    between.run = claimRing;
    await dispatch({ to: "you", body: "told by the terminal" });
    between.run = undefined;
    await dispatch({ to: "you", body: "told by the desktop" });
    await called(1);
    await until(() => calls().some((call) => call.includes("told by the desktop")), "the second letter's notice");
    expect(calls().map((call) => words(call)?.[1])).toEqual(["told by the desktop"]);
  });

  it("the supervisor does not when the sender has", async () => {
    tempMesh();
    const { env, called } = desktop();
    environment(env);
    let unique = "";
    between.run = (given) => (unique = given);
    await dispatch({ to: "you", body: "done" });
    await called(1);
    expect(claimRing(unique)).toBe(false);
  });
});

describe("mail for `you`", () => {
  it("is told once, with sender and first line, whatever the rest says", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { env, called } = desktop();
    const sent = await home.run(["send", "you", "\n  deploy\tfinished \nall green\n"], { env: { ...api.env, ...env } });
    expect(sent).toMatchObject({ code: 0, stderr: "" });
    expect((await called(1)).map(words)).toEqual([["✉ api", "deploy finished"]]);
  });

  it.each([
    ["escapes", "\x1b]0;owned\x07\x1b[31mred\x1b[0m", /^[^\p{Cc}]*red/u],
    ["a carriage return", "good\rbad\x08\x7f", /^good bad/],
    ["C1 controls", "a\x9b31m\x85b", /^a 31m b$/],
    ["no end", "x".repeat(5000), /^x{60,}…$/],
    ["half a character", "fox \ud83e", /^fox /],
  ])("with %s in it is told without", async (_what, body, wanted) => {
    tempMesh();
    const { env, called } = desktop();
    environment(env);
    await dispatch({ to: "you", body });
    const [title, text, ...more] = words((await called(1))[0]) ?? [];
    expect(more).toEqual([]);
    expect(title).toBe("✉ you");
    expect(text).toMatch(wanted);
    expect(`${title}${text}`).not.toMatch(/\p{Cc}/u);
  });

  it("is not told with notify: false, nor without a display; it is there all the same", async () => {
    const home = tempHome();
    const off = desktop();
    config(home, { notify: false });
    expect((await home.run(["send", "you", "one"], { env: off.env })).code).toBe(0);
    config(home, {});
    const dark = desktop("", { display: false });
    expect((await home.run(["send", "you", "two"], { env: dark.env })).code).toBe(0);
    const light = desktop();
    expect((await home.run(["send", "you", "three"], { env: light.env })).code).toBe(0);
    await light.called(1);
    expect([off.calls(), dark.calls()]).toEqual([[], []]);
    const mail = JSON.parse((await home.run(["inbox", "--json"])).stdout) as { body: string }[];
    expect(mail.map((m) => m.body)).toEqual(["one", "two", "three"]);
  });

  it("is told of by a session's reply, too", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { env, called } = desktop();
    const sent = JSON.parse((await home.run(["send", "api", "rerun the check", "--json"])).stdout);
    const reply = await home.run(["reply", sent.message_id, "two tables fail"], { env: { ...api.env, ...env } });
    expect(reply).toMatchObject({ code: 0, stderr: "" });
    expect((await called(1)).map(words)).toEqual([["✉ api", "two tables fail"]]);
  });

  it("is not an answer that they stand waiting for: that one is printed, and nothing is told of it", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { env, calls, called } = desktop();
    const asking = home.run(["ask", "api", "which port?"]);
    const question = await until(() => api.room("new")[0], "the question");
    expect((await home.run(["reply", question, "8080"], { env: { ...api.env, ...env } })).code).toBe(0);
    expect((await asking).stdout).toBe("8080\n");
    expect((await home.run(["send", "you", "something else"], { env: { ...api.env, ...env } })).code).toBe(0);
    await called(1);
    await until(() => calls().some((call) => call.includes("something else")), "the mail's notice");
    expect(calls().map((call) => words(call)?.[1])).toEqual(["something else"]);
  });

  it("mail for others is not the human's: nothing is told of it", async () => {
    const home = tempHome();
    await standIn(home);
    const { env, calls, called } = desktop();
    expect((await home.run(["send", "api", "not for you"], { env })).code).toBe(0);
    expect((await home.run(["send", "you", "for you"], { env })).code).toBe(0);
    await called(1);
    expect(calls().map((call) => words(call)?.[1])).toEqual(["for you"]);
  });
});

it("a session that nothing can wake is told of, one that a bell reaches or a note is not", async () => {
  const home = tempHome();
  const old = await standIn(home, "old");
  old.says("idle", { version: "2.1.80" });
  await standIn(home, "api");
  const { env, calls, called } = desktop();
  for (const args of [
    ["--note", "old", "a note"],
    ["api", "a task for api"],
    ["old", "a task for old"],
  ])
    expect((await home.run(["send", ...args], { env })).code).toBe(0);
  await called(1);
  expect(calls().map(words)).toEqual([[expect.stringMatching(/^old /), expect.stringContaining("a task for old")]]);
});

it("a send never waits for a notify-send that hangs", async () => {
  const home = tempHome();
  const pidFile = home.path("pid");
  const { env } = desktop(`echo $$ >'${pidFile}'; exec sleep 600`);
  const sent = await home.run(["send", "you", "hello", "--json"], { env });
  expect(sent).toMatchObject({ code: 0, stderr: "" });
  const pid = Number(
    await until(() => existsSync(pidFile) && readFileSync(pidFile, "utf8").trim(), "notify-send to run"),
  );
  // It was there all the time and still is.
  expect(() => process.kill(pid, "SIGKILL")).not.toThrow();
});
