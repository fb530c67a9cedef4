// A stand-in for the Messages API, in this process, on a loopback port of the system's choosing. It keeps every
// request and answers with what the test scripted, else what markers in the conversation say, else "ok".
// It is the client's HTTPS proxy too, so that an attempt to reach anything else is refused and kept in `outside`.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Message } from "./conversation.ts";
import { markedReply, type Reply } from "./markers.ts";
import { minimalOf, sendError, sendReply } from "./stream.ts";

export interface ApiBody {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly system?: unknown;
  readonly tools?: readonly { readonly name: string }[];
  readonly stream?: boolean;
  readonly [field: string]: unknown;
}

/** One request as it came in; `session` is Claude Code's session id, `at` the time in ms. Secrets are masked. */
export interface ApiRequest {
  readonly n: number;
  readonly at: number;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ApiBody;
  readonly session: string | undefined;
  /** The subagent that asks; undefined for the session itself. */
  readonly agent: string | undefined;
  readonly kind: "turn" | "side" | "other";
  outcome: "open" | "answered" | "aborted";
}

/** Undefined leaves the reply to the markers. */
export type Answer = (request: ApiRequest) => Reply | string | undefined | Promise<Reply | string | undefined>;

/** A turn that waits for the test: `arrived` resolves with the request, `release` lets the reply go. */
export interface Held {
  readonly arrived: Promise<ApiRequest>;
  release(reply?: Reply | string): void;
}

export interface FakeApi {
  readonly url: string;
  readonly requests: readonly ApiRequest[];
  /** Hosts that something tried to reach through the proxy: must stay empty. */
  readonly outside: readonly string[];
  /** The model turns (requests that carry tools), of one session or of all, oldest first. */
  turns(sessionId?: string): readonly ApiRequest[];
  /** Scripts the replies of one session or of all; a session's own script comes first. Undefined takes it back. */
  answer(fn: Answer | undefined, sessionId?: string): void;
  /** Holds the next turn (of that session) until released: a busy session without a fixed sleep. */
  hold(sessionId?: string): Held;
  stop(): Promise<void>;
}

/** An answer that gives the replies one after the other, and then leaves it to the markers. */
export function replies(...list: readonly (Reply | string)[]): Answer {
  const rest = [...list];
  return () => rest.shift();
}

function maskedHeaders(message: IncomingMessage): Record<string, string> {
  const secret = /^(x-api-key|authorization|proxy-authorization|cookie)$/;
  return Object.fromEntries(
    Object.entries(message.headers).map(([name, value]) => [name, secret.test(name) ? "***" : String(value)]),
  );
}

const wantsJson = (body: ApiBody): { schema: unknown } | undefined => {
  const config = body.output_config as { format?: { type?: string; schema?: unknown } } | undefined;
  const format = config?.format ?? (body.output_format as { type?: string; schema?: unknown } | undefined);
  return format?.type === "json_schema" ? { schema: format.schema } : undefined;
};

function kindOf(method: string, path: string, body: ApiBody): ApiRequest["kind"] {
  if (method !== "POST" || path !== "/v1/messages" || !Array.isArray(body.messages)) return "other";
  return (body.tools?.length ?? 0) > 0 && !wantsJson(body) ? "turn" : "side";
}

async function readBody(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(raw: string): ApiBody {
  try {
    return JSON.parse(raw) as ApiBody;
  } catch {
    return { model: "", messages: [] };
  }
}

/** Waits `ms`, but not beyond the end of the connection. */
function delayed(ms: number, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    response.once("close", done);
  });
}

interface Waiting {
  readonly session: string | undefined;
  readonly take: Answer;
}

/** Starts the server; `stop` ends it and every open connection at once. */
export async function startFakeApi(): Promise<FakeApi> {
  const requests: ApiRequest[] = [];
  const outside: string[] = [];
  const answers = new Map<string | undefined, Answer>();
  const held: Waiting[] = [];

  async function replyTo(request: ApiRequest): Promise<Reply> {
    if (request.kind !== "turn") {
      const json = wantsJson(request.body);
      return { text: json ? JSON.stringify(minimalOf(json.schema)) : "ok" };
    }
    const at = held.findIndex((one) => one.session === undefined || one.session === request.session);
    const chosen =
      (await (at >= 0 ? held.splice(at, 1)[0]?.take(request) : undefined)) ??
      (await answers.get(request.session)?.(request)) ??
      (request.session === undefined ? undefined : await answers.get(undefined)?.(request)) ??
      markedReply(request.body.messages);
    return typeof chosen === "string" ? { text: chosen } : (chosen ?? { text: "ok" });
  }

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = await readBody(message);
    const path = (message.url ?? "/").split("?")[0] ?? "/";
    const body = parsed(raw);
    const method = message.method ?? "GET";
    const headers = maskedHeaders(message);
    const request: ApiRequest = {
      n: requests.length,
      at: Date.now(),
      method,
      url: message.url ?? "/",
      headers,
      body,
      session: headers["x-claude-code-session-id"],
      agent: headers["x-claude-code-agent-id"],
      kind: kindOf(method, path, body),
      outcome: "open",
    };
    requests.push(request);
    response.once("close", () => {
      request.outcome = response.writableFinished ? "answered" : "aborted";
    });
    if (path === "/v1/messages/count_tokens") {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ input_tokens: Math.ceil(raw.length / 4) }));
      return;
    }
    if (request.kind === "other") return sendError(response, 404);
    const reply = await replyTo(request);
    if (reply.delay) await delayed(reply.delay, response);
    if (response.destroyed) return;
    if (reply.status) sendError(response, reply.status);
    else await sendReply(response, request, reply);
  }

  const server = createServer((message, response) => {
    // A failing script must show in the test's own failure, not hang the client.
    serve(message, response).catch((error: unknown) => {
      if (!response.destroyed) sendError(response, 400, String(error));
    });
  });
  server.on("connect", (message: IncomingMessage, socket: Socket) => {
    outside.push(message.url ?? "?");
    socket.on("error", () => {});
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    outside,
    turns: (sessionId) =>
      requests.filter((r) => r.kind === "turn" && (sessionId === undefined || r.session === sessionId)),
    answer(fn, sessionId) {
      if (fn) answers.set(sessionId, fn);
      else answers.delete(sessionId);
    },
    hold(sessionId) {
      let release: (reply?: Reply | string) => void = () => {};
      const released = new Promise<Reply | string | undefined>((resolve) => {
        release = resolve;
      });
      const arrived = new Promise<ApiRequest>((resolve) => {
        held.push({
          session: sessionId,
          take(request) {
            resolve(request);
            return released;
          },
        });
      });
      return { arrived, release };
    },
    stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}
