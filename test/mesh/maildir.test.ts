import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { errnoOf, isTemporary } from "../../src/errors.ts";
import {
  bellOf,
  collect,
  curPath,
  deliver,
  isOurName,
  isSafeName,
  listNew,
  locate,
  makeMailbox,
  mark,
  newPath,
  putBack,
  recover,
  ring,
} from "../../src/mesh/maildir.ts";
import { uniqueName } from "../../src/mesh/message.ts";
import { until } from "../temp-home.ts";
import { box, drop, inNode, letter, tempMesh, thrownBy } from "./temp-mesh.ts";

const modeOf = (path: string) => statSync(path).mode & 0o777;
const rooms = (mailbox: string) =>
  Object.fromEntries(["tmp", "new", "cur"].map((room) => [room, readdirSync(join(mailbox, room)).sort()]));

describe("deliver", () => {
  it("puts the text into new/, whole, and nothing into tmp/ or cur/", () => {
    const api = box(tempMesh(), "api");
    const unique = uniqueName();
    deliver(api, unique, "größe\n");
    expect(rooms(api)).toEqual({ tmp: [], new: [unique], cur: [] });
    expect(readFileSync(newPath(api, unique), "utf8")).toBe("größe\n");
  });

  it("makes directories 0700 and files 0600, whatever the umask", () => {
    const before = process.umask(0);
    try {
      const home = tempMesh();
      const api = box(home, "api");
      const unique = uniqueName();
      deliver(api, unique, "x\n");
      for (const dir of [home, join(home, "inbox"), api, join(api, "tmp"), join(api, "new"), join(api, "cur")])
        expect([dir, modeOf(dir)]).toEqual([dir, 0o700]);
      expect(modeOf(newPath(api, unique))).toBe(0o600);
      expect(modeOf(bellOf(api))).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  it("rings: the bell is rewritten after the letter lies there", () => {
    const api = box(tempMesh(), "api");
    deliver(api, uniqueName(), "x\n");
    writeFileSync(bellOf(api), "old");
    deliver(api, uniqueName(), "x\n");
    expect(readFileSync(bellOf(api), "utf8")).not.toBe("old");
  });

  it("to a mailbox that is not there says so and makes nothing", () => {
    const nobody = join(tempMesh(), "inbox", "nobody");
    expect(thrownBy(() => deliver(nobody, uniqueName(), "x"))).toMatchObject({ code: "ENOENT" });
    expect(existsSync(nobody)).toBe(false);
  });

  it("that can't get into new/ leaves nothing in tmp/", () => {
    const api = box(tempMesh(), "api");
    rmSync(join(api, "new"), { recursive: true });
    expect(thrownBy(() => deliver(api, uniqueName(), "x"))).toMatchObject({ code: "ENOENT" });
    expect(readdirSync(join(api, "tmp"))).toEqual([]);
  });

  it("whose bell can't be written is a delivery all the same: the file is the truth", () => {
    const api = box(tempMesh(), "api");
    mkdirSync(bellOf(api));
    const unique = uniqueName();
    expect(() => deliver(api, unique, "x\n")).not.toThrow();
    expect(listNew(api)).toEqual([unique]);
  });

  it("does not follow a symlink that lies where the bell should", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const victim = join(home, "precious");
    writeFileSync(victim, "precious");
    symlinkSync(victim, bellOf(api));
    deliver(api, uniqueName(), "x\n");
    expect(readFileSync(victim, "utf8")).toBe("precious");
  });
});

describe("listNew", () => {
  it("is oldest first, without dot files; a missing mailbox is empty", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const names = [1, 2, 3].map(() => letter(api));
    drop(api, ".hidden", "x");
    drop(api, "zz", "x");
    expect(listNew(api)).toEqual([...names, "zz"]);
    expect(listNew(join(home, "inbox", "nobody"))).toEqual([]);
  });

  it("makeMailbox twice is once", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    makeMailbox(api);
    expect(listNew(api)).toEqual([unique]);
  });
});

