// What a file says that can't be read, or that nobody should say, at the real client: the careful value, and the user is told.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { everyVersion } from "../real/client.ts";
import { toolMarker } from "../real/markers.ts";
import { timesShown } from "../real/shown.ts";
import { call, peerFiles, stage } from "./stage.ts";

describe.each(everyVersion)("with %s", { timeout: 90_000 }, (version) => {
  it("nothing is typed where config.json says so with a slip, and the letter comes with the next prompt, once", async () => {
    const set = await stage(version, "supervised", { config: { bells: ["supervisor", "hooks"], inject: "nevr" } });
    const mate = await set.session("api");
    const sent = await set.verb("send", "api", "a letter that nobody types");
    expect(sent.stdout).toContain("reads it with its next prompt");
    const before = mate.sent();
    const status = await set.verb("status");
    expect(status.stdout + status.stderr).toContain("inject");
    expect([mate.sent(), set.api.turns(mate.id())]).toEqual([before, []]);
    const turn = await mate.ask("words of the user's [[say:fine]]");
    expect(JSON.stringify(turn.body.messages).split("a letter that nobody types")).toHaveLength(2);
    await mate.ask("and on [[say:fine]]");
    expect(timesShown(set.api, "a letter that nobody types")).toBe(1);
  });

  it("a repository can't make its session the user, nor everybody", async () => {
    const set = await stage(version, "bare");
    for (const [folder, name] of [
      ["api", "you"],
      ["web", "api,you"],
    ] as const)
      writeFileSync(join(set.home.path(folder), ".claudemesh.json"), JSON.stringify({ name }));
    const api = await set.session("api");
    await set.session("web");
    const names = peerFiles(set.home).map(({ name }) => name);
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).not.toMatch(/^you$|,/);
    const { message_id } = await set.send("you", "to the human himself");
    await api.ask(`write ${toolMarker(call("send_message", { to: "you", body: "from api" }))} [[say:sent]]`);
    const mail = await set.json<{ message_id: string; from: string; body: string }[]>("inbox");
    expect(mail.find(({ body }) => body === "from api")?.from).not.toMatch(/^you\b/);
    expect(mail.some((one) => one.message_id === message_id)).toBe(true);
  });
});
