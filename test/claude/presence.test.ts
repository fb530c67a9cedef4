import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { attend } from "../../src/claude/presence.ts";
import { joinMesh } from "../../src/mesh/join.ts";
import { listNew } from "../../src/mesh/maildir.ts";
import { readPeer } from "../../src/mesh/peers.ts";
import { startedAt } from "../../src/mesh/process.ts";
import { box, letter, sleeper, tempFolder, tempMesh } from "../mesh/temp-mesh.ts";
import { until } from "../temp-home.ts";

/** A session in the folder `api` that is attended to, and what renames it as /rename does. */
async function attended(file?: object) {
  const home = tempMesh();
  const cwd = join(tempFolder(), "api");
  mkdirSync(cwd);
  if (file) writeFileSync(join(cwd, ".claudemesh.json"), JSON.stringify(file));
  const { pid } = sleeper();
  const claude_session_file = join(tempFolder(), `${pid}.json`);
  const says = (name: string) =>
    writeFileSync(claude_session_file, JSON.stringify({ pid, procStart: startedAt(pid), name, nameSource: "user" }));
  says("api");
  const { id } = await joinMesh({ pid, cwd, claude_session_file });
  let looks = 0;
  const watch = await attend(id, () => looks++);
  onTestFinished(() => watch.close());
  return { home, id, says, looks: () => looks, name: () => readPeer(id)?.name };
}

it("a /rename is followed in the form that a name may have, and brings the mail that waits for that name", async () => {
  const { home, id, says, name } = await attended();
  const sent = letter(box(home, "@fixer-of-api"));
  says("@fixer,of-api");
  await until(() => name() === "fixer-of-api", "the new name");
  expect(listNew(join(home, "inbox", id))).toEqual([sent]);
  says("your user");
  await until(() => name() === "session-your user", "the next name");
  expect(readPeer(id)).toMatchObject({ named: "user" });
});

it("a /rename does not yet change a name that the repository gives", async () => {
  const { says, name, looks } = await attended({ name: "billing" });
  says("fixer");
  await until(() => looks() > 0, "a look at the session file");
  expect(name()).toBe("billing");
});
