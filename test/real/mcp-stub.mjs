// A stdio MCP server of somebody else: the tools named on its command line, each of which says that it ran.

import { createInterface } from "node:readline";

const tools = process.argv.slice(2).map((name) => ({ name, description: "a test", inputSchema: { type: "object" } }));

/** What it answers to a request; undefined: it has no such method. */
function answerTo({ method, params }) {
  const { protocolVersion, name } = params ?? {};
  if (method === "initialize")
    return { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "stub", version: "1" } };
  if (method === "tools/list") return { tools };
  if (method === "tools/call") return { content: [{ type: "text", text: `the stub ran ${name}` }] };
  return undefined;
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.id === undefined) continue;
  const result = answerTo(request);
  const answer = result ? { result } : { error: { code: -32601, message: "no such method" } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: request.id, ...answer })}\n`);
}
