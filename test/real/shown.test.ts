import { describe, expect, it } from "vitest";
import type { Block, Message } from "./conversation.ts";
import type { ApiRequest } from "./fake-api.ts";
import { newestText, timesShown, toolResults } from "./shown.ts";

const user = (...content: (string | Block)[]): Message => ({
  role: "user",
  content: content.map((part) => (typeof part === "string" ? { type: "text", text: part } : part)),
});
const reminder = (text: string): Block => ({ type: "text", text: `<system-reminder>\n${text}\n</system-reminder>` });
const result = (content: string | Block[]): Block => ({ type: "tool_result", tool_use_id: "t", content });
const system = (content: string): Message => ({ role: "system", content });
const says = (content: string): Message => ({ role: "assistant", content });
const calls = (input: unknown): Message => ({ role: "assistant", content: [{ type: "tool_use", id: "t", input }] });

function api(...requests: (Message[] | { session: string; agent?: string; messages: Message[] })[]) {
  const turns = requests.map((one, n): ApiRequest => {
    const { session, agent, messages } = Array.isArray(one) ? { session: "s", agent: undefined, messages: one } : one;
    const body = { model: "m", messages };
    const fixed = { method: "POST", url: "/", headers: {}, kind: "turn", outcome: "answered" } as const;
    return { ...fixed, n, at: n, body, session, agent };
  });
  return { turns: (id?: string) => turns.filter((turn) => id === undefined || turn.session === id) };
}

const hello = user("hello");
const mail = system("hook additional context: LETTER");

