// A throw-away home for a measurement, sessions that have joined it, and processes that are gone when it is closed.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openHome } from "../../dist/mesh/home.js";
import { joinMesh } from "../../dist/mesh/join.js";
import { startedAt } from "../../dist/mesh/process.js";

export const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
export const cli = at("bin/claudemesh.cjs");
export const plugin = at("bin/plugin");
export const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const open = new Set();

/** Ends every process and removes every folder of every world that is still open. */
export const closeAll = () => Promise.all([...open].map((world) => world.close()));

/** Makes a world, and makes it the one whose mesh this process uses until another is made or entered. */
export function makeWorld() {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "claudemesh-bench-")));
  const mesh = join(root, ".claudemesh");
  const children = new Set();
  const last = [];
  const { LANG = "C.UTF-8", PATH = "" } = process.env;
  const env = { HOME: root, LANG, TERM: "xterm-256color", PATH: `${dirname(process.execPath)}:${PATH}` };
  const world = {
    root,
    mesh,
    env,
    enter: () => {
      process.env.CLAUDEMESH_HOME = mesh;
    },
    /** Starts a program that is killed when the world is closed. */
    start(file, args, options = {}) {
      const child = spawn(file, args, { cwd: root, stdio: "ignore", ...options, env: { ...env, ...options.env } });
      children.add(child);
      child.once("exit", () => children.delete(child));
      return child;
    },
    /**
     * A session as its hooks would have registered it: a process that only sleeps, busy unless told. `own`: this very
     * process stands for its claude, so that what is started here is the session's.
     */
    async session(name, { status = "busy", own: isOwn = false, ...fields } = {}) {
      const { pid } = isOwn ? process : world.start("sleep", ["3600"]);
      const file = join(root, ".claude", "sessions", `${pid}.json`);
      mkdirSync(dirname(file), { recursive: true });
      const session_id = randomUUID();
      writeFileSync(file, JSON.stringify({ pid, procStart: startedAt(pid), sessionId: session_id, status }));
      const cwd = join(root, name);
      mkdirSync(cwd, { recursive: true });
      const peer = await joinMesh({ pid, cwd, session_id, client: "2.1.329", claude_session_file: file, ...fields });
      const own = { CLAUDE_PID: String(pid), CLAUDE_CODE_SESSION_ID: session_id, CLAUDE_PLUGIN_ROOT: plugin };
      return { ...peer, box: join(mesh, "inbox", peer.id), env: { ...env, ...own, CLAUDEMESH_NODE: process.execPath } };
    },
    /** Adds to what is done when the world is closed. */
    onClose: (action) => last.push(action),
    async close() {
      if (!open.delete(world)) return;
      await Promise.all(last.map((action) => action()));
      await Promise.all([...children].map(end));
      rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
  open.add(world);
  world.enter();
  openHome();
  return world;
}

/** Makes a world for `work`, and closes it whatever happens. */
export async function inWorld(work) {
  const world = makeWorld();
  try {
    return await work(world);
  } finally {
    await world.close();
  }
}

/** Kills a child and waits until it has gone. */
export function end(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  return gone;
}

/** Polls until `check` gives something; throws naming what did not happen. Times in ms. */
export async function until(check, what, { ms = 20_000, pace = 20 } = {}) {
  for (const last = Date.now() + ms; ; ) {
    const value = await check();
    if (value) return value;
    if (Date.now() > last) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await pause(pace);
  }
}
