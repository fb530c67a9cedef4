// Two models that would talk for ever: they are stopped by the hop limit, the limit a minute and the refusal of repeats,
// and what was acknowledged before that is there and is shown.

import { describe, expect, it } from "vitest";
import { anyVersion } from "../real/client.ts";
import { type Answer, replies } from "../real/fake-api.ts";
import { newestText, timesShown, toolResults } from "../real/shown.ts";
import { call, field, idIn, stage } from "./stage.ts";

const ANY = "(?:task|answer)";

describe.each(anyVersion)("two sessions of %s whose models answer each other", (version) => {
  it("stop by themselves: the answer to an answer wakes nobody", async () => {
    const { session, api, row, shown, receipt, receiptIs, mailbox } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    let n = 0;
    const polite: Answer = (request) => {
      const text = newestText(request);
      if (text.includes("begin")) return { tools: [call("send_message", { to: "api", body: "the opening" })] };
      const message_id = idIn(text, ANY);
      return message_id ? { tools: [call("reply_to_peer", { message_id, body: `polite word ${++n}` })] } : undefined;
    };
    for (const one of [web, mate]) api.answer(polite, one.id());
    await web.prompt("begin");
    expect(await shown("the opening", mate)).toBe(1);
    expect(await shown("polite word 1", web)).toBe(1);
    const box = (await row("api"))?.id ?? "";
    const last = await mate.waitFor(() => mailbox(box).find((l) => l.text.includes("polite word 2")), "the last word");
    expect(field(last.text, "X-Mesh-Priority")).toBe("low");
    await receiptIs(mailbox(box)[0]?.message_id ?? "", "answered");
    for (const one of [web, mate]) await one.waitStatus("idle");
    const before = api.turns().length;
    // Longer than every bell takes.
    const end = Date.now() + 3000;
    await mate.waitFor(() => Date.now() > end, "the bells to have had their time");
    expect(api.turns()).toHaveLength(before);
    expect((await receipt(last.message_id)).state).toBe("queued");
    for (const text of ["the opening", "polite word 1"]) expect([text, timesShown(api, text)]).toEqual([text, 1]);
  });

  it("stop after 20 hops, though both go and look for more", async () => {
    const { session, api, row, mailbox } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    let n = 0;
    let refusal = "";
    const eager: Answer = (request) => {
      const text = newestText(request);
      if (text.includes("can't reply")) refusal = text;
      if (refusal) return "so be it";
      if (text.includes("begin")) return { tools: [call("send_message", { to: "api", body: "the opening" })] };
      const message_id = idIn(text, ANY);
      if (message_id) return { tools: [call("reply_to_peer", { message_id, body: `word ${++n} of it` })] };
      return { tools: [call("read_inbox", {})], delay: 100 };
    };
    for (const one of [web, mate]) api.answer(eager, one.id());
    await web.prompt("begin");
    await web.waitFor(() => refusal, "the refusal", 100_000);
    expect(refusal).toContain("claudemesh: can't reply: this thread has gone to and fro 20 times\n");
    for (const one of [web, mate]) await one.waitStatus("idle");
    const letters = ["web", "api"].map(async (name) => mailbox((await row(name))?.id ?? ""));
    const all = (await Promise.all(letters)).flat();
    expect(all.map((l) => Number(field(l.text, "X-Mesh-Hops") ?? 0)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 21 }, (_, i) => i),
    );
    expect(all.map((l) => `${l.at} ${l.flags}`).sort()).toEqual(
      ["cur S", ...Array.from({ length: 20 }, () => "cur RS")].sort(),
    );
    for (let i = 1; i <= 20; i++) expect([i, timesShown(api, `word ${i} of it`)]).toEqual([i, 1]);
    expect(timesShown(api, "word 21 of it")).toBe(0);
    expect(await row("web")).toMatchObject({ state: "idle", unread: 0 });
    expect(await row("api")).toMatchObject({ state: "idle", unread: 0 });
  });
});

describe.each(anyVersion)("a session of %s that writes too much", (version) => {
  it("is told at the 21st letter within a minute when to try again", async () => {
    const { session, api, row, send, receiptIs, mailbox, json } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    const note = (i: number) => call("send_message", { to: "api", kind: "note", body: `note ${i} of many` });
    const many = Array.from({ length: 21 }, (_, i) => note(i + 1));
    const other = call("send_message", { to: "you", body: "to somebody else" });
    api.answer(replies({ tools: many }, { tools: [other] }, "sent"), web.id());
    await web.ask("write to api");
    const results = toolResults(api.turns(web.id())[1] as never);
    expect(results).toHaveLength(21);
    const refused = results.filter((text) => !text.includes('"message_id"'));
    expect(refused).toEqual([
      expect.stringMatching(
        /^claudemesh: can't send: 20 letters to this recipient within a minute\ntry again in [0-9]+ s; /,
      ),
    ]);
    const box = (await row("api"))?.id ?? "";
    expect(mailbox(box).map((l) => l.at)).toEqual(Array.from({ length: 20 }, () => "new"));
    // The limit is between two sessions: another recipient and another sender are free.
    expect(await json("inbox")).toMatchObject([{ body: "to somebody else" }]);
    const sent = await send("api", "a letter of the user");
    await receiptIs(sent.message_id, "seen");
    const at = results.findIndex((text) => !text.includes('"message_id"')) + 1;
    await mate.waitFor(() => mailbox(box).every((l) => l.flags === "S"), "all to be seen");
    await mate.waitStatus("idle");
    for (let i = 1; i <= 21; i++)
      expect([i, timesShown(api, `note ${i} of many`, mate.id())]).toEqual([i, i === at ? 0 : 1]);
    expect(timesShown(api, "a letter of the user")).toBe(1);
  });

  it("is refused the same text to the same recipient at once, as is a person", async () => {
    const { session, api, row, verb, mailbox, send } = await stage(version, "supervised");
    const web = await session("web");
    await session("api");
    const again = { tools: [call("send_message", { to: "api", kind: "note", body: "twice the same" })] };
    api.answer(replies(again, again, "done"), web.id());
    await web.ask("write to api");
    const results = toolResults(api.turns(web.id())[2] as never);
    expect(results[0]).toContain('"message_id"');
    expect(results[1]).toMatch(/^claudemesh: can't send: the same text went to the same recipient a moment ago\n/);
    const box = (await row("api"))?.id ?? "";
    expect(mailbox(box)).toHaveLength(1);
    await send("api", "a person's word", "--note");
    expect(await verb("send", "--note", "api", "a person's word")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("the same text went to the same recipient a moment ago"),
    });
    expect(mailbox(box)).toHaveLength(2);
  });
});
