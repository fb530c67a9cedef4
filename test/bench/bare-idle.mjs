// The least that an idle supervisor or mail server can be: Node with the libraries that it uses, at work, and no mail.

import { watch } from "chokidar";

if (process.argv[2] === "server") {
  const { McpServer } = await import("@modelcontextprotocol/sdk/server/mcp.js");
  const { StdioServerTransport } = await import("@modelcontextprotocol/sdk/server/stdio.js");
  await new McpServer({ name: "bare", version: "1" }, { capabilities: { tools: {} } }).connect(
    new StdioServerTransport(),
  );
} else {
  const { default: node } = await import("node-pty");
  const { default: xterm } = await import("@xterm/headless");
  new xterm.Terminal({ cols: 80, rows: 24, allowProposedApi: true });
  node.spawn("/bin/sh", ["-c", "exec sleep 3600"], { cols: 80, rows: 24, encoding: null });
}
watch(process.cwd(), { depth: 0, ignoreInitial: true }).on("ready", () => console.log("ready"));
