// The least that a mail server of the MCP library can be: no tools, no mail.

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";

await new McpServer({ name: "bare", version: "1" }, { capabilities: { tools: {} } }).connect(
  new StdioServerTransport(),
);
