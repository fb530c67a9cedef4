// Mail for a name where nobody is yet: it waits, and is in the first request of the first session there.

import { describe, expect, it } from "vitest";
import { versions } from "../real/client.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { stage } from "./stage.ts";

describe.each(versions)("mail sent with --queue, before any session of %s", (version) => {
  it("wakes the first session of that name, and only that one", async () => {
    const { session, api, home, verb, send, shown, receipt, receiptIs, row } = await stage(version, "supervised");
    expect((await verb("send", "api", "to nobody")).code).toBe(1);
    const first = await send("api", "the first that waits", "--queue");
    const second = await send("api", "the second that waits", "--queue");
    expect(first.to[0]).toMatchObject({
      state: "queued",
      recipient: "nobody yet, waits for a session named api by its folder, --name or /rename",
    });
    expect(await receipt(first.message_id)).toMatchObject({
      state: "queued",
      path: expect.stringContaining("/inbox/@api/new/"),
    });
    const web = await session("web");
    const mate = await session("api");
    expect(await shown("the first that waits")).toBe(1);
    await receiptIs(first.message_id, "seen");
    await receiptIs(second.message_id, "seen");
    const opening = newestText(api.turns(mate.id())[0] as never);
    expect(opening.indexOf("the first that waits")).toBeGreaterThan(-1);
    expect(opening.indexOf("the second that waits")).toBeGreaterThan(opening.indexOf("the first that waits"));
    expect((await receipt(first.message_id)).path).toContain(`/inbox/${(await row("api"))?.id}/cur/`);
    await mate.waitStatus("idle");
    await mate.command("/exit");
    await mate.exit();
    const next = await session("api");
    await next.ask(`a prompt in ${home.path("api")} [[say:hello]]`);
    for (const text of ["the first that waits", "the second that waits"])
      expect([text, timesShown(api, text)]).toEqual([text, 1]);
    expect(api.turns(web.id())).toEqual([]);
  });

  it("comes with the prompt that the session was started with", async () => {
    const { session, api, send, receiptIs } = await stage(version, "supervised");
    const sent = await send("api", "a task that waits for a start", "--queue");
    const note = await send("api", "a note that waits for a start", "--queue", "--note");
    const mate = await session("api", { args: ["begin with this"] });
    await receiptIs(sent.message_id, "seen");
    await receiptIs(note.message_id, "seen");
    await mate.waitStatus("idle");
    const opening = newestText(api.turns(mate.id())[0] as never);
    // A bell may have been quicker than the prompt, which then comes after it.
    expect(timesShown(api, "begin with this")).toBe(1);
    expect(opening).toContain("a task that waits for a start");
    expect(opening).toContain("a note that waits for a start");
    expect(timesShown(api, "a task that waits for a start")).toBe(1);
    expect(timesShown(api, "a note that waits for a start")).toBe(1);
  });
});
