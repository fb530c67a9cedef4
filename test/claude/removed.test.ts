// All of the mesh folder removed while a session runs: what is bound to its id follows its process.

import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Peer } from "../../src/mesh/peers.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { type TempHome, tempHome, until } from "../temp-home.ts";
import { inbox } from "./inbox.ts";
import { claudeServer } from "./server.ts";
import { standIn } from "./stand-in.ts";

const list = async (home: TempHome) =>
  JSON.parse((await home.run(["list", "--json"])).stdout) as { id: string; bell: string }[];
const peer = (home: TempHome, id: string) =>
  JSON.parse(readFileSync(home.path(".claudemesh", "peers", `${id}.json`), "utf8")) as Peer;

/** A session with a mail server that attends to it, and an inbox socket. */
async function attended() {
  const home = tempHome();
  const { path, posts } = await inbox(home);
  const server = await claudeServer(home, "api", { CLAUDE_PROJECT_DIR: home.path("api") });
  const api = await standIn(home, "api", {
    ...{ pid: server.pid, register: false },
    session: { messagingSocketPath: path, sessionId: server.sessionId },
  });
  api.sessionId = server.sessionId;
  api.says("idle");
  await api.hook("SessionStart");
  const { id } = JSON.parse((await server.call("whoami")).text) as Peer;
  await until(() => peer(home, id).mcp, "the server to attend");
  await server.call("set_summary", { summary: "at work" });
  // One more call, so that the server has had the time to see its own change.
  await server.call("whoami");
  /** All of it at once: what comes back meanwhile is not removed again. */
  const remove = () => {
    const gone = home.path("gone");
    renameSync(home.path(".claudemesh"), gone);
    rmSync(gone, { recursive: true, force: true, maxRetries: 5 });
  };
  return { home, api, server, posts, id, remove };
}

describe("once the mesh folder is removed, a session with a mail server", () => {
  it("is there again under its id within seconds, its mail rung for, its links made", async () => {
    const { home, api, posts, id, remove } = await attended();
    const before = peer(home, id);
    remove();
    // What a join does last.
    await until(() => existsSync(home.path(".claudemesh", "to", "api", "new")), "the session to be there again");
    expect(peer(home, id)).toEqual(before);
    expect(existsSync(home.path(".claudemesh", "sessions", api.sessionId, "new"))).toBe(true);
    expect(await list(home)).toMatchObject([{ id, bell: "inbox" }]);
    letter(home.path(".claudemesh", "inbox", id), { body: "after the flood" });
    await until(() => posts.some((text) => text.includes("after the flood")), "the ring");
  });

  it("that a hook has registered anew before is attended to under its new id", async () => {
    const { home, api, server, posts, id, remove } = await attended();
    remove();
    await api.hook("UserPromptSubmit");
    const [row] = await list(home);
    const now = row?.id ?? "";
    await until(() => peer(home, now).mcp, "the server to follow");
    expect(await list(home)).toMatchObject([{ id: now, bell: "inbox" }]);
    expect(JSON.parse((await server.call("whoami")).text)).toMatchObject({ id: now });
    letter(home.path(".claudemesh", "inbox", now), { body: "after the flood" });
    await until(() => posts.some((text) => text.includes("after the flood")), "the ring");
    if (now !== id) expect(existsSync(home.path(".claudemesh", "peers", `${id}.json`))).toBe(false);
  });
});

it("a session that nobody rings for is not said to be woken until claude watches its bell again", async () => {
  const home = tempHome();
  const api = await standIn(home);
  expect(await list(home)).toMatchObject([{ bell: "watcher" }]);
  rmSync(home.path(".claudemesh"), { recursive: true });
  // The client tells of the bell that is gone, and that registers nobody.
  const gone = await api.hook("FileChanged", { file_path: join(api.box, "bell") });
  expect(gone).toMatchObject({ code: 0, stdout: "", stderr: "" });
  expect(await list(home)).toEqual([]);
  await api.hook("UserPromptSubmit");
  expect(await list(home)).toMatchObject([{ bell: "hooks" }]);
  expect((await home.run(["send", "api", "x"])).stdout).toContain("idle, reads it with its next prompt");
  await api.hook("CwdChanged");
  expect(await list(home)).toMatchObject([{ bell: "watcher" }]);
});
