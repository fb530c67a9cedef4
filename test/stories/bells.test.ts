// The four bells, each with the others switched off.

import { describe, expect, it } from "vitest";
import { type ClientVersion, versions } from "../real/client.ts";
import { timesShown } from "../real/shown.ts";
import { type Mode, type Stage, stage } from "./stage.ts";

/** Sends one letter to the idle session and sees it shown once, marked, and the session idle again. */
async function wakes({ session, send, shown, receiptIs, row, api }: Stage, bell: string): Promise<void> {
  const mate = await session("api");
  await mate.waitFor(async () => (await row("api"))?.bell === bell, `status to name ${bell}`);
  const sent = await send("api", "rung by one bell");
  expect(sent.to[0]?.recipient).toMatch(new RegExp(`^idle, (woken|being woken) by ${bell}$`));
  expect(await shown("rung by one bell")).toBe(1);
  await receiptIs(sent.message_id, "seen");
  await mate.waitStatus("idle");
  expect(timesShown(api, "rung by one bell")).toBe(1);
}

const alone: { bell: string; version: ClientVersion; mode: Mode }[] = [
  { bell: "inbox", version: "2.1.329", mode: "bare" },
  { bell: "watcher", version: "2.1.329", mode: "bare" },
  { bell: "watcher", version: "2.1.197", mode: "bare" },
  { bell: "supervisor", version: "2.1.329", mode: "supervised" },
  { bell: "supervisor", version: "2.1.197", mode: "supervised" },
];

describe("one bell alone wakes an idle session", () => {
  it.each(alone)("$bell, $version, $mode", async ({ bell, version, mode }) => {
    await wakes(await stage(version, mode, { config: { bells: [bell] } }), bell);
  });
});

describe.each(versions)("with hooks alone, %s", (version) => {
  it("shows mail with the next prompt, and at the end of a turn", async () => {
    const { session, send, shown, receipt, receiptIs, api } = await stage(version, "bare", {
      config: { bells: ["hooks"] },
    });
    const mate = await session("api");
    const first = await send("api", "waits for a prompt");
    expect(first.to[0]).toMatchObject({ state: "queued", recipient: "idle, reads it with its next prompt" });
    expect((await receipt(first.message_id)).state).toBe("queued");
    const held = api.hold(mate.id());
    await mate.prompt("hello there");
    await held.arrived;
    expect(await shown("waits for a prompt")).toBe(1);
    await receiptIs(first.message_id, "seen");
    const second = await send("api", "waits for the end of the turn");
    expect(second.to[0]).toMatchObject({ state: "queued", recipient: expect.stringMatching(/^busy/) });
    held.release("first part");
    expect(await shown("waits for the end of the turn")).toBe(1);
    await receiptIs(second.message_id, "seen");
    await mate.waitStatus("idle");
    expect(timesShown(api, "waits for a prompt")).toBe(1);
    expect(timesShown(api, "waits for the end of the turn")).toBe(1);
  });
});
