// Each thing that happens to a letter or a peer, killed with SIGKILL before every single call that changes the disk.
// Afterwards only the disk is read, once as it lies and once after the next sweep: nothing is lost, torn or there twice.

import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../../src/mesh/config.ts";
import { joinMesh, leave, noticeDeaths } from "../../src/mesh/join.ts";
import { collect, mark, newPath } from "../../src/mesh/maildir.ts";
import { messageIdOf } from "../../src/mesh/message.ts";
import { bounceOwed, markSeen, remindOf } from "../../src/mesh/owed.ts";
import { readPeers } from "../../src/mesh/peers.ts";
import { peek, take } from "../../src/mesh/receive.ts";
import { ORPHANED, sweep, sweepMailbox } from "../../src/mesh/sweep.ts";
import { box, letter, sleeper, tempFolder, tempMesh } from "../mesh/temp-mesh.ts";

const preload = fileURLToPath(new URL("kill-at.mjs", import.meta.url));
const dist = new URL("../../dist/mesh/", import.meta.url).href;
const WEB = { id: "web", name: "web", host: "laptop" };
const DAY = 86_400_000;

interface Run {
  killed: boolean;
  /** what it said before it died */
  said: string;
}

/** Runs `code` on the mesh of the moment in a process that dies before its `at`-th change of the disk. */
function run(code: string, args: string[], at: number): Promise<Run> {
  const text = `import { writeSync } from "node:fs";
    const mesh = (file) => import(${JSON.stringify(dist)} + file + ".js");
    const args = process.argv.slice(1);
    const say = (word) => writeSync(1, word + "\\n");
    const modules = {};
    for (const file of ["join", "maildir", "owed", "receive", "reply", "send", "sweep"]) Object.assign(modules, await mesh(file));
    await import("proper-lockfile");
    globalThis.armed = true;
    await (async ({ ${"send, take, peek, markSeen, putBack, reply, joinMesh, leave, sweep"} }) => { ${code} })(modules);
    globalThis.armed = false;`;
  const child = spawn(process.execPath, ["--import", preload, "--input-type=module", "-e", text, "--", ...args], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    // Certificates are not needed, and reading them takes longer than all else.
    env: { ...process.env, NODE_EXTRA_CA_CERTS: "", CLAUDEMESH_KILL_AT: String(at) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  let wrong = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    wrong += chunk;
  });
  return new Promise((resolve, reject) =>
    child.once("close", (exit, signal) =>
      signal === "SIGKILL" || exit === 0
        ? resolve({ killed: signal === "SIGKILL", said })
        : reject(new Error(`ended with ${exit} at ${at}: ${wrong}`)),
    ),
  );
}

/**
 * One round for each change of the disk that `code` makes, and one in which it comes through: a fresh mesh, set up;
 * the process, killed; a look at what lies there. Gives the number of rounds.
 */
async function atEveryStep<T>(
  code: string,
  setUp: (home: string) => Promise<T & { args: string[] }> | (T & { args: string[] }),
  check: (home: string, run: Run, made: T) => Promise<void> | void,
): Promise<number> {
  for (let at = 1; ; at++) {
    const home = tempMesh();
    const made = await setUp(home);
    const ran = await run(code, made.args, at);
    try {
      await check(home, ran, made);
    } catch (error) {
      throw new Error(`killed before change ${at}, said ${JSON.stringify(ran.said)}`, { cause: error });
    }
    if (!ran.killed) return at;
  }
}

/** Where in the mesh files lie that hold this word, as `<mailbox>/new`, `<mailbox>/cur:<flags>`, `dead/new`. */
function places(home: string, word: string): string[] {
  const boxes = readdirSync(join(home, "inbox"));
  const rooms = boxes.flatMap((id) => ["new", "cur"].map((room) => [join(home, "inbox", id, room), `${id}/${room}`]));
  return [...rooms, [join(home, "dead", "new"), "dead/new"]].flatMap(([dir = "", label = ""]) =>
    files(dir)
      .filter((name) => readFileSync(join(dir, name), "utf8").includes(`${word}\n`))
      .map((name) => (name.includes(":2,") ? `${label}:${name.split(":2,")[1]}` : label)),
  );
}

const files = (dir: string) => {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
};

/** What the next one who has time does, a while later. */
const later = (...ids: string[]) => {
  for (const id of ids) sweepMailbox(id, DEFAULTS, Date.now() + ORPHANED + 1000);
};

/** A dead holder keeps the others out for some seconds: here they are over. */
function ageLock(home: string): void {
  const past = new Date(Date.now() - 60_000);
  for (const name of files(join(home, "locks"))) utimesSync(join(home, "locks", name), past, past);
}

