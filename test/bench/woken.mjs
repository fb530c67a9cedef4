// From `send` to the model request of the real client: the rows that woken.ts measures, which is TypeScript as the
// harness of test/real is, and so is run by vitest.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { at, inWorld } from "./world.mjs";

const woken = (bell, rounds) =>
  inWorld(async ({ root }) => {
    const { startVitest } = await import("vitest/node");
    const to = join(root, "samples");
    const env = { BENCH_BELL: bell, BENCH_ROUNDS: String(rounds), BENCH_TO: to };
    const include = ["test/bench/woken.ts"];
    const vitest = await startVitest("test", [], {
      root: at("."),
      config: false,
      include,
      env,
      watch: false,
      reporters: [{}],
    });
    const errors = vitest.state
      .getFiles()
      .flatMap(({ tasks, result }) => [result, ...tasks.map((task) => task.result)]);
    await vitest.close();
    const why = errors.flatMap((result) => result?.errors ?? []).map(({ message }) => message);
    if (why.length) throw new Error(why.join("\n"));
    return JSON.parse(readFileSync(to, "utf8"));
  });

export const rows = [
  ["`send` → the real client's API request, idle, by socket", "a bare post to the socket", "inbox"],
  ["`send` → the real client's API request, idle, by Claude's watcher", "a bare write to a watched file", "watcher"],
].map(([name, floorIs, bell]) => ({
  name,
  unit: "ms",
  floorIs,
  goal: { ratio: 1.2 },
  plot: true,
  measure: ({ rounds = 12 }) => woken(bell, rounds),
}));
