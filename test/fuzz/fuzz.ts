// Fuzzing for a span of time. CLAUDEMESH_FUZZ_SECONDS is how long each fuzzer has, 10 in CI and 5 elsewhere unless told;
// CLAUDEMESH_FUZZ_SEED repeats a run. What a fuzzer once found lies in fixtures/fuzz/<target>/ and is tried first.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { it } from "vitest";

const seconds = Number(process.env.CLAUDEMESH_FUZZ_SECONDS ?? (process.env.CI ? 10 : 5));
const seed = Number(process.env.CLAUDEMESH_FUZZ_SEED ?? Math.trunc(Math.random() * 2 ** 31));

export interface Target<T> {
  name: string;
  inputs: fc.Arbitrary<T>;
  /** Makes ready inside the test and gives the check of one input: it throws if the product did wrong. */
  start(): ((input: T) => unknown) | Promise<(input: T) => unknown>;
  /** An input as a file of the corpus holds it; JSON unless told. */
  fromFile?: (bytes: Buffer) => T;
}

/** One test a target: the corpus first, then new inputs for the target's share (`1 / of`) of the fuzzer's time. */
export function fuzz<T>(of: number, { name, inputs, start, fromFile = (b) => JSON.parse(b.toString()) }: Target<T>) {
  const ms = (seconds * 1000) / of;
  it(`${name}: ${seconds / of} s of hostile input do no harm`, { timeout: ms * 2 + 60_000 }, async () => {
    const check = await start();
    const known = corpus(name);
    for (const { file, bytes } of known) {
      try {
        await check(fromFile(bytes));
      } catch (error) {
        throw new Error(`fixtures/fuzz/${name}/${file} does harm again`, { cause: error });
      }
    }
    const property = fc.asyncProperty(inputs, async (input) => void (await check(input)));
    const run = await fc.check(property, { seed, numRuns: 1e9, interruptAfterTimeLimit: ms });
    process.stderr.write(`fuzz ${name}: ${run.numRuns} inputs, ${known.length} known ones, seed ${seed}\n`);
    if (run.failed) {
      const input = run.counterexample?.[0];
      const shown = Buffer.isBuffer(input) ? `base64 ${input.toString("base64")}` : JSON.stringify(input);
      throw new Error(`seed ${seed}: ${shown?.slice(0, 4000)}`, { cause: run.errorInstance });
    }
  });
}

function corpus(name: string): { file: string; bytes: Buffer }[] {
  const dir = fileURLToPath(new URL(`../../fixtures/fuzz/${name}/`, import.meta.url));
  const files = existsSync(dir) ? readdirSync(dir).sort() : [];
  return files.map((file) => ({ file, bytes: readFileSync(`${dir}${file}`) }));
}
