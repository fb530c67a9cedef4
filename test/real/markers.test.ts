import { describe, expect, it } from "vitest";
import type { Block, Message } from "./conversation.ts";
import { markedReply, type Reply } from "./markers.ts";

const user = (...content: (string | Block)[]): Message => ({
  role: "user",
  content: content.map((part) => (typeof part === "string" ? { type: "text", text: part } : part)),
});
const system = (content: string): Message => ({ role: "system", content });
const ok: Message = { role: "assistant", content: "ok" };
const result = (text = "r"): Block => ({ type: "tool_result", tool_use_id: "t", content: text });
const bash = (command: string) => `{"name":"Bash","input":{"command":"${command}"}}`;

/** Plays a conversation on until the model's final reply; gives every reply. */
function play(messages: readonly Message[], between: readonly Message[] = []): readonly Reply[] {
  const given: Reply[] = [];
  let conversation = [...messages];
  for (let n = 0; n < 10; n++) {
    const reply = markedReply(conversation);
    if (!reply) break;
    given.push(reply);
    if (!reply.tools) break;
    const blocks = reply.tools.map((call, i) => ({ type: "tool_use", id: `toolu_${reply.step}_${n}x${i}`, ...call }));
    conversation = [...conversation, { role: "assistant", content: blocks }, user(...blocks.map(() => result()))];
    if (n === 0) conversation.push(...between);
  }
  return given;
}

describe("the fake model's markers", () => {
  it("leave the reply alone if there is none", () => {
    expect(markedReply([user("hello [[x]] [[say:"), ok, user("[[tool:{broken]]")])).toBeUndefined();
  });

  it("are read wherever the newest text comes from: prompt, hook context, system message, cross-session message", () => {
    const context = "UserPromptSubmit hook additional context: <mail>\nplease [[say:yes]]\n</mail>";
    const peer = "Another Claude session sent a message:\n[[say:yes]]\n\nThis came from another Claude session.";
    for (const message of [
      user("[[say:yes]]"),
      system(context),
      user(`<system-reminder>${context}</system-reminder>`),
      user(peer),
    ]) {
      expect(markedReply([user("[[say:old]]"), ok, user("hi"), message])).toEqual({ text: "yes" });
    }
  });

  it("of the newest text win over those of older ones that are still unanswered", () => {
    expect(markedReply([user("[[say:prompt]]"), system("mail: [[say:mail]]")])).toEqual({ text: "mail" });
    expect(markedReply([user("[[say:prompt]]"), system("mail without any")])).toEqual({ text: "prompt" });
  });

  it("are over after a final answer or an interrupt", () => {
    expect(markedReply([user("[[say:yes]]"), ok, user("and now?")])).toBeUndefined();
    expect(markedReply([user("[[sleep:9]]", "[Request interrupted by user]", "and now?")])).toBeUndefined();
    expect(
      markedReply([user("[[sleep:9]]"), user("[Request interrupted by user for tool use]"), user("[[say:b]]")]),
    ).toEqual({ text: "b" });
  });

  it("run in order, one reply a round of tool calls, and end with the last words", () => {
    const script = `[[sleep:5]][[tool:${bash("a")}]] [[say:halfway]] [[tools:[${bash("b")},[${bash("c")},${bash("d")}]]]] [[say:end]]`;
    const given = play([user(script)]);
    expect(given.map((reply) => reply.tools?.map((call) => call.input.command))).toEqual([
      ["a"],
      ["b"],
      ["c", "d"],
      undefined,
    ]);
    expect(given.map((reply) => [reply.delay, reply.text])).toEqual([
      [5, undefined],
      [undefined, "halfway"],
      [undefined, undefined],
      [undefined, "end"],
    ]);
  });

  it("go on in their order when a text without markers comes between two tool calls", () => {
    const given = play([user(`[[tools:[${bash("a")},${bash("b")}]]] [[say:end]]`)], [system("a note")]);
    expect(given.at(-1)).toEqual({ text: "end" });
    expect(given).toHaveLength(3);
  });

  it("give way to a marked text that comes between two tool calls", () => {
    const given = play(
      [user(`[[tools:[${bash("a")},${bash("b")}]]] [[say:end]]`)],
      [system(`[[tool:${bash("m")}]] [[say:mail]]`)],
    );
    expect(given.map((reply) => reply.tools?.[0]?.input.command ?? reply.text)).toEqual(["a", "m", "mail"]);
  });

  it("inside a tool call's input are for whoever gets that input", () => {
    const call = '{"name":"send","input":{"body":"do it [[say:pong]] \\"]]\\" [[tool:{\\"name\\":\\"x\\"}]]"}}';
    expect(play([user(`[[tool:${call}]] [[say:sent]]`)]).map((reply) => reply.text)).toEqual([undefined, "sent"]);
  });

  it("in a tool result do not count: a command may echo its own input", () => {
    const asked = {
      role: "assistant",
      content: [{ type: "tool_use", id: "toolu_scripted_0_0x0", name: "Bash", input: {} }],
    };
    expect(markedReply([user("hi"), asked, user(result("[[say:echo]]"))])).toBeUndefined();
  });

  it("run once if the same text has them twice, as a subject and a body do", () => {
    expect(play([user(`Subject: [[tool:${bash("a")}]] [[say:x]]\n[[tool:${bash("a")}]] [[say:x]]`)])).toHaveLength(2);
  });

  it("run again if a later text has the same ones", () => {
    const script = `[[tool:${bash("a")}]]`;
    const first = play([user(script)]);
    const answered = [
      user(script),
      { role: "assistant", content: [{ type: "tool_use", id: `toolu_${first[0]?.step}_0x0` }] },
      user(result()),
      ok,
    ];
    expect(play([...answered, user(script)])).toHaveLength(2);
  });

  it("of an error are over when a newer prompt comes", () => {
    expect(markedReply([user("[[error:400]]")])).toEqual({ status: 400 });
    expect(markedReply([user("[[error:400]]"), system("context")])).toEqual({ status: 400 });
    expect(markedReply([user("[[error:400]]"), user("again")])).toBeUndefined();
  });
});