describe("how often the model was shown a text", () => {
  it("is none if it never was, and none for what the model says itself", () => {
    expect(timesShown(api([hello], [hello, says("LETTER"), user("and?")]), "LETTER")).toBe(0);
    expect(timesShown(api([hello, calls({ command: "LETTER" }), user(result("done"))]), "LETTER")).toBe(0);
  });

  it("is once, however many later requests repeat it", () => {
    const first = [hello, mail];
    const history = [1, 2, 3, 4, 5].map((n) => [
      ...first,
      ...Array.from({ length: n }, (_, i) => [says(`reply ${i}`), user(`prompt ${i}`)]).flat(),
    ]);
    expect(timesShown(api(first, ...history), "LETTER")).toBe(1);
  });

  it("is once for a request that is sent again after an error or an interrupt", () => {
    expect(
      timesShown(
        api([hello, mail], [hello, mail], [hello, mail, user("[Request interrupted by user]"), user("go on")]),
        "LETTER",
      ),
    ).toBe(1);
  });

  it("is once for a first prompt that got no reply and is joined by the next one", () => {
    const joined = [user("LETTER", "go on"), says("ok"), user("next")];
    expect(timesShown(api([user("LETTER")], [user("LETTER", "go on")], joined), "LETTER")).toBe(1);
    expect(timesShown(api([user("LETTER")], [user("LETTER", "LETTER")]), "LETTER")).toBe(2);
  });

  it("is twice if one request holds it twice, in one block or in two", () => {
    expect(timesShown(api([hello, system("LETTER and LETTER")]), "LETTER")).toBe(2);
    expect(timesShown(api([hello, mail, mail]), "LETTER")).toBe(2);
  });

  it("is twice if a later turn shows it again", () => {
    expect(timesShown(api([hello, mail], [hello, mail, says("ok"), user("next"), mail]), "LETTER")).toBe(2);
    expect(
      timesShown(
        api(
          [hello, mail],
          [hello, mail, says("ok"), user("LETTER")],
          [hello, mail, says("ok"), user("LETTER"), says("ok"), user("x")],
        ),
        "LETTER",
      ),
    ).toBe(2);
  });

  it("is twice if a later turn shows it again while the first showing stays away from the history", () => {
    expect(timesShown(api([hello, user("LETTER")], [hello, says("ok"), user("LETTER")]), "LETTER")).toBe(2);
  });

  it("is twice if it is queued once more behind a request that was interrupted", () => {
    expect(
      timesShown(api([hello, mail], [hello, mail, user("[Request interrupted by user]"), user("go"), mail]), "LETTER"),
    ).toBe(2);
  });

  it("counts a text inside a tool result, plain or in blocks", () => {
    const round = [hello, calls({}), user(result("LETTER"))];
    expect(timesShown(api([hello], round, [...round, says("ok"), user("next")]), "LETTER")).toBe(1);
    const blocks = [hello, calls({}), user(result([{ type: "text", text: "a LETTER" }]))];
    expect(timesShown(api([hello], blocks, [...blocks, says("ok"), user("next")]), "LETTER")).toBe(1);
  });

  it("counts once what turns from a reminder into a system message, changes its place, or is merged with others", () => {
    const round = [hello, calls({})];
    const asReminder = [...round, user(result("hi"), reminder("LETTER"))];
    const asSystem = [...round, user(result("hi")), mail, says("ok"), user("next")];
    const before = [hello, mail, calls({}), user(result("hi")), says("ok"), user("next"), says("ok"), user("third")];
    const merged = [
      user("hello"),
      system("other context\n\nhook: LETTER\n\nand more"),
      calls({}),
      user(result("hi")),
      says("ok"),
      user("next"),
    ];
    expect(timesShown(api([hello], asReminder, asSystem, before), "LETTER")).toBe(1);
    expect(timesShown(api([hello], asReminder, merged), "LETTER")).toBe(1);
  });

  it("counts once a system message that is moved behind the newest reply", () => {
    expect(timesShown(api([hello, mail], [hello, says("ok"), user("next"), mail]), "LETTER")).toBe(1);
    expect(timesShown(api([hello, mail], [hello, says("ok"), user("next"), mail, mail]), "LETTER")).toBe(2);
  });

  it("does not mix two sessions, and adds them up only when asked for all", () => {
    const requests = api(
      { session: "a", messages: [hello, mail] },
      { session: "b", messages: [hello] },
      { session: "a", messages: [hello, mail, says("ok"), user("next")] },
      { session: "b", messages: [hello, says("ok"), user("LETTER")] },
    );
    expect(timesShown(requests, "LETTER", "a")).toBe(1);
    expect(timesShown(requests, "LETTER", "b")).toBe(1);
    expect(timesShown(requests, "LETTER")).toBe(2);
  });

  it("is not confused by a subagent's requests in between", () => {
    const main = [hello, mail];
    const agent = (...messages: Message[]) => ({ session: "s", agent: "1", messages: [hello, ...messages] });
    const after = [...main, calls({}), user(result("done"))];
    expect(timesShown(api(main, agent(), agent(calls({}), user(result("x"))), after), "LETTER")).toBe(1);
    expect(timesShown(api(main, agent(mail), agent(mail, calls({}), user(result("x"))), after), "LETTER")).toBe(2);
  });

  it("starts over after a compaction: kept blocks are history, what comes after them is new", () => {
    const long = [hello, mail, says("ok"), user("next")];
    const kept = [user("This session is being continued"), mail, says("ok"), user("go on")];
    expect(timesShown(api([hello, mail], long, kept), "LETTER")).toBe(1);
    expect(
      timesShown(api([hello, mail], long, [user("This session is being continued"), user("LETTER")]), "LETTER"),
    ).toBe(2);
  });

  it("counts again what is put to the model again after a rewind", () => {
    const long = [hello, says("ok"), user("LETTER"), says("ok"), user("next")];
    expect(
      timesShown(
        api([hello], [hello, says("ok"), user("LETTER")], long, [hello, says("ok"), user("LETTER")]),
        "LETTER",
      ),
    ).toBe(2);
  });
});

it("the newest text of a request is what follows the last reply", () => {
  const [turn] = api([hello, says("ok"), user(result("r1")), mail]).turns();
  expect(turn && newestText(turn)).toBe("r1\nhook additional context: LETTER");
  expect(turn && toolResults(turn)).toEqual(["r1"]);
});
