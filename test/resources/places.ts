// Places that are short of something, and whether this machine lets us have them.

import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const succeeds = (file: string, ...args: string[]) => spawnSync(file, args, { stdio: "ignore" }).status === 0;

/** True if this process may mount file systems. */
export const canMount = (() => {
  const dir = mkdtempSync(join(tmpdir(), "claudemesh-mount-"));
  const can = succeeds("mount", "-t", "tmpfs", "tmpfs", dir);
  if (can) succeeds("umount", dir);
  rmdirSync(dir);
  return can;
})();

/** True if a process can have a user namespace of its own, with limits of its own. */
export const canUnshare = succeeds(
  "unshare",
  ...["-U", "-r", "sh", "-c", "echo 0 >/proc/sys/user/max_inotify_instances"],
);

/** Mounts over `dir`, made if it is missing, until the test is finished. */
export function mountOver(dir: string, type: string, options: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  execFileSync("mount", ["-t", type, "-o", options, type, dir]);
  onTestFinished(() => {
    // Lazily: a process that is just ending may still have a file open there.
    execFileSync("umount", ["-l", dir]);
  });
}

/** A small file system of its own, private to this user; gives its path. */
export function smallDisk(size: string): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "claudemesh-disk-")));
  onTestFinished(() => rmdirSync(dir));
  mountOver(dir, "tmpfs", `size=${size},mode=700`);
  return dir;
}

/** True if this process may have a file system with quotas: Btrfs brings its own, kernels seldom have the common ones. */
export const canLimit =
  canMount && existsSync("/dev/loop-control") && ["mkfs.btrfs", "btrfs"].every((tool) => succeeds("which", tool));

/** A file system on which at most so many bytes may be used; gives its path. */
export function limitedDisk(bytes: number): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "claudemesh-quota-")));
  const image = `${dir}.img`;
  onTestFinished(() => {
    rmdirSync(dir);
    rmSync(image);
  });
  writeFileSync(image, "");
  truncateSync(image, 128 << 20);
  execFileSync("mkfs.btrfs", ["-q", image], { stdio: "ignore" });
  execFileSync("mount", ["-o", "loop", image, dir]);
  onTestFinished(() => void execFileSync("umount", [dir]));
  chmodSync(dir, 0o700);
  execFileSync("btrfs", ["quota", "enable", dir]);
  execFileSync("btrfs", ["qgroup", "limit", String(bytes), dir]);
  return dir;
}

export const remount = (dir: string, how: "ro" | "rw") => execFileSync("mount", ["-o", `remount,${how}`, dir]);
