// Too many: files open, letters at once.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { box, inNode, tempMesh } from "../mesh/temp-mesh.ts";

it("with no file descriptor left a send fails as temporary, whatever step it fails at, and nothing of it is there", async () => {
  const home = tempMesh();
  const api = box(home, "api");
  const outcomes = await inNode<{ free: number; ok: boolean; temporary?: boolean; new: number; tmp: number }[]>(
    `const { closeSync, openSync, readdirSync } = await import("node:fs");
     const { send } = await mesh("send");
     const { isTemporary } = await import(new URL("../errors.js", ${JSON.stringify(new URL("../../dist/mesh/x", import.meta.url).href)}).href);
     const web = { id: "web", name: "web", host: "laptop" }, api = { id: "api", name: "api", host: "laptop" };
     const count = (room) => readdirSync(args[0] + "/" + room).length;
     const outcomes = [];
     for (let free = 0; free <= 3; free++) {
       const open = [];
       try { for (;;) open.push(openSync("/dev/null")); } catch {}
       for (let i = 0; i < free; i++) closeSync(open.pop());
       let outcome;
       try { send({ from: web, to: [api], body: "n " + free }); outcome = { ok: true }; }
       catch (error) { outcome = { ok: false, temporary: isTemporary(error) || error.code === "TRY_AGAIN", message: error.message }; }
       for (const fd of open) closeSync(fd);
       outcomes.push({ free, ...outcome, new: count("new"), tmp: count("tmp") });
     }
     done(outcomes);`,
    { args: [api], limit: "ulimit -n 64" },
  );
  let delivered = 0;
  for (const outcome of outcomes) {
    if (outcome.ok) delivered++;
    else expect(outcome).toMatchObject({ temporary: true });
    expect(outcome).toMatchObject({ new: delivered, tmp: 0 });
  }
  expect(outcomes[0]).toMatchObject({ ok: false });
  expect(outcomes.at(-1)).toMatchObject({ ok: true });
});

it("10,000 letters dropped at once into a watched mailbox are all taken, in order, in a heap of 64 MB", async () => {
  const home = tempMesh();
  const api = box(home, "api");
  const taken = await inNode<string[]>(
    `const { spawn } = await import("node:child_process");
     const { watch } = await mesh("watch"), { take } = await mesh("receive"), { markSeen } = await mesh("owed");
     const bodies = [];
     const watching = await watch(args[0] + "/new", () => {
       const letters = take("api", () => true);
       bodies.push(...letters.map((l) => l.message.body));
       markSeen("api", letters);
     });
     const dropper = spawn(process.execPath, ["--input-type=module", "-e", args[1], args[0]], { stdio: "inherit" });
     while (bodies.length < 10_000) await new Promise((r) => setTimeout(r, 50));
     await watching.close();
     done(bodies);`,
    {
      limit: "export NODE_OPTIONS=--max-old-space-size=64",
      args: [
        api,
        `const { renameSync, writeFileSync } = await import("node:fs");
         const { uniqueName } = await import(${JSON.stringify(new URL("../../dist/mesh/message.js", import.meta.url).href)});
         const box = process.argv[1];
         const names = Array.from({ length: 10_000 }, uniqueName);
         names.forEach((name, n) => writeFileSync(box + "/tmp/" + name, "From: web <web@laptop>\\n\\n" + n + "\\n"));
         for (const name of names) renameSync(box + "/tmp/" + name, box + "/new/" + name);`,
      ],
    },
  );
  expect(taken).toEqual(Array.from({ length: 10_000 }, (_, n) => String(n)));
  expect(readdirSync(join(api, "new"))).toEqual([]);
  expect(readdirSync(join(api, "cur")).filter((name) => !name.endsWith(":2,S"))).toEqual([]);
});
