// The first road: two sessions of the real client in two folders, one hands the other work, and every step of it is a
// fact on disk.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { versions } from "../real/client.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { fileOf, type Mode, stage } from "./stage.ts";

const TOOL = "mcp__plugin_claudemesh_mail__send_message";
const modes: Mode[] = ["supervised", "bare"];
const cases = versions.flatMap((version) => modes.map((mode) => ({ version, mode })));

describe.each(cases)("two $mode sessions of $version", ({ version, mode }) => {
  it("one is woken by mail, acts on it, and its answer wakes the other", async () => {
    const { session, api, row, json, send, receiptIs, shown, home, verb } = await stage(version, mode);
    const web = await session("web");
    const mate = await session("api");
    expect((await json<{ name: string }[]>("list")).map((r) => r.name).sort()).toEqual(["api", "web"]);
    expect(await row("api")).toMatchObject({ state: "idle", unread: 0, alive: true, cwd: mate.cwd });

    const answer = JSON.stringify({ name: TOOL, input: { to: "web", kind: "answer", body: "three tables fail" } });
    const body = `rerun the migration check\non the staging copy [[tool:${answer}]] [[say:sent it]]`;
    const sent = await send("api", body);
    expect(sent.kind).toBe("task");
    expect(["queued", "collected", "seen"]).toContain(sent.to[0]?.state);
    expect(sent.to[0]?.recipient).toMatch(/^idle, (woken|being woken) by /);

    expect(await shown("rerun the migration check\non the staging copy")).toBe(1);
    await receiptIs(sent.message_id, "seen");
    const box = home.path(".claudemesh", "inbox", sent.to[0]?.id ?? "");
    expect(readdirSync(`${box}/cur`)).toEqual([`${fileOf(sent.message_id)}:2,S`]);

    // The answer was written by the model's own call of our tool, from the session it runs in.
    expect(await shown("three tables fail", web)).toBe(1);
    const woken = api
      .turns(web.id())
      .map(newestText)
      .find((text) => text.includes("three tables fail"));
    expect(woken).toMatch(/claudemesh mail: answer from api \([0-9a-z]{8}\)/);
    await web.waitStatus("idle");
    await mate.waitStatus("idle");
    const web_box = home.path(".claudemesh", "inbox", (await row("web"))?.id ?? "");
    const letter = readFileSync(`${web_box}/cur/${readdirSync(`${web_box}/cur`)[0]}`, "utf8");
    expect(letter).toMatch(/^From: api <[0-9a-z]{8}@/);
    expect(letter).toMatch(/\n\nthree tables fail\n$/);
    expect(timesShown(api, "rerun the migration check")).toBe(1);
    expect((await verb("list")).stdout).toMatch(/web .*idle/);
  });
});