const bounces = (id: string) => peek(id).letters.filter(({ message }) => message.kind === "bounce");

describe("killed at every step,", { timeout: 120_000 }, () => {
  it("a send is whole or not there, and there if it was acknowledged", async () => {
    const rounds = await atEveryStep(
      `const { unique } = send({ from: ${JSON.stringify(WEB)}, to: [{ id: "api", name: "api", host: "h" }], body: "begin\\n" + "x".repeat(50000) + "\\nend-of-it", byModel: true }); say(unique);`,
      (home) => {
        box(home, "api");
        box(home, "web");
        return { args: [] };
      },
      (home, { said }) => {
        const found = places(home, "end-of-it");
        expect(readdirSync(join(home, "inbox/api/new"))).toHaveLength(found.length);
        if (said) expect(found).toEqual(["api/new"]);
        else expect(found.length).toBeLessThan(2);
      },
    );
    expect(rounds).toBeGreaterThan(6);
  });

  it("a letter that is taken, shown and marked is never lost; what is marked was shown, and a question owed", async () => {
    const rounds = await atEveryStep(
      `const taken = take("api", () => true); say("shown"); markSeen("api", taken);`,
      (home) => {
        const unique = letter(box(home, "api"), { body: "end-of-it", kind: "question" });
        return { args: [], unique };
      },
      (home, { killed, said }, { unique }) => {
        expect(places(home, "end-of-it")).toHaveLength(1);
        const isMarked = places(home, "end-of-it")[0] === "api/cur:S";
        if (isMarked) expect([said, files(join(home, "inbox/api/owed"))]).toEqual(["shown\n", [unique]]);
        if (!killed) expect(isMarked).toBe(true);
        later("api");
        expect(places(home, "end-of-it")).toEqual([isMarked ? "api/cur:S" : "api/new"]);
        expect(take("api", () => true)).toHaveLength(isMarked ? 0 : 1);
      },
    );
    expect(rounds).toBeGreaterThan(4);
  });

  it("a letter that is put back lies in one place", async () => {
    await atEveryStep(
      `putBack(args[0], args[1]);`,
      (home) => {
        const api = box(home, "api");
        const unique = letter(api, { body: "end-of-it" });
        expect(collect(api, unique)).toBe(true);
        return { args: [api, unique] };
      },
      (home) => {
        expect(places(home, "end-of-it")).toHaveLength(1);
        later("api");
        expect(places(home, "end-of-it")).toEqual(["api/new"]);
      },
    );
  });

  it("a letter whose time is over ends in dead/ once, and its sender is told", async () => {
    const rounds = await atEveryStep(
      `peek("api");`,
      (home) => {
        box(home, "web");
        const from = { ...WEB };
        const unique = letter(box(home, "api"), {
          body: "begin\nend-of-it",
          from,
          expires: new Date(Date.now() - 1000),
        });
        return { args: [], unique };
      },
      (home, { killed }, { unique }) => {
        later("api");
        peek("api");
        expect(places(home, "end-of-it")).toEqual(["dead/new"]);
        expect(files(join(home, "dead/new"))).toEqual([unique]);
        expect(files(join(home, "inbox/api/burying"))).toEqual([]);
        const told = bounces("web").map(({ message }) => message.inReplyTo);
        expect(new Set(told)).toEqual(new Set([messageIdOf(unique)]));
        expect(told.length).toBeLessThanOrEqual(killed ? 2 : 1);
      },
    );
    expect(rounds).toBeGreaterThan(12);
  });

  it("what is no letter ends in dead/ as it was", async () => {
    await atEveryStep(
      `peek("api");`,
      (home) => {
        mkdirSync(newPath(box(home, "api"), "folder"));
        writeFileSync(join(newPath(join(home, "inbox/api"), "folder"), "inside"), "precious");
        return { args: [] };
      },
      (home) => {
        later("api");
        peek("api");
        const kept = files(join(home, "dead/cur"));
        expect(kept).toHaveLength(1);
        expect(readFileSync(join(home, "dead/cur", kept[0] ?? "", "inside"), "utf8")).toBe("precious");
        expect(readdirSync(join(home, "inbox/api/new"))).toEqual([]);
      },
    );
  });

  it("an answer is there when the question says so", async () => {
    const rounds = await atEveryStep(
      `reply({ id: "api", name: "api", host: "h" }, args[0], "the-answer", true); say("sent");`,
      (home) => {
        box(home, "you");
        const from = { id: "you", name: "you", host: "laptop" };
        const unique = letter(box(home, "api"), { body: "end-of-it", kind: "question", from });
        markSeen(
          "api",
          take("api", () => true),
        );
        return { args: [messageIdOf(unique)] };
      },
      (home, { said }) => {
        const [question, ...more] = places(home, "end-of-it");
        expect(more).toEqual([]);
        const answers = places(home, "the-answer");
        if (question === "api/cur:RS" || said) expect(answers).toEqual(["you/new"]);
        else expect([question, answers.length < 2]).toEqual(["api/cur:S", true]);
        // Nobody is reminded of what has been answered, or told that no answer comes.
        expect(remindOf("api")).toHaveLength(1 - answers.length);
        bounceOwed("api", "api", "gone");
        const bounced = peek("you").letters.filter(({ message }) => message.kind === "bounce");
        expect(bounced).toHaveLength(1 - answers.length);
        expect(places(home, "end-of-it").includes("api/cur:RS")).toBe(answers.length === 1);
      },
    );
    expect(rounds).toBeGreaterThan(8);
  });

  it("a session that joins is one peer with one mailbox, whoever was killed over it", async () => {
    const rounds = await atEveryStep(
      `await joinMesh({ pid: Number(args[0]), cwd: args[1], name: "api", session_id: "s1" });`,
      () => {
        const { pid } = sleeper();
        return { pid, args: [String(pid), tempFolder()] };
      },
      async (home, _, { pid, args }) => {
        expect(readPeers().broken).toEqual([]);
        ageLock(home);
        const peer = await joinMesh({ pid, cwd: args[1] ?? "", name: "api", session_id: "s1" });
        const { peers, broken } = readPeers();
        expect([peers.map(({ id }) => id), broken]).toEqual([[peer.id], []]);
        expect(readdirSync(join(home, "to/api/new"))).toEqual([]);
        expect(readdirSync(join(home, "sessions/s1/cur"))).toEqual([]);
      },
    );
    expect(rounds).toBeGreaterThan(15);
  });

  it("a session that ends has said goodbye, and who waits for its answer is told", async () => {
    const rounds = await atEveryStep(
      `await leave(args[0], Number(args[1]));`,
      async (home) => {
        box(home, "web");
        const claude = sleeper();
        const { id, pid } = await joinMesh({ pid: claude.pid, cwd: tempFolder(), name: "api" });
        const unique = letter(box(home, id), { body: "end-of-it", kind: "question", from: { ...WEB } });
        markSeen(
          id,
          take(id, () => true),
        );
        return { claude, id, unique, args: [id, String(pid)] };
      },
      async (home, { killed }, { claude, id, unique }) => {
        await claude.kill();
        ageLock(home);
        await noticeDeaths();
        expect(readPeers()).toMatchObject({ peers: [{ id, left_at: expect.any(String) }], broken: [] });
        expect(readdirSync(join(home, "to"))).toEqual([]);
        const told = bounces("web").map(({ message }) => message.inReplyTo);
        expect(new Set(told)).toEqual(new Set([messageIdOf(unique)]));
        expect(told.length).toBeLessThanOrEqual(killed ? 2 : 1);
      },
    );
    expect(rounds).toBeGreaterThan(12);
  });

  it("a peer that is forgotten leaves nothing, and mail that came in that moment stays", async () => {
    const long = Date.now() + 60 * DAY;
    const rounds = await atEveryStep(
      `await sweep(Number(args[0]));`,
      async (home) => {
        const claude = sleeper();
        const { id, pid } = await joinMesh({ pid: claude.pid, cwd: tempFolder(), name: "api" });
        await claude.kill();
        await leave(id, pid);
        const seen = letter(box(home, id));
        collect(join(home, "inbox", id), seen);
        mark(join(home, "inbox", id), seen, "S");
        return { id, args: [String(long)] };
      },
      async (home, _, { id }) => {
        ageLock(home);
        const [trash] = readdirSync(join(home, "inbox")).filter((name) => name.startsWith("."));
        const late = trash === undefined ? undefined : letter(box(home, trash), { body: "end-of-it" });
        await sweep();
        expect(readdirSync(join(home, "inbox")).filter((name) => name.startsWith("."))).toEqual([]);
        expect(places(home, "end-of-it")).toEqual(late ? [`${id}/new`] : []);
        await sweep(long);
        expect(readPeers()).toEqual({ peers: [], broken: [] });
        if (!late) expect(readdirSync(join(home, "inbox"))).not.toContain(id);
      },
    );
    expect(rounds).toBeGreaterThan(8);
  });
});
