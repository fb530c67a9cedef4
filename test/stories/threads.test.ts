// A thread of three replies between a person and a session: its letters name each other, and it can be read by itself.

import { describe, expect, it } from "vitest";
import { anyVersion } from "../real/client.ts";
import type { Answer } from "../real/fake-api.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { call, field, idIn, type Mail, stage } from "./stage.ts";

describe.each(anyVersion)("a thread with a session of %s", (version) => {
  it("keeps In-Reply-To and References over three replies, and `inbox --thread` gives just that", async () => {
    const { session, api, verb, json, row, send, receiptIs, mailbox } = await stage(version, "supervised");
    const mate = await session("api");
    let n = 0;
    const answering: Answer = (request) => {
      const message_id = idIn(newestText(request), "(?:task|answer)");
      return message_id ? { tools: [call("reply_to_peer", { message_id, body: `result ${++n}` })] } : undefined;
    };
    api.answer(answering, mate.id());
    const task = (await send("api", "the task of the thread")).message_id;
    await receiptIs(task, "answered");
    await mate.waitStatus("idle");
    const other = (await send("api", "a task beside it")).message_id;
    await receiptIs(other, "answered");
    await mate.waitStatus("idle");
    const [first, beside] = await json<Mail[]>("inbox");
    expect([first?.body, beside?.body]).toEqual(["result 1", "result 2"]);
    const said = await verb("reply", first?.message_id ?? "", "and", "what", "else?");
    expect(said, said.stderr).toMatchObject({ code: 0 });
    const mine = said.stdout.trim();
    await receiptIs(first?.message_id ?? "", "answered");
    // An answer to an answer is read with the next prompt.
    await mate.prompt("is there anything?");
    await receiptIs(mine, "answered");
    await mate.waitStatus("idle");
    const [third, ...more] = await json<Mail[]>("inbox", "--peek");
    expect(third).toMatchObject({ kind: "answer", body: "result 3", in_reply_to: mine });
    expect(more).toEqual([]);

    const box = (await row("api"))?.id ?? "";
    const letters = [...mailbox("you"), ...mailbox(box)];
    const chain = (id = "") => {
      const text = letters.find((l) => l.message_id === id)?.text ?? "";
      return [field(text, "In-Reply-To"), field(text, "References")];
    };
    expect(chain(task)).toEqual([undefined, undefined]);
    expect(chain(first?.message_id)).toEqual([task, task]);
    expect(chain(mine)).toEqual([first?.message_id, `${task} ${first?.message_id}`]);
    expect(chain(third?.message_id)).toEqual([mine, `${task} ${first?.message_id} ${mine}`]);

    const thread = async (id = "", ...args: string[]) =>
      (await json<Mail[]>("inbox", ...args, "--thread", id)).map((mail) => mail.message_id);
    const received = [first?.message_id, third?.message_id];
    expect(await thread(task)).toEqual(received);
    expect(await thread(first?.message_id)).toEqual(received);
    expect(await thread(third?.message_id)).toEqual(received);
    // One's own reply, which lies in the other's mailbox, stands for the thread as well.
    expect(await thread(mine)).toEqual(received);
    expect(await thread(other)).toEqual([beside?.message_id]);
    expect(await thread(task, "api", "--peek")).toEqual([task, mine]);
    expect(await json<Mail[]>("inbox", "--peek")).toHaveLength(1);
    for (const text of ["the task of the thread", "and what else?"])
      expect([text, timesShown(api, text)]).toEqual([text, 1]);
  });
});
