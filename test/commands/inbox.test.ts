import { existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { collect } from "../../src/mesh/maildir.ts";
import { finish, standIn } from "../claude/stand-in.ts";
import { box, letter } from "../mesh/temp-mesh.ts";
import { cli, tempHome } from "../temp-home.ts";

const idOf = (unique: string) => `<${unique}@claudemesh>`;

describe("inbox", () => {
  it("prints unread mail oldest first, marks it seen, and then says that there is none", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const all = [letter(api.box, { body: "first" }), letter(api.box, { body: "second", kind: "note" })];
    const { code, stdout, stderr } = await home.run(["inbox"], { env: api.env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [first, second] = stdout.split("\n\n\n");
    expect(first).toMatch(/^From: web <a8d0m2kq@laptop>\nDate: \S+Z\nMessage-ID: <.+>\nKind: task\n\nfirst/);
    expect(stdout.indexOf("first")).toBeLessThan(stdout.indexOf("second"));
    expect(second ?? stdout).toContain("Kind: note");
    // What a session's Bash prints is in its conversation once the turn goes on.
    expect(api.room("cur")).toEqual(all.map((unique) => `${unique}:2,`));
    await api.hook("Stop");
    expect(api.room("cur")).toEqual(all.map((unique) => `${unique}:2,S`));
    expect(await home.run(["inbox"], { env: api.env })).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "claudemesh: no mail\n",
    });
  });

  it("gives again what a reader that died half a minute ago had in its hands, and not what one has now", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const [dead, held] = [letter(api.box, { body: "of the dead" }), letter(api.box, { body: "of the living" })];
    for (const unique of [dead, held]) collect(api.box, unique);
    const then = Date.now() / 1000 - 31;
    utimesSync(join(api.box, "cur", `${dead}:2,`), then, then);
    const { stdout } = await home.run(["inbox", "--json"], { env: api.env });
    expect(JSON.parse(stdout)).toMatchObject([{ message_id: idOf(dead), body: "of the dead" }]);
    await api.hook("Stop");
    expect(api.room("cur")).toEqual([`${dead}:2,S`, `${held}:2,`].sort());
  });

  it("as JSON is an array of letters, whose files are where it says", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const unique = letter(api.box, { body: "a\nb", inReplyTo: "<x@y>" });
    const { stdout } = await home.run(["inbox", "--json"], { env: api.env });
    const [mail] = JSON.parse(stdout);
    expect(mail).toEqual({
      message_id: idOf(unique),
      from: "web <a8d0m2kq@laptop>",
      to: "api <7k3p9q2x@laptop>",
      kind: "task",
      date: expect.stringMatching(/^\d{4}-.*Z$/),
      subject: "a",
      body: "a\nb",
      in_reply_to: "<x@y>",
      state: expect.any(String),
      path: expect.any(String),
    });
    expect(existsSync(mail.path), mail.path).toBe(true);
    expect(readFileSync(mail.path, "utf8")).toContain(unique);
    expect(JSON.parse((await home.run(["inbox", "--json"], { env: api.env })).stdout)).toEqual([]);
  });

  it("with --peek looks and takes nothing, another's too", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const unique = letter(api.box);
    for (const env of [api.env, {}]) {
      const { stdout } = await home.run(["inbox", "api", "--peek", "--json"], { env });
      expect(JSON.parse(stdout)).toMatchObject([{ message_id: idOf(unique), state: "queued" }]);
    }
    expect(api.room("new")).toEqual([unique]);
  });

  it("with --thread shows what belongs to a message, read or not, and takes nothing", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const root = letter(api.box, { body: "root" });
    await api.hook("UserPromptSubmit");
    const reply = letter(api.box, { body: "reply", inReplyTo: idOf(root), references: [idOf(root)] });
    const third = letter(api.box, { body: "third", inReplyTo: idOf(reply), references: [idOf(root), idOf(reply)] });
    letter(api.box, { body: "something else" });
    for (const of of [root, reply, third]) {
      const { stdout } = await home.run(["inbox", "--thread", idOf(of), "--json"], { env: api.env });
      expect(JSON.parse(stdout).map((m: { body: string }) => m.body)).toEqual(["root", "reply", "third"]);
    }
    expect(api.room("new")).toHaveLength(3);
  });

  it("marks nothing if its output went nowhere", async () => {
    const home = tempHome();
    const unique = letter(box(home.path(".claudemesh"), "you"), { body: "x".repeat(200_000) });
    const child = home.start(process.execPath, [cli, "inbox"]);
    child.stdout?.destroy();
    await finish(child);
    const where = JSON.parse((await home.run(["receipt", unique, "--json"])).stdout);
    expect(["queued", "collected"]).toContain(where.state);
  });

  it("prints no control character of a letter's on the terminal", async () => {
    const home = tempHome();
    const mailbox = box(home.path(".claudemesh"), "you");
    const evil = "\u001b]0;owned\u0007\u001b[2J\u009b31m\r";
    letter(mailbox, { body: `a${evil}b\tc`, from: { name: `web${evil}`, id: "a8d0m2kq", host: "laptop" } });
    writeFileSync(join(mailbox, "new", "1.M000001P1Q1.x"), `From: "e\u001b[2Jvil" <x@y>\nDate: \u001b[2J\n\nhi\n`);
    const { stdout } = await home.run(["inbox"]);
    expect(stdout).toContain("hi");
    expect(stdout).not.toMatch(/[^\P{Cc}\n\t]/u);
  });

  it("of the human is shared by all shells, and empty on a fresh machine", async () => {
    const home = tempHome();
    expect(await home.run(["inbox"])).toMatchObject({ code: 0, stdout: "", stderr: "claudemesh: no mail\n" });
    letter(box(home.path(".claudemesh"), "you"), { body: "for you" });
    const { stdout } = await home.run(["inbox", "you", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject([{ body: "for you" }]);
  });
});
