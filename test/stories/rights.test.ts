// What our auto-allow covers, at the real client: our own tools, and no other that bears their name. Its user's rules win.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { everyVersion } from "../real/client.ts";
import { type ToolCall, toolMarker } from "../real/markers.ts";
import { toolResults } from "../real/shown.ts";
import { type Actor, call, type Sent, stage } from "./stage.ts";

const stub = fileURLToPath(new URL("../real/mcp-stub.mjs", import.meta.url));
const server = (...tools: string[]) => ({ type: "stdio", command: process.execPath, args: [stub, ...tools], env: {} });
const ours = (tool: string) => call(tool, {}).name;

describe.each(everyVersion)("a session of %s", (version) => {
  it("asks before every tool but ours, before what its user wants to be asked, and before a letter to everyone", async () => {
    const permissions = { defaultMode: "default", ask: [ours("set_summary")], deny: [ours("get_turn")] };
    const { session, api, home } = await stage(version, "bare", { settings: { permissions } });
    const state = JSON.parse(readFileSync(home.path(".claude.json"), "utf8"));
    const mcpServers = { x_mcp__plugin_claudemesh_mail__y: server("send_message"), z: server(ours("whoami")) };
    writeFileSync(home.path(".claude.json"), JSON.stringify({ ...state, mcpServers }));
    const node = home.path("node");
    const started = home.path("started");
    writeFileSync(started, "");
    writeFileSync(node, `#!/bin/sh\necho "$@" >>'${started}'\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    const mate: Actor = await session("api", { env: { CLAUDEMESH_NODE: node } });

    /** What became of a call: the dialog, which is then refused, or the tool's result. */
    const outcome = async (name: string, input: ToolCall["input"] = {}): Promise<string> => {
      const turn = await mate.prompt(`${toolMarker({ name, input })} [[say:done ${name}]]`);
      const answered = () => api.turns(mate.id()).filter(({ n }) => n > turn.n);
      await mate.waitFor(() => mate.status() === "waiting" || answered().length > 0, `an end of ${name}`);
      if (mate.status() === "waiting") {
        expect(mate.claude()?.waitingFor).toMatch(/permission|approve/);
        mate.key("escape");
        await mate.waitStatus("idle");
        return "asked";
      }
      await mate.waitStatus("idle");
      return answered().flatMap(toolResults).at(-1) ?? "";
    };

    expect(await outcome(ours("whoami"))).toContain('"name": "api"');
    expect(await outcome(ours("send_message"), { to: "you", body: "hello" })).toContain('"id": "you"');
    expect(readFileSync(started, "utf8")).not.toContain("hook PreToolUse");
    expect(await outcome("mcp__x_mcp__plugin_claudemesh_mail__y__send_message", { to: "you" })).toBe("asked");
    expect(await outcome(`mcp__z__${ours("whoami")}`)).toBe("asked");
    expect(await outcome(ours("send_message"), { to: "*", body: "hello" })).toBe("asked");
    expect(await outcome(ours("set_summary"), { summary: "x" })).toBe("asked");
    expect(await outcome(ours("get_turn"), { id: "api", turn_index: -1 })).toContain("No such tool available");
    expect(await outcome(ours("read_history"), { id: "api" })).toContain("No such tool available");
    expect(api.outside).toEqual([]);
  });

  it("keeps its mail from its subagent, which may only look", async () => {
    const settings = { permissions: { defaultMode: "default", allow: ["Task", "Agent"] } };
    const { session, api, send, receipt } = await stage(version, "supervised", { settings });
    const mate = await session("api");
    const looks = [{}, { drain: false }].map((input) => ({ tools: [call("read_inbox", input)] }));
    let sent: Promise<Sent> | undefined;
    api.answer(async (request) => {
      if (!request.agent) return undefined;
      // While the turn runs nothing else takes a note.
      sent ??= send("api", "a note for the session alone", "--note");
      await sent;
      return looks.shift();
    }, mate.id());
    const input = { description: "sub work", prompt: "work below", subagent_type: "general-purpose" };
    await mate.prompt(`${toolMarker({ name: "Agent", input })} [[say:the helper is done]]`);
    const below = () => api.turns().filter(({ agent }) => agent);
    await mate.waitFor(() => below().length >= 3, "the subagent to have looked twice");
    const [, denied, looked] = below().map((turn) => toolResults(turn).at(-1));
    expect(denied).toContain('{"drain":false} to look without taking');
    expect(looked).toContain("a note for the session alone");
    expect((await receipt((await sent)?.message_id ?? "")).state).toBe("queued");
    await mate.waitStatus("idle", 30_000);
  });
});