describe.each(versions)("a supervised session of %s", (version) => {
  it("gets mail after Esc, and its state goes busy and idle", async () => {
    const { session, api, row, send, receipt, receiptIs, shown } = await stage(version, "supervised");
    const mate = await session("api");
    const held = api.hold(mate.id());
    await mate.prompt("think for a long time");
    await held.arrived;
    await mate.waitStatus("busy");
    expect((await row("api"))?.state).toBe("busy");
    const sent = await send("api", "letter while busy");
    expect(sent.to[0]).toMatchObject({ state: "queued", recipient: expect.stringMatching(/^busy/) });
    expect((await receipt(sent.message_id)).state).toBe("queued");
    mate.key("escape");
    expect(await shown("letter while busy")).toBe(1);
    await receiptIs(sent.message_id, "seen");
    await mate.waitStatus("idle");
    expect((await row("api"))?.state).toBe("idle");
    expect(timesShown(api, "letter while busy")).toBe(1);
  });

  it("keeps a half-typed draft while mail wakes it", async () => {
    const { session, send, shown } = await stage(version, "supervised");
    const mate = await session("api");
    mate.type("half typed");
    await mate.waitFor(() => mate.draft() === "halftyped", "the draft to stand in the box");
    await send("api", "letter beside a draft");
    expect(await shown("letter beside a draft")).toBe(1);
    await mate.waitStatus("idle");
    expect(mate.draft()).toBe("halftyped");
  });

  it("never has its permission dialog answered; the sender is told, and the mail comes after it", async () => {
    const { session, send, receipt, shown, row, home } = await stage(version, "supervised");
    const mate = await session("api");
    const file = home.path("api", "forbidden");
    await mate.prompt(`[[tool:{"name":"Bash","input":{"command":"touch ${file}","description":"x"}}]] [[say:no]]`);
    await mate.waitStatus("waiting");
    const sent = await send("api", "letter during a dialog");
    expect(sent.to[0]).toMatchObject({ state: "queued", recipient: expect.stringMatching(/^asking its user/) });
    expect((await row("api"))?.state).toBe("asking");
    // Longer than every bell takes: still there, still unread, still not answered.
    const until = Date.now() + 4000;
    await mate.waitFor(() => Date.now() > until, "the bells to have had their time");
    expect(mate.status()).toBe("waiting");
    expect((await receipt(sent.message_id)).state).toBe("queued");
    expect(readdirSync(home.path("api"))).toEqual([]);
    mate.key("escape");
    expect(await shown("letter during a dialog")).toBe(1);
    expect(readdirSync(home.path("api"))).toEqual([]);
  });

  it("keeps its id over /clear, and gets its mail back with --resume", async () => {
    const { session, row, send, shown, verb, json, receipt, receiptIs, home } = await stage(version, "supervised");
    const mate = await session("api");
    await mate.ask("hello [[say:hello]]");
    const before = (await row("api"))?.id;
    const first = mate.id();
    await mate.command("/clear");
    await mate.waitFor(() => mate.claude()?.sessionId !== first, "a new session id");
    await mate.ready();
    await mate.waitFor(
      () => readdirSync(home.path(".claudemesh", "sessions")).includes(mate.id()),
      "the hook to know it",
    );
    expect((await row("api"))?.id).toBe(before);
    await send("api", "letter after clear");
    expect(await shown("letter after clear")).toBe(1);
    await mate.waitStatus("idle");

    const last = mate.id();
    await mate.command("/exit");
    expect(await mate.exit()).toEqual({ code: 0, signal: 0 });
    expect(await row("api")).toBeUndefined();
    expect((await verb("send", "api", "to nobody")).code).toBe(1);
    const waiting = await send(before ?? "", "letter for a gone session");
    expect(waiting.to[0]).toMatchObject({ state: "queued", recipient: "gone, will get it on resume" });

    const again = await session("api", { args: ["--resume", last] });
    expect((await row("api"))?.id).toBe(before);
    expect(await shown("letter for a gone session")).toBe(1);
    await receiptIs(waiting.message_id, "seen");
    expect((await receipt(waiting.message_id)).path).toContain(`/inbox/${before}/`);
    await again.waitStatus("idle");
    expect((await json<{ id: string }[]>("list", "--all")).length).toBe(1);
  });

  it("ends as claude ends, and leaves nothing of ours in ~/.claude", async () => {
    const { session, row, home } = await stage(version, "supervised");
    const mate = await session("api");
    await mate.ask("hello [[say:hello]]");
    const claude = (await row("api"))?.pid ?? 0;
    process.kill(claude, "SIGTERM");
    expect(await mate.exit()).toEqual({ code: 143, signal: 0 });
    expect(await row("api")).toBeUndefined();
    const left = readdirSync(home.path(".claude"), { recursive: true, encoding: "utf8" });
    expect(
      left.filter((path) => /claudemesh/.test(path.replaceAll(home.home.replace(/[^a-zA-Z0-9]/g, "-"), ""))),
    ).toEqual([]);
    expect(readFileSync(home.path(".claude", "settings.json"), "utf8")).not.toContain("claudemesh");
  });
});
