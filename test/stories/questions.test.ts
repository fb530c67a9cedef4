// Questions: asked from a shell and between sessions, answered as a value, late or twice as mail.

import { describe, expect, it } from "vitest";
import { anyVersion, versions } from "../real/client.ts";
import { type Answer, replies } from "../real/fake-api.ts";
import { newestText, timesShown, toolResults } from "../real/shown.ts";
import { cli } from "../temp-home.ts";
import { answering, call, idIn, type Mail, stage } from "./stage.ts";

describe.each(versions)("a question to a session of %s", (version) => {
  it("from a shell prints exactly the answer's text", async () => {
    const { session, api, verb, json, shown, receipt } = await stage(version, "supervised");
    const mate = await session("api");
    api.answer(answering("port 8080\nand 8443"), mate.id());
    const asked = await verb("ask", "api", "which port do you listen on?", "--timeout", "60s");
    expect(asked, asked.stderr).toMatchObject({ code: 0, stdout: "port 8080\nand 8443\n" });
    expect(await shown("which port do you listen on?")).toBe(1);
    expect(await json<unknown[]>("inbox", "--peek")).toEqual([]);
    const question = idIn(api.turns(mate.id()).map(newestText).join("\n"));
    expect((await receipt(question)).state).toBe("answered");
    await mate.waitStatus("idle");
    expect(timesShown(api, "which port do you listen on?")).toBe(1);
  });

  it("from another session gives the answer as the tool's result, and wakes nobody a second time", async () => {
    const { session, api, row, receipt, receiptIs, mailbox } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    api.answer(
      replies({ tools: [call("ask_peer", { to: "api", question: "which port is it?" })] }, "thanks"),
      web.id(),
    );
    const held = api.hold(mate.id());
    await web.prompt("find out the port");
    const asked = await held.arrived;
    const question = idIn(newestText(asked));
    expect(newestText(asked)).toMatch(/claudemesh mail: question from web \([0-9a-z]{8}\)/);
    // In the model's hands, but its turn may still be taken back: not before its first word.
    await receiptIs(question, "collected");
    expect((await row("web"))?.state).toBe("busy");

    held.release({ tools: [call("reply_to_peer", { message_id: question, body: "it is port 8080" })] });
    await receiptIs(question, "answered");
    await web.waitFor(() => api.turns(web.id()).length === 2, "the answer to come back to web's model");
    const [result] = toolResults(api.turns(web.id())[1] as never);
    expect(result).toMatch(/^claudemesh mail: answer from api \([0-9a-z]{8}\).*\n~~~\nit is port 8080\n~~~/);
    const answer = idIn(result ?? "", "answer");
    await receiptIs(answer, "seen");
    await web.waitStatus("idle");
    await mate.waitStatus("idle");
    expect(mailbox((await row("web"))?.id ?? "")).toMatchObject([{ at: "cur", flags: "S", message_id: answer }]);
    expect(mailbox((await row("api"))?.id ?? "")).toMatchObject([{ at: "cur", flags: "RS", message_id: question }]);
    expect((await receipt(question)).state).toBe("answered");
    expect(timesShown(api, "which port is it?")).toBe(1);
    expect(timesShown(api, "it is port 8080")).toBe(1);
    expect(api.turns(web.id())).toHaveLength(2);
    expect(timesShown(api, "claudemesh: still open")).toBe(0);
  });

  it("from a session's own shell is that session's, and its answer is the command's output", async () => {
    const settings = { permissions: { defaultMode: "default", allow: ["Bash"] } };
    const { session, api, row, receiptIs, mailbox } = await stage(version, "supervised", { settings });
    const web = await session("web");
    const mate = await session("api");
    const command = `'${process.execPath}' '${cli}' ask api 'asked from a shell?'`;
    api.answer(replies({ tools: [{ name: "Bash", input: { command, description: "ask" } }] }, "thanks"), web.id());
    const held = api.hold(mate.id());
    await web.prompt("ask by a command");
    const text = newestText(await held.arrived);
    expect(text).toMatch(/claudemesh mail: question from web \([0-9a-z]{8}\)/);
    held.release({ tools: [call("reply_to_peer", { message_id: idIn(text), body: "answered to a shell" })] });
    await receiptIs(idIn(text), "answered");
    await web.waitFor(() => api.turns(web.id()).length === 2, "the output to come back to web's model");
    expect(toolResults(api.turns(web.id())[1] as never)).toEqual(["answered to a shell"]);
    await web.waitStatus("idle");
    expect(mailbox((await row("web"))?.id ?? "")).toMatchObject([{ at: "cur", flags: "S" }]);
    expect(api.turns(web.id())).toHaveLength(2);
    expect(timesShown(api, "answered to a shell")).toBe(1);
    await mate.waitStatus("idle");
    expect(timesShown(api, "asked from a shell?", mate.id())).toBe(1);
  });
});

