// `npm run chaos -- --messages 100000 --seed 1`: senders, collectors, sweepers and sessions as real processes on one
// home, one killed with SIGKILL every few milliseconds and started again; now and then a collector hangs (SIGSTOP) for
// longer than what it holds stays its own. At the end the checker reads the disk. The seed repeats what is sent, and who
// is killed or stopped after which pause.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { check } from "./check.mjs";
import { BOXES, HANG_EACH, ORDERED, ORPHANED_HERE, random, SHARED } from "./plan.mjs";

const { values } = parseArgs({
  options: { messages: { type: "string", default: "10000" }, seed: { type: "string" }, keep: { type: "boolean" } },
});
const messages = Number(values.messages);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const chance = random(seed);
const folder = mkdtempSync(join(tmpdir(), "claudemesh-chaos-"));
const home = join(folder, ".claudemesh");
process.env.CLAUDEMESH_HOME = home;
const { openHome, mailbox } = await import("../../dist/mesh/home.js");
const { makeMailbox, recover, listNew } = await import("../../dist/mesh/maildir.js");
const { joinMesh } = await import("../../dist/mesh/join.js");
openHome();
for (const id of BOXES) makeMailbox(mailbox(id));

const said = [];
const killed = new Set();
const hung = new Set();
let acknowledged = 0;
let started = 0;
const next = new Map();

/** Starts one process of a role, and says by which number it is known. */
function start(role, name) {
  const by = `${role} ${name} ${++started}`;
  const worker = fileURLToPath(new URL("worker.mjs", import.meta.url));
  const args = [worker, role, name, String(next.get(name) ?? 0), String(Math.floor(chance() * 1e9))];
  // Certificates are not needed, and reading them takes longer than all else.
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: "" };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const words = line.split(" ");
      if (words[0] === "try") next.set(name, Number(words[1]) + 1);
      else said.push({ by, words });
      if (words[0] === "ack") acknowledged++;
    }
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  return { role, name, by, child, ended };
}

const crew = [
  ...["ash", "birch", "cedar"].map((name) => start("sender", name)),
  ...[...ORDERED, SHARED, SHARED, SHARED].map((name) => start("collector", name)),
  start("sweeper", "broom"),
  start("sweeper", "mop"),
  ...["web", "api"].map((name) => start("session", name)),
];
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => {
    for (const { child } of crew) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    process.exit(1);
  });
const kill = async (one) => {
  killed.add(one.by);
  one.child.kill("SIGKILL");
  await one.ended;
};

const hang = async ({ by, child }) => {
  hung.add(by);
  child.kill("SIGSTOP");
  await pause(ORPHANED_HERE + 1000);
  child.kill("SIGCONT");
};

const began = Date.now();
const hanging = [];
for (let round = 0; acknowledged < messages; round++) {
  await pause(20 + chance() * 150);
  const at = Math.floor(chance() * crew.length);
  if (round % HANG_EACH === 3) {
    const collectors = crew.filter(({ role }) => role === "collector");
    hanging.push(hang(collectors[Math.floor(chance() * collectors.length)]));
    continue;
  }
  await kill(crew[at]);
  crew[at] = start(crew[at].role, crew[at].name);
}
const kills = killed.size;
await Promise.all(hanging);
for (const one of crew) if (one.role !== "collector") await kill(one);
// What the dead had in their hands comes back after its time; the collectors that live show it.
const unread = () => BOXES.flatMap((id) => [...recover(mailbox(id), ORPHANED_HERE), ...listNew(mailbox(id))]).length;
for (const end = Date.now() + ORPHANED_HERE + 1000; Date.now() < end || unread() > 0; ) await pause(200);
// The last of it is being marked.
await pause(500);
for (const one of crew) if (one.role === "collector") await kill(one);
// Who comes next gets the lock, whoever died with it.
await joinMesh({ pid: process.pid, cwd: folder, name: "next" });
const found = check(home, said, new Set([...killed, ...hung]));
for (const sentence of found.wrong.slice(0, 20)) console.error(sentence);
if (found.wrong.length > 20) console.error(`and ${found.wrong.length - 20} more`);
if (values.keep) console.log(`kept: ${home}`);
else rmSync(folder, { recursive: true, force: true });
console.log(
  `${found.acknowledged} acknowledged, ${found.lost} lost, ${found.torn} torn, ${found.wrong.length} wrong in all, ` +
    `${found.twice} shown twice, ${found.unexcused} of them not beside a kill or a hang; ${kills} kills, ${hung.size} hangs in ${Math.round((Date.now() - began) / 1000)} s, seed ${seed}`,
);
process.exitCode = found.wrong.length ? 1 : 0;
