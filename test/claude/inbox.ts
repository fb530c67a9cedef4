// The inbox socket of a session without Claude, and a session that has one.

import { createServer } from "node:net";
import { onTestFinished, vi } from "vitest";
import { createRinger, type Ringer } from "../../src/claude/ringer.ts";
import { type TempHome, tempHome } from "../temp-home.ts";
import { type StandIn, standIn } from "./stand-in.ts";

/** An inbox socket that takes what is posted, as the client's does: it answers nothing. */
export async function inbox(home: TempHome): Promise<{ path: string; posts: string[] }> {
  const path = home.path("inbox.sock");
  const posts: string[] = [];
  const server = createServer((socket) => {
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => {
      for (const line of text.split("\n").slice(0, -1)) posts.push(JSON.parse(line).message.content);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return { path, posts };
}

interface Stage {
  home: TempHome;
  api: StandIn;
  posts: string[];
  ringer: Ringer;
}

/** A session that is idle, with an inbox socket, and its ringer in this process. */
export async function stage({ socket = true }: { socket?: boolean | string } = {}): Promise<Stage> {
  const home = tempHome();
  vi.stubEnv("CLAUDEMESH_HOME", home.path(".claudemesh"));
  const { path, posts } = await inbox(home);
  const messagingSocketPath = typeof socket === "string" ? socket : socket ? path : undefined;
  const api = await standIn(home, "api", { session: { messagingSocketPath } });
  const ringer = createRinger(api.id);
  onTestFinished(async () => {
    // Nothing on its way keeps the ringer waiting.
    for (const text of posts) await api.hook("UserPromptSubmit", { prompt: text });
    await ringer.stop();
    vi.unstubAllEnvs();
  });
  return { home, api, posts, ringer };
}
