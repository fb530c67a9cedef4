import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { bury } from "../../src/mesh/dead.ts";
import { collect, listNew, mark, newPath, putBack, recover } from "../../src/mesh/maildir.ts";
import { compose, MAX_BYTES, messageIdOf, uniqueName } from "../../src/mesh/message.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import { peek, readLetter, readSeen, receiptIn, receipts, STILL, standStill, take } from "../../src/mesh/receive.ts";
import { send } from "../../src/mesh/send.ts";
import { until } from "../temp-home.ts";
import { box, draft, drop, inNode, letter, tempFolder, tempMesh, thrownBy } from "./temp-mesh.ts";

const isRoot = process.getuid?.() === 0;
const all = () => true;
/** Takes everything once `count` letters can be taken. */
const taken = (id: string, count: number) =>
  until(() => peek(id).letters.length >= count && take(id, all), `${count} letters`);
const buried = (home: string) =>
  readdirSync(join(home, "dead/new")).map((name) => readFileSync(join(home, "dead/new", name)).toString("latin1"));

afterEach(() => {
  vi.useRealTimers();
});

describe("take and mark", () => {
  it("letters come oldest first, collected, and are seen once marked", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const sent = ["one", "two", "three"].map((body) => letter(api, { body }));
    const letters = take("api", all);
    expect(letters.map((l) => l.message.body)).toEqual(["one", "two", "three"]);
    expect(letters.map((l) => l.unique)).toEqual(sent);
    expect(readdirSync(join(api, "cur")).sort()).toEqual(sent.map((u) => `${u}:2,`));
    markSeen("api", letters);
    expect(readdirSync(join(api, "cur")).sort()).toEqual(sent.map((u) => `${u}:2,S`));
    for (const l of letters) expect(existsSync(l.path)).toBe(true);
    expect(take("api", all)).toEqual([]);
  });

  it("peek moves nothing", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api, { body: "one" });
    expect(peek("api").letters.map((l) => l.message.body)).toEqual(["one"]);
    expect(listNew(api)).toEqual([unique]);
  });

  it("what is not wanted stays, what is behind it comes; `stop` ends it", () => {
    const api = box(tempMesh(), "api");
    const [a, b, c, d] = ["a", "b", "c", "d"].map((body) => letter(api, { body }));
    const got = take("api", (l) => (l.message.body === "d" ? "stop" : l.message.body !== "b"));
    expect(got.map((l) => l.unique)).toEqual([a, c]);
    expect(listNew(api)).toEqual([b, d]);
  });

  it("it stops at the first letter somebody else took: the rest is theirs, and order is kept", () => {
    const api = box(tempMesh(), "api");
    const [a, b, c] = ["a", "b", "c"].map((body) => letter(api, { body }));
    const got = take("api", (l) => {
      if (l.unique === b) collect(api, b);
      return true;
    });
    expect(got.map((l) => l.unique)).toEqual([a]);
    expect(listNew(api)).toEqual([c]);
  });

  it("a mailbox that is not there is empty", () => {
    tempMesh();
    expect(peek("nobody")).toEqual({ letters: [], unready: 0 });
    expect(take("nobody", all)).toEqual([]);
  });

  it("what was put back while it was being shown is marked all the same", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    const letters = take("api", all);
    expect(putBack(api, unique)).toBe(true);
    markSeen("api", letters);
    expect(readdirSync(join(api, "new"))).toEqual([]);
    expect(readdirSync(join(api, "cur"))).toEqual([`${unique}:2,S`]);
  });

  it("marking what has vanished is logged, not thrown", () => {
    const home = tempMesh();
    const api = box(home, "api");
    letter(api);
    const letters = take("api", all);
    const name = `${letters[0]?.unique}:2,`;
    renameSync(join(api, "cur", name), join(home, name));
    expect(() => markSeen("api", letters)).not.toThrow();
    expect(readFileSync(join(home, "log"), "utf8")).toContain("mark-failed");
  });

  it("a letter without a date has the file's", () => {
    const api = box(tempMesh(), "api");
    drop(api, uniqueName(), "hello\n");
    const found = peek("api").letters[0];
    expect(found?.message.date?.getTime()).toBe(lstatSync(join(api, "new", found?.unique ?? "")).mtime.getTime());
  });
});

