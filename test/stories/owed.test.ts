// What is owed: a session that was shown a question is told once that it is open, and when it ends without an answer
// the asker hears why.

import { describe, expect, it } from "vitest";
import { anyVersion, versions } from "../real/client.ts";
import { replies } from "../real/fake-api.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { call, idIn, type Mail, stage } from "./stage.ts";

const OPEN = "claudemesh: still open";

describe.each(versions)("a session of %s that was shown a question", (version) => {
  it("is told once that it is open, and when it exits its askers hear why", async () => {
    const { session, api, home, verb, json, shown, receipt, receiptIs } = await stage(version, "supervised");
    const mate = await session("api");
    const late = await verb("ask", "--timeout", "1s", "api", "a question left open\nits second line");
    expect(late).toMatchObject({ code: 75, stdout: "" });
    expect(await shown("its second line")).toBe(1);
    await shown(OPEN);
    await mate.waitStatus("idle");
    const [asked, reminded, ...more] = api.turns(mate.id());
    const question = idIn(newestText(asked as never));
    expect(newestText(reminded as never)).toContain(OPEN);
    expect(newestText(reminded as never)).toContain(`"message_id":"${question}"`);
    expect(more).toEqual([]);
    await receiptIs(question, "seen");

    await mate.ask("something else [[say:done]]");
    expect(api.turns(mate.id())).toHaveLength(3);
    const waiting = home.run(["ask", "api", "a question still waited for\nwith another line"], { timeout: 60_000 });
    await shown("with another line");
    await mate.waitFor(() => timesShown(api, OPEN) === 2, "the reminder of the second question");
    await mate.waitStatus("idle");
    const second = newestText(api.turns(mate.id()).at(-1) as never);
    expect(second).toContain(OPEN);
    expect(second).not.toContain(question);
    await mate.ask("and one more [[say:done]]");
    expect(timesShown(api, OPEN)).toBe(2);

    await mate.command("/exit");
    await mate.exit();
    expect(await waiting).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^claudemesh: can't get an answer from api: it ended without answering\n/),
    });
    const [bounce, ...others] = await json<Mail[]>("inbox");
    expect(bounce).toMatchObject({ kind: "bounce", in_reply_to: question });
    expect(bounce?.body).toContain("it ended without answering");
    // It was shown: the asker is not told otherwise.
    expect(bounce?.body).not.toContain("not delivered");
    expect(others).toEqual([]);
    expect((await receipt(question)).state).toBe("seen");
    await verb("list");
    expect(await json("inbox")).toEqual([]);
    for (const text of ["its second line", "with another line"])
      expect([text, timesShown(api, text)]).toEqual([text, 1]);
  });

  it("and is killed: the next `list` tells the asker, and an answer after --resume still comes", async () => {
    const { session, api, verb, json, row, shown, receiptIs } = await stage(version, "bare");
    const mate = await session("api");
    const { id, pid = 0 } = (await row("api")) ?? {};
    expect((await verb("ask", "--timeout", "1s", "api", "a question before a crash\nits second line")).code).toBe(75);
    await shown(OPEN);
    await mate.waitStatus("idle");
    const last = mate.id();
    const question = idIn(newestText(api.turns(last)[0] as never));
    process.kill(pid, "SIGKILL");
    await mate.exit();
    expect(await json("inbox")).toEqual([]);
    expect(await row("api")).toBeUndefined();
    expect(await json<Mail[]>("inbox")).toMatchObject([
      { kind: "bounce", in_reply_to: question, body: expect.stringContaining("ended without answering") },
    ]);
    await row("api");
    expect(await json("inbox")).toEqual([]);

    const again = await session("api", { args: ["--resume", last] });
    expect((await row("api"))?.id).toBe(id);
    api.answer(replies({ tools: [call("reply_to_peer", { message_id: question, body: "better late" })] }), last);
    await again.ask("you still owe an answer");
    await receiptIs(question, "answered");
    expect(await json<Mail[]>("inbox")).toMatchObject([{ kind: "answer", body: "better late", in_reply_to: question }]);
    expect(timesShown(api, OPEN)).toBe(1);
    expect(timesShown(api, "its second line")).toBe(1);
    await again.command("/exit");
    await again.exit();
    expect(await json("inbox")).toEqual([]);
  });
});

describe.each(anyVersion)("a session of %s that was shown a question", (version) => {
  it("and ends: the session that asked is woken by one bounce that says why", async () => {
    const { session, api, row, shown, receiptIs, mailbox } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    const question = { to: "api", kind: "question", body: "does it end?\nsecond line" };
    api.answer(replies({ tools: [call("send_message", question)] }, "sent"), web.id());
    await web.ask("ask without waiting");
    expect(await shown("second line", mate)).toBe(1);
    await shown(OPEN, mate);
    await mate.waitStatus("idle");
    const asked = idIn(newestText(api.turns(mate.id())[0] as never));
    await receiptIs(asked, "seen");
    await mate.command("/exit");
    await mate.exit();
    expect(await shown("it ended without answering", web)).toBe(1);
    const bounce = mailbox((await row("web"))?.id ?? "")[0]?.message_id ?? "";
    await receiptIs(bounce, "seen");
    await web.waitStatus("idle");
    expect(timesShown(api, "it ended without answering")).toBe(1);
    expect(mailbox((await row("web"))?.id ?? "")).toHaveLength(1);
  });

  it("and answers is never reminded, and its end is no news", async () => {
    const { session, api, home, json } = await stage(version, "supervised");
    const mate = await session("api");
    const held = api.hold(mate.id());
    const asking = home.run(["ask", "api", "a question that is answered"], { timeout: 60_000 });
    const message_id = idIn(newestText(await held.arrived));
    held.release({ tools: [call("reply_to_peer", { message_id, body: "at once" })] });
    expect(await asking).toMatchObject({ code: 0, stdout: "at once\n" });
    await mate.ask("something else [[say:done]]");
    expect(timesShown(api, OPEN)).toBe(0);
    await mate.command("/exit");
    await mate.exit();
    expect(await json("inbox")).toEqual([]);
  });
});
