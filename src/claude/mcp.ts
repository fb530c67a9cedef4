// The session's own MCP server, on stdio: the tools, and the ringer for its inbox socket. A child of claude, found by
// its parents; it stays right over /clear and /resume because it goes by the process, and never outlives it.

import { McpServer, type ToolCallback } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { sanitise } from "../clean.ts";
import { MeshError, mendOf, reasonOf } from "../errors.ts";
import { handedIn } from "../mesh/handed.ts";
import { joinMesh, updatePeer } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { markKept } from "../mesh/owed.ts";
import { BEAT, type Peer, peerOfProcess } from "../mesh/peers.ts";
import { environmentOf, isRunning, startedAt } from "../mesh/process.ts";
import { every } from "../mesh/watch.ts";
import { waitWhile } from "../wait.ts";
import { arrivalOf } from "./hooks.ts";
import { type Own, ownClaude } from "./own-peer.ts";
import { follow } from "./presence.ts";
import { AUTHORITY } from "./prompt.ts";
import { createRinger } from "./ringer.ts";
import { hasChannel, readSessionFile, sessionFileOf } from "./session.ts";
import { TOOLS } from "./tools.ts";

/** How long, in ms, the session's own SessionStart hook gets to register it: it knows more than we do. */
const HOOK_FIRST = 5000;
/** A call that comes sooner after a result, in ms, may have been made together with the one that it answers. */
const LATER = 1000;

/** Where no hook runs and no transcript is written, a later call tells that the client has taken what a result brought. */
function goesOn({ id, hooked }: Peer): void {
  if (hooked) return;
  const taken = handedIn(id).filter(
    ({ road, transcript, since }) => road === "tool" && !transcript && Date.now() - since >= LATER,
  );
  markKept(
    id,
    taken.map(({ unique }) => unique),
  );
}

/** Serves until stdin ends or claude is gone. `version` is the package's. */
export async function serve(version: string): Promise<void> {
  const own = ownClaude();
  const listed = "claude" in own ? own.claude : undefined;
  const over = new AbortController();
  const server = new McpServer(
    { name: "claudemesh", version },
    {
      instructions: AUTHORITY,
      capabilities: { experimental: { "claude/channel": {} } },
    },
  );
  for (const { name, description, input, readOnly, run } of TOOLS)
    server.registerTool(
      name,
      { description, inputSchema: input, annotations: { readOnlyHint: readOnly } },
      async (given: Record<string, unknown>, extra) => {
        try {
          const peer = await self(own);
          goesOn(peer);
          const { text, after } = await run(given, peer, {
            signal: AbortSignal.any([extra.signal, over.signal]),
            progress: progressOf(extra),
          });
          // Once claude has gone nobody reads this: what it hands out stays unread.
          if (after) setImmediate(() => over.signal.aborted || extra.signal.aborted || after());
          return { content: [{ type: "text" as const, text }] };
        } catch (error) {
          if (!(error instanceof MeshError)) log("tool-error", name, String(error));
          const mend = error instanceof MeshError ? error.hint : mendOf(error);
          const hint = mend ? `\n${mend}` : "";
          return {
            isError: true,
            content: [{ type: "text" as const, text: sanitise(`claudemesh: ${reasonOf(error)}${hint}`) }],
          };
        }
      },
    );

  const ended = new Promise<void>((resolve) => {
    server.server.onclose = resolve;
    process.stdin.on("end", resolve).on("close", resolve);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, resolve);
    const started = listed === undefined ? undefined : startedAt(listed);
    every(BEAT, () => listed !== undefined && !isRunning(listed, started) && resolve());
  });
  void ended.then(() => over.abort());
  await server.connect(new StdioServerTransport());
  const push = (content: string) =>
    server.server.notification({ method: "notifications/claude/channel", params: { content, meta: { kind: "mail" } } });
  const ringing = listed === undefined ? undefined : ringFor(listed, ended, hasChannel(listed) ? push : undefined);
  await ended;
  await (await ringing)?.();
}

type Extra = Parameters<ToolCallback>[0];

/** Tells the client how a call goes, if it asked to be told. */
function progressOf({ _meta, sendNotification }: Extra): (message: string) => void {
  const progressToken = _meta?.progressToken;
  let progress = 0;
  return (message) => {
    if (progressToken === undefined) return;
    const params = { progressToken, progress: ++progress, message };
    sendNotification({ method: "notifications/progress", params }).catch((error: unknown) =>
      log("progress-error", String(error)),
    );
  };
}

/** Attends to the mailbox once the session is registered. Resolves to what ends it. */
async function ringFor(
  pid: number,
  ended: Promise<void>,
  push: ((line: string) => Promise<void>) | undefined,
): Promise<(() => Promise<void>) | undefined> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  await waitWhile(() => !peerOfProcess(pid) && !over, HOOK_FIRST, 50);
  if (over) return undefined;
  const following = await follow(await self({ claude: pid }), async (id) => {
    await updatePeer(id, { mcp: process.pid });
    return createRinger(id, push);
  });
  return () => following.close();
}

/** This server's session as registered now; registers it if no hook has. Throws MeshError NOT_IN_A_SESSION. */
async function self(own: Own): Promise<Peer> {
  if (!("claude" in own))
    throw new MeshError(
      "NOT_IN_A_SESSION",
      `can't tell which session this is: ${own.why}`,
      "start it from Claude Code, not by hand",
    );
  const { claude } = own;
  const session = sessionIdOf(claude);
  return (
    peerOfProcess(claude) ??
    (await joinMesh(arrivalOf(claude, { cwd: process.cwd(), ...(session ? { session_id: session } : {}) })))
  );
}

/** The session that this claude has open, as far as it tells; what it has inherited itself is another's. */
function sessionIdOf(claude: number): string | undefined {
  const given = process.env.CLAUDE_CODE_SESSION_ID;
  const inherited = environmentOf(claude, "CLAUDE_CODE_SESSION_ID");
  return readSessionFile(sessionFileOf(claude))?.sessionId ?? (given === inherited ? undefined : given);
}
