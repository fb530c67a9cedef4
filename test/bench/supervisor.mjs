// What the supervisor adds between a terminal and a program, seen from the user's terminal: claudemesh as shipped, with
// `cat` where claude would be.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openPty } from "../../dist/terminal/pty.js";
import { byTurns, now, timed } from "./stats.mjs";
import { cli, here, inWorld, until } from "./world.mjs";

const BULK = 100_000_000;
const PIECE = 1_000_000;

/** Opens a terminal on a program that says `ready`; `next` resolves when so many more bytes have come. */
async function terminal(file, args, env) {
  const pty = await openPty({ file, args, env, cwd: env.HOME }, { cols: 120, rows: 40 });
  let came = 0;
  let text = "";
  let wake = () => {};
  let ended = false;
  pty.onData((chunk) => {
    came += chunk.length;
    if (text.length < 100_000) text += chunk;
    wake();
  });
  pty.onExit(() => {
    ended = true;
  });
  await until(() => text.includes("ready"), `${args.join(" ")} to be ready; it says ${text}`);
  return {
    write: pty.write,
    next(bytes) {
      const wanted = came + bytes;
      return new Promise((resolve) => {
        wake = () => came >= wanted && resolve();
      });
    },
    async close() {
      if (!ended) process.kill(pty.pid, "SIGTERM");
      await until(() => ended, "the terminal to close");
    },
  };
}

/** The three ways to run a shell script in a terminal. */
function ways(world, script) {
  const program = join(world.root, "program");
  writeFileSync(program, `#!/bin/sh\nstty raw -echo; printf ready; ${script}\n`, { mode: 0o755 });
  const env = { ...world.env, CLAUDEMESH_CLAUDE_BIN: program };
  return {
    bare: () => terminal("/bin/sh", [program], env),
    pipe: () => terminal(process.execPath, [here("bare-pipe.mjs"), program], env),
    ours: () => terminal(process.execPath, [cli], env),
  };
}

const keys = (rounds) =>
  inWorld(async (world) => {
    const { bare, ours } = ways(world, "exec cat");
    const open = { floor: await bare(), value: await ours() };
    const key = (side) => async () => {
      await pause(3 + Math.random() * 5);
      const start = now();
      const back = side.next(1);
      side.write("x");
      await back;
      return now() - start;
    };
    const samples = await byTurns({ floor: key(open.floor), value: key(open.value) }, { rounds, warmUp: 20 });
    for (const side of Object.values(open)) await side.close();
    return samples;
  });

/** Coloured lines, as a client's screen is made of. */
const output = () => {
  const line = (n) => `\x1b[38;5;${n % 256}m${n}\x1b[0m ${"the quick brown fox ".repeat(3)}\r\n`;
  return Array.from({ length: PIECE / 60 }, (_, n) => line(n))
    .join("")
    .slice(0, PIECE);
};

const bulk = (floor, rounds) =>
  inWorld(async (world) => {
    writeFileSync(join(world.root, "output"), output());
    const files = Array(BULK / PIECE)
      .fill("output")
      .join(" ");
    const way = ways(world, `head -c 1 >/dev/null; cat ${files}; exec cat >/dev/null`);
    const run = (start) => async () => {
      const side = await start();
      const took = await timed(() => {
        const all = side.next(BULK);
        side.write("x");
        return all;
      });
      await side.close();
      return took;
    };
    return byTurns({ floor: run(way[floor]), value: run(way.ours) }, { rounds, warmUp: 0 });
  });

export const rows = [
  {
    name: "supervisor: a key there and back through `cat`",
    unit: "ms",
    floorIs: "the same program in a bare terminal",
    goal: { more: 0.5 },
    plot: true,
    measure: ({ rounds = 300 }) => keys(rounds),
  },
  {
    name: "supervisor: 100 MB of output",
    unit: "ms",
    floorIs: "a bare node-pty pipe",
    goal: { ratio: 1.1 },
    measure: ({ rounds = 3 }) => bulk("pipe", rounds),
  },
  {
    name: "supervisor: 100 MB of output, against no supervisor",
    unit: "ms",
    floorIs: "`cat` in a bare terminal",
    measure: ({ rounds = 2 }) => bulk("bare", rounds),
  },
];
