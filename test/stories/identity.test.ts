// Who a claude is that a session's own Bash has started, at the real client: in a terminal of its own a session like any
// other, else in no session at all. Its starter's mail is its starter's.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { namesIn } from "../../src/mesh/files.ts";
import { everyVersion } from "../real/client.ts";
import { toolMarker } from "../real/markers.ts";
import { timesShown, toolResults } from "../real/shown.ts";
import { call, field, peerFiles, type Stage, stage } from "./stage.ts";

const hasTmux = spawnSync("tmux", ["-V"]).status === 0;
if (!hasTmux) console.log("tmux is not installed: no claude is started in it");

const bash = (command: string) => toolMarker({ name: "Bash", input: { command } });
const allow = ["Bash", "mcp__plugin_claudemesh_mail"];

/** What the mailbox and the peer file of a session hold. */
async function belongings(set: Stage, name: string) {
  const { id = "" } = (await set.row(name)) ?? {};
  return { peer: peerFiles(set.home).find((one) => one.id === id), letters: set.mailbox(id) };
}

describe.each(everyVersion)("with %s", { timeout: 90_000 }, (version) => {
  it.skipIf(!hasTmux)(
    "a claude that a session starts in tmux is itself, listed, with its own name and mail",
    async () => {
      const set = await stage(version, "bare", { settings: { permissions: { allow } } });
      const boss = await set.session("api");
      const tmux = ["-S", set.home.path("tmux"), "-f", "/dev/null"];
      onTestFinished(() => void spawnSync("tmux", [...tmux, "kill-server"]));
      const claude = join(set.home.path("bin"), "claude");
      const started = `tmux ${tmux.join(" ")} new-session -d -x 120 -y 40 -c ${set.home.path("web")} ${claude}`;
      await boss.ask(`begin ${bash(started)} [[say:begun]]`);
      await boss.waitFor(async () => (await set.row("web"))?.state === "idle", "the worker to be on the mesh");
      const worker = peerFiles(set.home).find(({ name }) => name === "web");
      const { message_id: bosss } = await set.send("api", "a note for the boss", "--note");
      const before = await belongings(set, "api");
      const work = toolMarker(
        call("read_inbox", {}),
        call("send_message", { to: "you", body: "hello from the worker" }),
      );
      const { message_id } = await set.send("web", `a task for the worker ${work} [[say:worked]]`);
      await set.receiptIs(message_id, "seen");
      const toYou = () => namesIn(set.home.path(".claudemesh", "inbox", "you", "new")).length > 0 && set.mailbox("you");
      const says = () => (toYou() || []).find(({ text }) => text.includes("hello from the worker"));
      await boss.waitFor(says, "the worker's letter");
      expect(field(says()?.text ?? "", "From")).toContain(worker?.id);
      const turn = set.api.turns(worker?.session_id).findLast((one) => toolResults(one).length > 0);
      expect(turn && toolResults(turn)[0]).toBe("No mail waits.");
      expect(await belongings(set, "api")).toEqual(before);
      await boss.ask("and now [[say:fine]]");
      expect(timesShown(set.api, "a note for the boss", boss.id())).toBe(1);
      expect(timesShown(set.api, "a note for the boss")).toBe(1);
      expect(timesShown(set.api, "a task for the worker", worker?.session_id)).toBe(1);
      expect(timesShown(set.api, "a task for the worker")).toBe(1);
      await set.receiptIs(bosss, "seen");
    },
  );

  it("a claude that runs inside a session's Bash is in no session, and takes nothing of that session's", async () => {
    const set = await stage(version, "bare", { settings: { permissions: { allow } } });
    const boss = await set.session("api");
    const held = set.api.hold(boss.id());
    const asked = toolMarker(
      call("whoami", {}),
      call("read_inbox", {}),
      call("send_message", { to: "you", body: "hi" }),
    );
    const claude = join(set.home.path("bin"), "claude");
    const script = set.home.path("child");
    writeFileSync(script, `'${claude}' -p 'from below ${asked} [[say:below]]'\n`);
    await boss.prompt(`begin ${bash(`sh ${script}`)} [[say:begun]]`);
    await held.arrived;
    const { message_id } = await set.send("api", "a note for the boss", "--note");
    held.release();
    const below = () => set.api.turns().filter((one) => one.session !== boss.id() && toolResults(one).length === 3);
    await boss.waitFor(() => below().length > 0, "the child to have asked", 40_000);
    for (const result of below().flatMap(toolResults)) expect(result).toMatch(/inside another/);
    await boss.waitStatus("idle");
    expect((await set.json<{ name: string }[]>("list")).map(({ name }) => name)).toEqual(["api"]);
    expect(namesIn(set.home.path(".claudemesh", "inbox", "you", "new"))).toEqual([]);
    await boss.ask("and now [[say:fine]]");
    expect(timesShown(set.api, "a note for the boss", boss.id())).toBe(1);
    expect(timesShown(set.api, "a note for the boss")).toBe(1);
    await set.receiptIs(message_id, "seen");
  });
});
