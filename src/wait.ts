// Waiting by the clock that nobody sets: the other one may be put back by an hour.

import { setTimeout as pause } from "node:timers/promises";

/** Not performance.now(): a process that first asks for that loads ten modules of Node's. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Waits as long as `check` holds, `ms` at most; looks every `pace` ms. */
export async function waitWhile(check: () => boolean, ms: number, pace = 20): Promise<void> {
  for (const end = now() + ms; check() && now() < end; ) await pause(pace);
}