describe("collect, mark, put back", () => {
  it("collect moves new/x to cur/x:2, with mtime now, once", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    utimesSync(newPath(api, unique), 1000, 1000);
    const before = Date.now();
    expect(collect(api, unique)).toBe(true);
    expect(collect(api, unique)).toBe(false);
    expect(rooms(api)).toEqual({ tmp: [], new: [], cur: [`${unique}:2,`] });
    expect(statSync(curPath(api, unique, "")).mtimeMs).toBeGreaterThanOrEqual(before - 10);
  });

  it("collect may give another name", () => {
    const api = box(tempMesh(), "api");
    drop(api, "a note.txt", "x");
    expect(collect(api, "a note.txt", "1.x")).toBe(true);
    expect(rooms(api).cur).toEqual(["1.x:2,"]);
  });

  it.each([
    ["", "S", "S"],
    ["S", "R", "RS"],
    ["R", "S", "RS"],
    ["RS", "T", "RST"],
    ["RS", "S", "RS"],
    ["", "RS", "RS"],
    ["T", "S", "ST"],
    ["ST", "R", "RST"],
  ])("mark on %j with %j gives %j: the other flags stay, in ASCII order", (flags, add, result) => {
    const api = box(tempMesh(), "api");
    const unique = uniqueName();
    writeFileSync(curPath(api, unique, flags), "x");
    expect(mark(api, unique, add)).toBe(true);
    expect(rooms(api).cur).toEqual([`${unique}:2,${result}`]);
  });

  it("mark says false for what is still in new/, and for what is nowhere", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    expect(mark(api, unique, "S")).toBe(false);
    expect(mark(api, "nothing", "S")).toBe(false);
    expect(rooms(api)).toEqual({ tmp: [], new: [unique], cur: [] });
  });

  it("locate finds every flag set there is, and new/", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    expect(locate(api, unique)).toMatchObject({
      at: "new",
      path: newPath(api, unique),
      since: lstatSync(newPath(api, unique)).ctime,
    });
    let path = newPath(api, unique);
    for (const flags of ["", "R", "S", "T", "RS", "RT", "ST", "RST"]) {
      renameSync(path, curPath(api, unique, flags));
      path = curPath(api, unique, flags);
      expect(locate(api, unique)).toMatchObject({ at: "cur", path, flags, since: lstatSync(path).ctime });
    }
    expect(locate(api, "nothing")).toBeUndefined();
    expect(locate(join(api, "nobody"), unique)).toBeUndefined();
  });

  it("putBack returns what is unseen to new/ and rings; what was marked stays", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    collect(api, unique);
    expect(existsSync(bellOf(api))).toBe(false);
    expect(putBack(api, unique)).toBe(true);
    expect(existsSync(bellOf(api))).toBe(true);
    expect(rooms(api)).toEqual({ tmp: [], new: [unique], cur: [] });
    collect(api, unique);
    mark(api, unique, "S");
    expect(putBack(api, unique)).toBe(false);
    expect(rooms(api).cur).toEqual([`${unique}:2,S`]);
  });
});

describe("recover", () => {
  it("puts back what lies unseen in cur/ for longer than the term, oldest first, and nothing else", () => {
    const api = box(tempMesh(), "api");
    const [a, b, c, d] = [letter(api), letter(api), letter(api), letter(api)];
    for (const unique of [b, a, c, d]) collect(api, unique);
    mark(api, c, "S");
    const old = (Date.now() - 31_000) / 1000;
    for (const unique of [a, b]) utimesSync(curPath(api, unique, ""), old, old);
    utimesSync(curPath(api, c, "S"), old, old);
    expect(recover(api, 30_000)).toEqual([a, b]);
    expect(listNew(api)).toEqual([a, b]);
    expect(rooms(api).cur).toEqual([`${c}:2,S`, `${d}:2,`]);
  });

  it("takes `now` and finds the same letter again after it was collected and left again", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api);
    for (let round = 1; round < 4; round++) {
      expect(collect(api, unique)).toBe(true);
      expect(recover(api, 30_000)).toEqual([]);
      expect(recover(api, 30_000, Date.now() + 30_001)).toEqual([unique]);
    }
  });

  it("finds what was collected in the same instant as a look that found nothing", () => {
    const api = box(tempMesh(), "api");
    const lost: string[] = [];
    for (let round = 0; round < 50; round++) {
      const [first, second] = [letter(api), letter(api)];
      collect(api, first);
      mark(api, first, "S");
      recover(api, 30_000);
      collect(api, second);
      if (!recover(api, 30_000, Date.now() + 31_000).includes(second)) lost.push(second);
      else collect(api, second);
      if (!mark(api, second, "S")) throw new Error("the letter is nowhere");
    }
    expect(lost).toEqual([]);
  });

  it("of a mailbox that is not there is nothing", () => {
    expect(recover(join(tempMesh(), "inbox", "nobody"), 0)).toEqual([]);
  });
});

