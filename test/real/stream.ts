// How a reply goes over the wire: server-sent events in the order of the real Messages API, or one JSON body.

import type { ServerResponse } from "node:http";
import type { Reply } from "./markers.ts";

interface Asked {
  readonly n: number;
  readonly body: { readonly model: string; readonly stream?: boolean };
}

/** Answers with an HTTP error in the API's own shape. */
export function sendError(response: ServerResponse, status: number, message = "scripted by the test"): void {
  const type = status === 529 ? "overloaded_error" : status === 404 ? "not_found_error" : "api_error";
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ type: "error", error: { type, message } }));
}

function contentOf(request: Asked, reply: Reply) {
  const calls = (reply.tools ?? []).map((call, i) => ({
    type: "tool_use" as const,
    id: `toolu_${reply.step ?? `scripted_${request.n}`}_${request.n}x${i}`,
    name: call.name,
    input: call.input ?? {},
  }));
  const text = reply.text ?? (calls.length > 0 ? undefined : "ok");
  return text === undefined ? calls : [{ type: "text" as const, text }, ...calls];
}

/** Answers a Messages request with the reply's text and tool calls; resolves when all has been said. */
export async function sendReply(response: ServerResponse, request: Asked, reply: Reply): Promise<void> {
  const content = contentOf(request, reply);
  const stop_reason = (reply.tools?.length ?? 0) > 0 ? "tool_use" : "end_turn";
  const usage = { input_tokens: 100, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 20 };
  const message = {
    id: `msg_${request.n}`,
    type: "message",
    role: "assistant",
    model: request.body.model,
    stop_sequence: null,
    usage,
  };
  if (!request.body.stream) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ ...message, content, stop_reason }));
    return;
  }
  const send = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  send("message_start", { message: { ...message, content: [], stop_reason: null } });
  for (const [index, block] of content.entries()) {
    if (block.type === "text") {
      send("content_block_start", { index, content_block: { type: "text", text: "" } });
      const [first = "", ...more] = reply.rest ? block.text.split(/(?<= )/) : [block.text];
      send("content_block_delta", { index, delta: { type: "text_delta", text: first } });
      await reply.rest;
      if (response.destroyed) return;
      if (more.length > 0) send("content_block_delta", { index, delta: { type: "text_delta", text: more.join("") } });
    } else {
      send("content_block_start", { index, content_block: { ...block, input: {} } });
      const partial_json = JSON.stringify(block.input);
      send("content_block_delta", { index, delta: { type: "input_json_delta", partial_json } });
    }
    send("content_block_stop", { index });
  }
  send("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 20 } });
  send("message_stop", {});
  response.end();
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** The smallest value that a JSON schema allows: the answer to the client's own side questions (titles and such). */
export function minimalOf(value: unknown): unknown {
  const schema = (value ?? {}) as Schema;
  if (schema.enum) return schema.enum[0];
  if (schema.const !== undefined) return schema.const;
  const type = typeof schema.type === "string" ? schema.type : schema.type?.[0];
  if (type === "object") {
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, of]) => [name, minimalOf(of)]));
  }
  if (type === "array") return [];
  if (type === "string") return "ok";
  if (type === "boolean") return false;
  return type === "number" || type === "integer" ? 0 : null;
}
