// `claudemesh [claude args…]`: claude in the supervisor. Nothing is installed and nothing of Claude Code's is touched:
// the plugin folder is handed over on the command line. Here alone the rooms meet: mailbox → words → typist.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { badgeArguments } from "../claude/badge.ts";
import { pluginFolder } from "../claude/plugin.ts";
import { claudeDir } from "../claude/session.ts";
import type { Type } from "../claude/typing-bell.ts";
import { findClaude } from "../claude/which.ts";
import { safeConfig } from "../mesh/config.ts";
import { readConfig } from "../mesh/config-file.ts";
import { removeEmpty } from "../mesh/files.ts";
import { openHome } from "../mesh/home.ts";
import { leave } from "../mesh/join.ts";
import { log } from "../mesh/log.ts";
import { isAlive, isLocal, listPeers, type Peer, readPeer } from "../mesh/peers.ts";
import { say } from "../print.ts";

/** Runs claude with these arguments; the exit status is claude's. Throws MeshError NO_CLAUDE, NO_PTY or BAD_HOME. */
export async function run(args: string[]): Promise<void> {
  const { file, isBack, env: started } = findClaude();
  const plugin = `--plugin-dir=${pluginFolder()}`;
  const given = args.includes(plugin) ? args : [plugin, ...badgeArguments(args), ...args];
  const env = { CLAUDEMESH_NODE: process.execPath, ...process.env, ...started };
  if (isBack) {
    process.exitCode = await plain({ file, args: given, env, cwd: process.cwd() });
    return;
  }
  openHome();
  // While the terminal is still ours.
  for (const problem of readConfig().problems) say(problem);
  const program: Program = {
    file,
    args: given,
    env: { ...env, CLAUDEMESH_SUPERVISOR: String(process.pid) },
    cwd: process.cwd(),
  };
  const status = process.stdin.isTTY && process.stdout.isTTY ? await supervised(program) : await plain(program);
  const peer = ownSession();
  if (peer) await leave(peer.id, peer.pid);
  // Claude Code makes a data folder for every plugin it is handed; ours stays empty.
  removeEmpty(join(claudeDir(), "plugins", "data", "claudemesh-inline"));
  process.exitCode = status;
}

type Program = { file: string; args: string[]; env: NodeJS.ProcessEnv; cwd: string };

async function plain({ file, args, env }: Program): Promise<number> {
  const { spawnPlain } = await import("../terminal/plain.ts");
  return spawnPlain(file, args, env);
}

async function supervised(program: Program): Promise<number> {
  // Node's own listener would print them over claude's screen.
  process.removeAllListeners("warning").on("warning", ({ name, message }) => log("warning", name, message));
  const { supervise, terminalSize } = await import("../terminal/supervisor.ts");
  const { bells, inject } = safeConfig();
  if (!bells.includes("supervisor") || inject === "never") return (await (await supervise(program)).exited).status;

  const { createScreenModel } = await import("../terminal/screen-model.ts");
  const { createTypist } = await import("../terminal/typist.ts");
  const { judgeScreen, showsPasted } = await import("../claude/screen.ts");
  const { stateOf } = await import("../claude/session.ts");
  const screen = createScreenModel(terminalSize());
  let typist: ReturnType<typeof createTypist> | undefined;
  const session = await supervise({
    ...program,
    onOutput: (chunk) => {
      screen.feed(chunk);
      typist?.sawOutput();
    },
    onInput: (chunk) => typist?.sawInput(chunk) ?? false,
    onResize: (size) => {
      screen.resize(size);
      typist?.sawResize();
    },
  });
  typist = createTypist({
    write: session.write,
    screen: screen.read,
    allClear: () => {
      const peer = ownSession();
      return peer !== undefined && stateOf(peer).state === "idle";
    },
    judge: judgeScreen,
    showsPasted,
    nudge: session.nudge,
  });
  const { type } = typist;
  const over = new AbortController();
  const attending = attendOnceJoined(type, session.tell, over.signal);
  const { status } = await session.exited;
  typist.stop();
  over.abort();
  await attending;
  return status;
}

/** Waits until the session has joined, then types its mail for it until `over`. */
async function attendOnceJoined(type: Type, tell: (sequence: string) => void, over: AbortSignal): Promise<void> {
  const started = Date.now();
  let peer = ownSession();
  while (!peer && !over.aborted) {
    await pause(Date.now() - started < 30_000 ? 200 : 10_000, over);
    peer = ownSession();
  }
  if (!peer || over.aborted) return;
  const { follow, watchYou } = await import("../claude/presence.ts");
  const { createTypingBell } = await import("../claude/typing-bell.ts");
  const { ring } = await import("../terminal/typist.ts");
  const following = await follow(peer, (id) =>
    createTypingBell(id, type, (words) => safeConfig().notify && tell(ring(words))),
  );
  const forYou = await watchYou((words) => tell(ring(words)));
  await new Promise<void>((resolve) => {
    if (over.aborted) resolve();
    over.addEventListener("abort", () => resolve());
  });
  await forYou.close();
  await following.close();
}

let own: string | undefined;
/** The session that this supervisor runs, once its hooks have registered it. */
function ownSession(): Peer | undefined {
  const isOwn = (p: Peer) => p.supervisor === process.pid && p.left_at === undefined && (isLocal(p) || isAlive(p));
  const peer = (own && readPeer(own)) || listPeers().find(isOwn);
  own = peer?.id;
  return peer;
}

/** Waits `ms`, or until it is over. */
const pause = (ms: number, over: AbortSignal) => sleep(ms, undefined, { signal: over, ref: false }).catch(() => {});
