// How what a session or a person waits for grows: by sessions, by letters read and unread, by the size of a transcript.
// Each line is measured on a world that is made larger step by step; the functions themselves, without
// Node's start, but for the verbs in `code`.

import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { rowsOf } from "../../dist/claude/roster.js";
import { lastTurns } from "../../dist/claude/transcript.js";
import { searchTurns } from "../../dist/claude/transcript-search.js";
import { resolveAddress } from "../../dist/mesh/address.js";
import { mailbox } from "../../dist/mesh/home.js";
import { noticeDeaths } from "../../dist/mesh/join.js";
import { curPath, newPath } from "../../dist/mesh/maildir.js";
import { listPeers } from "../../dist/mesh/peers.js";
import { peek, receipts, take } from "../../dist/mesh/receive.js";
import { crowd, filler, NEEDLE, transcript } from "./crowd.mjs";
import { commands } from "./processes.mjs";
import { collectOne, MB, verb } from "./scale.mjs";
import { exponent, median, timed } from "./stats.mjs";
import { inWorld, plugin } from "./world.mjs";

const BUDGET_MS = 400;
const MOST = 25;

/** The median of as many runs as the budget allows, after one that does not count unless it is all there is time for. */
async function typical(action) {
  const first = await sample(action);
  const times = [];
  for (let spent = first; spent < BUDGET_MS && times.length < MOST; spent += times.at(-1))
    times.push(await sample(action));
  return times.length ? median(times) : first;
}

/** An action may say itself how long it took, where it has more to do than what is measured. */
async function sample(action) {
  let own;
  const all = await timed(async () => {
    own = await action();
  });
  return typeof own === "number" ? own : all;
}

const statusLine = (world, env) => () =>
  median(commands(world, env, { rounds: 5, floor: ":", value: `sh '${plugin}/hook' statusline` }).value);

const bySessions = (sizes) =>
  steps(sizes, async (world, count) => {
    const { first, peers } = await crowd(world, count);
    const middle = peers[Math.floor(peers.length / 2)];
    filler(mailbox(middle.id), "new")(1);
    const [unique] = readdirSync(join(mailbox(middle.id), "new"));
    return {
      "list, by sessions": async () => {
        await noticeDeaths();
        rowsOf(listPeers());
      },
      "resolve a name, by sessions": () => resolveAddress(middle.name),
      "receipt, by sessions": () => receipts(unique),
      "status line, by sessions": statusLine(world, first.env),
    };
  });

const byRead = (sizes) =>
  inOne(sizes, async (world) => {
    const { id, box, env } = await world.session("api", { own: true });
    const more = filler(box, "cur", 10);
    return (count) => {
      const unique = more(count)[Math.floor(count / 2)];
      return {
        "collect one, by letters in cur/": () => collectOne(id),
        "receipt, by letters in cur/": () => receipts(unique),
        "`inbox`, by letters in cur/": () => verb(world, ["inbox"], env),
        "`inbox --thread`, by letters in cur/": () => verb(world, ["inbox", "--thread", `<${unique}@claudemesh>`], env),
      };
    };
  });

const byUnread = (sizes) =>
  inOne(sizes, async (world) => {
    const { id, box, env } = await world.session("api");
    const more = filler(box, "new");
    return (count) => {
      const [oldest] = more(count);
      return {
        "look, by letters in new/": () => peek(id),
        "collect the oldest, by letters in new/": async () => {
          const took = await timed(() => take(id, ({ unique }) => unique === oldest || "stop"));
          renameSync(curPath(box, oldest, ""), newPath(box, oldest));
          return took;
        },
        "status line, by letters in new/": statusLine(world, env),
      };
    };
  });

const byTranscript = (sizes) =>
  inOne(sizes, (world) => (size) => {
    const sparse = transcript(join(world.root, "sparse"), size * MB, { sparse: true });
    return { "last 20 turns, by MB of transcript": () => lastTurns(sparse, 20) };
  });

const byText = (sizes) =>
  inOne(sizes, (world) => (size) => {
    const whole = transcript(join(world.root, "whole"), size * MB);
    return {
      "search, by MB of transcript": async () => {
        let hits = 0;
        for await (const _ of searchTurns(whole, NEEDLE)) hits++;
        if (hits !== 1) throw new Error(`search found ${hits} times what is there once`);
      },
    };
  });

/** Measures actions in one world that grows; `make` gives what lets it grow and says what is to be measured. */
const inOne = (sizes, make) =>
  inWorld(async (world) => {
    const grow = await make(world);
    return table(sizes, grow);
  });

/** Measures actions in a world made anew for each size. */
const steps = async (sizes, make) => {
  const lines = {};
  for (const size of sizes)
    await inWorld(async (world) => merge(lines, await table([size], (count) => make(world, count))));
  return lines;
};

async function table(sizes, grow) {
  const lines = {};
  for (const size of sizes)
    for (const [name, action] of Object.entries(await grow(size)))
      merge(lines, { [name]: { sizes: [size], ms: [await typical(action)] } });
  return lines;
}

function merge(lines, more) {
  for (const [name, { sizes, ms }] of Object.entries(more)) {
    lines[name] ??= { sizes: [], ms: [] };
    lines[name].sizes.push(...sizes);
    lines[name].ms.push(...ms);
  }
}

const powers = (from, to) => Array.from({ length: Math.log10(to / from) + 1.5 }, (_, i) => from * 10 ** i);
const families = [
  { of: "sessions", sizes: () => powers(10, 1000), measure: bySessions },
  { of: "letters in cur/", sizes: () => powers(10, 100_000), measure: byRead },
  { of: "letters in new/", sizes: () => powers(10, 10_000), measure: byUnread },
  { of: "MB of transcript", sizes: () => powers(1, 1000), measure: byTranscript },
  { of: "MB of text", sizes: ({ full }) => powers(1, full ? 1000 : 100), measure: byText },
];

/** The lines of growth whose names hold `only`, after `tell` has been told of each. */
export async function growth(options, isWanted, tell) {
  const found = [];
  for (const { of, sizes, measure } of families) {
    if (!isWanted({ name: `growth by ${of}` })) continue;
    tell(`growth by ${of}`);
    for (const [name, { sizes: given, ms }] of Object.entries(await measure(sizes(options))))
      found.push({ name, by: of, sizes: given, ms, exponent: exponent(given, ms) });
  }
  return found;
}
