// Another program's way from send to receive beside ours, where both speak MCP: two servers of each, the one sends, the
// other is asked until the text is there. Which tools those are is said in JSON, `--peer-tools`:
//   {"send": "send_message", "to": "to", "body": "body", "receive": "read_inbox", "whoami": "whoami", "id": "\"?id\"?: ?\"?([\\w-]+)"}
// `id` is a regular expression: what its group finds in the answer of `whoami` is the address. `args` of `send` that are
// always the same go into "more".

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { byTurns, timed } from "./stats.mjs";
import { cli, inWorld, until } from "./world.mjs";

const TOOLS = {
  send: "send_message",
  to: "to",
  body: "body",
  receive: "read_inbox",
  whoami: "whoami",
  id: '"?\\bid"?[:=] ?"?([\\w-]+)',
  more: {},
};

/** Starts a server and gives its tools as functions that give text; a tool's error is thrown. */
async function connect(world, command, args, env) {
  const transport = new StdioClientTransport({
    command,
    args,
    env: { ...world.env, ...env },
    cwd: world.root,
    stderr: "inherit",
  });
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(transport);
  world.onClose(() => client.close());
  return async (name, given = {}) => {
    const { content, isError } = await client.callTool({ name, arguments: given });
    const text = content.map((part) => part.text ?? "").join("");
    if (isError) throw new Error(`${name} says: ${text}`);
    return text;
  };
}

/** A pair of servers, and the sending of a text from the one to the other, until it is there. */
async function pair(sender, receiver, tools) {
  const who = await receiver(tools.whoami);
  const [, id] = new RegExp(tools.id).exec(who) ?? [];
  if (!id) throw new Error(`no address in what ${tools.whoami} says: ${who}`);
  return (round) =>
    timed(async () => {
      const text = `letter ${round} ${Math.random()}`;
      await sender(tools.send, { ...tools.more, [tools.to]: id, [tools.body]: text });
      await until(async () => (await receiver(tools.receive)).includes(text), `${text} to be received`);
    });
}

const compared = (command, given, rounds) =>
  inWorld(async (world) => {
    // Each below a claude of its own: that is who it sends and reads as.
    const claude = `exec -a claude bash -c '"$@"; exit $?' claude "$@"`;
    const ours = () => connect(world, "bash", ["-c", claude, "bash", process.execPath, cli, "mcp"]);
    const floor = await pair(await ours(), await ours(), TOOLS);
    // A program that looks for the claude above it finds one, too.
    const theirs = async (name) =>
      connect(world, "/bin/sh", ["-c", `exec ${command}`], (await world.session(name)).env);
    const value = await pair(await theirs("left"), await theirs("right"), { ...TOOLS, ...given });
    return byTurns({ floor, value }, { rounds, warmUp: 1 });
  });

/** The row for `--peer`, or none. */
export const rowsFor = ({ peer, "peer-tools": tools = "{}" }) =>
  peer === undefined
    ? []
    : [
        {
          name: `send → receive by ${peer}`,
          unit: "ms",
          floorIs: "claudemesh",
          plot: true,
          measure: ({ rounds = 10 }) => compared(peer, JSON.parse(tools), rounds),
        },
      ];
