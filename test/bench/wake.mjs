// From the beginning of a delivery to the parsed message in a process that watches the mailbox. The floor is the same
// durable write, seen by bare inotify in such a process and read.

import { renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createFile, syncDir } from "../../dist/mesh/files.js";
import { deliver, makeMailbox } from "../../dist/mesh/maildir.js";
import { compose, messageIdOf, uniqueName } from "../../dist/mesh/message.js";
import { byTurns, now, p99 } from "./stats.mjs";
import { here, inWorld, until } from "./world.mjs";

const address = (id) => ({ name: id, id, host: "bench" });
export function letterFor(id, n = 0) {
  const unique = uniqueName();
  const body = `${n} rerun the migration check on the staging copy, and send me the failing tables`;
  return { unique, text: compose({ id: messageIdOf(unique), from: address("web"), to: [address(id)], body }) };
}

/** The floor's delivery: durable, and no more than that. */
function bareDeliver(box, unique, text) {
  createFile(join(box, "tmp", unique), text);
  renameSync(join(box, "tmp", unique), join(box, "new", unique));
  syncDir(join(box, "new"));
}

/** One watching process with a mailbox of its own: `deliver` gives the ms until it held the message. */
async function watching(world, side) {
  const box = join(world.mesh, "inbox", side);
  makeMailbox(box);
  const child = world.start(process.execPath, [here("watcher.mjs"), side, side], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: { CLAUDEMESH_HOME: world.mesh },
  });
  const held = [];
  const waiting = new Map();
  child.on("message", ({ name, at }) => {
    held.push({ name, at });
    waiting.get(name)?.(at);
  });
  await until(() => held.some(({ name }) => name === "ready"), `the ${side} watcher`);
  held.length = 0;
  const write = side === "ours" ? deliver : bareDeliver;
  return {
    held,
    send(n) {
      const { unique, text } = letterFor(side, n);
      const arrives = new Promise((resolve) => waiting.set(unique, resolve));
      const start = now();
      write(box, unique, text);
      return { unique, start, took: arrives.then((at) => at - start) };
    },
  };
}

const both = (work) =>
  inWorld(async (world) => work({ floor: await watching(world, "bare"), value: await watching(world, "ours") }));

const oneByOne = (rounds) =>
  both(({ floor, value }) => {
    const side =
      ({ send }) =>
      async (round) => {
        await pause(20 + Math.random() * 20);
        return send(round).took;
      };
    return byTurns({ floor: side(floor), value: side(value) }, { rounds, warmUp: 10 });
  });

/** 200 a second for a while, by turns; a message late does not hold back the next. */
const steadily = (rounds) =>
  both(async (sides) => {
    const block = (side) => async () => {
      const sent = [];
      for (let n = 0, start = now(); n < 100; n++) {
        await pause(Math.max(0, start + n * 5 - now()));
        sent.push(side.send(n).took);
      }
      return Promise.all(sent);
    };
    const samples = await byTurns({ floor: block(sides.floor), value: block(sides.value) }, { rounds, warmUp: 1 });
    return { floor: samples.floor.flat(), value: samples.value.flat() };
  });

const BURST = 2000;
const burst = (rounds) =>
  both((sides) => {
    const all = (side, name) => async () => {
      side.held.length = 0;
      const sent = Array.from({ length: BURST }, (_, n) => side.send(n));
      const took = await Promise.all(sent.map((one) => one.took));
      const order = side.held.map((one) => one.name);
      if (name === "ours" && sent.some(({ unique }, n) => order[n] !== unique))
        throw new Error(`of a burst of ${BURST} not all were seen in order`);
      return Math.max(...sent.map(({ start }, n) => start + took[n])) - sent[0].start;
    };
    return byTurns({ floor: all(sides.floor, "bare"), value: all(sides.value, "ours") }, { rounds, warmUp: 0 });
  });

export const rows = [
  {
    name: "wake: delivered → parsed in a watching process",
    unit: "ms",
    floorIs: "durable write, fs.watch, readFile",
    goal: { ratio: 2 },
    plot: true,
    measure: ({ rounds = 200 }) => oneByOne(rounds),
  },
  {
    name: "wake at 200 messages/s, p99",
    unit: "ms",
    floorIs: "the same, p50",
    goal: { ratio: 10 },
    of: { value: p99 },
    plot: true,
    measure: ({ rounds = 8 }) => steadily(rounds),
  },
  {
    name: `burst of ${BURST}, all seen in order`,
    unit: "ms",
    floorIs: "the same by fs.watch",
    measure: ({ rounds = 3 }) => burst(rounds),
  },
];
