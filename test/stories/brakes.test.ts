// Models that would write to each other for ever: they are stopped, whatever they write with, what was acknowledged before
// that is there and is shown, and the human is told of the rest. What he asks for is not slowed.

import { describe, expect, it } from "vitest";
import { anyVersion } from "../real/client.ts";
import { type Answer, replies } from "../real/fake-api.ts";
import { newestText, timesShown, toolResults } from "../real/shown.ts";
import { call, field, idIn, type Mail, stage } from "./stage.ts";

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
      if (text.includes("can't send")) refusal = text;
      if (refusal) return "so be it";
      if (text.includes("begin")) return { tools: [call("send_message", { to: "api", body: "the opening" })] };
      const message_id = idIn(text, ANY);
      if (message_id) return { tools: [call("reply_to_peer", { message_id, body: `word ${++n} of it` })] };
      return { tools: [call("read_inbox", {})], delay: 100 };
    };
    for (const one of [web, mate]) api.answer(eager, one.id());
    await web.prompt("begin");
    await web.waitFor(() => refusal, "the refusal", 100_000);
    expect(refusal).toContain("claudemesh: can't send: mail has gone to and fro 20 times with no word of a person\n");
    expect(refusal).toContain("end the turn: your user has been told, and has the text");
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

describe.each(anyVersion)("sessions of %s whose models always write again", (version) => {
  const text = (mail: Mail[]) => mail.map(({ body }) => body.split("\n\n")[0]).join("\n");

  it.each([
    ["to and fro, each time in a new thread", ["web", "api"]],
    ["three in a ring", ["web", "api", "ci"]],
  ] as const)("%s: stop, and the human is told once, with the text", async (what, names) => {
    const { session, api, row, shown, mailbox, json } = await stage(version, "supervised");
    const all = [];
    for (const name of names) all.push(await session(name));
    const refusals: string[] = [];
    let n = 0;
    for (const [i, one] of all.entries()) {
      const to = names[(i + 1) % names.length];
      const eager: Answer = (request) => {
        const text = newestText(request);
        if (text.includes("claudemesh: can't send")) refusals.push(text);
        if (!/begin|go on|claudemesh mail: task/.test(text)) return "so be it";
        return { tools: [call("send_message", { to, body: `letter ${++n} of it` })] };
      };
      api.answer(eager, one.id());
    }
    const [web] = all;
    if (!web) throw new Error("nobody is there");
    await web.prompt("begin");
    await web.waitFor(() => refusals.length, "the refusal", 100_000);
    for (const one of all) await one.waitStatus("idle");
    const boxes = await Promise.all(names.map(async (name) => mailbox((await row(name))?.id ?? "")));
    const letters = boxes.flat();
    const told = await json<Mail[]>("inbox");
    console.log(`${what}: stopped after ${letters.length} letters; the human was told:\n${text(told)}`);
    expect([20, 21]).toContain(letters.length);
    expect(letters.map(({ at, flags }) => `${at} ${flags}`)).toEqual(letters.map(() => "cur S"));
    for (let i = 1; i <= letters.length; i++) expect([i, timesShown(api, `letter ${i} of it`)]).toEqual([i, 1]);
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toMatch(/gone to and fro 20 times.*\nend the turn: your user has been told, and has the text/);
    expect(told).toMatchObject([{ kind: "bounce", body: expect.stringContaining(`\n\nletter ${n} of it`) }]);
    // His prompt begins anew, but for two that have just gone to and fro so often: for the rest of the minute.
    if (names.length === 2) return;
    await web.prompt("go on");
    expect(await shown(`letter ${n} of it`)).toBe(1);
  });
});

describe.each(anyVersion)("a session of %s that a person gives much work", (version) => {
  it("hands out sixty letters in a row, to one other, in order", async () => {
    const { session, api, row, mailbox, json } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    const note = (i: number) => call("send_message", { to: "api", kind: "note", body: `note ${i} of many` });
    const many = Array.from({ length: 60 }, (_, i) => note(i + 1));
    api.answer(replies({ tools: many }, "sent"), web.id());
    await web.ask("write to api");
    const results = toolResults(api.turns(web.id())[1] as never);
    expect(results).toHaveLength(60);
    expect(results.filter((text) => !text.includes('"message_id"'))).toEqual([]);
    const box = (await row("api"))?.id ?? "";
    await mate.prompt("read them");
    await mate.waitStatus("idle");
    while (mailbox(box).some(({ at }) => at === "new")) await mate.ask("and the rest");
    await mate.waitFor(() => mailbox(box).every((l) => l.flags === "S"), "all to be seen");
    const order = mailbox(box).map(({ text }) => Number(/note (\d+) of many\n$/.exec(text)?.[1]));
    expect(order).toEqual(many.map((_, i) => i + 1));
    for (let i = 1; i <= 60; i++) expect([i, timesShown(api, `note ${i} of many`, mate.id())]).toEqual([i, 1]);
    expect(await json<Mail[]>("inbox")).toEqual([]);
  });

  it("has all 24 answers to 24 tasks, and nobody is refused one", async () => {
    const { session, api, row, shown, mailbox, json } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    const tasks = Array.from({ length: 24 }, (_, i) =>
      call("send_message", { to: "api", body: `task ${i + 1} of many` }),
    );
    const refused: string[] = [];
    const watched =
      (answer: Answer): Answer =>
      (request) => {
        const text = newestText(request);
        if (text.includes("can't send")) refused.push(text);
        return answer(request);
      };
    const done = new Set<string>();
    const worker: Answer = (request) => {
      const ids = [...newestText(request).matchAll(/claudemesh mail: task from .*, id (<[^>]+>)/g)].map(
        ([, id]) => id ?? "",
      );
      const open = ids.filter((id) => !done.has(id));
      for (const id of open) done.add(id);
      if (!open.length) return "done";
      return {
        tools: open.map((message_id) => call("reply_to_peer", { message_id, body: `result of ${message_id}` })),
      };
    };
    let isAsked = false;
    const asker: Answer = () => {
      if (isAsked) return "good";
      isAsked = true;
      return { tools: tasks };
    };
    api.answer(watched(asker), web.id());
    api.answer(watched(worker), mate.id());
    await web.prompt("hand it out");
    const box = (await row("web"))?.id ?? "";
    await web.waitFor(() => mailbox(box).filter((l) => l.flags === "S").length === 24, "24 answers to be seen", 60_000);
    for (const id of done) expect([id, await shown(`result of ${id}`, web)]).toEqual([id, 1]);
    console.log(`24 tasks of a person's: ${done.size} answers, ${refused.length} refused`);
    expect([done.size, refused]).toEqual([24, []]);
    expect(await json<Mail[]>("inbox")).toEqual([]);
  });
});

describe.each(anyVersion)("a session of %s", (version) => {
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
