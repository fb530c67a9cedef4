// What Claude Code, or a person at a shell, starts: hooks, the status line, `send`, the mail server.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { byTurns, timed } from "./stats.mjs";
import { letterFor } from "./wake.mjs";
import { at, cli, end, here, inWorld, plugin } from "./world.mjs";

const { hooks } = JSON.parse(readFileSync(at("bin/plugin/hooks/hooks.json"), "utf8"));
const hookCommand = (event) => hooks[event][0].hooks[0].command;
const node = `'${process.execPath}'`;
const STOP = hookCommand("Stop");
const PROMPT = hookCommand("UserPromptSubmit");
const NOTHING = ":";
const EMPTY_NODE = `${node} -e 0`;
const WARM_UP = 3;

/** Times two commands of a shell by turns. `prepare` is run before each round. */
export function commands(world, env, { rounds, prepare = ":", floor, value }) {
  const payload = join(world.root, "payload");
  const event = { session_id: env.CLAUDE_CODE_SESSION_ID, cwd: world.root, hook_event_name: "UserPromptSubmit" };
  writeFileSync(payload, JSON.stringify({ ...event, prompt_id: "turn-1", prompt: "go on" }));
  const args = [here("turns.bash"), String(rounds + WARM_UP), payload, prepare, floor, value];
  const said = execFileSync("bash", args, { env: { ...env, LC_ALL: "C" }, encoding: "utf8", cwd: world.root });
  const lines = said
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map(Number));
  const of = (wanted) => lines.flatMap(([number, us]) => (number === wanted ? us / 1000 : [])).slice(WARM_UP);
  return { floor: of(0), value: of(1) };
}

/** A session among a few others, and commands in its environment. */
const quiet = (value, floor, rounds) =>
  inWorld(async (world) => {
    for (const name of ["web", "ci"]) await world.session(name);
    const { env, box } = await world.session("api", { own: true });
    // The shell that times them is who starts the hooks.
    return commands(world, env, { rounds, prepare: `echo $$ >'${box}/pid'`, floor, value });
  });

/** A letter a round: handed over by the prompt's hook, and marked seen by the turn's end, of which `value` is timed. */
const withMail = (value, rounds) =>
  inWorld(async (world) => {
    // A prompt that is sent into a running turn is shown no mail.
    const { id, box, env } = await world.session("api", { own: true, status: "idle" });
    const stock = join(world.root, "stock");
    mkdirSync(stock);
    for (let n = 0; n < rounds + WARM_UP; n++) {
      const { unique, text } = letterFor(id, n);
      writeFileSync(join(stock, unique), text);
    }
    const run = (command) => `/bin/sh -c '${command}' <'${join(world.root, "payload")}' >/dev/null`;
    const lay = `for f in '${stock}'/*; do mv "$f" '${box}/new/'; break; done`;
    // The shell that times them is who starts the hooks.
    const before = value === PROMPT ? [run(STOP), lay] : [lay, run(PROMPT)];
    const prepare = [`echo $$ >'${box}/pid'`, ...before].join("; ");
    const samples = commands(world, env, { rounds, prepare, floor: EMPTY_NODE, value });
    const seen = readdirSync(join(box, "cur")).filter((name) => name.endsWith(":2,S")).length;
    // Nothing has come yet after the last prompt; and the first rounds only warm up.
    if (seen < rounds) throw new Error(`of ${rounds + WARM_UP} letters the hooks marked ${seen}`);
    return samples;
  });

/** To a busy session: for an idle one it waits up to 300 ms to tell what became of the letter. */
const send = (rounds) =>
  inWorld(async (world) => {
    await world.session("api");
    const value = `${node} '${cli}' send api "rerun the migration check, $$"`;
    return commands(world, world.env, { rounds, floor: EMPTY_NODE, value });
  });

const HELLO = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
});

/** Starts a server on stdio and waits for its answer to `initialize`. */
const initialised = (file, args, env) => async () => {
  const child = spawn(file, args, { env, stdio: ["pipe", "pipe", "inherit"] });
  const took = await timed(() => {
    child.stdin.write(`${HELLO}\n`);
    return new Promise((resolve, reject) => {
      child.stdout.once("data", resolve);
      child.once("exit", () => reject(new Error(`${file} ${args} ended without an answer`)));
    });
  });
  await end(child);
  return took;
};

const mailServer = (rounds) =>
  inWorld(async (world) => {
    const { env } = await world.session("api", { own: true });
    const floor = initialised(process.execPath, [here("bare-server.mjs")], env);
    const value = initialised("/bin/sh", [join(plugin, "mcp")], env);
    return byTurns({ floor, value }, { rounds, warmUp: 1 });
  });

const badge = `sh '${plugin}/hook' statusline`;
export const rows = [
  ["hook, nothing waiting", "`sh -c :`", 3, (rounds) => quiet(STOP, NOTHING, rounds), 300],
  ["status line", "`sh -c :`", 3, (rounds) => quiet(badge, NOTHING, rounds), 300],
  ["hook, nothing waiting, against Node", "`node -e 0`", 0.06, (rounds) => quiet(STOP, EMPTY_NODE, rounds), 20],
  ["status line, against Node", "`node -e 0`", 0.06, (rounds) => quiet(badge, EMPTY_NODE, rounds), 20],
  ["hook with mail to show", "`node -e 0`", 1.3, (rounds) => withMail(PROMPT, rounds), 30],
  ["hook that marks mail seen, against Node", "`node -e 0`", 0.5, (rounds) => withMail(STOP, rounds), 30],
  ["`send` from the shell", "`node -e 0`", 1.35, send, 30],
  ["mail server: started → initialize answered", "a bare SDK server", 1.15, mailServer, 9],
].map(([name, floorIs, ratio, measure, usual]) => ({
  name,
  unit: "ms",
  floorIs,
  goal: { ratio },
  plot: usual === 300 || usual === 30,
  measure: ({ rounds = usual }) => measure(rounds),
}));
