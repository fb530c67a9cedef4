// list, status and whoami: who is there.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { standIn } from "../claude/stand-in.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { tempHome } from "../temp-home.ts";

describe("list", () => {
  it("as JSON is an array of sessions with everything there is to know", async () => {
    const home = tempHome();
    const cwd = home.folder("api");
    execFileSync("git", ["init", "-q", "-b", "trunk", cwd], { env: home.env });
    const api = await standIn(home, "api");
    api.says("waiting", { waitingFor: "permission prompt", statusUpdatedAt: 1_795_251_293_375 });
    letter(api.box);
    const { code, stdout, stderr } = await home.run(["list", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual([
      {
        id: api.id,
        name: "api",
        state: "asking",
        since: new Date(1_795_251_293_375).toISOString(),
        unread: 1,
        bell: "watcher",
        alive: true,
        cwd,
        repo: cwd,
        branch: "trunk",
        summary: null,
        started_at: expect.stringMatching(/^\d{4}-.*Z$/),
        pid: api.pid,
      },
    ]);
  });

  it("as text is a line a session, one's own marked", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const web = await standIn(home, "web");
    const { stdout } = await home.run(["list"], { env: web.env });
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines.find((line) => line.includes(api.id))).toMatch(/^ {3}\S+ +api +idle +\d+ s +watcher +\S+\/api$/);
    expect(lines.find((line) => line.includes(web.id))).toMatch(/^\* {2}\S+ +web +idle /);
  });

  it("sums a session up by its own words, else its title, else its user's last prompt in one line, never by mail", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { transcript_path } = api.peer() as { transcript_path: string };
    mkdirSync(dirname(transcript_path), { recursive: true });
    const says = async (...lines: object[]) => {
      writeFileSync(transcript_path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      return JSON.parse((await home.run(["list", "--json"])).stdout)[0].summary as string | null;
    };
    const prompt = (lastPrompt: string) => ({ type: "last-prompt", lastPrompt });
    expect(await says()).toBe(null);
    expect(await says(prompt(`move the billing\n${"x".repeat(200)}`))).toBe(`move the billing ${"x".repeat(62)}…`);
    expect(await says(prompt("Another Claude session sent a message:\nclaudemesh mail: task from web"))).toBe(null);
    expect(await says(prompt("<task-notification> <summary>Stop hook feedback</summary>"))).toBe(null);
    expect(await says(prompt("claudemesh: mail from web (1 message); the text is attached."))).toBe(null);
    expect(await says(prompt("move it"), { type: "ai-title", aiTitle: "Billing" })).toBe("Billing");
    const peer = home.path(".claudemesh", "peers", `${api.id}.json`);
    writeFileSync(peer, JSON.stringify({ ...api.peer(), summary: "in its own words" }));
    expect(await says(prompt("move it"), { type: "ai-title", aiTitle: "Billing" })).toBe("in its own words");
  });

  it("leaves out who has died unless asked, and puts the address book right", async () => {
    const home = tempHome();
    const api = await standIn(home);
    await standIn(home, "web");
    expect(readdirSync(home.path(".claudemesh", "to")).sort()).toEqual(["api", "web"]);
    await api.end();
    expect(JSON.parse((await home.run(["list", "--json"])).stdout)).toMatchObject([{ name: "web" }]);
    expect(readdirSync(home.path(".claudemesh", "to"))).toEqual(["web"]);
    const all = JSON.parse((await home.run(["list", "--all", "--json"])).stdout);
    expect(all.map((r: { name: string; alive: boolean; state: string }) => [r.name, r.alive, r.state]).sort()).toEqual([
      ["api", false, "gone"],
      ["web", true, "idle"],
    ]);
  });

  it("with nobody there is an empty array, or a remark; a mere look makes no files", async () => {
    const home = tempHome();
    expect(await home.run(["list", "--json"])).toMatchObject({ code: 0, stdout: "[]\n" });
    const { code, stdout, stderr } = await home.run(["list"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toMatch(/^claudemesh: nobody is there; start a session with `claudemesh`\n$/);
    expect(existsSync(home.path(".claudemesh"))).toBe(false);
  });
});

describe("whoami", () => {
  it("is the peer whose shell this is", async () => {
    const home = tempHome();
    const api = await standIn(home);
    const { code, stdout } = await home.run(["whoami", "--json"], { env: api.env });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(api.peer());
    expect((await home.run(["whoami"], { env: api.env })).stdout).toBe(`${api.id}  api  ${api.cwd}\n`);
  });

  it("in a human's shell is an error that says who one is there", async () => {
    const home = tempHome();
    await standIn(home);
    const { code, stdout } = await home.run(["whoami", "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: "NOT_IN_A_SESSION", hint: expect.stringContaining("you") },
    });
  });
});

describe("status", () => {
  it("says in one look what is there, what waits and what is broken", async () => {
    const home = tempHome();
    const api = await standIn(home);
    letter(api.box);
    const broken = home.path(".claudemesh", "peers", "zzzzzzzz.json");
    writeFileSync(broken, "{");
    const { code, stdout } = await home.run(["status"]);
    expect(code).toBe(0);
    expect(stdout).toContain(home.path(".claudemesh"));
    expect(stdout).toMatch(/^installed {2}no: /m);
    expect(stdout).toMatch(/^bells {6}inbox, channel, watcher, supervisor, hooks$/m);
    expect(stdout).toMatch(/^waiting {4}api ✉1$/m);
    expect(stdout).toContain(broken);
    const data = JSON.parse((await home.run(["status", "--json"])).stdout);
    expect(data).toMatchObject({
      home: home.path(".claudemesh"),
      installed: false,
      sessions: [{ id: api.id, bell: "watcher" }],
      waiting: [{ id: api.id, name: "api", unread: 1 }],
      broken: [broken],
    });
    expect(readFileSync(broken, "utf8")).toBe("{");
  });

  it("on a fresh machine says that nothing is there, and makes nothing", async () => {
    const home = tempHome();
    const { code, stdout } = await home.run(["status"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sessions {3}none$/m);
    expect(existsSync(home.path(".claudemesh"))).toBe(false);
  });
});
