// What sessions that nobody uses cost: stand-in claudes under real supervisors with real mail servers, left alone.
// Beside them a few bare processes with the same libraries: memory that is shared is divided by all who share it, so
// the floor must stand in the same crowd. Only on Linux, where /proc tells.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { readPeers } from "../../dist/mesh/peers.js";
import { openPty } from "../../dist/terminal/pty.js";
import { at, cli, here, inWorld, until } from "./world.mjs";

/** Each session has two watchers of ours (the stand-in claude is left without its own), and Linux lets a user have 128 unless told. */
const SESSIONS = Math.min(50, Math.floor((watchers() - 28) / 2));
const BARE = 5;
/** So many start at a time: each is five processes. */
const AT_ONCE = 5;

const read = (pid, file) => readFileSync(`/proc/${pid}/${file}`, "utf8");
const pss = (pid) => Number(/^Pss:\s+(\d+) kB/m.exec(read(pid, "smaps_rollup"))[1]) / 1000;
/** CPU time in ms, of the process itself and of the children that it has waited for. */
function cpu(pid) {
  const stat = read(pid, "stat");
  const [utime, stime, cutime, cstime] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15)
    .map(Number);
  return { own: (utime + stime) * 10, children: (cutime + cstime) * 10 };
}
/** How often the kernel has put the process's main thread to sleep: once for each timer or event that woke it. */
const sleeps = (pid) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(pid, "status"))[1]);

function watchers() {
  try {
    return Number(readFileSync("/proc/sys/fs/inotify/max_user_instances", "utf8"));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Starts a session in a terminal of its own; gives its supervisor's pid. */
async function start(world, n) {
  const env = { ...world.env, CLAUDEMESH_CLAUDE_BIN: at("fixtures/fake-claude.mjs"), FAKE_CLAUDE_WATCH: "0" };
  const cwd = join(world.root, `session-${n}`);
  mkdirSync(cwd);
  const pty = await openPty({ file: process.execPath, args: [cli], env, cwd }, { cols: 80, rows: 24 });
  let ended = false;
  pty.onData(() => {});
  pty.onExit(() => {
    ended = true;
  });
  world.onClose(async () => {
    if (!ended) process.kill(pty.pid, "SIGTERM");
    await until(() => ended, `session ${n} to end`);
  });
  return pty.pid;
}

/** Starts so many sessions at once; resolves when their mail servers attend to them. */
async function open(world, from, count) {
  const started = await Promise.all(Array.from({ length: count }, (_, n) => start(world, from + n)));
  let there = [];
  // One look for all, and not too often: looking takes the time that they start in.
  const attended = () => {
    const { peers } = readPeers();
    there = started.map((pid) => peers.find(({ supervisor, mcp }) => supervisor === pid && mcp !== undefined));
    return there.every((peer) => peer !== undefined);
  };
  await until(attended, `sessions ${from} and on to be on the mesh`, { ms: 60_000, pace: 100 }).catch((error) => {
    const log = readFileSync(join(world.mesh, "log"), "utf8").trim().split("\n").slice(-10).join("\n");
    throw new Error(`${error.message}; of them there are ${JSON.stringify(there)}; the log ends with\n${log}`);
  });
  return there.map(({ pid, mcp, supervisor }) => ({ claude: pid, server: mcp, supervisor }));
}

async function bare(world, kind) {
  const child = world.start(process.execPath, [here("bare-idle.mjs"), kind], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child.pid;
}

const look = (pids) => pids.map((pid) => ({ ...cpu(pid), sleeps: sleeps(pid) }));

async function idle({ full, rounds: sessions = SESSIONS }) {
  if (process.platform !== "linux") throw new Error("what idle processes cost is measured on Linux only");
  const seconds = full ? 60 : 24;
  return inWorld(async (world) => {
    const all = [];
    for (let n = 0; n < sessions; n += AT_ONCE) all.push(...(await open(world, n, Math.min(AT_ONCE, sessions - n))));
    const floors = { supervisor: [], server: [] };
    for (const kind of ["supervisor", "server"])
      for (let n = 0; n < BARE; n++) floors[kind].push(await bare(world, kind));
    await pause(5000);
    const ours = all.flatMap(({ supervisor, server }) => [supervisor, server]);
    const [claudes, theirs] = [all.map(({ claude }) => claude), [...floors.supervisor, ...floors.server]];
    const groups = { ours, claudes, theirs };
    const before = Object.fromEntries(Object.entries(groups).map(([name, pids]) => [name, look(pids)]));
    await pause(seconds * 1000);
    const spent = (group, what) =>
      look(groups[group]).map((now, i) => ((now[what] - before[group][i][what]) * 60) / seconds);
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    return {
      cpu: { value: [sum(spent("ours", "own"))], floor: [(sum(spent("theirs", "own")) / theirs.length) * ours.length] },
      badge: { value: [sum(spent("claudes", "children"))] },
      wakes: { value: spent("ours", "sleeps"), floor: spent("theirs", "sleeps") },
      supervisor: { value: all.map(({ supervisor }) => pss(supervisor)), floor: floors.supervisor.map(pss) },
      server: { value: all.map(({ server }) => pss(server)), floor: floors.server.map(pss) },
    };
  });
}

let measured;
const once = (what) => async (options) => {
  measured ??= idle(options);
  return (await measured)[what];
};

export const rows = [
  {
    name: `${SESSIONS} idle sessions: CPU a minute, all our processes`,
    unit: "ms",
    floorIs: "bare ones",
    measure: once("cpu"),
  },
  { name: `${SESSIONS} idle sessions: CPU a minute, hooks and badges`, unit: "ms", measure: once("badge") },
  {
    name: "idle: timers and events a minute, each process",
    unit: "",
    floorIs: "a bare one",
    // No timer under 5 s: what Node itself does comes on top.
    goal: { more: 12 },
    measure: once("wakes"),
  },
  {
    name: "idle supervisor, memory",
    unit: "MB",
    floorIs: "bare Node, same libraries",
    goal: { ratio: 1.3 },
    measure: once("supervisor"),
  },
  {
    name: "idle mail server, memory",
    unit: "MB",
    floorIs: "bare Node, same libraries",
    goal: { ratio: 1.3 },
    measure: once("server"),
  },
];