describe("what is no letter goes to dead/ with the reason as its first header, and those behind it still come", () => {
  const cases: [what: string, reason: RegExp, keeps: string | undefined, put: (path: string) => void][] = [
    ["an empty file of ours", /empty/, "", (path) => writeFileSync(path, "")],
    ["more than 1 MiB", /1048577 bytes/, "x".repeat(100), (path) => writeFileSync(path, "x".repeat(MAX_BYTES + 1))],
    ["binary", /not text/, "\x89PNG\0\r\n", (path) => writeFileSync(path, "\x89PNG\0\r\n", "latin1")],
    ["invalid UTF-8", /not UTF-8/, "caf\xe9", (path) => writeFileSync(path, Buffer.from("caf\xe9\n", "latin1"))],
    ["a symlink", /not a regular file/, undefined, (path) => symlinkSync("/etc/hostname", path)],
    ["a symlink to nowhere", /not a regular file/, undefined, (path) => symlinkSync("/nowhere", path)],
    [
      "a directory",
      /not a regular file/,
      undefined,
      (path) => {
        mkdirSync(path);
        writeFileSync(join(path, "inside"), "precious");
      },
    ],
    ["a FIFO", /not a regular file/, undefined, (path) => void execFileSync("mkfifo", [path])],
  ];
  it.each(cases)("%s", (_what, reason, keeps, put) => {
    const home = tempMesh();
    const api = box(home, "api");
    const before = letter(api);
    const unique = uniqueName();
    put(newPath(api, unique));
    const was = lstatSync(newPath(api, unique));
    const after = letter(api);
    expect(take("api", all).map((l) => l.unique)).toEqual([before, after]);
    expect(listNew(api)).toEqual([]);
    const [note] = buried(home);
    expect(buried(home)).toHaveLength(1);
    expect(note?.split("\n")[0]).toMatch(/^X-Mesh-Dead: /);
    expect(note?.split("\n")[0]).toMatch(reason);
    if (keeps === undefined) {
      const [asItWas] = readdirSync(join(home, "dead/cur"));
      const moved = lstatSync(join(home, "dead/cur", asItWas ?? ""));
      expect([moved.ino, moved.mode]).toEqual([was.ino, was.mode]);
      expect(note).toContain(join(home, "dead/cur", asItWas ?? ""));
      expect(readdirSync(join(home, "dead/tmp"))).toEqual([]);
    } else expect(note).toContain(keeps);
    expect(receipts(unique)).toMatchObject([{ state: "dead", path: join(home, "dead/new", unique) }]);
    expect(readFileSync(join(home, "log"), "utf8")).toMatch(/ dead .*/);
  });

  it("a symlink's target is neither shown nor touched", () => {
    const home = tempMesh();
    const secret = join(tempFolder(), "secret");
    writeFileSync(secret, "Subject: s\n\nprivate words\n");
    symlinkSync(secret, newPath(box(home, "api"), uniqueName()));
    expect(take("api", all)).toEqual([]);
    expect(readFileSync(secret, "utf8")).toContain("private words");
    expect(buried(home).join()).not.toContain("private words");
  });

  it.runIf(isRoot)("a file of another user's", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const unique = letter(api, { body: "from a stranger" });
    chownSync(newPath(api, unique), 12345, 12345);
    const mine = letter(api);
    expect(take("api", all).map((l) => l.unique)).toEqual([mine]);
    expect(buried(home)[0]).toMatch(/^X-Mesh-Dead: not a regular file of this user's\n/);
    expect(buried(home).join()).not.toContain("from a stranger");
    expect(readdirSync(join(home, "dead/cur"))).toHaveLength(1);
  });

  it.runIf(isRoot).each([
    ["a file of one's own without a right to read it", `fs.writeFileSync(bad, "x", { mode: 0 });`, ""],
    ["a folder of root's, as a container leaves it", "", "root"],
  ])("%s (as a user who is not root)", async (_what, put, owner) => {
    const home = tempMesh();
    const api = box(home, "api");
    const folder = join(home, "..");
    const bad = newPath(api, "1000000000.M000001P1Q1.laptop");
    execFileSync("chown", ["-R", "12345:12345", folder]);
    if (owner) mkdirSync(bad);
    const got = await inNode<string[]>(
      `const fs = await import("node:fs");
       process.env.CLAUDEMESH_HOME = args[0];
       const [home, bad] = args;
       ${put}
       const { deliver } = await mesh("maildir");
       const { compose, uniqueName, messageIdOf } = await mesh("message");
       const { take } = await mesh("receive");
       const at = { id: "api", name: "api", host: "h" };
       deliver(home + "/inbox/api", uniqueName(), compose({ id: "<x@y>", from: at, to: [at], body: "behind it" }));
       done(take("api", () => true).map((l) => l.message.body));`,
      { uid: 12345, args: [home, bad] },
    );
    expect(got).toEqual(["behind it"]);
  });

  it("a letter with a NUL that was sent is not lost on the way to its reader", () => {
    const home = tempMesh();
    box(home, "api");
    const { id: _, ...order } = draft({ body: "col1\0col2" });
    try {
      send({ ...order, to: [{ id: "api", name: "api", host: "h" }] });
    } catch {
      // To refuse it is as good: then the sender knows.
      return;
    }
    expect(take("api", all)).toHaveLength(1);
  });
});

