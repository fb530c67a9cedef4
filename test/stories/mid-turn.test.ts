// Priorities in a running turn: `now` between two tool calls, `next` when it ends, `low` with the next prompt; never in
// a subagent.

import { describe, expect, it } from "vitest";
import { versions } from "../real/client.ts";
import { toolMarker } from "../real/markers.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { type Sent, stage } from "./stage.ts";

const allow = { permissions: { defaultMode: "default", allow: ["Bash(echo:*)", "Task", "Agent"] } };
const bash = (command: string) => ({ name: "Bash", input: { command, description: "a test" } });

describe.each(versions)("a busy session of %s", (version) => {
  it("gets each letter at its time", async () => {
    const { session, send, api, receipt, receiptIs } = await stage(version, "supervised", { settings: allow });
    const mate = await session("api");
    const held = api.hold(mate.id());
    await mate.prompt("do something long");
    await held.arrived;
    const low = await send("api", "letter of low priority", "--note");
    const next = await send("api", "letter for the end");
    const now = await send("api", "letter for right now", "--now");
    const after = api.hold(mate.id());
    held.release({ tools: [bash("echo one")] });
    const second = await after.arrived;
    expect(newestText(second)).toContain("letter for right now");
    expect(newestText(second)).not.toContain("letter for the end");
    await receiptIs(now.message_id, "seen");
    expect((await receipt(next.message_id)).state).toBe("queued");
    after.release("the turn is over");
    await mate.waitFor(() => timesShown(api, "letter for the end") > 0, "the letter for the end");
    await receiptIs(next.message_id, "seen");
    await mate.waitStatus("idle");
    expect((await receipt(low.message_id)).state).toBe("queued");
    const prompt = await mate.ask("anything else? [[say:no]]");
    expect(newestText(prompt)).toContain("letter of low priority");
    await receiptIs(low.message_id, "seen");
    for (const text of ["letter of low priority", "letter for the end", "letter for right now"])
      expect([text, timesShown(api, text)]).toEqual([text, 1]);
  });

  it("never hands a subagent the mail of its session", async () => {
    const { session, send, api, receiptIs } = await stage(version, "supervised", { settings: allow });
    const mate = await session("api");
    // The letter comes while the subagent has a tool call before it: its hooks are the next to run.
    let sent: Promise<Sent> | undefined;
    api.answer(async (request) => {
      if (!request.agent || sent) return undefined;
      sent = send("api", "urgent letter beside a subagent", "--now");
      await sent;
      return { tools: [bash("echo from below")] };
    }, mate.id());
    const input = { description: "sub work", prompt: "work below", subagent_type: "general-purpose" };
    await mate.prompt(`${toolMarker({ name: "Agent", input })} [[say:the helper is done]]`);
    await mate.waitFor(() => timesShown(api, "urgent letter beside a subagent") > 0, "the letter to be shown");
    await receiptIs((await sent)?.message_id ?? "", "seen");
    await mate.waitStatus("idle", 30_000);
    const below = api.turns().filter((turn) => turn.agent);
    expect(below.length).toBeGreaterThan(1);
    for (const turn of below) expect(JSON.stringify(turn.body.messages)).not.toContain("urgent letter");
    expect(timesShown(api, "urgent letter beside a subagent")).toBe(1);
  });
});
