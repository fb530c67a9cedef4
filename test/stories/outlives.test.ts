// A question outlives those who had to do with it: its recipient's /clear and end, its asker's death, its being given up.

import { readFileSync, rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isRunning } from "../../src/mesh/process.ts";
import { anyVersion, versions } from "../real/client.ts";
import { replies } from "../real/fake-api.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { cli, until } from "../temp-home.ts";
import { answering, call, idIn, type Mail, stage } from "./stage.ts";

describe.each(versions)("a question to a session of %s", (version) => {
  it("outlives the recipient's /clear", async () => {
    const { session, api, home, json, shown, receiptIs } = await stage(version, "supervised");
    const mate = await session("api");
    const first = mate.id();
    const asking = home.run(["ask", "api", "a question before clear\nits second line"], { timeout: 60_000 });
    expect(await shown("its second line")).toBe(1);
    const question = idIn(api.turns(first).map(newestText).join("\n"));
    await receiptIs(question, "seen");
    await mate.waitStatus("idle");
    await mate.command("/clear");
    await mate.waitFor(() => mate.id() !== first, "a new session id");
    await mate.ready();
    api.answer(
      replies({ tools: [call("reply_to_peer", { message_id: question, body: "after the clear" })] }),
      mate.id(),
    );
    await mate.ask("what was open?");
    expect(await asking).toMatchObject({ code: 0, stdout: "after the clear\n" });
    await receiptIs(question, "answered");
    expect(timesShown(api, "its second line")).toBe(1);
    expect(await json("inbox")).toEqual([]);
  });

  it("outlives the recipient's end while it is unread, and is answered after --resume", async () => {
    // Only hooks: an idle session is not woken, so the question stays unread.
    const config = { bells: ["hooks"] };
    const { session, api, home, json, row, shown, receipt, receiptIs, mailbox } = await stage(version, "supervised", {
      config,
    });
    const mate = await session("api");
    await mate.ask("hello [[say:hello]]");
    const id = (await row("api"))?.id ?? "";
    const asking = home.run(["ask", "api", "a question for later"], { timeout: 60_000 });
    const [lying] = await until(() => mailbox(id).length > 0 && mailbox(id), "the question to lie there");
    const question = lying?.message_id ?? "";
    expect((await receipt(question)).state).toBe("queued");
    const last = mate.id();
    await mate.command("/exit");
    await mate.exit();
    expect(await asking).toMatchObject({
      code: 75,
      stdout: "",
      stderr: expect.stringContaining("waits for its return"),
    });
    expect(await receipt(question)).toMatchObject({ state: "queued" });
    expect(await json("inbox")).toEqual([]);

    rmSync(home.path(".claudemesh", "config.json"));
    api.answer(answering("an answer after the return"), last);
    const again = await session("api", { args: ["--resume", last] });
    expect((await row("api"))?.id).toBe(id);
    expect(await shown("a question for later")).toBe(1);
    await receiptIs(question, "answered");
    expect(await json<Mail[]>("inbox")).toMatchObject([
      { kind: "answer", body: "an answer after the return", in_reply_to: question },
    ]);
    expect(await json("inbox")).toEqual([]);
    await again.waitStatus("idle");
    expect(timesShown(api, "a question for later")).toBe(1);
  });

  it("whose asking session was killed is answered to the resumed session", async () => {
    const { session, api, home, row, shown, receipt, receiptIs, mailbox } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    const { id = "", pid = 0 } = (await row("web")) ?? {};
    const last = web.id();
    api.answer(replies({ tools: [call("ask_peer", { to: "api", question: "who dies first?" })] }), last);
    const held = api.hold(mate.id());
    await web.prompt("ask it");
    const question = idIn(newestText(await held.arrived));
    const { mcp } = JSON.parse(readFileSync(home.path(".claudemesh", "peers", `${id}.json`), "utf8")) as {
      mcp: number;
    };
    process.kill(pid, "SIGKILL");
    await web.exit();
    await until(() => !isRunning(mcp), "web's mail server to end with it, question or not", 5000);
    held.release({ tools: [call("reply_to_peer", { message_id: question, body: "the asker, as it seems" })] });
    await receiptIs(question, "answered");
    const [answer] = mailbox(id);
    expect((await receipt(answer?.message_id ?? "")).state).toBe("queued");

    const again = await session("web", { args: ["--resume", last] });
    expect((await row("web"))?.id).toBe(id);
    expect(await shown("the asker, as it seems")).toBe(1);
    await receiptIs(answer?.message_id ?? "", "seen");
    await again.waitStatus("idle");
    await mate.waitStatus("idle");
    expect(mailbox(id)).toHaveLength(1);
    expect(timesShown(api, "the asker, as it seems")).toBe(1);
    expect(timesShown(api, "who dies first?", mate.id())).toBe(1);
  });

  it("that was given up with Esc is answered by mail", async () => {
    const { session, api, row, shown, receiptIs, mailbox } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    api.answer(replies({ tools: [call("ask_peer", { to: "api", question: "worth waiting for?" })] }), web.id());
    const held = api.hold(mate.id());
    await web.prompt("ask it");
    const question = idIn(newestText(await held.arrived));
    web.key("escape");
    await web.waitStatus("idle");
    held.release({ tools: [call("reply_to_peer", { message_id: question, body: "it was not" })] });
    await receiptIs(question, "answered");
    expect(await shown("it was not")).toBe(1);
    const [answer] = mailbox((await row("web"))?.id ?? "");
    await receiptIs(answer?.message_id ?? "", "seen");
    await web.waitStatus("idle");
    expect(timesShown(api, "it was not")).toBe(1);
  });
});

describe.each(anyVersion)("a question to a session of %s", (version) => {
  it("whose asker at the shell was killed is answered by mail", async () => {
    const { session, api, home, json, receiptIs } = await stage(version, "supervised");
    const mate = await session("api");
    const held = api.hold(mate.id());
    const asker = home.start(process.execPath, [cli, "ask", "api", "a question of a dying shell"]);
    const question = idIn(newestText(await held.arrived));
    asker.kill("SIGKILL");
    await until(() => asker.signalCode !== null, "the asker to be dead");
    held.release({ tools: [call("reply_to_peer", { message_id: question, body: "an answer for whoever looks" })] });
    await receiptIs(question, "answered");
    const came = { kind: "answer", body: "an answer for whoever looks", in_reply_to: question };
    expect(await json<Mail[]>("inbox")).toMatchObject([came]);
    expect(await json("inbox")).toEqual([]);
    await mate.waitStatus("idle");
    expect(timesShown(api, "a question of a dying shell")).toBe(1);
  });
});