describe("a file whose name is not of our making", () => {
  it("is not taken while it is being written, and comes whole once it stood still for 100 ms", async () => {
    const api = box(tempMesh(), "api");
    expect(STILL).toBe(100);
    const path = join(api, "new", "note.txt");
    writeFileSync(path, "first ");
    for (let n = 0; n < 20; n++) {
      appendFileSync(path, `${n} `);
      const { letters, unready } = peek("api");
      // A machine that stalls between the two lines may see it stand still for real.
      if (Date.now() - lstatSync(path).mtimeMs < STILL) expect([letters.length, unready]).toEqual([0, 1]);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    appendFileSync(path, "last\n");
    const [letter] = await taken("api", 1);
    expect(letter?.message.body).toMatch(/^first 0 .* last$/);
  });

  it("holds up nobody behind it", () => {
    const api = box(tempMesh(), "api");
    writeFileSync(join(api, "new", "0"), "half");
    const unique = letter(api);
    expect(take("api", all).map((l) => l.unique)).toEqual([unique]);
  });

  it("standStill waits for it, and not for ever", async () => {
    const api = box(tempMesh(), "api");
    writeFileSync(join(api, "new", "note.txt"), "words\n");
    await standStill("api", 10_000);
    expect(take("api", all).map((l) => l.message.body)).toEqual(["words"]);
    writeFileSync(join(api, "new", "empty"), "");
    await standStill("api", 50);
    expect(peek("api").unready).toBe(1);
  });

  it("that is empty gets ten seconds to be written, then it is dead", () => {
    const home = tempMesh();
    const api = box(home, "api");
    writeFileSync(join(api, "new", "note.txt"), "");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 9000 });
    expect(peek("api")).toEqual({ letters: [], unready: 1 });
    vi.setSystemTime(Date.now() + 2000);
    expect(peek("api")).toEqual({ letters: [], unready: 0 });
    expect(buried(home)).toEqual(["X-Mesh-Dead: empty\nX-Mesh-Mailbox: api\n"]);
  });

  it.each(["4242", "note.txt", "my note.txt", "größe.md", "a:2,S", "<x>", "x".repeat(250)])(
    "%j arrives, is marked, and is found again by the id it was shown with",
    async (name) => {
      const api = box(tempMesh(), "api");
      writeFileSync(join(api, "new", name), "words\n");
      const letters = await taken("api", 1);
      expect(letters.map((l) => [l.message.body, l.message.from])).toEqual([["words", undefined]]);
      markSeen("api", letters);
      expect(listNew(api)).toEqual([]);
      expect(readdirSync(join(api, "cur"))).toHaveLength(1);
      expect(receipts(letters[0]?.message.id ?? "")).toMatchObject([{ to: "api", state: "seen" }]);
    },
  );

  it("can be read again at once when it was seen: in cur/ it is whole", async () => {
    const api = box(tempMesh(), "api");
    writeFileSync(join(api, "new", "note.txt"), "words\n");
    const letters = await taken("api", 1);
    markSeen("api", letters);
    const [name] = readdirSync(join(api, "cur"));
    expect(readSeen("api", name ?? "")?.message.body).toBe("words");
  });

  it("may come again under the same name (`$$` of one shell): both are shown and both are kept", async () => {
    const api = box(tempMesh(), "api");
    const bodies: string[] = [];
    for (const body of ["first", "second"]) {
      drop(api, "4242", `${body}\n`);
      const letters = await taken("api", 1);
      bodies.push(...letters.map((l) => l.message.body));
      markSeen("api", letters);
    }
    expect(bodies).toEqual(["first", "second"]);
    const kept = readdirSync(join(api, "cur")).map((name) => readFileSync(join(api, "cur", name), "utf8"));
    expect(kept.sort()).toEqual(["first\n", "second\n"]);
  });

  it("may come again under the same name while the first is in a collector's hands: neither is lost", async () => {
    const api = box(tempMesh(), "api");
    drop(api, "4242", "first\n");
    await taken("api", 1);
    drop(api, "4242", "second\n");
    // The collector died: its letter goes back.
    recover(api, 30_000, Date.now() + 31_000);
    const letters = await until(() => {
      const found = peek("api").letters;
      return peek("api").unready === 0 && found;
    }, "letters that stand still");
    expect(letters.map((l) => l.message.body).sort()).toEqual(["first", "second"]);
  });

  it("may come again under the same name before the first is marked: the first is marked all the same", async () => {
    const api = box(tempMesh(), "api");
    drop(api, "4242", "first\n");
    const letters = await taken("api", 1);
    drop(api, "4242", "second\n");
    markSeen("api", letters);
    expect(readdirSync(join(api, "cur")).filter((name) => name.endsWith(":2,S"))).toHaveLength(1);
  });
});

