// What must not get slower as the mesh grows: each row is the large against the small, or against grep.

import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { lastTurns } from "../../dist/claude/transcript.js";
import { mailbox } from "../../dist/mesh/home.js";
import { makeMailbox, mark } from "../../dist/mesh/maildir.js";
import { take } from "../../dist/mesh/receive.js";
import { crowd, filler, NEEDLE, transcript } from "./crowd.mjs";
import { byTurns, timed } from "./stats.mjs";
import { letterFor } from "./wake.mjs";
import { cli, here, inWorld, makeWorld } from "./world.mjs";

const run = promisify(execFile);
export const MB = 1_000_000;
const HUGE = 1000 * MB;

/** Runs a verb of ours to its end. */
export const verb = (world, args, env = world.env) =>
  run(process.execPath, [cli, ...args], { env, cwd: world.root, maxBuffer: 100 * MB });

const list = async (rounds) => {
  const [few, many] = [makeWorld(), makeWorld()];
  try {
    for (const [world, count] of [
      [few, 10],
      [many, 1000],
    ]) {
      world.enter();
      await crowd(world, count);
    }
    const listing = (world, count) => async () => {
      let said;
      const took = await timed(async () => {
        said = await verb(world, ["list", "--json"]);
      });
      if (JSON.parse(said.stdout).length !== count) throw new Error(`list does not show all of ${count}`);
      return took;
    };
    return await byTurns({ floor: listing(few, 10), value: listing(many, 1000) }, { rounds, warmUp: 1 });
  } finally {
    await Promise.all([few.close(), many.close()]);
  }
};

/** Collects one letter that has just come; gives the ms. */
export function collectOne(id) {
  const { unique, text } = letterFor(id);
  writeFileSync(join(mailbox(id), "new", unique), text);
  const took = timed(() => take(id, () => true));
  mark(mailbox(id), unique, "S");
  return took;
}

const collect = (rounds) =>
  inWorld(async () => {
    for (const id of ["empty", "full"]) makeMailbox(mailbox(id));
    filler(mailbox("full"), "cur", 1000)(100_000);
    const side = (id) => () => collectOne(id);
    return byTurns({ floor: side("empty"), value: side("full") }, { rounds, warmUp: 10 });
  });

const turns = (rounds) =>
  inWorld(async (world) => {
    const small = transcript(join(world.root, "small"), MB);
    const large = transcript(join(world.root, "large"), HUGE, { sparse: true });
    const side = (path) => () => timed(() => lastTurns(path, 20));
    return byTurns({ floor: side(small), value: side(large) }, { rounds, warmUp: 5 });
  });

/** Ten sessions with transcripts of so many bytes each, and the search of them all. */
async function searched(world, bytes) {
  world.enter();
  const text = transcript(join(world.root, "text"), bytes);
  const { peers } = await crowd(world, 11, text);
  const memory = join(world.root, "memory");
  return {
    paths: peers.map((peer) => peer.transcript_path),
    async search() {
      const { stdout } = await verb(world, ["search", "*", NEEDLE]);
      if (stdout.split(NEEDLE).length - 1 !== peers.length) throw new Error(`search found: ${stdout}`);
    },
    /** The most memory that the search ever held, in MB. */
    async peak() {
      const env = { ...world.env, NODE_OPTIONS: `--import=${here("peak-memory.mjs")}`, PEAK_MEMORY_TO: memory };
      await run(process.execPath, [cli, "search", "*", NEEDLE], { env, cwd: world.root });
      return existsSync(memory) ? Number(readFileSync(memory, "utf8")) / 1000 : Number.NaN;
    },
  };
}

const search = (rounds) =>
  inWorld(async (world) => {
    const { paths, search } = await searched(world, HUGE / 10);
    const floor = () => timed(() => run("grep", ["-c", NEEDLE, ...paths]));
    return byTurns({ floor, value: () => timed(search) }, { rounds, warmUp: 1 });
  });

const searchMemory = (rounds) =>
  inWorld((one) =>
    inWorld(async (other) => {
      const small = await searched(one, 10 * MB);
      const large = await searched(other, HUGE / 10);
      return byTurns({ floor: small.peak, value: large.peak }, { rounds, warmUp: 0 });
    }),
  );

export const rows = [
  ["`list` with 1,000 sessions", "ms", "with 10", 8, list, 5],
  ["collect with 100,000 letters in cur/", "ms", "with none", 1.2, collect, 100],
  ["last 20 turns of a transcript of 1 GB", "ms", "of 1 MB", 1.5, turns, 40],
  ["search of 1 GB of transcripts", "ms", "`grep -c`", 4, search, 4],
  ["search of 1 GB of transcripts, memory", "MB", "of 100 MB", 1.2, searchMemory, 2],
].map(([name, unit, floorIs, ratio, measure, usual]) => ({
  name,
  unit,
  floorIs,
  goal: { ratio },
  measure: ({ rounds = usual }) => measure(rounds),
}));