describe.each(anyVersion)("a question to a session of %s", (version) => {
  it("that is answered too late says so, and the answer is mail", async () => {
    const { session, api, verb, json, row, receipt, receiptIs, mailbox } = await stage(version, "supervised");
    const mate = await session("api");
    const held = api.hold(mate.id());
    await mate.prompt("think for long");
    await held.arrived;
    api.answer(answering("later than asked"), mate.id());
    const asked = await verb("ask", "--timeout", "1s", "api", "a question to a busy one");
    expect(asked).toMatchObject({ code: 75, stdout: "" });
    expect(asked.stderr).toMatch(/^claudemesh: no answer from api yet: 1 s are over\nthe answer will come by mail\n$/);
    const question = mailbox((await row("api"))?.id ?? "")[0]?.message_id ?? "";
    expect((await receipt(question)).state).toBe("queued");
    held.release("done");
    await receiptIs(question, "answered");
    expect(await json<Mail[]>("inbox")).toMatchObject([
      { kind: "answer", body: "later than asked", in_reply_to: question },
    ]);
    expect(await json("inbox")).toEqual([]);
    await mate.waitStatus("idle");
    expect(timesShown(api, "a question to a busy one")).toBe(1);
  });

  it("that is answered twice: the second answer wakes nobody and is read with the next prompt", async () => {
    const { session, api, row, receipt, receiptIs, mailbox } = await stage(version, "supervised");
    const web = await session("web");
    const mate = await session("api");
    api.answer(replies({ tools: [call("ask_peer", { to: "api", question: "once or twice?" })] }, "thanks"), web.id());
    const held = api.hold(mate.id());
    await web.prompt("ask it");
    const message_id = idIn(newestText(await held.arrived));
    api.answer(replies({ tools: [call("reply_to_peer", { message_id, body: "the second answer" })] }), mate.id());
    held.release({ tools: [call("reply_to_peer", { message_id, body: "the first answer" })] });
    const id = (await row("web"))?.id ?? "";
    const second = await web.waitFor(() => mailbox(id).find((l) => l.text.includes("the second answer")), "both");
    await web.waitFor(() => api.turns(web.id()).length === 2, "the first answer to come back");
    await web.waitStatus("idle");
    await mate.waitStatus("idle");
    expect(second.text).toMatch(/^X-Mesh-Priority: low$/m);
    // Longer than every bell takes.
    const end = Date.now() + 3000;
    await web.waitFor(() => Date.now() > end, "the bells to have had their time");
    expect((await receipt(second.message_id)).state).toBe("queued");
    expect(api.turns(web.id())).toHaveLength(2);
    expect(newestText(await web.ask("anything else?"))).toContain("the second answer");
    await receiptIs(second.message_id, "seen");
    for (const text of ["once or twice?", "the first answer", "the second answer"])
      expect([text, timesShown(api, text)]).toEqual([text, 1]);
  });

  it("at the same time as another: each gets its own answer", async () => {
    const { session, api, home, json } = await stage(version, "supervised");
    const mate = await session("api");
    const both: Answer = (request) => {
      const asked = newestText(request).matchAll(/question from .*, id (<[^>]+>)\n(?:~~~\n|> )what is (\w+)\?/g);
      const tools = [...asked].map(([, message_id, what]) =>
        call("reply_to_peer", { message_id, body: `${what} it is` }),
      );
      return tools.length > 0 ? { tools } : undefined;
    };
    api.answer(both, mate.id());
    const ask = (what: string) => home.run(["ask", "api", `what is ${what}?`], { timeout: 60_000 });
    const asked = await Promise.all(["this", "that", "more"].map(ask));
    expect(asked.map(({ code, stdout }) => [code, stdout])).toEqual([
      [0, "this it is\n"],
      [0, "that it is\n"],
      [0, "more it is\n"],
    ]);
    expect(await json("inbox")).toEqual([]);
    await mate.waitStatus("idle");
    for (const what of ["this", "that", "more"]) expect([what, timesShown(api, `what is ${what}?`)]).toEqual([what, 1]);
  });
});