describe("mail past its term", () => {
  const expired = new Date(Date.now() - 5000);

  it("is buried unread, and its sender gets a bounce that says which and why", () => {
    const home = tempMesh();
    const web = box(home, "a8d0m2kq");
    const api = box(home, "api");
    const unique = letter(api, { expires: expired, subject: "hurry", body: "hurry up", kind: "question" });
    const behind = letter(api);
    expect(take("api", all).map((l) => l.unique)).toEqual([behind]);
    expect(buried(home)[0]).toMatch(/^X-Mesh-Dead: expired \S+ unread\nX-Mesh-Mailbox: api\nFrom: web /);
    expect(buried(home)[0]).toContain("hurry up");
    expect(receipts(messageIdOf(unique))).toMatchObject([{ state: "expired" }]);
    const bounces = take("a8d0m2kq", all);
    expect(bounces.map((l) => l.message)).toMatchObject([
      { kind: "bounce", inReplyTo: messageIdOf(unique), references: [messageIdOf(unique)], priority: "now" },
    ]);
    expect(bounces[0]?.message.body).toContain("expired");
    expect(bounces[0]?.message.body).toContain("hurry");
    expect(listNew(web)).toEqual([]);
  });

  it("comes while its term is not over", () => {
    const api = box(tempMesh(), "api");
    letter(api, { expires: new Date(Date.now() + 60_000) });
    expect(take("api", all)).toHaveLength(1);
  });

  it("a bounce is never bounced, and one to a sender without a mailbox makes none", () => {
    const home = tempMesh();
    const web = box(home, "a8d0m2kq");
    const api = box(home, "api");
    letter(api, { expires: expired, kind: "bounce" });
    letter(api, { expires: expired, from: { name: "x", id: "nobody00", host: "h" } });
    letter(api, { expires: expired, from: { name: "x", id: "..", host: "h" } });
    peek("api");
    expect(buried(home)).toHaveLength(3);
    expect(listNew(web)).toEqual([]);
    expect(readdirSync(join(home, "inbox")).sort()).toEqual(["a8d0m2kq", "api"]);
  });

  it("with a subject of 600 kB it bounces like any other", () => {
    const home = tempMesh();
    const web = box(home, "a8d0m2kq");
    letter(box(home, "api"), { expires: expired, subject: "x".repeat(600_000) });
    expect(() => peek("api")).not.toThrow();
    expect(listNew(web)).toHaveLength(1);
  });

  it("is buried once and bounced once when many processes look at the same time", async () => {
    const home = tempMesh();
    const web = box(home, "a8d0m2kq");
    const api = box(home, "api");
    const sent = Array.from({ length: 60 }, () => letter(api, { expires: expired }));
    const looker = `
      const { peek } = await mesh("receive");
      const { listNew } = await mesh("maildir");
      const { existsSync } = await import("node:fs");
      const errors = [];
      while (!existsSync(args[0])) await new Promise((r) => setTimeout(r, 2));
      for (let n = 0; n < 50 && listNew(args[1]).length; n++) try { peek("api"); } catch (e) { errors.push(String(e)); }
      done(errors);`;
    const lookers = [1, 2, 3, 4].map(() => inNode<string[]>(looker, { args: [join(home, "go"), api] }));
    writeFileSync(join(home, "go"), "");
    expect((await Promise.all(lookers)).flat()).toEqual([]);
    expect(readdirSync(join(home, "dead/new")).sort()).toEqual(sent);
    expect(listNew(web)).toHaveLength(sent.length);
  });
});

