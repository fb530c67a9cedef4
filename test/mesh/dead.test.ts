import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { bounce, bury, exhume, findDead } from "../../src/mesh/dead.ts";
import { listNew, newPath } from "../../src/mesh/maildir.ts";
import { parse, uniqueName } from "../../src/mesh/message.ts";
import { until } from "../temp-home.ts";
import { box, letter, tempMesh } from "./temp-mesh.ts";

/** Whether this machine lets us mount: in a mount namespace of its own, so that nothing stays. */
const canMount = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).status === 0;
const read = (path: string | undefined) => readFileSync(path ?? "nowhere", "utf8");

describe("bury", () => {
  it("writes the reason above the letter, keeps every byte of it, and removes it", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const unique = letter(api, { body: "words" });
    const before = read(newPath(api, unique));
    const path = bury(newPath(api, unique), unique, "refused: no");
    expect(path).toBe(join(home, "dead/new", unique));
    expect(read(path)).toBe(`X-Mesh-Dead: refused: no\n${before}`);
    expect(statSync(path ?? "").mode & 0o777).toBe(0o600);
    expect(existsSync(newPath(api, unique))).toBe(false);
    expect(readdirSync(join(home, "dead/tmp"))).toEqual([]);
  });

  it("what was buried is still a message that reads as before", () => {
    const api = box(tempMesh(), "api");
    const unique = letter(api, { body: "words", kind: "note" });
    const before = parse(read(newPath(api, unique)), unique);
    expect(parse(read(bury(newPath(api, unique), unique, "why")), unique)).toEqual(before);
  });

  it("two of one name both stay", () => {
    const home = tempMesh();
    const [api, db] = [box(home, "api"), box(home, "db")];
    for (const [mailbox, text] of [
      [api, "one"],
      [db, "two"],
    ] as const)
      writeFileSync(newPath(mailbox, "note"), text);
    const paths = [api, db].map((mailbox) => bury(newPath(mailbox, "note"), "note", "why"));
    expect(paths.map(read)).toEqual(["X-Mesh-Dead: why\none", "X-Mesh-Dead: why\ntwo"]);
  });

  it("two of one name both stay, buried by two at once", async () => {
    const home = tempMesh();
    const names = Array.from({ length: 200 }, (_, n) => `note-${n}`);
    const code = `import { existsSync, writeFileSync } from "node:fs";
      import { bury } from ${JSON.stringify(new URL("../../dist/mesh/dead.js", import.meta.url).href)};
      const [box, ready, go] = process.argv.slice(1);
      writeFileSync(ready, "");
      while (!existsSync(go));
      for (const name of ${JSON.stringify(names)}) bury(box + "/new/" + name, name, "why");`;
    const buriers = ["api", "db"].map((id) => {
      const mailbox = box(home, id);
      for (const name of names) writeFileSync(newPath(mailbox, name), `${name} of ${id}`);
      const args = ["--input-type=module", "-e", code, mailbox, join(home, `${id} is ready`), join(home, "go")];
      const child = spawn(process.execPath, args, { stdio: "inherit" });
      return new Promise((resolve) => child.once("exit", resolve));
    });
    await until(() => ["api", "db"].every((id) => existsSync(join(home, `${id} is ready`))), "both to be ready");
    writeFileSync(join(home, "go"), "");
    expect(await Promise.all(buriers)).toEqual([0, 0]);
    const dead = join(home, "dead/new");
    const texts = readdirSync(dead).map((name) => read(join(dead, name)).split("\n").at(-1));
    expect(texts.sort()).toEqual(names.flatMap((name) => [`${name} of api`, `${name} of db`]).sort());
  });

  it("a name that can't stand in dead/ is given another", () => {
    const home = tempMesh();
    const api = box(home, "api");
    writeFileSync(newPath(api, "a b\nc"), "words");
    const path = bury(newPath(api, "a b\nc"), "a b\nc", "why");
    expect(read(path)).toContain("words");
    expect(path).not.toContain("a b");
  });

  it.skipIf(!canMount)(
    "in a mailbox on another file system a letter and a folder are buried all the same, once",
    () => {
      const home = tempMesh();
      const api = join(home, "inbox", "api");
      mkdirSync(api);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=700", "none", api]);
      onTestFinished(() => void execFileSync("umount", [api]));
      box(home, "api");
      const unique = letter(api, { body: "words" });
      mkdirSync(newPath(api, "folder"));
      writeFileSync(join(newPath(api, "folder"), "inside"), "precious");
      expect(read(bury(newPath(api, unique), unique, "why"))).toContain("words");
      const note = read(bury(newPath(api, "folder"), "folder", "why"));
      const kept = / as (.*)\n$/.exec(note)?.[1] ?? "";
      expect(read(join(kept, "inside"))).toBe("precious");
      exhume(api, 0, Date.now() + 1000);
      expect(listNew(api)).toEqual([]);
    },
  );

  it("a folder is moved as it is, with what it holds", () => {
    const home = tempMesh();
    const api = box(home, "api");
    mkdirSync(newPath(api, "folder"));
    writeFileSync(join(newPath(api, "folder"), "inside"), "precious");
    const note = read(bury(newPath(api, "folder"), "folder", "why"));
    const [name] = readdirSync(join(home, "dead/cur"));
    expect(read(join(home, "dead/cur", name ?? "", "inside"))).toBe("precious");
    expect(note).toContain(join(home, "dead/cur", name ?? ""));
  });

  it("of what is not there is nothing", () => {
    const home = tempMesh();
    expect(bury(join(home, "inbox/api/new/x"), "x", "why")).toBeUndefined();
    expect(readdirSync(join(home, "dead/new"))).toEqual([]);
  });
});

it("findDead tells where and why", () => {
  const home = tempMesh();
  const api = box(home, "api");
  const unique = letter(api);
  expect(findDead(unique)).toBeUndefined();
  bury(newPath(api, unique), unique, "refused: too many hops", "api");
  const path = join(home, "dead/new", unique);
  expect(findDead(unique)).toEqual({ path, reason: "refused: too many hops", box: "api" });
});

describe("bounce", () => {
  it("tells the sender what was not delivered to whom and why, in its thread", () => {
    const home = tempMesh();
    const web = box(home, "a8d0m2kq");
    const text = `From: web <a8d0m2kq@laptop>\nMessage-ID: <m@claudemesh>\nReferences: <r@claudemesh>\nSubject: s\nX-Mesh-Kind: question\n\nb\n`;
    bounce(parse(text, "m"), "api", "it went wrong");
    const [unique] = listNew(web);
    const told = parse(read(newPath(web, unique ?? "")), unique ?? "");
    expect(told).toMatchObject({
      kind: "bounce",
      inReplyTo: "<m@claudemesh>",
      references: ["<r@claudemesh>", "<m@claudemesh>"],
      subject: "not delivered: s",
    });
    expect(told.body).toContain("question to api was not delivered: it went wrong");
  });

  it("of a file put there by hand tells nobody", () => {
    const home = tempMesh();
    box(home, "a8d0m2kq");
    bounce(parse("just words\n", uniqueName()), "api", "why");
    expect(listNew(join(home, "inbox/a8d0m2kq"))).toEqual([]);
  });

  it("whose sender's mailbox lacks its rooms harms nobody", () => {
    const home = tempMesh();
    mkdirSync(join(home, "inbox/a8d0m2kq"));
    const message = parse("From: web <a8d0m2kq@laptop>\n\nb\n", "m");
    expect(() => bounce(message, "api", "why")).not.toThrow();
  });
});
