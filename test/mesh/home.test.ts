import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  addressLink,
  checkHome,
  deadBox,
  isOwnFile,
  mailbox,
  makeDir,
  meshHome,
  openHome,
  peerFile,
  queuedBox,
  sessionLink,
} from "../../src/mesh/home.ts";
import { send } from "../../src/mesh/send.ts";
import { draft, inNode, tempFolder, tempMesh, thrownBy } from "./temp-mesh.ts";

const isRoot = process.getuid?.() === 0;
const modeOf = (path: string) => statSync(path).mode & 0o777;

describe("where it is", () => {
  it("CLAUDEMESH_HOME moves it; without it, or with nothing in it, it is ~/.claudemesh", () => {
    const home = tempMesh({ open: false });
    expect(meshHome()).toBe(home);
    process.env.CLAUDEMESH_HOME = "";
    expect(meshHome()).toBe(join(homedir(), ".claudemesh"));
    delete process.env.CLAUDEMESH_HOME;
    expect(meshHome()).toBe(join(homedir(), ".claudemesh"));
  });

  it("every room lies where the design says", () => {
    const home = tempMesh({ open: false });
    expect(peerFile("x")).toBe(join(home, "peers/x.json"));
    expect(mailbox("x")).toBe(join(home, "inbox/x"));
    expect(sessionLink("s")).toBe(join(home, "sessions/s"));
    expect(addressLink("api")).toBe(join(home, "to/api"));
    expect(queuedBox("API/x")).toBe(join(home, "inbox/@api-x"));
    expect(deadBox()).toBe(join(home, "dead"));
  });
});

describe("opening it", () => {
  it("makes it with all its rooms, 0700, whatever the umask, and twice is once", () => {
    const before = process.umask(0);
    try {
      const home = tempMesh({ open: false });
      expect(openHome()).toBe(home);
      openHome();
      expect(readdirSync(home).sort()).toEqual(["dead", "inbox", "locks", "peers", "sessions", "to"]);
      expect(readdirSync(join(home, "dead")).sort()).toEqual(["cur", "new", "tmp"]);
      for (const room of ["", "dead", "dead/new", "inbox", "locks", "peers", "sessions", "to"])
        expect([room, modeOf(join(home, room))]).toEqual([room, 0o700]);
    } finally {
      process.umask(before);
    }
  });

  it.each([0o755, 0o750, 0o711, 0o744])("one that others may read (%o) is closed to them", (mode) => {
    const home = tempMesh();
    chmodSync(home, mode);
    openHome();
    expect(modeOf(home)).toBe(0o700);
  });

  it.each([
    ["the group", 0o770],
    ["everyone", 0o777],
    ["everyone but the group", 0o702],
  ])("one that %s may write to is refused with the command that mends it", (_who, mode) => {
    const home = tempMesh();
    chmodSync(home, mode);
    const error = thrownBy(openHome);
    expect(error).toMatchObject({ code: "BAD_HOME" });
    expect(error.message).toContain(home);
    expect(error.hint).toContain(`chmod -R go-rwx '${home}'`);
    const { id: _, ...order } = draft();
    expect(thrownBy(() => send({ ...order, to: [{ id: "api", name: "api", host: "h" }] }))).toMatchObject({
      code: "BAD_HOME",
    });
    expect(existsSync(join(home, "inbox/api"))).toBe(false);
    chmodSync(home, 0o700);
    openHome();
  });

  it.runIf(isRoot)("one that another user owns is refused with the command that mends it", () => {
    const home = tempMesh();
    chownSync(home, 12345, 12345);
    const error = thrownBy(openHome);
    expect(error).toMatchObject({ code: "BAD_HOME" });
    expect(error.message).toMatch(/belongs to user 12345, not to you \(0\)/);
    expect(error.hint).toContain(`sudo chown -R 0 '${home}'`);
    chownSync(home, 0, 0);
    openHome();
  });

  it.runIf(isRoot)("one that root owns is refused to a user as well, and left as it is", async () => {
    const home = tempMesh();
    chmodSync(join(home, ".."), 0o755);
    const error = await inNode<{ code: string; hint: string }>(
      `process.env.CLAUDEMESH_HOME = args[0];
       try { (await mesh("home")).openHome(); done({}); } catch (e) { done({ code: e.code, hint: e.hint }); }`,
      { uid: 12345, args: [home] },
    );
    expect(error.code).toBe("BAD_HOME");
    expect(error.hint).toContain("chown -R 12345");
    expect(modeOf(home)).toBe(0o700);
  });

  it("a symlink to a folder of one's own is as good as the folder", () => {
    const home = tempMesh({ open: false });
    const real = tempFolder();
    symlinkSync(real, home);
    openHome();
    expect(readdirSync(real)).toContain("inbox");
  });

  it("a file in its place is refused with a sentence", () => {
    const home = tempMesh({ open: false });
    writeFileSync(home, "in the way");
    const error = thrownBy(openHome);
    expect(error).toMatchObject({ code: "BAD_HOME" });
    expect(error.message).toContain("not a directory");
    expect(error.hint).toBeTruthy();
  });

  it("one that is not there is nothing to complain of", () => {
    expect(checkHome(join(tempFolder(), "nothing"))).toBeUndefined();
  });
});

describe("a file of one's own is", () => {
  it("a regular file, never a link, a folder or nothing", () => {
    const dir = tempFolder();
    writeFileSync(join(dir, "file"), "x");
    symlinkSync(join(dir, "file"), join(dir, "link"));
    mkdirSync(join(dir, "folder"));
    const own = ["file", "link", "folder", "nothing", "file/below"].map((name) => isOwnFile(join(dir, name)));
    expect(own).toEqual([true, false, false, false, false]);
  });

  it.runIf(isRoot)("not another user's", () => {
    const file = join(tempFolder(), "file");
    writeFileSync(file, "x");
    chownSync(file, 12345, 12345);
    expect(isOwnFile(file)).toBe(false);
  });
});

it("makeDir leaves a folder that is there as it is", () => {
  const dir = join(tempFolder(), "dir");
  mkdirSync(dir, { mode: 0o755 });
  makeDir(dir);
  expect(modeOf(dir)).toBe(0o755);
});
