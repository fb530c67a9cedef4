// Searching many transcripts: large ones at once, in as many threads as there are processors. Looking at bytes is all
// that the time goes into, so two threads take half of it.

import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { ignore, MeshError } from "../errors.ts";
import { packageFile } from "../package.ts";
import { type Hit, type SearchOptions, searchTurns } from "./transcript-search.ts";

type Options = Pick<SearchOptions, "context" | "limit" | "redact">;
/** What a thread is given. `next` counts the paths that have been taken: one for all threads. */
export type Work = { paths: readonly string[]; query: string; options: Options; next: Int32Array };
/** What it says of each. */
export type Searched = { n: number; hits: Hit[] };

/** Fewer bytes in all are searched before a thread has started. */
const WORTH_THREADS = 64_000_000;

/**
 * The hits of every transcript with its number in `paths`, in their order; a transcript that is not there has none.
 * Each is searched for `limit` hits. Throws MeshError BAD_PATTERN.
 */
export async function* searchEach(
  paths: readonly string[],
  query: string,
  options: Options,
  worth = WORTH_THREADS,
): AsyncGenerator<[n: number, hit: Hit]> {
  const bytes = paths.reduce((sum, path) => sum + (ignore(["ENOENT", "ENOTDIR"], () => statSync(path).size) ?? 0), 0);
  const threads = Math.min(availableParallelism(), paths.length);
  if (threads > 1 && bytes >= worth) yield* inThreads(threads, paths, query, options);
  else for (const [n, path] of paths.entries()) for await (const hit of hitsOf(path, query, options)) yield [n, hit];
}

/** As searchTurns; none of a transcript that is not there. */
export async function* hitsOf(path: string, query: string, options: Options): AsyncGenerator<Hit> {
  try {
    yield* searchTurns(path, query, options);
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "NO_TRANSCRIPT") throw error;
  }
}

async function* inThreads(
  count: number,
  paths: readonly string[],
  query: string,
  options: Options,
): AsyncGenerator<[n: number, hit: Hit]> {
  const work: Work = { paths, query, options, next: new Int32Array(new SharedArrayBuffer(4)) };
  const file = packageFile("dist/search-thread.cjs");
  const threads = Array.from({ length: count }, () => new Worker(file, { workerData: work }));
  const settle: ((hits: Hit[]) => void)[] = [];
  const searched = paths.map((_, n) => new Promise<Hit[]>((resolve) => (settle[n] = resolve)));
  const failed = new Promise<never>((_, reject) => {
    for (const thread of threads) {
      thread.on("message", ({ n, hits }: Searched) => settle[n]?.(hits));
      thread.on("error", reject);
    }
  });
  failed.catch(() => {});
  try {
    for (const [n, hits] of searched.entries()) for (const hit of await Promise.race([hits, failed])) yield [n, hit];
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}
