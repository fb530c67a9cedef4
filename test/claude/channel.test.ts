// Claude Code's channels (docs: channels reference): declared always, pushed to only if claude was started with our
// server as one. What is pushed is a line; the letter stays in new/ until a hook or tool takes it.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { tempHome, until } from "../temp-home.ts";
import { claudeServer } from "./server.ts";
import { standIn } from "./stand-in.ts";

async function withMail(flags: string[]) {
  const home = tempHome();
  const server = await claudeServer(home, "api", {}, flags);
  const pushed: unknown[] = [];
  server.client.fallbackNotificationHandler = async (notification) => {
    pushed.push(notification);
  };
  const { id } = JSON.parse((await server.call("whoami")).text) as { id: string };
  const box = home.path(".claudemesh", "inbox", id);
  const session = await standIn(home, "api", { pid: server.pid, register: false });
  session.sessionId = server.sessionId;
  await session.hook("SessionStart");
  expect((await home.run(["send", "api", "look at the build"])).code).toBe(0);
  return { server, session, pushed, box };
}

describe("a server that is a channel", () => {
  it("declares it, pushes one line that says whose mail waits, and leaves the letter to be taken", async () => {
    const { server, session, pushed, box } = await withMail([
      "--dangerously-load-development-channels",
      "server:claudemesh",
    ]);
    expect(server.client.getServerCapabilities()).toMatchObject({ experimental: { "claude/channel": {} } });
    await until(() => pushed.length > 0, "the push");
    expect(pushed).toMatchObject([
      {
        method: "notifications/claude/channel",
        params: { content: "claudemesh: mail from you (1 message); the text is attached.", meta: { kind: "mail" } },
      },
    ]);
    expect(readdirSync(`${box}/new`)).toHaveLength(1);
    expect(readdirSync(`${box}/cur`)).toEqual([]);
    const read = await server.call("read_inbox");
    expect(read.text).toContain("look at the build");
    await session.hook("Stop");
    expect(readdirSync(`${box}/cur`)[0]).toMatch(/:2,S$/);
  });

  it.each([[[]], [["--channels", "plugin:other@shop"]], [["--model", "server:claudemesh"]]])(
    "is told nothing when claude was started with %j, and nothing is lost",
    async (flags) => {
      const { server, pushed, box } = await withMail(flags);
      // Without a socket the server rings the bell again: then it has looked at the letter, and chosen.
      const bell = () => readFileSync(`${box}/bell`, "utf8");
      const rung = bell();
      await until(() => bell() !== rung, "the bell to be rung again");
      expect((await server.call("read_inbox", { drain: false })).text).toContain("look at the build");
      expect(pushed).toEqual([]);
      expect(readdirSync(`${box}/new`)).toHaveLength(1);
    },
  );
});
