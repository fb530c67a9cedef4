// A thread of searchEach: takes one transcript after the other, as long as there are any that none has taken.

import { parentPort, workerData } from "node:worker_threads";
import { hitsOf, type Searched, type Work } from "./transcript-threads.ts";

async function searchRest({ paths, query, options, next }: Work): Promise<void> {
  const take = (): number => Atomics.add(next, 0, 1);
  for (let n = take(); n < paths.length; n = take()) {
    const searched: Searched = { n, hits: [] };
    for await (const hit of hitsOf(paths[n] ?? "", query, options)) searched.hits.push(hit);
    parentPort?.postMessage(searched);
  }
}

// What it throws becomes the error of the thread.
void searchRest(workerData as Work);
