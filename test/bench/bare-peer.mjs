// A stranger's MCP server for the test of --peer: `bare-peer.mjs <folder>`. Letters are files in a folder for each number
// of an address; it speaks of `tell`, `check` and `me`.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const [root] = process.argv.slice(2);
const own = String(process.pid);
mkdirSync(join(root, own), { recursive: true });

const words = (text) => ({ content: [{ type: "text", text }] });
const server = new McpServer({ name: "bare-peer", version: "1" });
server.registerTool("me", {}, () => words(`you are number ${own}`));
server.registerTool("tell", { inputSchema: { who: z.string(), what: z.string(), loud: z.boolean() } }, (given) => {
  writeFileSync(join(root, given.who, String(performance.now())), given.what);
  return words("told");
});
server.registerTool("check", {}, () =>
  words(
    readdirSync(join(root, own))
      .map((name) => readFileSync(join(root, own, name), "utf8"))
      .join("\n"),
  ),
);
await server.connect(new StdioServerTransport());
