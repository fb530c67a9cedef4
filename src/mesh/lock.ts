// The only user of proper-lockfile. Nothing's correctness may rest on it: after a holder dies two waiters can both
// get in, so every section is an idempotent merge of milliseconds.

import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { errnoOf, MeshError } from "../errors.ts";
import { lockDir, meshHome } from "./home.ts";
import { log } from "./log.ts";

/** How long, in ms, a lock is waited for. */
const PATIENCE = 11_000;
/** No wait makes these better: a hook on a read-only home is to end at once, not to hold up its session. */
const HOPELESS = ["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT"];

/**
 * Runs `section` under the lock `name`. Throws MeshError TRY_AGAIN if it can't be had within some seconds.
 */
export async function locked<T>(name: string, section: () => T): Promise<T> {
  const { lock } = await import("proper-lockfile");
  const options = {
    lockfilePath: lockDir(`${name}.lock`),
    realpath: false,
    stale: 5000,
    update: 2000,
    // The default throws from a timer, after a laptop's sleep for example.
    onCompromised: (error: Error) => log("lock-lost", name, error.message),
  };
  let release: (() => Promise<void>) | undefined;
  for (const end = performance.now() + PATIENCE; !release; ) {
    try {
      release = await lock(join(meshHome(), name), options);
    } catch (error) {
      const code = errnoOf(error) ?? "";
      if (HOPELESS.includes(code)) throw error;
      if (performance.now() < end) await pause(30 + Math.random() * 30);
      else if (code !== "ELOCKED") throw error;
      else
        throw new MeshError(
          "TRY_AGAIN",
          `can't lock ${name}: another claudemesh process holds it`,
          "try again in a few seconds",
        );
    }
  }
  try {
    return section();
  } finally {
    await release().catch((error: unknown) => log("lock-lost", name, String(error)));
  }
}
