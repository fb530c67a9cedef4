// Watchers carry no data: an event means "look again". chokidar is the alarm clock; readdir of what is watched decides.
// Watch only folders that stay nearly empty (chokidar watches every file in them).

import { lstatSync } from "node:fs";
import { ignore } from "../errors.ts";
import { log } from "./log.ts";

export interface Watch {
  close(): Promise<void>;
}

const inodeOf = (path: string) => ignore(["ENOENT", "ENOTDIR"], () => lstatSync(path).ino);

/**
 * Calls `look` when anything in the folder (or file) `path` may have changed, once at the start, and every `rescan` ms
 * in any case. Survives the path being removed and made again (`make` makes it when it is missing). An error thrown by
 * `look` is logged, the watch goes on.
 */
export async function watch(
  path: string,
  look: () => void | Promise<void>,
  { rescan = 10_000, make }: { rescan?: number; make?: () => void } = {},
): Promise<Watch> {
  const { watch: chokidarWatch } = await import("chokidar");
  let closed = false;
  const check = () => {
    if (closed) return;
    try {
      Promise.resolve(look()).catch((error: unknown) => log("watch-error", path, String(error)));
    } catch (error) {
      log("watch-error", path, String(error));
    }
  };
  const start = () => {
    make?.();
    const watcher = chokidarWatch(path, {
      depth: 0,
      ignoreInitial: true,
      followSymlinks: false,
      ignorePermissionErrors: true,
    });
    // Arrivals while it starts are not reported: so look on ready as well.
    watcher.on("ready", check).on("all", check);
    watcher.on("error", (error) => log("watch-error", path, String(error)));
    return watcher;
  };
  let watcher = start();
  let inode = inodeOf(path);
  const timer = setInterval(() => {
    const now = inodeOf(path);
    if (now !== inode) {
      void watcher.close();
      watcher = start();
      inode = inodeOf(path);
    }
    check();
  }, rescan);
  timer.unref();
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      await watcher.close();
    },
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
