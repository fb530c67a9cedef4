// Watchers carry no data: an event means "look again". chokidar is the alarm clock; readdir of what is watched decides.
// So only its raw events are heard, as they come from the system: what it makes of them (a stat and a watch for every
// file, throttled) costs milliseconds, and is switched off by having it ignore all that lies in the folder.

import { lstatSync } from "node:fs";
import { resolve } from "node:path";
import { ignore } from "../errors.ts";
import { log } from "./log.ts";

export interface Watch {
  close(): Promise<void>;
}

/** Which file has the name now: the inode alone is soon given to another. */
const identityOf = (path: string) =>
  ignore(["ENOENT", "ENOTDIR"], () => {
    const { ino, birthtimeMs } = lstatSync(path);
    return `${ino} ${birthtimeMs}`;
  });

/**
 * Calls `look` when anything in the folder (or file) `path` may have changed, once at the start, and every `rescan` ms
 * in any case. Where the system has no watch left that is all there is, until it has one again: the log says so, with
 * `watch-error` and `watch-back`. Survives the path being removed and made again; `make` makes it at the start and at
 * each `rescan`, not at once, for who removes it may be removing all around it.
 * An error thrown by `look` is logged, the watch goes on.
 */
export async function watch(
  path: string,
  look: () => void | Promise<void>,
  { rescan = 10_000, make }: { rescan?: number; make?: () => void } = {},
): Promise<Watch> {
  const { watch: chokidarWatch } = await import("chokidar");
  const own = resolve(path);
  let closed = false;
  let watcher: ReturnType<typeof chokidarWatch> | undefined;
  let identity: string | undefined;
  let renewing: Promise<void> | undefined;
  /** this watcher misses events, for the system had no watch left for it; and the log says so */
  let isDeaf = false;
  let isToldDeaf = false;
  const check = () => {
    if (closed) return;
    try {
      if (identityOf(path) !== identity) renewing ??= renew();
      Promise.resolve(look()).catch((error: unknown) => log("watch-error", path, String(error)));
    } catch (error) {
      log("watch-error", path, String(error));
    }
  };
  // Events that come together are one look. What replaces a file while its watch is renewed makes none: it is there a
  // little later.
  let isSoon = false;
  let late: NodeJS.Timeout | undefined;
  const checkTwice = () => {
    if (!isSoon)
      setImmediate(() => {
        isSoon = false;
        check();
      });
    isSoon = true;
    if (late) return;
    late = setTimeout(() => {
      late = undefined;
      check();
    }, 100).unref();
  };
  /** Watches what now has the name: it was replaced by rename, or removed and made again. */
  const renew = async () => {
    // The old one must be closed first: chokidar would share its handle, which is on the old file.
    await watcher?.close();
    renewing = undefined;
    if (!closed) start();
  };
  const start = () => {
    identity = identityOf(path);
    isDeaf = false;
    watcher = chokidarWatch(path, {
      depth: 0,
      ignored: (each) => resolve(each) !== own,
      ignoreInitial: true,
      followSymlinks: false,
      ignorePermissionErrors: true,
    });
    // Arrivals while it starts are not reported: so look on ready as well.
    watcher.on("ready", checkTwice).on("raw", checkTwice).on("all", checkTwice);
    watcher.on("ready", () => {
      if (isToldDeaf && !isDeaf) log("watch-back", path);
      isToldDeaf &&= isDeaf;
    });
    watcher.on("error", (error) => {
      if (!isToldDeaf) log("watch-error", path, String(error));
      isDeaf = isToldDeaf = true;
    });
  };
  make?.();
  start();
  const stop = every(rescan, () => {
    // The slow look stands in for the events until there are watches again.
    if (isDeaf && !closed) renewing ??= renew();
    try {
      if (!closed) make?.();
    } catch (error) {
      log("watch-error", path, String(error));
    }
    check();
  });
  return {
    async close() {
      closed = true;
      stop();
      await renewing;
      await watcher?.close();
    },
  };
}

const clocks = new Map<number, { looks: Set<() => void>; timer: NodeJS.Timeout }>();

/**
 * Calls `look` every `ms`, together with all else in this process that is called so: one timer, so that an idle process
 * is woken once for all of it. Keeps no process alive. Returns what ends it.
 */
export function every(ms: number, look: () => void): () => void {
  let clock = clocks.get(ms);
  if (!clock) {
    const looks = new Set<() => void>();
    const timer = setInterval(() => looks.forEach((each) => void each()), ms).unref();
    clock = { looks, timer };
    clocks.set(ms, clock);
  }
  const { looks, timer } = clock;
  looks.add(look);
  return () => {
    looks.delete(look);
    if (looks.size > 0) return;
    clearInterval(timer);
    if (clocks.get(ms)?.timer === timer) clocks.delete(ms);
  };
}

/**
 * Makes of `round` a function that runs it now, or once more after the run that is under way: calls in between are one.
 * `settled` resolves when nothing runs. Errors are logged under `name`.
 */
export function oneAtATime(name: string, round: () => Promise<void>): { look(): void; settled(): Promise<void> } {
  let running: Promise<void> | undefined;
  let again = false;
  const look = () => {
    if (running) {
      again = true;
      return;
    }
    running = round()
      .catch((error: unknown) => log(`${name}-error`, String(error)))
      .finally(() => {
        running = undefined;
        if (!again) return;
        again = false;
        look();
      });
  };
  return {
    look,
    async settled() {
      while (running) await running;
    },
  };
}
