// The only user of proper-lockfile. Nothing's correctness may rest on it: after a holder dies two waiters can both
// get in, so every section is an idempotent merge of milliseconds.

import { join } from "node:path";
import { errnoOf, MeshError } from "../errors.ts";
import { lockDir, meshHome } from "./home.ts";
import { log } from "./log.ts";

/**
 * Runs `section` under the lock `name`. Throws MeshError TRY_AGAIN if it can't be had within some seconds.
 */
export async function locked<T>(name: string, section: () => T): Promise<T> {
  const { lock } = await import("proper-lockfile");
  let release: () => Promise<void>;
  try {
    release = await lock(join(meshHome(), name), {
      lockfilePath: lockDir(`${name}.lock`),
      realpath: false,
      stale: 5000,
      update: 2000,
      retries: { retries: 250, factor: 1, minTimeout: 30, maxTimeout: 60, randomize: true },
      // The default throws from a timer, after a laptop's sleep for example.
      onCompromised: (error) => log("lock-lost", name, error.message),
    });
  } catch (error) {
    if (errnoOf(error) !== "ELOCKED") throw error;
    throw new MeshError(
      "TRY_AGAIN",
      `can't lock ${name}: another claudemesh process holds it`,
      "try again in a few seconds",
    );
  }
  try {
    return section();
  } finally {
    await release().catch((error: unknown) => log("lock-lost", name, String(error)));
  }
}