describe("with many real processes at one mailbox", () => {
  const collector = `
    const { collect, listNew, mark } = await mesh("maildir");
    const { existsSync } = await import("node:fs");
    const [box, go] = args;
    while (!existsSync(go)) await new Promise((r) => setTimeout(r, 2));
    const mine = [];
    for (let empty = 0; empty < 3; ) {
      const names = listNew(box);
      empty = names.length ? 0 : empty + 1;
      for (const name of names) if (collect(box, name)) { mine.push(name); if (args[2] === "mark") mark(box, name, "S"); }
    }
    done(mine);`;

  it("every message is collected by exactly one of them, and all are", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    const sent = Array.from({ length: 400 }, () => letter(api));
    const all = Array.from({ length: 6 }, () => inNode<string[]>(collector, { args: [api, join(home, "go")] }));
    writeFileSync(join(home, "go"), "");
    const got = await Promise.all(all);
    expect(got.flat().sort()).toEqual(sent);
    expect(listNew(api)).toEqual([]);
  });

  it("a process that recovers beside them takes no letter out of a collector's hands, however long it had waited", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    const sent = Array.from({ length: 1500 }, () => letter(api));
    for (const unique of sent) utimesSync(newPath(api, unique), 1_000_000, 1_000_000);
    const recoverer = `
      const { recover, listNew } = await mesh("maildir");
      const { existsSync, writeFileSync } = await import("node:fs");
      const [box, go] = args;
      writeFileSync(go, "");
      const back = [];
      while (listNew(box).length) back.push(...recover(box, 30_000));
      done(back);`;
    const two = [1, 2].map(() => inNode<string[]>(collector, { args: [api, join(home, "go"), "mark"] }));
    const back = await inNode<string[]>(recoverer, { args: [api, join(home, "go")] });
    const got = (await Promise.all(two)).flat();
    expect(back).toEqual([]);
    expect(got.sort()).toEqual(sent);
  });

  it("many writers and many collectors at once: nothing is lost, nothing doubled, each writer's order is kept", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    const writer = `
      const { deliver } = await mesh("maildir");
      const { uniqueName } = await mesh("message");
      const names = [];
      for (let n = 0; n < 60; n++) { const u = uniqueName(); deliver(args[0], u, "letter " + n + "\\n"); names.push(u); }
      done(names);`;
    writeFileSync(join(home, "go"), "");
    const writers = [1, 2, 3].map(() => inNode<string[]>(writer, { args: [api] }));
    const reader = `
      const { collect, listNew } = await mesh("maildir");
      const { existsSync } = await import("node:fs");
      const mine = [];
      while (!existsSync(args[1]) || listNew(args[0]).length)
        for (const name of listNew(args[0])) if (collect(args[0], name)) mine.push(name);
      done(mine);`;
    const readers = [1, 2].map(() => inNode<string[]>(reader, { args: [api, join(home, "end")] }));
    const sent = await Promise.all(writers);
    writeFileSync(join(home, "end"), "");
    const got = await Promise.all(readers);
    expect(got.flat().sort()).toEqual(sent.flat().sort());
    for (const names of sent) expect([...names].sort()).toEqual(names);
  });
});

describe("names", () => {
  it.each(["4242", "note.txt", "a+b=c", "x~", "1763708400.M123456P4242Q1.laptop\\057x"])("%j is safe", (name) => {
    expect(isSafeName(name)).toBe(true);
  });
  it.each(["", ".", "..", ".x", "a b", "a/b", "a:2,S", "a\nb", "<x>", "x".repeat(201), "ü", "a@b"])(
    "%j is not safe",
    (name) => {
      expect(isSafeName(name)).toBe(false);
    },
  );
  it.each(["4242", "note.txt", "1.M1P1Q1.h", "1763708400.M123456P4242.laptop", "1763708400.12.laptop"])(
    "%j is not ours",
    (name) => {
      expect(isOurName(name)).toBe(false);
    },
  );
});

it("a full disk is worth another try, a missing right is not", () => {
  const error = (code: string) => Object.assign(new Error(code), { code });
  expect(["ENOSPC", "EDQUOT", "EMFILE"].map((code) => isTemporary(error(code)))).toEqual([true, true, true]);
  expect(["EACCES", "ENOENT", "EROFS"].map((code) => isTemporary(error(code)))).toEqual([false, false, false]);
  expect(isTemporary(new Error("x"))).toBe(false);
});

it("an error that Node has no name for goes by the system's", () => {
  const { EDQUOT } = constants.errno;
  const error = (errno: number) => Object.assign(new Error("x"), { code: `Unknown system error ${errno}`, errno });
  expect(errnoOf(error(-EDQUOT))).toBe("EDQUOT");
  expect(errnoOf(error(-9999))).toBe("Unknown system error -9999");
});

it("ring makes no mailbox where there is none, and is heard as a changed file", async () => {
  const home = tempMesh();
  ring(join(home, "inbox", "nobody"));
  expect(existsSync(join(home, "inbox", "nobody"))).toBe(false);
  const api = box(home, "api");
  ring(api);
  const first = readFileSync(bellOf(api), "utf8");
  await until(() => {
    ring(api);
    return readFileSync(bellOf(api), "utf8") !== first;
  }, "another text in the bell");
});
