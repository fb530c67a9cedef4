import { expect, it, onTestFinished } from "vitest";
import { until } from "../temp-home.ts";
import { type FakeApi, replies, startFakeApi } from "./fake-api.ts";

async function api(): Promise<FakeApi> {
  const started = await startFakeApi();
  onTestFinished(() => started.stop());
  return started;
}

const turn = { model: "m", messages: [{ role: "user", content: "hi" }], tools: [{ name: "Bash" }] };

function post(to: FakeApi, body: object, session = "s", path = "/v1/messages?beta=true"): Promise<Response> {
  const headers = { "x-api-key": "secret", "x-claude-code-session-id": session };
  return fetch(to.url + path, { method: "POST", body: JSON.stringify(body), headers });
}

async function text(response: Response): Promise<unknown> {
  const message = (await response.json()) as { content: { text?: string }[] };
  return message.content[0]?.text;
}

it("a turn is answered by its session's script, then by everybody's, then by markers, then with ok", async () => {
  const to = await api();
  to.answer(replies("mine"), "s");
  to.answer(replies("anybody's"));
  expect(await text(await post(to, turn))).toBe("mine");
  expect(await text(await post(to, turn))).toBe("anybody's");
  expect(await text(await post(to, turn))).toBe("ok");
  const marked = { ...turn, messages: [{ role: "user", content: "[[say:marked]]" }] };
  expect(await text(await post(to, marked))).toBe("marked");
  expect(to.turns("s")).toHaveLength(4);
  expect(to.turns("other")).toHaveLength(0);
});

it("a side request gets a harmless answer and is no turn", async () => {
  const to = await api();
  to.answer(() => "scripted");
  const schema = { type: "object", properties: { title: { type: "string" }, isNew: { type: "boolean" } } };
  const wanted = { ...turn, output_config: { format: { type: "json_schema", schema } } };
  expect(await text(await post(to, wanted))).toBe('{"title":"ok","isNew":false}');
  expect(await text(await post(to, { ...turn, tools: [] }))).toBe("ok");
  const counted = await post(to, turn, "s", "/v1/messages/count_tokens");
  expect(await counted.json()).toEqual({ input_tokens: expect.any(Number) });
  expect((await post(to, {}, "s", "/api/anything")).status).toBe(404);
  expect(to.turns()).toEqual([]);
  expect(to.requests.map((one) => one.kind)).toEqual(["side", "side", "other", "other"]);
});

it("secrets in headers are not kept", async () => {
  const to = await api();
  await post(to, turn);
  expect(to.requests[0]?.headers["x-api-key"]).toBe("***");
});

it("a streamed reply has the events of the real API in their order", async () => {
  const to = await api();
  to.answer(replies({ text: "words", tools: [{ name: "Bash", input: { command: "ls" } }] }));
  const stream = await (await post(to, { ...turn, stream: true })).text();
  const block = ["content_block_start", "content_block_delta", "content_block_stop"];
  const names = [...stream.matchAll(/^event: (.*)$/gm)].map((match) => match[1]);
  expect(names).toEqual(["message_start", ...block, ...block, "message_delta", "message_stop"]);
  expect(stream).toContain('"stop_reason":"tool_use"');
  expect(stream).toContain('"partial_json":"{\\"command\\":\\"ls\\"}"');
});

it("an error is answered with its status, and a script that throws says why", async () => {
  const to = await api();
  to.answer(replies({ status: 529 }));
  expect((await post(to, turn)).status).toBe(529);
  to.answer(() => {
    throw new Error("no such reply");
  });
  expect(await (await post(to, turn)).text()).toContain("no such reply");
});

it("stopping ends delayed and held turns at once", async () => {
  const to = await startFakeApi();
  to.answer(replies({ delay: 600_000 }));
  const held = to.hold("h");
  const both = [post(to, turn), post(to, turn, "h")].map((one) => one.then(String, () => "cut off"));
  await held.arrived;
  await until(() => to.turns().length === 2, "both turns to arrive");
  await to.stop();
  expect(await Promise.all(both)).toEqual(["cut off", "cut off"]);
  expect(to.turns().map((one) => one.outcome)).toEqual(["aborted", "aborted"]);
  held.release("too late");
});

it("a held turn takes the released reply, or what would have come without the hold", async () => {
  const to = await api();
  to.answer(() => "scripted");
  const first = to.hold();
  const answer = post(to, turn);
  expect((await first.arrived).session).toBe("s");
  first.release("released");
  expect(await text(await answer)).toBe("released");
  to.hold().release();
  expect(await text(await post(to, turn))).toBe("scripted");
});