describe("receipts", () => {
  it("tell where a message is: queued, collected, seen, answered", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    const id = messageIdOf(unique);
    const state = () => receipts(id).map((r) => [r.to, r.state]);
    expect(state()).toEqual([["api", "queued"]]);
    const letters = take("api", all);
    expect(state()).toEqual([["api", "collected"]]);
    markSeen("api", letters);
    expect(state()).toEqual([["api", "seen"]]);
    mark(api, unique, "R");
    expect(state()).toEqual([["api", "answered"]]);
    expect(existsSync(receipts(id)[0]?.path ?? "")).toBe(true);
  });

  it("tell of one that was refused", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const unique = letter(api);
    bury(newPath(api, unique), unique, "refused: too many hops");
    expect(receipts(unique)).toMatchObject([{ state: "refused", reason: "refused: too many hops" }]);
  });

  it("name every recipient of a letter to several", () => {
    const home = tempMesh();
    const { id: _, ...order } = draft();
    const sent = send({ ...order, to: ["api", "db"].map((id) => ({ id, name: id, host: "h" })) });
    markSeen("api", take("api", all));
    box(home, "other");
    expect(receipts(sent.message_id).map((r) => [r.to, r.state])).toEqual([
      ["api", "seen"],
      ["db", "queued"],
    ]);
    expect(receiptIn("db", sent.unique)?.state).toBe("queued");
    expect(receiptIn("other", sent.unique)).toBeUndefined();
  });

  it.each(["with <>", "without", "the bare unique name", "with blanks"])("take the id in any writing (%s)", (how) => {
    const unique = letter(box(tempMesh(), "api"));
    const id = messageIdOf(unique);
    const written = { "with <>": id, without: id.slice(1, -1), "with blanks": ` ${id}\n` }[how] ?? unique;
    expect(receipts(written)).toHaveLength(1);
  });

  it.each(["<nothing@claudemesh>", "", "../../etc/passwd", "*", "<a/b@claudemesh>"])("of %j there are none", (id) => {
    const home = tempMesh();
    letter(box(home, "api"));
    expect(thrownBy(() => receipts(id))).toMatchObject({ code: "NO_SUCH_MESSAGE" });
  });

  it("are had at every moment of a letter's way, and so is the letter", async () => {
    const api = box(tempMesh(), "api");
    const names = Array.from({ length: 300 }, () => letter(api, { body: "on its way" }));
    const moving = inNode<boolean>(
      `const { collect, mark } = await mesh("maildir");
       const [box, ...names] = args;
       const still = new Int32Array(new SharedArrayBuffer(4));
       // Slower than the one who looks, so that it looks in the middle of every move.
       const steps = [(name) => collect(box, name), (name) => mark(box, name, "S"), (name) => mark(box, name, "R")];
       for (const name of names) for (const step of steps) { Atomics.wait(still, 0, 0, 0.3); step(name); }
       done(true);`,
      { args: [api, ...names] },
    );
    const end = Date.now() + 60_000;
    for (const name of names) {
      for (let state: string | undefined; state !== "answered" && Date.now() < end; ) {
        state = receiptIn("api", name)?.state;
        expect(state, name).toBeDefined();
        expect(readLetter("api", name)?.message.body, name).toBe("on its way");
      }
    }
    expect(await moving).toBe(true);
  });

  it("are had on a machine where there is no mesh yet", () => {
    tempMesh({ open: false });
    expect(thrownBy(() => receipts("<x@claudemesh>"))).toMatchObject({ code: "NO_SUCH_MESSAGE" });
  });
});

describe("readSeen", () => {
  it("reads a letter in cur/ whatever its flags, and nothing else", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const unique = letter(api, { body: "words" });
    take("api", all);
    expect(readSeen("api", `${unique}:2,`)?.message.body).toBe("words");
    mark(api, unique, "RS");
    expect(readSeen("api", `${unique}:2,RS`)).toMatchObject({ unique, message: { id: messageIdOf(unique) } });
    expect(readSeen("api", `${unique}:2,`)).toBeUndefined();
    symlinkSync("/etc/hostname", join(api, "cur", "link:2,S"));
    expect(readSeen("api", "link:2,S")).toBeUndefined();
  });

  it("a letter of another program keeps its own Message-ID", () => {
    const api = box(tempMesh(), "api");
    drop(api, uniqueName(), compose(draft({ id: "<abc@example.org>" })));
    expect(peek("api").letters[0]?.message.id).toBe("<abc@example.org>");
  });
});
